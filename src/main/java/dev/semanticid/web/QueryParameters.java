package dev.semanticid.web;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import jakarta.servlet.http.HttpServletRequest;
import java.util.Collection;
import java.util.TreeSet;

/** Checks of a request's query. */
public final class QueryParameters {

  private QueryParameters() {}

  /**
   * A parameter that is not known is refused rather than ignored, because ignoring it would give
   * another result than was asked for.
   *
   * @param names the parameters given
   * @param known those that exist
   */
  public static void requireKnown(Collection<String> names, Collection<String> known) {
    for (String name : names) {
      if (!known.contains(name)) {
        throw new ProblemException(
                ProblemCode.UNKNOWN_PARAMETER,
                "there is no parameter '%s'; known are %s".formatted(name, new TreeSet<>(known)))
            .with("parameter", name);
      }
    }
  }

  /** The same for the parameters of a request. */
  public static void requireKnown(HttpServletRequest request, Collection<String> known) {
    requireKnown(request.getParameterMap().keySet(), known);
  }
}
