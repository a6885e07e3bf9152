package dev.semanticid.bulk;

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

/** Makes the runner of bulk encodings, and the view of them. */
@Configuration(proxyBeanMethods = false)
class EncodingJobConfiguration {

  @Bean
  @Qualifier(EncodingService.KIND)
  JobRunner encodingRunner(
      JobStore jobs, EncodingWork work, SemanticIdProperties properties, MeterRegistry meters) {
    return new JobRunner(
        EncodingService.KIND, EncodingService.PATH, false, jobs, work, properties.jobs(), meters);
  }

  @Bean
  JobViews<EncodingJob> encodingJobs(
      @Qualifier(EncodingService.KIND) JobRunner runner, JobEvents events, JsonMapper json) {
    return new JobViews<>(runner, events, status -> EncodingJob.of(status, json));
  }
}
