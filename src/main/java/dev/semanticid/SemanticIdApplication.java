package dev.semanticid;

import java.util.Locale;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.context.properties.ConfigurationPropertiesScan;
import org.springframework.boot.micrometer.tracing.autoconfigure.MicrometerTracingAutoConfiguration;
import org.springframework.boot.micrometer.tracing.opentelemetry.autoconfigure.OpenTelemetryTracingAutoConfiguration;
import org.springframework.boot.micrometer.tracing.opentelemetry.autoconfigure.otlp.OtlpTracingAutoConfiguration;
import org.springframework.boot.opentelemetry.autoconfigure.OpenTelemetrySdkAutoConfiguration;
import org.springframework.boot.security.autoconfigure.UserDetailsServiceAutoConfiguration;
import org.springframework.boot.security.autoconfigure.actuate.web.servlet.ManagementWebSecurityAutoConfiguration;
import org.springframework.boot.security.autoconfigure.web.servlet.ServletWebSecurityAutoConfiguration;
import org.springframework.boot.security.oauth2.server.resource.autoconfigure.web.OAuth2ResourceServerWebSecurityAutoConfiguration;

/** Starts the semantic-ID service. */
@SpringBootApplication(
    exclude = {
      // Who may do what is said in dev.semanticid.security; without it there shall be no filter.
      ServletWebSecurityAutoConfiguration.class,
      ManagementWebSecurityAutoConfiguration.class,
      OAuth2ResourceServerWebSecurityAutoConfiguration.class,
      UserDetailsServiceAutoConfiguration.class,
      // TracingConfiguration imports them where traces have somewhere to go.
      OpenTelemetrySdkAutoConfiguration.class,
      OpenTelemetryTracingAutoConfiguration.class,
      OtlpTracingAutoConfiguration.class,
      MicrometerTracingAutoConfiguration.class
    })
@ConfigurationPropertiesScan
public class SemanticIdApplication {

  static void main(String[] args) {
    // Addresses and messages are made of ASCII digits wherever the service runs.
    Locale.setDefault(Locale.ROOT);
    SpringApplication.run(SemanticIdApplication.class, args);
  }
}
