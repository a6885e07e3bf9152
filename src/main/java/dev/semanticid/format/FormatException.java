package dev.semanticid.format;

import java.io.IOException;
import java.util.Objects;

/**
 * A file or stream that does not keep to its format, or that keeps to a part of it which is not
 * read here.
 */
public final class FormatException extends IOException {

  /** What is wrong, for callers that answer differently to each. */
  public enum Kind {
    /** The data end before the place the format promises. */
    TRUNCATED,
    /** The data contradict the format or themselves. */
    CORRUPT,
    /** The data are valid, but of a type, shape or version that is not read here. */
    UNSUPPORTED,
    /** The data claim more than the stated bound. */
    TOO_LARGE
  }

  private final Kind kind;

  /**
   * @param kind what is wrong
   * @param message what was expected and what came, with both numbers
   */
  public FormatException(Kind kind, String message) {
    super(message);
    this.kind = Objects.requireNonNull(kind, "kind");
  }

  private FormatException(String source, FormatException cause) {
    super(source + ": " + cause.getMessage(), cause);
    this.kind = cause.kind;
  }

  /** What is wrong. */
  public Kind kind() {
    return kind;
  }

  /** Text of a file as it may stand in a message: shortened to 80 characters. */
  static String abbreviate(Object text) {
    String whole = text.toString();
    return whole.length() <= 80 ? whole : whole.substring(0, 80) + "…";
  }

  /**
   * The same failure with the name of the file or stream before its message, and this one as its
   * cause.
   */
  public FormatException in(String source) {
    return new FormatException(source, this);
  }
}
