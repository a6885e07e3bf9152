package dev.semanticid.core.train;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.Provenance;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.encode.ResidualQuantizer;
import dev.semanticid.core.encode.loop.ResidualLoop;
import dev.semanticid.core.search.Screening;
import dev.semanticid.core.vector.VectorSource;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Moves the centroids of all levels together, which greedy training never does: rows are encoded,
 * then centroids are the least-squares solution for these codes, and again (as in Babenko &
 * Lempitsky 2014, "Additive Quantization for Extreme Vector Compression"; Martinez et al. 2018,
 * "LSQ++").
 *
 * <p>With ω_l = ν_1 … ν_l of a row along its code (all 1 for raw residuals) and t = x/ν_0 (raw: x),
 * the code stands for {@code Σ_l ω_l·C_l[k_l]}, and {@code Σ_rows ‖t − Σ_l ω_l·C_l[k_l]‖²} for
 * fixed codes and ω is least where, for every centroid,
 *
 * <pre>
 *   Σ ω_l²·C_l[k] = Σ ω_l·t − Σ_{j≠l} Σ ω_l·ω_j·C_j[k_j]      sums over the rows with k_l = k
 * </pre>
 *
 * All sums are of one pass. The equations are solved by block Gauss–Seidel from the present
 * centroids, a level at a time, because their matrix is singular (a vector may move from all of one
 * level to all of another) and nearly empty; no step of it makes the squares larger. In the first
 * rounds, centroids that few rows use are relocated besides.
 */
final class JointRefinement {

  /** Bytes that tables for encoding may take. */
  private static final long TABLE_BUDGET = 256L << 20;

  private static final int SWEEPS = 4;

  /** A centroid with less than this share of the mean number of rows is relocated. */
  private static final double FEW = 0.15;

  /** Where a centroid is split in two, they part by this share of each component. */
  private static final double SPLIT = 1.0 / 64;

  private static final int MOST_RELOCATING_ROUNDS = 10;
  private static final int COMPONENTS_PER_TASK = 64;

  private final ResidualQuantizerConfig config;
  private final ComputeBackend backend;
  private final WorkerPool pool;
  private final Screening screening;
  private final RowPasses passes;
  private final int levels;
  private final int d;

  /** Where the levels' centroids begin among all. */
  private final int[] begins;

  private final int total;

  /** Σ ω_l·t by centroid. */
  private final double[] sums;

  /** Σ ω_l² by centroid. */
  private final double[] squares;

  private final long[] rowsOf;

  /** Σ ω_j·ω_l of the pairs of centroids of levels j < l. */
  private final double[][] pairs;

  JointRefinement(
      VectorSource source,
      ResidualQuantizerConfig config,
      ComputeBackend backend,
      WorkerPool pool,
      Screening screening,
      TrainingListener listener) {
    this.config = config;
    this.backend = backend;
    this.pool = pool;
    this.screening = screening;
    this.passes = new RowPasses(source, config, pool, listener);
    this.levels = config.numHierarchies();
    this.d = config.embeddingDim();
    this.begins = new int[levels + 1];
    for (int l = 0; l < levels; l++) {
      begins[l + 1] = begins[l] + config.codebookWidths().get(l);
    }
    this.total = begins[levels];
    this.sums = new double[Math.multiplyExact(total, d)];
    this.squares = new double[total];
    this.rowsOf = new long[total];
    this.pairs = new double[levels * levels][];
    for (int l = 1; l < levels; l++) {
      for (int j = 0; j < l; j++) {
        pairs[j * levels + l] = new double[Math.multiplyExact(width(j), width(l))];
      }
    }
  }

  /** Bytes of memory that it takes beside its data. */
  static long memoryBytes(ResidualQuantizerConfig config) {
    long bytes = TABLE_BUDGET;
    for (int l = 0; l < config.numHierarchies(); l++) {
      long width = config.codebookWidths().get(l);
      bytes += 3L * Double.BYTES * width * config.embeddingDim();
      for (int j = 0; j < l; j++) {
        bytes += Double.BYTES * width * config.codebookWidths().get(j);
      }
    }
    return bytes;
  }

  /** How many of the first rounds relocate centroids: the others are to settle them. */
  static int relocatingRounds(int rounds) {
    return Math.min(MOST_RELOCATING_ROUNDS, rounds / 2);
  }

  private int width(int level) {
    return begins[level + 1] - begins[level];
  }

  /**
   * What a pass found.
   *
   * @param squares Σ_rows ‖t − Σ_l ω_l·C_l[k_l]‖²
   * @param rows the rows of each centroid, level by level
   */
  record Fit(double squares, List<long[]> rows) {}

  /** Encodes all rows and sums them up. */
  Fit fit(List<float[]> centroids) throws IOException {
    Arrays.fill(sums, 0);
    Arrays.fill(squares, 0);
    Arrays.fill(rowsOf, 0);
    for (double[] pair : pairs) {
      if (pair != null) {
        Arrays.fill(pair, 0);
      }
    }
    Codebook codebook = Codebook.of(config.codebookSettings(), d, centroids, Provenance.UNKNOWN);
    double[] error = new double[1];
    try (var quantizer = new ResidualQuantizer(codebook, backend, pool, TABLE_BUDGET, screening)) {
      passes.run(
          (block, first) -> {},
          (batch, blocks, first) -> {
            int[] codes = quantizer.encode(batch);
            double[] scales = new double[batch.rows() * levels];
            double[] errors = new double[blocks.size()];
            double[][] targets = new double[blocks.size()][];
            pool.forEach(
                blocks.size(),
                i -> {
                  targets[i] = new double[blocks.get(i).rows() * d];
                  errors[i] = follow(codebook, blocks.get(i), codes, scales, targets[i]);
                });
            for (double of : errors) {
              error[0] += of;
            }
            add(codes, scales, batch.rows(), targets);
          });
    }
    var rows = new ArrayList<long[]>();
    for (int l = 0; l < levels; l++) {
      rows.add(Arrays.copyOfRange(rowsOf, begins[l], begins[l + 1]));
    }
    return new Fit(error[0], rows);
  }

  /** Follows a block's codes; gives its part of the squares. */
  private double follow(
      Codebook codebook, TrainingBlock block, int[] codes, double[] scales, double[] target) {
    ResidualLoop loop = block.loop();
    int n = block.rows();
    int out = block.begin() * levels;
    double[] products = new double[n];
    Arrays.fill(products, 1);
    for (int l = 0; l < levels; l++) {
      loop.enter(l);
      if (l == 0) {
        System.arraycopy(loop.residuals(), 0, target, 0, n * d);
      }
      for (int row = 0; row < n; row++) {
        if (codebook.normalizeResiduals() && l > 0) {
          products[row] *= loop.norms()[row];
        }
        boolean gone = codebook.normalizeResiduals() && loop.exhausted(row);
        scales[out + row * levels + l] = gone ? 0 : products[row];
      }
      loop.leave(codebook.centroids(l).data(), codes, out + l, levels);
    }
    double sum = 0;
    for (int row = 0; row < n; row++) {
      double scale = scales[out + row * levels + levels - 1];
      double squared = 0;
      for (int i = row * d; i < (row + 1) * d; i++) {
        squared += loop.residuals()[i] * loop.residuals()[i];
      }
      sum += scale * scale * squared;
    }
    return sum;
  }

  private void add(int[] codes, double[] scales, int n, double[][] targets) {
    for (int row = 0; row < n; row++) {
      for (int l = 0; l < levels; l++) {
        double scale = scales[row * levels + l];
        int code = codes[row * levels + l];
        if (scale == 0) {
          continue;
        }
        squares[begins[l] + code] += scale * scale;
        rowsOf[begins[l] + code]++;
        for (int j = 0; j < l; j++) {
          pairs[j * levels + l][codes[row * levels + j] * width(l) + code] +=
              scales[row * levels + j] * scale;
        }
      }
    }
    int tasks = (d + COMPONENTS_PER_TASK - 1) / COMPONENTS_PER_TASK;
    pool.forEach(
        tasks,
        task -> {
          int from = task * COMPONENTS_PER_TASK;
          int to = Math.min(d, from + COMPONENTS_PER_TASK);
          for (int row = 0; row < n; row++) {
            double[] target = targets[row / RowPasses.BLOCK_ROWS];
            int t = row % RowPasses.BLOCK_ROWS * d;
            for (int l = 0; l < levels; l++) {
              double scale = scales[row * levels + l];
              if (scale != 0) {
                addScaled(target, t, scale, (begins[l] + codes[row * levels + l]) * d, from, to);
              }
            }
          }
        });
  }

  private void addScaled(double[] target, int t, double scale, int c, int from, int to) {
    for (int i = from; i < to; i++) {
      sums[c + i] += scale * target[t + i];
    }
  }

  /**
   * The centroids that fit the last pass better, each level K_l × d.
   *
   * @param relocate whether those that few rows use are put to better use
   */
  List<float[]> solve(List<float[]> centroids, boolean relocate) {
    double[] c = new double[total * d];
    for (int l = 0; l < levels; l++) {
      float[] level = centroids.get(l);
      for (int i = 0; i < level.length; i++) {
        c[begins[l] * d + i] = level[i];
      }
    }
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
      for (int l = 0; l < levels; l++) {
        int level = l;
        pool.forEach(width(l), k -> improve(c, level, k));
      }
    }
    if (relocate) {
      for (int l = 0; l < levels; l++) {
        relocate(c, l);
      }
    }
    var solved = new ArrayList<float[]>();
    for (int l = 0; l < levels; l++) {
      float[] level = new float[width(l) * d];
      for (int i = 0; i < level.length; i++) {
        level[i] = (float) c[begins[l] * d + i];
      }
      solved.add(level);
    }
    return solved;
  }

  /**
   * Moves centroids that few rows use next to those that most rows use. Least squares leave them
   * where they are, a local minimum that loses much: level by level, centroids gather on the
   * outliers of residuals.
   */
  private void relocate(double[] c, int l) {
    long[] rows = Arrays.copyOfRange(rowsOf, begins[l], begins[l + 1]);
    double few = FEW * Arrays.stream(rows).sum() / width(l);
    for (int k = 0; k < width(l); k++) {
      if (rows[k] >= few) {
        continue;
      }
      int most = 0;
      for (int other = 1; other < width(l); other++) {
        if (rows[other] > rows[most]) {
          most = other;
        }
      }
      for (int i = 0; i < d; i++) {
        double mean = c[(begins[l] + most) * d + i];
        double part = i % 2 == 0 ? SPLIT : -SPLIT;
        c[(begins[l] + k) * d + i] = mean * (1 + part);
        c[(begins[l] + most) * d + i] = mean * (1 - part);
      }
      rows[k] = rows[most] / 2;
      rows[most] -= rows[k];
    }
  }

  /** Solves for one centroid, with those of the other levels as they are. */
  private void improve(double[] c, int l, int k) {
    int at = begins[l] + k;
    if (squares[at] == 0) {
      return;
    }
    double[] rest = Arrays.copyOfRange(sums, at * d, (at + 1) * d);
    for (int j = 0; j < levels; j++) {
      if (j == l) {
        continue;
      }
      for (int other = 0; other < width(j); other++) {
        double weight =
            j < l
                ? pairs[j * levels + l][other * width(l) + k]
                : pairs[l * levels + j][k * width(j) + other];
        if (weight != 0) {
          subtractScaled(rest, weight, c, (begins[j] + other) * d);
        }
      }
    }
    for (int i = 0; i < d; i++) {
      c[at * d + i] = rest[i] / squares[at];
    }
  }

  private static void subtractScaled(double[] rest, double weight, double[] c, int begin) {
    for (int i = 0; i < rest.length; i++) {
      rest[i] -= weight * c[begin + i];
    }
  }
}
