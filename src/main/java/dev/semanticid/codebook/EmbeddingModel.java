package dev.semanticid.codebook;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import org.jspecify.annotations.Nullable;

/**
 * The statement which model embeddings come from. Vectors of the same length from another model are
 * silent garbage, so where both sides state one, they must state the same.
 */
public final class EmbeddingModel {

  /** The request header. */
  public static final String HEADER = "X-Embedding-Model";

  /** The name in queries, in JSON and in a codebook's provenance. */
  public static final String PARAMETER = "embedding_model";

  private EmbeddingModel() {}

  /** Refuses a request whose model is not the codebook's. */
  public static void requireSame(@Nullable String codebooks, @Nullable String requests) {
    if (codebooks != null && requests != null && !codebooks.equals(requests)) {
      throw new ProblemException(
              ProblemCode.EMBEDDING_MODEL_MISMATCH,
              "the codebook was made for vectors of '%s', the request states '%s'"
                  .formatted(codebooks, requests))
          .with("expected", codebooks)
          .with("actual", requests);
    }
  }
}
