package dev.semanticid.train;

import dev.semanticid.job.JobEvents;
import dev.semanticid.job.JobRunner;
import dev.semanticid.job.JobStore;
import dev.semanticid.job.JobViews;
import dev.semanticid.settings.SemanticIdProperties;
import io.micrometer.core.instrument.MeterRegistry;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import tools.jackson.databind.json.JsonMapper;

/** Makes the runner of trainings, and the view of them. */
@Configuration(proxyBeanMethods = false)
class TrainingConfiguration {

  @Bean
  @Qualifier(TrainingService.KIND)
  JobRunner trainingRunner(
      JobStore jobs, TrainingWork work, SemanticIdProperties properties, MeterRegistry meters) {
    return new JobRunner(
        TrainingService.KIND, TrainingService.PATH, true, jobs, work, properties.jobs(), meters);
  }

  @Bean
  JobViews<TrainingJob> trainingJobs(
      @Qualifier(TrainingService.KIND) JobRunner runner, JobEvents events, JsonMapper json) {
    return new JobViews<>(runner, events, status -> TrainingJob.of(status, json));
  }
}
