package dev.semanticid.security;

import jakarta.servlet.http.HttpServletRequest;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.springframework.http.HttpMethod;
import org.springframework.http.server.PathContainer;
import org.springframework.security.web.servlet.util.matcher.PathPatternRequestMatcher;
import org.springframework.security.web.util.matcher.RequestMatcher;
import org.springframework.web.util.pattern.PathPattern;
import org.springframework.web.util.pattern.PathPatternParser;

/**
 * What a request needs.
 *
 * @param methods that it is for; all if there are none
 * @param pattern of the paths that it is for
 * @param matcher of requests with such a path
 * @param scopes any of which is enough; none: open to everybody
 */
record AccessRule(
    List<HttpMethod> methods, PathPattern pattern, RequestMatcher matcher, Set<Scope> scopes) {

  private static final List<HttpMethod> READ = List.of(HttpMethod.GET, HttpMethod.HEAD);
  private static final List<HttpMethod> ALL = List.of();
  private static final Set<Scope> OPEN = Set.of();
  private static final Set<Scope> ANY = EnumSet.allOf(Scope.class);
  private static final Set<Scope> ENCODE = EnumSet.of(Scope.ENCODE);
  private static final Set<Scope> TRAIN = EnumSet.of(Scope.TRAIN);

  /** Whoever asks for jobs, and whoever cancels those of others. */
  private static final Set<Scope> CANCEL = EnumSet.of(Scope.TRAIN, Scope.ADMIN);

  private static final List<HttpMethod> DELETE = List.of(HttpMethod.DELETE);

  /** What no other rule is for, an address that does not exist included. */
  static final AccessRule ANYTHING_ELSE = rule(ALL, "/**", EnumSet.of(Scope.ADMIN));

  /** The first that fits decides. */
  static final List<AccessRule> RULES =
      List.of(
          rule(READ, "/actuator/health/**", OPEN),
          rule(READ, "/v2/health/*", OPEN),
          rule(READ, "/swagger-ui.html", OPEN),
          rule(READ, "/swagger-ui/**", OPEN),
          rule(READ, "/v3/api-docs/**", OPEN),
          rule(READ, "/v3/api-docs.yaml", OPEN),
          rule(DELETE, "/train/*", CANCEL),
          rule(DELETE, "/encode/jobs/*", CANCEL),
          rule(ALL, "/train/**", TRAIN),
          rule(ALL, "/encode/jobs/**", TRAIN),
          rule(ALL, "/encode", ENCODE),
          rule(ALL, "/decode", ENCODE),
          rule(ALL, "/v2/**", ENCODE),
          rule(READ, "/info", ANY),
          rule(List.of(HttpMethod.POST), "/codebooks/*/compare", ENCODE),
          rule(READ, "/codebooks/**", ANY),
          rule(READ, "/actuator/**", ANY),
          ANYTHING_ELSE);

  private static AccessRule rule(List<HttpMethod> methods, String pattern, Set<Scope> scopes) {
    return new AccessRule(
        methods,
        PathPatternParser.defaultInstance.parse(pattern),
        PathPatternRequestMatcher.pathPattern(pattern),
        scopes);
  }

  /** The rule of a request. */
  static AccessRule of(HttpServletRequest request) {
    return first(rule -> rule.matches(request));
  }

  /** The rule of an operation of the API's description. */
  static AccessRule of(HttpMethod method, String path) {
    PathContainer parsed = PathContainer.parsePath(path);
    return first(rule -> rule.hasMethod(method) && rule.pattern.matches(parsed));
  }

  private static AccessRule first(Predicate<AccessRule> condition) {
    return RULES.stream().filter(condition).findFirst().orElse(ANYTHING_ELSE);
  }

  /** Whether it is for a request. */
  boolean matches(HttpServletRequest request) {
    return hasMethod(HttpMethod.valueOf(request.getMethod())) && matcher.matches(request);
  }

  private boolean hasMethod(HttpMethod method) {
    return methods.isEmpty() || methods.contains(method);
  }

  boolean isOpen() {
    return scopes.isEmpty();
  }

  String[] authorities() {
    return scopes.stream().map(Scope::authority).toArray(String[]::new);
  }

  /** In words: {@code the scope train}. */
  String needs() {
    String names = scopes.stream().map(Scope::wireName).collect(Collectors.joining(", "));
    return (scopes.size() == 1 ? "the scope " : "one of the scopes ") + names;
  }
}
