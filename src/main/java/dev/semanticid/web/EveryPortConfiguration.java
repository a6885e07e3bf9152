package dev.semanticid.web;

import org.springframework.boot.actuate.autoconfigure.web.ManagementContextConfiguration;
import org.springframework.boot.actuate.autoconfigure.web.ManagementContextType;
import org.springframework.boot.tomcat.servlet.TomcatServletWebServerFactory;
import org.springframework.boot.web.server.WebServerFactoryCustomizer;
import org.springframework.context.annotation.Bean;

/**
 * What holds on both ports. The service's own context finds this class by scanning; that of a
 * management port of its own has it from {@code
 * META-INF/spring/…ManagementContextConfiguration.imports}.
 */
@ManagementContextConfiguration(value = ManagementContextType.CHILD, proxyBeanMethods = false)
class EveryPortConfiguration {

  @Bean
  WebServerFactoryCustomizer<TomcatServletWebServerFactory> answersOfEveryPort() {
    return factory -> {
      factory.addEngineValves(new SecurityHeaders());
      factory.addContextCustomizers(
          context -> context.getParent().getPipeline().addValve(new ProblemReportValve()));
    };
  }

  @Bean
  RequestIdFilter requestIdFilter() {
    return new RequestIdFilter();
  }
}
