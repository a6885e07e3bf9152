package dev.semanticid.core.report;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.ExactDistance;
import dev.semanticid.core.codebook.NonFiniteVectorException;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.encode.ResidualQuantizer;
import dev.semanticid.core.encode.loop.ResidualLoop;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.core.vector.VectorSource;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.ConcurrentLinkedQueue;

/**
 * Encodes all rows of a source and reports what became of them. Sums are float64 per block of rows
 * and added in row order, so a report does not depend on threads.
 */
public final class QuantizationEvaluator {

  private static final int BLOCK_ROWS = 64;
  private static final int CHUNK_BYTES = 32 << 20;

  private final ResidualQuantizer quantizer;
  private final WorkerPool pool;

  /** An evaluator; closes neither the quantizer nor the pool. */
  public QuantizationEvaluator(ResidualQuantizer quantizer, WorkerPool pool) {
    this.quantizer = quantizer;
    this.pool = pool;
  }

  /**
   * About the most bytes of memory that an evaluation takes beside its data: a number per row, and
   * a piece of the data.
   *
   * @param widths K_0 … K_{L−1}
   */
  public static long memoryBytes(List<Integer> widths, int dimension, long rows) {
    int perRow = CollisionReport.Builder.bytesPerRow(widths);
    // Counting IDs of several words needs room to sort one of them.
    return (perRow == Long.BYTES ? perRow : perRow + Long.BYTES) * rows
        + CHUNK_BYTES
        + 8L * dimension * BLOCK_ROWS;
  }

  /** Hears how many rows are done, after each chunk; whatever it throws ends the evaluation. */
  @FunctionalInterface
  public interface Progress {
    /** {@code rows} rows are done. */
    void onRows(long rows);
  }

  /**
   * Evaluates a source of at least one row.
   *
   * @throws IllegalArgumentException if the dimension differs from the codebook's, or there is no
   *     row
   * @throws NonFiniteVectorException if a row holds NaN or an infinity
   * @throws IOException if it cannot be read
   */
  public QuantizationReport evaluate(VectorSource source, Progress progress) throws IOException {
    Codebook codebook = quantizer.codebook();
    int d = codebook.dimension();
    int levels = codebook.levels();
    if (source.dimension() != d) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "the codebook has dimension %d, the data %d", d, source.dimension()));
    }
    int rows = Math.toIntExact(source.rows());
    if (rows < 1) {
      throw new IllegalArgumentException("a report needs at least one row, got " + rows);
    }
    var collisions = new CollisionReport.Builder(rows, codebook.widths());
    long[][] uses = new long[levels][];
    for (int l = 0; l < levels; l++) {
      uses[l] = new long[codebook.width(l)];
    }
    int chunkRows = Math.clamp(CHUNK_BYTES / (4L * d), BLOCK_ROWS, 1 << 16);
    float[] chunk = new float[Math.min(chunkRows, rows) * d];
    int[] chunkCodes = new int[Math.min(chunkRows, rows) * levels];
    var total = new Sums(levels);
    var idle = new ConcurrentLinkedQueue<ResidualLoop>();
    for (int begin = 0; begin < rows; begin += chunkRows) {
      int count = Math.min(chunkRows, rows - begin);
      source.read(begin, count, chunk, 0);
      var batch = new VectorBatch(chunk, count, d);
      int bad = batch.firstNonFiniteRow();
      if (bad >= 0) {
        throw new NonFiniteVectorException(source, begin + (long) bad);
      }
      quantizer.encode(batch, chunkCodes);
      collisions.add(chunkCodes, count);
      for (int i = 0; i < count * levels; i++) {
        uses[i % levels][chunkCodes[i]]++;
      }
      int blocks = (count + BLOCK_ROWS - 1) / BLOCK_ROWS;
      Sums[] sums = new Sums[blocks];
      pool.forEach(
          blocks,
          i -> {
            int from = i * BLOCK_ROWS;
            ResidualLoop loop = idle.poll();
            if (loop == null) {
              loop = new ResidualLoop(d, codebook.settings());
            }
            loop.begin(chunk, from * d, Math.min(BLOCK_ROWS, count - from));
            sums[i] = Sums.of(codebook, loop, chunkCodes, from * levels);
            idle.add(loop);
          });
      for (Sums block : sums) {
        total.add(block);
      }
      progress.onRows(begin + (long) count);
    }
    return report(codebook, total, uses, collisions.build(), rows);
  }

  private static QuantizationReport report(
      Codebook codebook, Sums sums, long[][] uses, CollisionReport collisions, int rows) {
    int levels = codebook.levels();
    int d = codebook.dimension();
    var reports = new ArrayList<LevelReport>();
    for (int l = 0; l < levels; l++) {
      int dead = 0;
      double entropy = 0;
      for (long use : uses[l]) {
        if (use == 0) {
          dead++;
        } else {
          double p = (double) use / rows;
          entropy -= p * Math.log(p);
        }
      }
      reports.add(
          new LevelReport(
              l,
              uses[l].length,
              sums.inertia[l],
              sums.input > 0 ? Math.sqrt(sums.inertia[l] / sums.input) : 0,
              (double) (uses[l].length - dead) / uses[l].length,
              dead,
              entropy,
              Math.exp(entropy),
              sums.exhausted[l],
              sums.norms[l] / rows));
    }
    double components = (double) rows * d;
    return new QuantizationReport(
        rows,
        sums.inertia[levels - 1] / components,
        sums.reconstruction / components,
        (double) collisions.distinct() / rows,
        (double) collisions.colliding() / rows,
        collisions.maxGroup(),
        reports,
        List.of(),
        null);
  }

  private static final class Sums {

    private final double[] inertia;
    private final double[] norms;
    private final long[] exhausted;
    private double input;
    private double reconstruction;

    Sums(int levels) {
      inertia = new double[levels];
      norms = new double[levels];
      exhausted = new long[levels];
    }

    /** Walks a block of rows down the levels along their codes, n × L from {@code begin} on. */
    static Sums of(Codebook codebook, ResidualLoop loop, int[] codes, int begin) {
      int d = codebook.dimension();
      int n = loop.rows();
      int levels = codebook.levels();
      var sums = new Sums(levels);
      double[] scales = new double[n];
      Arrays.fill(scales, 1);
      for (int l = 0; l < levels; l++) {
        loop.enter(l);
        for (int row = 0; row < n; row++) {
          sums.norms[l] += loop.norms()[row];
          if (l == 0) {
            sums.input += loop.unitNorms()[row] * loop.unitNorms()[row];
          }
          if (codebook.normalizeResiduals()) {
            scales[row] *= loop.norms()[row];
            sums.exhausted[l] += loop.exhausted(row) ? 1 : 0;
          }
        }
        loop.leave(codebook.centroids(l).data(), codes, begin + l, levels);
        for (int row = 0; row < n; row++) {
          double squared = ExactDistance.squaredNorm(loop.residuals(), row * d, d);
          sums.inertia[l] += squared;
          if (l + 1 == levels) {
            sums.reconstruction += scales[row] * scales[row] * squared;
          }
        }
      }
      return sums;
    }

    void add(Sums other) {
      input += other.input;
      reconstruction += other.reconstruction;
      for (int l = 0; l < inertia.length; l++) {
        inertia[l] += other.inertia[l];
        norms[l] += other.norms[l];
        exhausted[l] += other.exhausted[l];
      }
    }
  }
}
