package dev.semanticid.web;

import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.config.MeterFilter;
import java.util.Collection;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.config.BeanPostProcessor;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/**
 * Keeps details of the machine out of health and metrics. What Spring Boot's indicators say in
 * texts are paths, names of certificates, and messages of exceptions with addresses in them; the
 * log has these.
 */
@Configuration(proxyBeanMethods = false)
class HealthConfiguration {

  /** Leaves what this service says itself, and numbers of what others say. */
  @Bean
  static BeanPostProcessor healthInNumbers() {
    return new BeanPostProcessor() {
      @Override
      public Object postProcessAfterInitialization(Object bean, String name) {
        return bean instanceof HealthIndicator indicator && !isOurs(bean)
            ? (HealthIndicator) () -> inNumbers(indicator.health())
            : bean;
      }
    };
  }

  /** The space of the data directory is told, and where that lies is not. */
  @Bean
  static MeterFilter diskWithoutPath() {
    return new MeterFilter() {
      @Override
      public Meter.Id map(Meter.Id id) {
        return id.getName().startsWith("disk.") ? id.replaceTags(Tags.of("path", "data-dir")) : id;
      }
    };
  }

  private static boolean isOurs(Object bean) {
    return bean.getClass().getPackageName().startsWith("dev.semanticid");
  }

  private static @Nullable Health inNumbers(@Nullable Health health) {
    if (health == null) {
      return null;
    }
    Health.Builder numbers = Health.status(health.getStatus());
    health
        .getDetails()
        .forEach((name, value) -> {
          if (value instanceof Number || value instanceof Boolean) {
            numbers.withDetail(name, value);
          } else if (value instanceof Collection<?> several) {
            numbers.withDetail(name, several.size());
          }
        });
    return numbers.build();
  }
}
