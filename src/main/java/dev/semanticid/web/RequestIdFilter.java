package dev.semanticid.web;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;
import org.slf4j.MDC;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.http.ProblemDetail;
import org.springframework.web.filter.OncePerRequestFilter;

/**
 * Gives every request an id: the client's, or one made here. It comes back with the answer, and is
 * in the log with all that is said meanwhile.
 */
@Order(Ordered.HIGHEST_PRECEDENCE)
class RequestIdFilter extends OncePerRequestFilter {

  /** The header that an id comes with, and goes back with. */
  static final String HEADER = "X-Request-Id";

  /** Request attribute of the id. */
  static final String ATTRIBUTE = RequestIdFilter.class.getName();

  /** The name that log and problems have it by. */
  private static final String NAME = "request_id";

  private static final int LONGEST = 128;

  @Override
  protected void doFilterInternal(
      HttpServletRequest request, HttpServletResponse response, FilterChain chain)
      throws ServletException, IOException {
    String given = request.getHeader(HEADER);
    String id =
        given != null && isId(given)
            ? given
            // Below zero, so that it has all 16 digits.
            : Long.toHexString(ThreadLocalRandom.current().nextLong(Long.MIN_VALUE, 0));
    request.setAttribute(ATTRIBUTE, id);
    response.setHeader(HEADER, id);
    MDC.put(NAME, id);
    try {
      chain.doFilter(request, response);
    } finally {
      MDC.remove(NAME);
    }
  }

  /** Tells the id with a problem, if the request got as far as having one. */
  static void addTo(ProblemDetail problem, @Nullable Object id) {
    if (id != null) {
      problem.setProperty(NAME, id);
    }
  }

  /** Nothing that could be taken for something else in a log or a header. */
  private static boolean isId(String text) {
    int length = text.length();
    if (length == 0 || length > LONGEST) {
      return false;
    }
    for (int i = 0; i < length; i++) {
      char c = text.charAt(i);
      boolean letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      if (!letter && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' && c != ':') {
        return false;
      }
    }
    return true;
  }
}
