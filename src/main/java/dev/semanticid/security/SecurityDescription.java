package dev.semanticid.security;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.web.ProblemResponses;
import dev.semanticid.web.ProblemStatus;
import io.swagger.v3.oas.models.Components;
import io.swagger.v3.oas.models.OpenAPI;
import io.swagger.v3.oas.models.Operation;
import io.swagger.v3.oas.models.PathItem;
import io.swagger.v3.oas.models.responses.ApiResponses;
import io.swagger.v3.oas.models.security.SecurityRequirement;
import io.swagger.v3.oas.models.security.SecurityScheme;
import java.util.List;
import org.springdoc.core.customizers.OpenApiCustomizer;
import org.springframework.http.HttpMethod;
import org.springframework.http.HttpStatus;

/** What every operation needs, in the API's description. */
final class SecurityDescription implements OpenApiCustomizer {

  private static final String BEARER = "bearer";
  private static final String API_KEY = "api_key";

  @Override
  public void customise(OpenAPI api) {
    if (api.getComponents() == null) {
      api.setComponents(new Components());
    }
    api.getComponents()
        .addSecuritySchemes(
            BEARER,
            new SecurityScheme()
                .type(SecurityScheme.Type.HTTP)
                .scheme("bearer")
                .description("an API key, which begins with sid_, or a token of the issuer"))
        .addSecuritySchemes(
            API_KEY,
            new SecurityScheme()
                .type(SecurityScheme.Type.APIKEY)
                .in(SecurityScheme.In.HEADER)
                .name(Credentials.HEADER)
                .description("an API key"));
    api.getPaths().forEach((path, item) -> describe(path, item));
  }

  private static void describe(String path, PathItem item) {
    item.readOperationsMap()
        .forEach((method, operation) ->
            describe(AccessRule.of(HttpMethod.valueOf(method.name()), path), operation));
  }

  private static void describe(AccessRule rule, Operation operation) {
    if (rule.isOpen()) {
      return;
    }
    operation.addSecurityItem(new SecurityRequirement().addList(BEARER));
    operation.addSecurityItem(new SecurityRequirement().addList(API_KEY));
    String needs = "Needs %s.".formatted(rule.needs());
    operation.setDescription(
        operation.getDescription() == null ? needs : operation.getDescription() + " " + needs);
    if (operation.getResponses() == null) {
      operation.setResponses(new ApiResponses());
    }
    for (ProblemCode code : List.of(ProblemCode.UNAUTHENTICATED, ProblemCode.FORBIDDEN)) {
      HttpStatus status = ProblemStatus.of(code);
      operation
          .getResponses()
          .computeIfAbsent(
              Integer.toString(status.value()),
              absent -> ProblemResponses.of(status, List.of(code.name())));
    }
  }
}
