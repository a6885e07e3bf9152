package dev.semanticid.core.vector;

import java.io.IOException;
import java.util.Locale;
import java.util.Objects;

/** A source without some of its rows; those that are left close up. */
public final class SkippingVectorSource implements VectorSource {

  private final VectorSource source;
  private final long[] skipped;

  /**
   * Leaves rows out.
   *
   * @param source closed with this object
   * @param skipped rows to leave out, in ascending order
   */
  public SkippingVectorSource(VectorSource source, long... skipped) {
    this.source = source;
    this.skipped = skipped.clone();
    long before = -1;
    for (long row : skipped) {
      if (row <= before || row >= source.rows()) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "rows to skip must ascend and be below %d, got %d behind %d",
                source.rows(),
                row,
                before));
      }
      before = row;
    }
  }

  @Override
  public int dimension() {
    return source.dimension();
  }

  @Override
  public long rows() {
    return source.rows() - skipped.length;
  }

  @Override
  public void read(long firstRow, int count, float[] target, int offset) throws IOException {
    Objects.checkFromIndexSize(firstRow, count, rows());
    int before = skippedBefore(firstRow);
    for (int done = 0; done < count; ) {
      long from = firstRow + done + before;
      long next = before < skipped.length ? skipped[before] : source.rows();
      int length = (int) Math.min(count - done, next - from);
      if (length > 0) {
        source.read(from, length, target, offset + done * dimension());
        done += length;
      } else {
        before++;
      }
    }
  }

  @Override
  public void willRead(long firstRow, int count) {
    Objects.checkFromIndexSize(firstRow, count, rows());
    long from = firstRow + skippedBefore(firstRow);
    source.willRead(from, (int) Math.min(count, source.rows() - from));
  }

  @Override
  public String description() {
    return source.description();
  }

  @Override
  public String describe(long row) {
    return source.describe(row + skippedBefore(row));
  }

  /** How many skipped rows lie before the row that is now the {@code row}-th. */
  private int skippedBefore(long row) {
    int low = 0;
    int high = skipped.length;
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (skipped[middle] - middle <= row) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  @Override
  public void close() throws IOException {
    source.close();
  }
}
