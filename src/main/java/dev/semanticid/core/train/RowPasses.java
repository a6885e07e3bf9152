package dev.semanticid.core.train;

import dev.semanticid.core.codebook.NonFiniteVectorException;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.core.vector.VectorSource;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * Passes over all rows of a source in its order, a batch at a time, each batch in blocks that
 * threads share out. What is summed up batch after batch does not depend on threads.
 */
final class RowPasses {

  static final int BLOCK_ROWS = 64;

  private final VectorSource source;
  private final WorkerPool pool;
  private final TrainingListener listener;
  private final float[] batch;
  private final int batchRows;
  private final List<TrainingBlock> blocks;

  /**
   * @param listener hears of every batch
   */
  RowPasses(
      VectorSource source,
      ResidualQuantizerConfig config,
      WorkerPool pool,
      TrainingListener listener) {
    this.source = source;
    this.pool = pool;
    this.listener = listener;
    this.batchRows = (int) Math.min(config.batchSize(), source.rows());
    this.batch = new float[Math.multiplyExact(batchRows, source.dimension())];
    this.blocks = blocks(batchRows, config);
  }

  /** The blocks of a batch. */
  static List<TrainingBlock> blocks(int batchRows, ResidualQuantizerConfig config) {
    var blocks = new ArrayList<TrainingBlock>();
    for (int begin = 0; begin < batchRows; begin += BLOCK_ROWS) {
      blocks.add(new TrainingBlock(begin, Math.min(BLOCK_ROWS, batchRows - begin), config));
    }
    return blocks;
  }

  /** What is done with a batch. */
  interface BatchWork {
    /**
     * Works on a batch whose blocks have been worked on.
     *
     * @param batch its rows, row-major
     * @param first the first row's number
     */
    void onBatch(VectorBatch batch, List<TrainingBlock> blocks, long first) throws IOException;
  }

  /** Works on a block of a batch, as one of several threads. */
  interface BlockWork {
    /**
     * Works on a block.
     *
     * @param first number of its first row
     */
    void onBlock(TrainingBlock block, long first);
  }

  /**
   * Makes a pass.
   *
   * @param ofBlock done first, for each block of a batch in any order
   * @param ofBatch done then, batch after batch
   * @throws NonFiniteVectorException if a row holds NaN or an infinity
   */
  void run(BlockWork ofBlock, BatchWork ofBatch) throws IOException {
    int d = source.dimension();
    for (long first = 0; first < source.rows(); first += batchRows) {
      int count = (int) Math.min(batchRows, source.rows() - first);
      List<TrainingBlock> used = blocks.subList(0, (count + BLOCK_ROWS - 1) / BLOCK_ROWS);
      long begin = first;
      inParallel(
          used,
          block -> {
            int rows = Math.min(BLOCK_ROWS, count - block.begin());
            read(begin + block.begin(), rows, block.begin() * d);
            block.load(batch, rows);
            ofBlock.onBlock(block, begin + block.begin());
          });
      ofBatch.onBatch(new VectorBatch(batch, count, d), used, first);
      listener.onRows(count);
    }
  }

  private void inParallel(List<TrainingBlock> used, Consumer<TrainingBlock> work)
      throws IOException {
    try {
      pool.forEach(used.size(), i -> work.accept(used.get(i)));
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  private void read(long first, int rows, int offset) {
    int d = source.dimension();
    try {
      source.read(first, rows, batch, offset);
      int bad = VectorBatch.firstNonFiniteRow(batch, offset, rows, d);
      if (bad >= 0) {
        throw new NonFiniteVectorException(source, first + bad);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
