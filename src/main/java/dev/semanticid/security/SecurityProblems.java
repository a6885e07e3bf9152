package dev.semanticid.security;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.security.Credentials.IssuerUnavailableException;
import dev.semanticid.security.Credentials.RefusedException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.util.Arrays;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.http.HttpHeaders;
import org.springframework.security.access.AccessDeniedException;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.AuthenticationException;
import org.springframework.security.core.GrantedAuthority;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.security.oauth2.core.OAuth2AuthenticationException;
import org.springframework.security.web.AuthenticationEntryPoint;
import org.springframework.security.web.access.AccessDeniedHandler;

/** Refusals as problem details, made where all others are. */
final class SecurityProblems implements AuthenticationEntryPoint, AccessDeniedHandler {

  private static final Logger LOG = LoggerFactory.getLogger(SecurityProblems.class);

  private final Refusals refusals;

  SecurityProblems(Refusals refusals) {
    this.refusals = refusals;
  }

  @Override
  public void commence(
      HttpServletRequest request, HttpServletResponse response, AuthenticationException cause) {
    switch (cause) {
      case IssuerUnavailableException unavailable -> {
        LOG.warn("no token can be checked: {}", String.valueOf(rootOf(unavailable)));
        refusals.send(
            request,
            response,
            new ProblemException(
                ProblemCode.AUTHENTICATION_UNAVAILABLE,
                "the token cannot be checked, as the issuer does not answer; API keys work"));
      }
      case OAuth2AuthenticationException refused -> {
        String reason =
            refused instanceof RefusedException
                ? String.valueOf(refused.getMessage())
                : "what follows Bearer is none";
        response.setHeader(
            HttpHeaders.WWW_AUTHENTICATE, "Bearer realm=\"semantic-id\", error=\"invalid_token\"");
        refusals.send(
            request,
            response,
            new ProblemException(
                ProblemCode.UNAUTHENTICATED, "the credentials are not accepted: " + reason));
      }
      default -> {
        response.setHeader(HttpHeaders.WWW_AUTHENTICATE, "Bearer realm=\"semantic-id\"");
        refusals.send(
            request,
            response,
            new ProblemException(
                ProblemCode.UNAUTHENTICATED,
                "%s %s needs credentials: Authorization: Bearer with an API key or a token, or X-API-Key with an API key"
                    .formatted(request.getMethod(), request.getRequestURI())));
      }
    }
  }

  private static Throwable rootOf(Throwable thrown) {
    Throwable root = thrown;
    while (root.getCause() != null) {
      root = root.getCause();
    }
    return root;
  }

  @Override
  public void handle(
      HttpServletRequest request, HttpServletResponse response, AccessDeniedException denied) {
    AccessRule rule = AccessRule.of(request);
    List<String> needed = rule.scopes().stream().map(Scope::wireName).toList();
    response.setHeader(
        HttpHeaders.WWW_AUTHENTICATE,
        "Bearer realm=\"semantic-id\", error=\"insufficient_scope\""
            + (needed.size() == 1 ? ", scope=\"%s\"".formatted(needed.getFirst()) : ""));
    refusals.send(
        request,
        response,
        new ProblemException(
                ProblemCode.FORBIDDEN,
                "%s %s needs %s, the credentials have %s"
                    .formatted(
                        request.getMethod(), request.getRequestURI(), rule.needs(), granted()))
            .with("scopes", needed));
  }

  private static String granted() {
    Authentication client = SecurityContextHolder.getContext().getAuthentication();
    List<String> authorities =
        client == null
            ? List.of()
            : client.getAuthorities().stream().map(GrantedAuthority::getAuthority).toList();
    List<String> scopes =
        Arrays.stream(Scope.values())
            .filter(scope -> authorities.contains(scope.authority()))
            .map(Scope::wireName)
            .toList();
    return scopes.isEmpty() ? "none" : String.join(", ", scopes);
  }
}
