package dev.semanticid.encoding;

import dev.semanticid.core.format.FormatException;
import dev.semanticid.core.format.NpyHeader;
import dev.semanticid.core.vector.ElementType;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.system.LimitedInputStream;
import dev.semanticid.system.ProblemCode;
import dev.semanticid.system.ProblemException;
import dev.semanticid.system.RawRows;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.Arrays;

/** Reads raw little-endian rows and {@code .npy} files into a batch. */
final class BinaryEmbeddingsReader {

  private static final int CHUNK_BYTES = 64 << 10;

  private final int dimension;
  private final int maxRows;

  BinaryEmbeddingsReader(int dimension, int maxRows) {
    this.dimension = dimension;
    this.maxRows = maxRows;
  }

  /**
   * Reads raw rows to the end of the body.
   *
   * @param announced announced length of the body, or −1
   */
  VectorBatch readRaw(LimitedInputStream in, ElementType type, long announced) throws IOException {
    long expectedRows = announced < 0 ? 1 : requireWholeRows(announced, type);
    requireAllowed(expectedRows);
    float[] data = new float[(int) expectedRows * dimension];
    int filled = 0;
    var chunk = new Chunk(type);
    while (true) {
      int count = chunk.fill(in, Long.MAX_VALUE);
      if (count == 0) {
        break;
      }
      requireAllowed((filled + count + dimension - 1L) / dimension);
      if (filled + count > data.length) {
        data = Arrays.copyOf(data, Math.max(filled + count, 2 * data.length));
      }
      type.decode(chunk.elements(count), count, data, filled);
      filled += count;
      chunk.compact();
    }
    requireWholeRows(in.bytesRead(), type);
    return finite(new VectorBatch(data, filled / dimension, dimension));
  }

  /** Reads a {@code .npy} file, which must be the whole body. */
  VectorBatch readNpy(LimitedInputStream in) throws IOException {
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
    if (header.dimension() != dimension) {
      throw new ProblemException(
              ProblemCode.DIMENSION_MISMATCH,
              "the codebook has dimension %d, the array has shape %s"
                  .formatted(dimension, header.shape()))
          .with("expected", dimension)
          .with("actual", header.dimension());
    }
    requireAllowed(header.rows());
    ElementType type = header.elementType();
    int length = (int) header.rows() * dimension;
    float[] data = new float[length];
    int filled = 0;
    var chunk = new Chunk(type);
    while (filled < length) {
      int count = chunk.fill(in, (long) (length - filled) * type.bytes());
      if (count == 0) {
        throw new ProblemException(
            ProblemCode.MALFORMED_BODY,
            "an array of shape %s needs %d bytes of data, %d came"
                .formatted(
                    header.shape(), header.dataBytes(), in.bytesRead() - header.headerBytes()));
      }
      type.decode(chunk.elements(count), count, data, filled);
      filled += count;
      chunk.compact();
    }
    if (in.read() >= 0) {
      throw new ProblemException(
          ProblemCode.MALFORMED_BODY,
          "an array of shape %s has %d bytes of data, more came"
              .formatted(header.shape(), header.dataBytes()));
    }
    return finite(new VectorBatch(data, (int) header.rows(), dimension));
  }

  private void requireAllowed(long rows) {
    if (rows > maxRows) {
      throw new ProblemException(
              ProblemCode.PAYLOAD_TOO_LARGE,
              "a request may have %d rows, this one has %d or more".formatted(maxRows, rows))
          .with("limit", maxRows);
    }
  }

  private long requireWholeRows(long bytes, ElementType type) {
    if (bytes == 0) {
      throw new ProblemException(
          ProblemCode.EMPTY_BATCH, "at least one embedding is expected, the body is empty");
    }
    return RawRows.count(bytes, type, dimension);
  }

  private static VectorBatch finite(VectorBatch batch) {
    int row = batch.firstNonFiniteRow();
    if (row >= 0) {
      throw new ProblemException(
              ProblemCode.NON_FINITE_VALUE,
              "row %d holds NaN or a value outside float32".formatted(row))
          .with("row", row);
    }
    return batch;
  }

  /** Bytes on their way; an element that is cut by the end of a read waits for its rest. */
  private static final class Chunk {

    private final byte[] bytes = new byte[CHUNK_BYTES];
    private final int elementBytes;
    private int held;
    private int taken;

    Chunk(ElementType type) {
      this.elementBytes = type.bytes();
    }

    /**
     * Reads until at least one element is there, at most {@code limit} bytes in all; 0 at the end.
     */
    int fill(InputStream in, long limit) throws IOException {
      int most = (int) Math.min(bytes.length, limit);
      while (held < elementBytes) {
        int count = in.read(bytes, held, most - held);
        if (count < 0) {
          return 0;
        }
        held += count;
      }
      taken = held / elementBytes * elementBytes;
      return held / elementBytes;
    }

    ByteBuffer elements(int count) {
      return ByteBuffer.wrap(bytes, 0, count * elementBytes);
    }

    void compact() {
      System.arraycopy(bytes, taken, bytes, 0, held - taken);
      held -= taken;
    }
  }
}
