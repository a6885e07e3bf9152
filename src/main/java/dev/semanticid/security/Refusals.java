package dev.semanticid.security;

import dev.semanticid.problem.ProblemException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import org.springframework.web.servlet.HandlerExceptionResolver;

/** Answers requests that a filter refuses, in the form that all other problems have. */
final class Refusals {

  private final HandlerExceptionResolver resolver;

  /**
   * @param resolver the service's own, also for requests that come to the management port
   */
  Refusals(HandlerExceptionResolver resolver) {
    this.resolver = resolver;
  }

  void send(HttpServletRequest request, HttpServletResponse response, ProblemException problem) {
    resolver.resolveException(request, response, null, problem);
  }
}
