package dev.semanticid.web;

import dev.semanticid.settings.SemanticIdProperties;
import java.time.Duration;
import org.springframework.boot.jackson.autoconfigure.JsonMapperBuilderCustomizer;
import org.springframework.boot.tomcat.servlet.TomcatServletWebServerFactory;
import org.springframework.boot.web.server.WebServerFactoryCustomizer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.MapperFeature;

/** JSON and HTTP as this service means them. */
@Configuration(proxyBeanMethods = false)
class WebConfiguration {

  private static final int SOCKET_BUFFER_BYTES = 32 << 10;

  /** How long a body may pause, if it may take as long. */
  private static final Duration LONGEST_SILENCE = Duration.ofSeconds(20);

  /** JSON means what it says: no strings for numbers, no fractions for integers, no name twice. */
  @Bean
  JsonMapperBuilderCustomizer strictJson() {
    return builder ->
        builder
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
            .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT);
  }

  /**
   * Parameters are those of the query alone: a body is never read as a form, whatever its type. And
   * bodies are large, so they are read from sockets by larger pieces than 8 KiB.
   */
  @Bean
  WebServerFactoryCustomizer<TomcatServletWebServerFactory> server(
      SemanticIdProperties properties) {
    long silence =
        Math.min(LONGEST_SILENCE.toMillis(), properties.encoding().bodyTimeout().toMillis());
    return factory -> {
      factory.addEngineValves(new ConnectionValve());
      factory.addConnectorCustomizers(connector -> {
        connector.setParseBodyMethods("");
        connector.setProperty("socket.appReadBufSize", Integer.toString(SOCKET_BUFFER_BYTES));
        connector.setProperty("disableUploadTimeout", "false");
        connector.setProperty("connectionUploadTimeout", Long.toString(silence));
        // Who asks before sending a body is told to go on when the body is wanted.
        connector.setProperty("continueResponseTiming", "onRead");
      });
    };
  }
}
