package dev.semanticid.security;

import dev.semanticid.settings.SemanticIdProperties;
import org.springframework.boot.actuate.autoconfigure.web.ManagementContextConfiguration;
import org.springframework.boot.actuate.autoconfigure.web.ManagementContextType;
import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Conditional;
import org.springframework.core.Ordered;

/**
 * The guard of a service that lets in everybody, on both ports. The service's own context finds
 * this class by scanning; that of a management port of its own has it from {@code
 * META-INF/spring/…ManagementContextConfiguration.imports}.
 */
@ManagementContextConfiguration(value = ManagementContextType.CHILD, proxyBeanMethods = false)
@Conditional(SecuritySettings.Off.class)
class BrowserGuardConfiguration {

  /** After the filters that give a request its id and count it. */
  private static final int ORDER = Ordered.HIGHEST_PRECEDENCE + 10;

  @Bean
  FilterRegistrationBean<BrowserGuard> browserGuard(
      SemanticIdProperties properties, Refusals refusals) {
    var registration =
        new FilterRegistrationBean<>(
            new BrowserGuard(new AllowedHosts(properties.security().allowedHosts()), refusals));
    registration.setOrder(ORDER);
    return registration;
  }
}
