package dev.semanticid.format;

import dev.semanticid.core.vector.ByteSource;
import dev.semanticid.core.vector.VectorReader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Locale;
import java.util.Objects;

/** Reads rows that lie one behind the other, by pieces of some megabytes. */
public final class RowsReader implements VectorReader {

  private static final int PIECE_BYTES = 4 << 20;

  private final ByteSource source;
  private final RowLayout layout;
  private final byte[] piece;
  private long next;

  /**
   * @param source closed with this reader
   * @param layout where its rows are
   */
  public RowsReader(ByteSource source, RowLayout layout) {
    this.source = source;
    this.layout = layout;
    long fitting = Math.max(1, PIECE_BYTES / layout.rowBytes());
    this.piece =
        new byte
            [Math.toIntExact(
                Math.multiplyExact(
                    Math.min(fitting, Math.max(1, layout.rows())), layout.rowBytes()))];
  }

  @Override
  public int dimension() {
    return layout.dimension();
  }

  @Override
  public long rows() {
    return layout.rows();
  }

  @Override
  public int read(float[] target, int offset, int most) throws IOException {
    int d = layout.dimension();
    int count = (int) Math.min(most, layout.rows() - next);
    Objects.checkFromIndexSize((long) offset, (long) count * d, (long) target.length);
    int perPiece = (int) (piece.length / layout.rowBytes());
    for (int done = 0; done < count; ) {
      int rows = Math.min(perPiece, count - done);
      int bytes = (int) (rows * layout.rowBytes());
      source.read(layout.dataOffset() + next * layout.rowBytes(), piece, 0, bytes);
      layout.elementType().decode(ByteBuffer.wrap(piece), rows * d, target, offset + done * d);
      done += rows;
      next += rows;
    }
    return count;
  }

  @Override
  public void skip(long rows) {
    Objects.checkFromIndexSize(next, rows, layout.rows());
    next += rows;
  }

  @Override
  public String defect(long row) {
    return String.format(
        Locale.ROOT, "%s row %d holds NaN or a value outside float32", source.name(), row);
  }

  @Override
  public void close() throws IOException {
    source.close();
  }
}
