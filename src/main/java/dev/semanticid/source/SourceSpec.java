package dev.semanticid.source;

import dev.semanticid.core.vector.ElementType;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import org.jspecify.annotations.Nullable;

/**
 * A source as a client names it.
 *
 * @param uri a file or object, or a glob of them
 * @param tensor which tensor of a safetensors file, if it has several of vectors
 * @param column which column of a Parquet file, if it has several of vectors
 * @param idColumn which column of a Parquet file holds the rows' ids, if any shall be read
 */
public record SourceSpec(
    String uri, @Nullable String tensor, @Nullable String column, @Nullable String idColumn) {

  /**
   * What to do with a row that is no vector: of another length, or with NaN or a value outside
   * float32.
   */
  public enum OnBadRow {
    /** The job fails and names it. */
    FAIL,
    /** It is left out and counted. */
    SKIP;

    /** {@code fail} or {@code skip}. */
    public static OnBadRow of(String name) {
      return switch (name) {
        case "fail" -> FAIL;
        case "skip" -> SKIP;
        default ->
            throw new ProblemException(
                    ProblemCode.INVALID_PARAMETER,
                    "on_bad_row must be fail or skip, got %s".formatted(name))
                .with("parameter", "on_bad_row");
      };
    }
  }

  /**
   * Layout of a file without a header.
   *
   * @param type of every component
   * @param dimension components of a row
   */
  public record RawLayout(ElementType type, int dimension) {}
}
