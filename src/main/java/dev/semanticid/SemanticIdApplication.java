package dev.semanticid;

import java.util.Locale;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.context.properties.ConfigurationPropertiesScan;

/** Starts the semantic-ID service. */
@SpringBootApplication
@ConfigurationPropertiesScan
public class SemanticIdApplication {

  static void main(String[] args) {
    // Addresses and messages are made of ASCII digits wherever the service runs.
    Locale.setDefault(Locale.ROOT);
    SpringApplication.run(SemanticIdApplication.class, args);
  }
}
