package dev.semanticid.core.train;

import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.search.CertifiedSearch;
import dev.semanticid.core.vector.VectorSource;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;

/**
 * Passes over all rows for one level after another: residuals are formed through the finished
 * levels above it, whose codes are kept from the first pass that finds them.
 */
final class LevelPasses {

  /** What the rows may take that a level is balanced by. */
  private static final long SAMPLE_BYTES = 256L << 20;

  private final ResidualQuantizerConfig config;
  private final RowPasses passes;
  private final List<LevelKMeans> levels;
  private final RowCodes[] codes;
  private final long rows;

  /** Levels whose codes are known. */
  private int known;

  LevelPasses(
      VectorSource source,
      ResidualQuantizerConfig config,
      WorkerPool pool,
      List<LevelKMeans> levels,
      TrainingListener listener) {
    this.config = config;
    this.passes = new RowPasses(source, config, pool, listener);
    this.levels = levels;
    this.rows = source.rows();
    this.codes = new RowCodes[levels.size() - 1];
    Arrays.setAll(codes, l -> new RowCodes(rows, config.codebookWidths().get(l)));
  }

  /**
   * Adds all rows to the sums of a level.
   *
   * @return Σ‖u‖² of the rows at the entry of level 0
   */
  double sumUp(int level) throws IOException {
    double[] squaredNorms = new double[1];
    CertifiedSearch search = levels.get(level).search();
    passes.run(
        (block, first) -> {
          descend(block, first, level);
          block.assign(search);
        },
        (batch, blocks, first) -> {
          levels.get(level).accumulate(blocks);
          for (TrainingBlock block : blocks) {
            squaredNorms[0] += block.inputSquaredNorms();
          }
        });
    known = level;
    return squaredNorms[0];
  }

  /** Brings a block to the entry of a level. */
  private void descend(TrainingBlock block, long first, int level) {
    for (int l = 0; l < level; l++) {
      CertifiedSearch search = levels.get(l).search();
      block.enter(l);
      if (l < known) {
        codes[l].get(first, block.codes(), block.rows());
      } else {
        block.assign(search);
        codes[l].put(first, block.codes(), block.rows());
      }
      block.leave(search);
    }
    block.enter(level);
  }

  /** How many rows {@link #sample} gives at most. */
  static long sampleRows(ResidualQuantizerConfig config, long rows) {
    return Math.min(rows, SAMPLE_BYTES / (4L * config.embeddingDim()));
  }

  /** What a level quantizes of every row, or of rows at even distances if they are many. */
  float[] sample(int level) throws IOException {
    int d = config.embeddingDim();
    long most = sampleRows(config, rows);
    long stride = (rows + most - 1) / most;
    float[] sample = new float[Math.toIntExact((rows + stride - 1) / stride * d)];
    int[] taken = new int[1];
    passes.run(
        (block, first) -> descend(block, first, level),
        (batch, blocks, first) -> {
          for (TrainingBlock block : blocks) {
            for (int row = 0; row < block.rows(); row++) {
              if ((first + block.begin() + row) % stride == 0 && !block.loop().exhausted(row)) {
                for (int i = 0; i < d; i++) {
                  sample[taken[0] * d + i] = (float) block.loop().residuals()[row * d + i];
                }
                taken[0]++;
              }
            }
          }
        });
    known = level;
    return Arrays.copyOf(sample, taken[0] * d);
  }
}
