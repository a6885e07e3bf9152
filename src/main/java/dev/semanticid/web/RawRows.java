package dev.semanticid.web;

import dev.semanticid.core.vector.ElementType;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import java.util.Locale;

/** Checks of bodies that are rows without a header. */
public final class RawRows {

  private RawRows() {}

  /** The element type that the parameter {@code dtype} names. */
  public static ElementType elementType(String dtype) {
    return ElementType.ofWireName(dtype)
        .orElseThrow(() ->
            new ProblemException(
                ProblemCode.INVALID_PARAMETER,
                "dtype must be f4, f2 or bf16, got '%s'".formatted(dtype)));
  }

  /** How many rows that many bytes are; refuses a length that is not whole rows. */
  public static long count(long bytes, ElementType type, int dimension) {
    long rowBytes = (long) type.bytes() * dimension;
    if (bytes % rowBytes != 0) {
      throw new ProblemException(
              ProblemCode.MALFORMED_BODY,
              String.format(
                  Locale.ROOT,
                  "rows of dimension %d as %s have %d bytes, the body has %d, which is %.3f rows",
                  dimension,
                  type.wireName(),
                  rowBytes,
                  bytes,
                  (double) bytes / rowBytes))
          .with("expected", rowBytes)
          .with("actual", bytes);
    }
    return bytes / rowBytes;
  }
}
