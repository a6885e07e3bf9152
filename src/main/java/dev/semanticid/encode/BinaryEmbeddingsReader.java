package dev.semanticid.encode;

import dev.semanticid.core.vector.ElementType;
import dev.semanticid.format.FormatException;
import dev.semanticid.format.NpyHeader;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.web.LimitedInputStream;
import dev.semanticid.web.RawRows;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.Locale;

/**
 * Reads raw little-endian elements and {@code .npy} files. Bytes pass through a small buffer that
 * stays in the core's cache, and are widened where they are moved from there.
 */
final class BinaryEmbeddingsReader {

  private BinaryEmbeddingsReader() {}

  /** Reads raw rows to the end of the body. */
  static void readRaw(LimitedInputStream in, ElementType type, EmbeddingBuffer target)
      throws IOException {
    if (in.announced() >= 0) {
      requireWholeRows(in.announced(), type, target.dimension());
    }
    var elements = new Elements(in, type);
    while (elements.move(Long.MAX_VALUE, target)) {}
    requireWholeRows(in.bytesRead(), type, target.dimension());
  }

  /** Reads a {@code .npy} file, which must be the whole body. */
  static void readNpy(LimitedInputStream in, EmbeddingBuffer target) throws IOException {
    NpyHeader header;
    try {
      header = NpyHeader.read(in);
    } catch (FormatException e) {
      throw new ProblemException(
          ProblemCode.MALFORMED_BODY, "not a readable .npy file: " + e.getMessage());
    }
    if (header.rows() == 0) {
      throw new ProblemException(
          ProblemCode.EMPTY_BATCH,
          "at least one embedding is expected, the array has shape " + header.shape());
    }
    int dimension = target.dimension();
    if (header.dimension() != dimension) {
      throw new ProblemException(
              ProblemCode.DIMENSION_MISMATCH,
              String.format(
                  Locale.ROOT,
                  "the codebook has dimension %d, the array has shape %s",
                  dimension,
                  header.shape()))
          .with("expected", dimension)
          .with("actual", header.dimension());
    }
    target.announce(header.rows());
    ElementType type = header.elementType();
    if (!readElements(in, type, header.rows() * dimension, target)) {
      throw new ProblemException(
          ProblemCode.MALFORMED_BODY,
          String.format(
              Locale.ROOT,
              "an array of shape %s needs %d bytes of data, %d came",
              header.shape(),
              header.dataBytes(),
              in.bytesRead() - header.headerBytes()));
    }
    if (in.read() >= 0) {
      throw new ProblemException(
          ProblemCode.MALFORMED_BODY,
          String.format(
              Locale.ROOT,
              "an array of shape %s has %d bytes of data, more came",
              header.shape(),
              header.dataBytes()));
    }
  }

  /**
   * Reads so many elements, and no byte more.
   *
   * @return false if the body ended before
   */
  static boolean readElements(InputStream in, ElementType type, long count, EmbeddingBuffer target)
      throws IOException {
    var elements = new Elements(in, type);
    long end = target.filled() + count;
    while (target.filled() < end) {
      if (!elements.move(end - target.filled(), target)) {
        return false;
      }
    }
    return true;
  }

  private static void requireWholeRows(long bytes, ElementType type, int dimension) {
    if (bytes == 0) {
      throw new ProblemException(
          ProblemCode.EMPTY_BATCH, "at least one embedding is expected, the body is empty");
    }
    RawRows.count(bytes, type, dimension);
  }

  /** Elements on their way; one that is cut by the end of a read waits for its rest. */
  private static final class Elements {

    private final InputStream in;
    private final ElementType type;
    private final byte[] bytes = ReadBuffer.ofThread();
    private int held;

    Elements(InputStream in, ElementType type) {
      this.in = in;
      this.type = type;
    }

    /**
     * Reads some and moves those that are whole, at most {@code limit} in all; false at the end.
     */
    boolean move(long limit, EmbeddingBuffer target) throws IOException {
      int size = type.bytes();
      int most = (int) Math.min(bytes.length / size, limit) * size;
      while (held < size) {
        int count = in.read(bytes, held, most - held);
        if (count < 0) {
          return false;
        }
        held += count;
      }
      int count = held / size;
      type.decode(ByteBuffer.wrap(bytes), count, target.room(count), target.filled());
      target.advance(count);
      int moved = count * size;
      System.arraycopy(bytes, moved, bytes, 0, held - moved);
      held -= moved;
      return true;
    }
  }
}
