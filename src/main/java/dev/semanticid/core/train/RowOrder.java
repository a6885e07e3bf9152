package dev.semanticid.core.train;

import dev.semanticid.core.compute.RandomStream;
import dev.semanticid.core.compute.RandomStream.Purpose;
import java.util.Locale;
import java.util.random.RandomGenerator;

/**
 * The endless sequence of rows that a training reads: pass after pass, in the order of the data or
 * in a seeded order that is another one in each pass.
 *
 * <p>A shuffled pass takes blocks of neighbouring rows in random order and shuffles the rows of a
 * window of them. So it needs no more memory than one window's row numbers, and reads the data by
 * pieces that disks and networks like, while a batch still holds rows from all over the data. Data
 * of no more than one window are shuffled row by row. The order depends on the seed and on the
 * data's shape alone, never on where they are stored.
 */
final class RowOrder {

  private static final int BLOCK_BYTES = 1 << 20;
  private static final int MOST_BLOCK_ROWS = 1024;
  private static final int WINDOW_BLOCKS = 128;

  private final long rows;
  private final boolean shuffle;
  private final long seed;
  private final Ahead ahead;
  private final int blockRows;
  private final int[] blocks;
  private final long[] window;
  private int nextBlock;
  private int windowRows;
  private int inWindow;
  private long pass;
  private long position;

  /** Hears which rows come before long. */
  interface Ahead {
    /** All of these rows will come in the window behind the present one, or in the present one. */
    void willCome(long firstRow, int count);
  }

  /** Without anybody who hears what comes. */
  RowOrder(long rows, int dimension, boolean shuffle, long seed) {
    this(rows, dimension, shuffle, seed, (firstRow, count) -> {});
  }

  /**
   * @param rows rows of the data, 1 or more
   * @param dimension components of a row
   * @param ahead hears what comes, if rows are shuffled
   */
  RowOrder(long rows, int dimension, boolean shuffle, long seed, Ahead ahead) {
    this.ahead = ahead;
    this.rows = rows;
    this.shuffle = shuffle;
    this.seed = seed;
    this.blockRows = Math.clamp(BLOCK_BYTES / (4L * dimension), 1, MOST_BLOCK_ROWS);
    this.blocks = new int[shuffle ? Math.toIntExact((rows + blockRows - 1) / blockRows) : 0];
    this.window = new long[Math.min(blocks.length, WINDOW_BLOCKS) * blockRows];
    seek(0, 0);
  }

  /** The pass that the next row belongs to, 0-based. */
  long pass() {
    return pass;
  }

  /** How many rows of the pass came before the next one. */
  long position() {
    return position;
  }

  /** Goes to a place that {@link #pass} and {@link #position} told. */
  void seek(long toPass, long toPosition) {
    if (toPass < 0 || toPosition < 0 || toPosition > rows) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "no place %d in pass %d over %d rows", toPosition, toPass, rows));
    }
    pass = toPass;
    position = toPosition;
    if (!shuffle) {
      return;
    }
    shuffleBlocks();
    long begin = 0;
    nextWindow();
    while (toPosition - begin > windowRows) {
      begin += windowRows;
      nextWindow();
    }
    inWindow = (int) (toPosition - begin);
    announce(Math.max(0, nextBlock - WINDOW_BLOCKS));
  }

  /** The next row. */
  long next() {
    if (position == rows) {
      seek(pass + 1, 0);
    }
    position++;
    if (!shuffle) {
      return position - 1;
    }
    if (inWindow == windowRows) {
      nextWindow();
      announce(nextBlock);
    }
    return window[inWindow++];
  }

  /** Tells of the blocks from one on until the end of the window behind the present one. */
  private void announce(int from) {
    for (int i = from; i < Math.min(blocks.length, nextBlock + WINDOW_BLOCKS); i++) {
      long first = (long) blocks[i] * blockRows;
      ahead.willCome(first, (int) Math.min(blockRows, rows - first));
    }
  }

  private void shuffleBlocks() {
    RandomGenerator random = RandomStream.of(seed, Purpose.SHUFFLE, pass);
    for (int i = 0; i < blocks.length; i++) {
      int j = RandomStream.below(random, i + 1);
      blocks[i] = blocks[j];
      blocks[j] = i;
    }
    nextBlock = 0;
  }

  private void nextWindow() {
    RandomGenerator random =
        RandomStream.of(RandomStream.mix(seed + pass), Purpose.SHUFFLE_WINDOW, nextBlock);
    int end = Math.min(blocks.length, nextBlock + WINDOW_BLOCKS);
    windowRows = 0;
    for (; nextBlock < end; nextBlock++) {
      long first = (long) blocks[nextBlock] * blockRows;
      long behind = Math.min(rows, first + blockRows);
      for (long row = first; row < behind; row++) {
        int j = RandomStream.below(random, windowRows + 1);
        window[windowRows++] = window[j];
        window[j] = row;
      }
    }
    inWindow = 0;
  }
}
