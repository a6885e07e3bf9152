package dev.semanticid.problem;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/**
 * Something that the client is told as a problem detail: a code, a sentence with both numbers, and
 * what helps.
 */
public final class ProblemException extends RuntimeException {

  /** The property that holds seconds after which to try again; sent as {@code Retry-After} too. */
  public static final String RETRY_AFTER = "retry_after_seconds";

  private static final long serialVersionUID = 1L;

  private final ProblemCode code;
  private final transient Map<String, Object> properties = new LinkedHashMap<>();

  /**
   * @param code what kind of problem
   * @param detail a sentence for a person: what was expected and what came; secrets in addresses
   *     are masked
   */
  public ProblemException(ProblemCode code, String detail) {
    super(Masked.text(detail));
    this.code = code;
  }

  /**
   * Something that finds no room now and may find it later.
   *
   * @param detail what there is too much of, and both numbers
   * @param seconds after which to try again
   */
  public static ProblemException overloaded(String detail, long seconds) {
    return new ProblemException(
            ProblemCode.OVERLOADED,
            String.format(Locale.ROOT, "%s; try again in %d s", detail, seconds))
        .with(RETRY_AFTER, seconds);
  }

  /** Adds a member to the problem detail; values are JSON scalars or lists of them. */
  public ProblemException with(String name, Object value) {
    properties.put(name, value);
    return this;
  }

  /** What kind of problem. */
  public ProblemCode code() {
    return code;
  }

  /** The sentence for a person. */
  public String detail() {
    return String.valueOf(getMessage());
  }

  /** Further members of the problem detail. */
  public Map<String, Object> properties() {
    return properties;
  }
}
