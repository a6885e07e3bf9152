package dev.semanticid.system;

import org.springframework.boot.tomcat.servlet.TomcatServletWebServerFactory;
import org.springframework.boot.web.server.WebServerFactoryCustomizer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/**
 * Parameters are those of the query alone: a body is never read as a form, whatever its type says.
 */
@Configuration(proxyBeanMethods = false)
class WebConfiguration {

  @Bean
  WebServerFactoryCustomizer<TomcatServletWebServerFactory> noForms() {
    return factory ->
        factory.addConnectorCustomizers(connector -> connector.setParseBodyMethods(""));
  }
}
