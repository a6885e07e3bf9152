package dev.semanticid;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.context.properties.ConfigurationPropertiesScan;

/** Starts the semantic-ID service. */
@SpringBootApplication
@ConfigurationPropertiesScan
public class SemanticIdApplication {

  static void main(String[] args) {
    SpringApplication.run(SemanticIdApplication.class, args);
  }
}
