package dev.semanticid.encode;

import dev.semanticid.codebook.EmbeddingModel;
import dev.semanticid.codebook.ServedCodebook;
import dev.semanticid.core.vector.ElementType;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.web.LimitedInputStream;
import dev.semanticid.web.RawRows;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/** How the embeddings of a request's body are written. */
final class RowsBody {

  /** Fewer bytes per component are not written by anyone, and the estimate may be corrected. */
  private static final int JSON_BYTES = 8;

  private final WireFormat format;
  private final ElementType type;
  private final int maxRows;

  /**
   * @param dtype of an octet-stream, or null for float32
   * @param maxRows most rows of a request
   * @throws ProblemException if the format has a dtype of its own, or there is none of that name
   */
  RowsBody(WireFormat format, @Nullable String dtype, int maxRows) {
    if (dtype != null && format != WireFormat.OCTET_STREAM) {
      throw new ProblemException(
          ProblemCode.INVALID_PARAMETER,
          "dtype goes with application/octet-stream only; other formats state their own");
    }
    this.format = format;
    this.type = dtype == null ? ElementType.F4 : RawRows.elementType(dtype);
    this.maxRows = maxRows;
  }

  /** How many rows of a dimension so many bytes are, about. */
  long estimate(long bytes, int dimension) {
    return switch (format) {
      case OCTET_STREAM -> bytes / ((long) type.bytes() * dimension);
      case NPY -> Math.min(maxRows, bytes / ((long) Float.BYTES * dimension));
      case JSON -> Math.min(maxRows, bytes / ((long) JSON_BYTES * dimension));
    };
  }

  /** Reads the body, and checks the model that it may state. */
  void read(LimitedInputStream body, EmbeddingBuffer target, ServedCodebook served)
      throws IOException {
    switch (format) {
      case OCTET_STREAM -> BinaryEmbeddingsReader.readRaw(body, type, target);
      case NPY -> BinaryEmbeddingsReader.readNpy(body, target);
      case JSON ->
          EmbeddingModel.requireSame(
              served.embeddingModel(), JsonEmbeddingsReader.read(body, target));
    }
  }
}
