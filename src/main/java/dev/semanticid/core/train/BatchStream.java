package dev.semanticid.core.train;

import dev.semanticid.core.codebook.NonFiniteVectorException;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.core.vector.VectorSource;
import java.io.IOException;

/**
 * The endless sequence of batches that a training reads, in a {@link RowOrder}. A batch may reach
 * from one pass into the next.
 */
final class BatchStream {

  private final VectorSource source;
  private final RowOrder order;
  private final float[] batch;
  private final long[] rows;

  BatchStream(VectorSource source, ResidualQuantizerConfig config) {
    this.source = source;
    this.order =
        new RowOrder(
            source.rows(), source.dimension(), config.shuffle(), config.seed(), source::willRead);
    int batchSize = (int) Math.min(config.batchSize(), source.rows());
    this.rows = new long[batchSize];
    this.batch = new float[Math.multiplyExact(batchSize, source.dimension())];
  }

  /** Rows of every batch. */
  int batchSize() {
    return rows.length;
  }

  /** Where the next batch begins. */
  RowOrder order() {
    return order;
  }

  /** The current batch, {@link #batchSize()} × d, row-major, as far as it is loaded. */
  float[] batch() {
    return batch;
  }

  /** Chooses the rows of the next batch. */
  void next() {
    for (int i = 0; i < rows.length; i++) {
      rows[i] = order.next();
    }
  }

  /**
   * Reads some rows of the current batch; several threads may load different ones at a time.
   *
   * @throws NonFiniteVectorException if a row holds NaN or an infinity
   */
  void load(int begin, int count) throws IOException {
    int d = source.dimension();
    int run;
    for (int i = begin; i < begin + count; i += run) {
      run = 1;
      while (i + run < begin + count && rows[i + run] == rows[i] + run) {
        run++;
      }
      source.read(rows[i], run, batch, i * d);
    }
    int bad = VectorBatch.firstNonFiniteRow(batch, begin * d, count, d);
    if (bad >= 0) {
      throw new NonFiniteVectorException(source, rows[begin + bad]);
    }
  }
}
