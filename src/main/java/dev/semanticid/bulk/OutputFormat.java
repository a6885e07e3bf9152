package dev.semanticid.bulk;

import dev.semanticid.problem.Masked;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;

/** What a bulk encoding writes. */
enum OutputFormat {
  /** int32, n × L; the row of a vector that was skipped holds −1. */
  NPY,
  /** {@code id, semantic_id}; a vector that was skipped has no row. */
  PARQUET;

  /** By the ending of an address. */
  static OutputFormat of(String uri) {
    if (uri.endsWith(".npy")) {
      return NPY;
    }
    if (uri.endsWith(".parquet")) {
      return PARQUET;
    }
    throw new ProblemException(
            ProblemCode.INVALID_PARAMETER,
            "destination.uri must end with .npy or .parquet, got %s".formatted(Masked.address(uri)))
        .with("parameter", "destination.uri");
  }
}
