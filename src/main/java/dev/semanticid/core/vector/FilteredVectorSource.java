package dev.semanticid.core.vector;

import java.io.IOException;
import java.util.Objects;
import java.util.function.LongPredicate;

/**
 * The rows of a source that a rule keeps; they close up. Which rows these are is asked of the rule
 * again and again, so that it takes a fraction of a bit per row to remember.
 */
public final class FilteredVectorSource implements VectorSource {

  private static final int BLOCK_ROWS = 256;

  private final VectorSource source;
  private final LongPredicate kept;

  /** Rows kept before each block of the source, and behind the last one. */
  private final long[] before;

  /**
   * Asks the rule for every row once.
   *
   * @param source closed with this object
   * @param kept whether a row is kept, always the same for the same row; asked by several threads
   */
  public FilteredVectorSource(VectorSource source, LongPredicate kept) {
    this.source = source;
    this.kept = kept;
    this.before = new long[Math.toIntExact((source.rows() + BLOCK_ROWS - 1) / BLOCK_ROWS + 1)];
    for (int block = 1; block < before.length; block++) {
      long behind = Math.min(source.rows(), (long) block * BLOCK_ROWS);
      long count = 0;
      for (long row = (block - 1L) * BLOCK_ROWS; row < behind; row++) {
        count += kept.test(row) ? 1 : 0;
      }
      before[block] = before[block - 1] + count;
    }
  }

  /** Bytes that it takes beside a source of so many rows. */
  public static long memoryBytes(long rows) {
    return rows / BLOCK_ROWS * Long.BYTES;
  }

  @Override
  public int dimension() {
    return source.dimension();
  }

  @Override
  public long rows() {
    return before[before.length - 1];
  }

  @Override
  public void read(long firstRow, int count, float[] target, int offset) throws IOException {
    Objects.checkFromIndexSize(firstRow, count, rows());
    long row = count == 0 ? 0 : rowInSource(firstRow);
    for (int done = 0; done < count; ) {
      if (!kept.test(row)) {
        row++;
        continue;
      }
      int run = 1;
      while (done + run < count && kept.test(row + run)) {
        run++;
      }
      source.read(row, run, target, offset + done * dimension());
      done += run;
      row += run;
    }
  }

  @Override
  public void willRead(long firstRow, int count) {
    Objects.checkFromIndexSize(firstRow, count, rows());
    if (count > 0) {
      long from = rowInSource(firstRow);
      source.willRead(from, (int) Math.min(count, source.rows() - from));
    }
  }

  @Override
  public String description() {
    return source.description();
  }

  @Override
  public String describe(long row) {
    return source.describe(rowInSource(Objects.checkIndex(row, rows())));
  }

  /** The number in the source of the row that is now the {@code row}-th. */
  private long rowInSource(long row) {
    int low = 0;
    int high = before.length - 1;
    while (high - low > 1) {
      int middle = (low + high) >>> 1;
      if (before[middle] <= row) {
        low = middle;
      } else {
        high = middle;
      }
    }
    long at = (long) low * BLOCK_ROWS;
    for (long left = row - before[low]; ; at++) {
      if (kept.test(at) && left-- == 0) {
        return at;
      }
    }
  }

  @Override
  public void close() throws IOException {
    source.close();
  }
}
