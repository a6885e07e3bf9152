package dev.semanticid.bulk;

import dev.semanticid.job.JobRunner;
import dev.semanticid.job.JobStore;
import dev.semanticid.system.SemanticIdProperties;
import io.micrometer.core.instrument.MeterRegistry;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** Makes the runner of bulk encodings. */
@Configuration(proxyBeanMethods = false)
class EncodingJobConfiguration {

  @Bean
  @Qualifier(EncodingService.KIND)
  JobRunner encodingRunner(
      JobStore jobs, EncodingWork work, SemanticIdProperties properties, MeterRegistry meters) {
    return new JobRunner(
        EncodingService.KIND, EncodingService.PATH, false, jobs, work, properties.jobs(), meters);
  }
}
