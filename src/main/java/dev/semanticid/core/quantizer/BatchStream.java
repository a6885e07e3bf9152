package dev.semanticid.core.quantizer;

import dev.semanticid.core.clustering.RandomStream;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.core.vector.VectorSource;
import java.io.IOException;
import java.util.random.RandomGenerator;

/**
 * The endless sequence of batches that a training reads: pass after pass over the rows, in their
 * order or in a seeded order that is another one in each pass. A batch may reach from one pass into
 * the next.
 */
final class BatchStream {

  private final VectorSource source;
  private final int rows;
  private final boolean shuffle;
  private final long seed;
  private final int[] order;
  private final float[] batch;
  private final int batchSize;
  private long pass;
  private int position;

  BatchStream(VectorSource source, ResidualQuantizerConfig config) {
    this.source = source;
    this.rows = Math.toIntExact(source.rows());
    this.shuffle = config.shuffle();
    this.seed = config.seed();
    this.batchSize = Math.min(config.batchSize(), rows);
    this.batch = new float[batchSize * source.dimension()];
    this.order = new int[shuffle ? rows : 0];
    reorder();
  }

  private void reorder() {
    if (!shuffle) {
      return;
    }
    RandomGenerator random = RandomStream.of(seed, RandomStream.Purpose.SHUFFLE, pass);
    for (int i = 0; i < rows; i++) {
      int j = RandomStream.below(random, i + 1);
      order[i] = order[j];
      order[j] = i;
    }
  }

  /** Rows of every batch. */
  int batchSize() {
    return batchSize;
  }

  /**
   * The next batch, {@link #batchSize()} × d, row-major; valid until the next call.
   *
   * @throws NonFiniteVectorException if a row holds NaN or an infinity
   */
  float[] next() throws IOException {
    int filled = 0;
    while (filled < batchSize) {
      if (position == rows) {
        position = 0;
        pass++;
        reorder();
      }
      int count = shuffle ? 1 : Math.min(batchSize - filled, rows - position);
      long row = shuffle ? order[position] : position;
      source.read(row, count, batch, filled * source.dimension());
      int bad =
          VectorBatch.firstNonFiniteRow(
              batch, filled * source.dimension(), count, source.dimension());
      if (bad >= 0) {
        throw new NonFiniteVectorException(source.description(), row + bad);
      }
      position += count;
      filled += count;
    }
    return batch;
  }
}
