package dev.semanticid.web;

import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import io.swagger.v3.core.jackson.ModelResolver;
import io.swagger.v3.core.util.Json;
import io.swagger.v3.oas.models.OpenAPI;
import io.swagger.v3.oas.models.info.Info;
import io.swagger.v3.oas.models.info.License;
import java.lang.reflect.AnnotatedElement;
import java.util.List;
import org.springdoc.core.customizers.OperationCustomizer;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.info.BuildProperties;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.annotation.AnnotatedElementUtils;
import org.springframework.http.HttpStatus;

/**
 * The API's description, and the error answers of every operation from its {@link
 * ProblemResponse}s.
 */
@Configuration(proxyBeanMethods = false)
class OpenApiConfiguration {

  @Bean
  OpenAPI openApi(ObjectProvider<BuildProperties> build) {
    BuildProperties properties = build.getIfAvailable();
    return new OpenAPI()
        .info(
            new Info()
                .title("Semantic IDs")
                .version(properties == null ? "development" : properties.getVersion())
                .description(
                    "Turns item embeddings into semantic IDs, short hierarchical codes from"
                        + " residual quantization. Train a codebook with `POST /train`, then encode"
                        + " with `POST /encode`. Errors are RFC 9457 problem details with a stable"
                        + " `code`.")
                .license(
                    new License()
                        .name("Apache-2.0")
                        .url("https://www.apache.org/licenses/LICENSE-2.0.html")));
  }

  /** Schemas name properties as the JSON does. */
  @Bean
  ModelResolver modelResolver() {
    return new ModelResolver(
        Json.mapper().copy().setPropertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE));
  }

  @Bean
  OperationCustomizer problemResponses() {
    return (operation, handler) -> {
      // The method's own replace those of its class.
      for (AnnotatedElement element : List.of(handler.getBeanType(), handler.getMethod())) {
        for (ProblemResponse problem :
            AnnotatedElementUtils.getMergedRepeatableAnnotations(element, ProblemResponse.class)) {
          HttpStatus status = HttpStatus.valueOf(Integer.parseInt(problem.status()));
          List<String> codes = List.of(problem.codes().split(",\\s*"));
          operation
              .getResponses()
              .addApiResponse(problem.status(), ProblemResponses.of(status, codes));
        }
      }
      return operation;
    };
  }
}
