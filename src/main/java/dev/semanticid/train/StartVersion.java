package dev.semanticid.train;

import dev.semanticid.codebook.EmbeddingModel;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The version that a training begins with instead of choosing first centroids.
 *
 * @param name of the codebook
 * @param number of the version
 * @param codebook its tensors
 */
record StartVersion(String name, int number, Codebook codebook) {

  /** The model whose vectors it was made for, if stated. */
  @Nullable String embeddingModel() {
    return codebook.provenance().values().get(EmbeddingModel.PARAMETER);
  }

  /** Bytes of its centroids. */
  long bytes() {
    return codebook.widths().stream().mapToLong(width -> width).sum()
        * codebook.dimension()
        * Float.BYTES;
  }

  /** Refuses a version that does not know what its centroids have absorbed. */
  StartVersion requireCounts() {
    if (codebook.trainingState() == null) {
      throw new ProblemException(
          ProblemCode.COUNTS_REQUIRED,
          String.format(
                  Locale.ROOT,
                  "version %d of codebook '%s' cannot be trained further: its file has no counts of"
                      + " the",
                  number,
                  name)
              + " rows that each centroid absorbed (count_0 … with mean_norms)");
    }
    return this;
  }

  /** Refuses a training of another shape or with other settings. */
  void requireSame(List<Integer> widths, boolean normalizeResiduals) {
    requireSame("num_hierarchies", codebook.levels(), widths.size());
    requireSame("codebook_width", codebook.widths(), widths);
    requireSame("normalize_residuals", codebook.normalizeResiduals(), normalizeResiduals);
  }

  /** Refuses vectors of another dimension. */
  void requireDimension(int dimension) {
    if (codebook.dimension() != dimension) {
      throw new ProblemException(
              ProblemCode.DIMENSION_MISMATCH,
              String.format(
                  Locale.ROOT,
                  "version %d of codebook '%s' has embedding_dim %d, the data has dimension %d",
                  number,
                  name,
                  codebook.dimension(),
                  dimension))
          .with("expected", codebook.dimension())
          .with("actual", dimension);
    }
  }

  private void requireSame(String parameter, Object expected, Object actual) {
    if (!Objects.equals(expected, actual)) {
      throw new ProblemException(
              ProblemCode.CODEBOOK_MISMATCH,
              String.format(
                  Locale.ROOT,
                  "version %d of codebook '%s' has %s %s, which training it further keeps; got %s",
                  number,
                  name,
                  parameter,
                  expected,
                  actual))
          .with("parameter", parameter)
          .with("expected", expected)
          .with("actual", actual);
    }
  }
}
