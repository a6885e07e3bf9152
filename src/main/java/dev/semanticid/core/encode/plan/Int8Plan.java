package dev.semanticid.core.encode.plan;

import dev.semanticid.core.codebook.Centroids;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.compute.Int8Backend;
import dev.semanticid.core.compute.ResidentInt8;
import dev.semanticid.core.search.CertifiedSearch;
import dev.semanticid.core.search.Int8Centroids;
import dev.semanticid.core.search.Int8Rows;
import dev.semanticid.core.search.ScoreBounds;
import dev.semanticid.core.search.ScreeningStatistics;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.LongAdder;

/**
 * Screens with one 8-bit GEMM for all levels, at a fraction of the cost of float32. It proves most
 * centroids wrong; float64 dot products decide among those that survive.
 *
 * <h2>The bound</h2>
 *
 * With {@code x = x̂ + r}, x̂ = s·(q − z) ({@link Int8Rows}), and {@code C_l[k] = m + ĉ_k + f_k},
 * ĉ_k = t_k·w_k ({@link Int8Centroids}),
 *
 * <pre>
 *   x·C_l[k] = x·m + x̂·ĉ_k + r·ĉ_k + x·f_k,        |r·ĉ_k + x·f_k| ≤ ‖r‖·‖ĉ_k‖ + ‖x‖·‖f_k‖
 *   x̂·ĉ_k    = s·t_k·(Σ q_i·w_ki − z·Σ w_ki)       sums of integers, exact
 * </pre>
 *
 * and a·x·m is the same for all k, so it is left out. So the score of {@link StackedWorker}, plus
 * a·x·m, is at least
 *
 * <pre>
 *   ½‖C_l[k]‖² + w_l[k] − a·s·t_k·(…) + Σ b_j·G_jl[k_j][k] − a·(‖r‖·‖ĉ_k‖ + ‖x‖·‖f_k‖) − E
 * </pre>
 *
 * and at most the same with + a·(…) + E, where to the E there comes, for N = max ‖ĉ‖ and F = max
 * ‖f‖ of the level,
 *
 * <pre>
 *     + (L + 8)·2⁻²⁴·(P·M + M² + 2W + a·((‖x‖ + 2‖r‖)·N + ‖x‖·F))  the evaluation in float32: each term is rounded at most
 *                                                   four times by itself and L + 4 times in the sum
 *     + (1 + a + Σb_j)·d·2⁻¹²⁵·(1 + ‖x‖ + M)        results below the normal range
 * </pre>
 *
 * The norms of errors are those of the actual errors, rounded up. A centroid whose lower bound is
 * above the least upper bound is not the nearest; the others are candidates.
 */
public final class Int8Plan implements EncodingPlan {

  /** Rows that int8 vectors and products of fit the caches; larger GEMMs are hardly faster. */
  private static final int MOST_ROWS = 256;

  private static final int FEWEST_TO_PRUNE = 4;

  private final StackedCodebook stacked;
  private final List<Int8Centroids> centroids = new ArrayList<>();
  private final List<int[]> shifts = new ArrayList<>();
  private final ResidentInt8 resident;
  private final int zero;
  private final int blockRows;
  private final LongAdder rows = new LongAdder();
  private final LongAdder[] survivors;
  private final LongAdder summed = new LongAdder();

  public Int8Plan(StackedCodebook stacked, Int8Backend backend) {
    this.stacked = stacked;
    Codebook codebook = stacked.codebook;
    int d = 4 * Int8Rows.words(codebook.dimension());
    this.zero = backend.largest() / 2;
    this.survivors = new LongAdder[codebook.levels()];
    byte[] matrix = new byte[Math.multiplyExact(stacked.totalWidth, d)];
    int at = 0;
    for (int l = 0; l < codebook.levels(); l++) {
      var level = new Int8Centroids(codebook.centroids(l));
      System.arraycopy(level.components(), 0, matrix, at, level.width() * d);
      at += level.width() * d;
      centroids.add(level);
      shifts.add(level.shifts(zero));
      survivors[l] = new LongAdder();
    }
    this.resident = backend.makeResident(matrix, stacked.totalWidth, d);
    this.blockRows = Math.min(MOST_ROWS, BlockSize.rows(4L * stacked.totalWidth + d));
  }

  @Override
  public String name() {
    return "int8";
  }

  @Override
  public int blockRows() {
    return blockRows;
  }

  @Override
  public long bytes() {
    return deviceBytes() + GramTables.bytes(stacked.codebook);
  }

  /** Without the tables, which it shares. */
  long deviceBytes() {
    return resident.bytes();
  }

  @Override
  public void warmUp(float[] vectors, int n, int[] codes) {
    rows.reset();
    summed.reset();
    Arrays.stream(survivors).forEach(LongAdder::reset);
  }

  @Override
  public ScreeningStatistics screening() {
    return new ScreeningStatistics(
        rows.sum(), Arrays.stream(survivors).map(LongAdder::sum).toList(), summed.sum());
  }

  @Override
  public Worker newWorker() {
    return new Int8Worker();
  }

  @Override
  public void close() {
    resident.close();
  }

  private final class Int8Worker extends StackedWorker {

    private final double floatEvaluation = (levels + 8) * Centroids.ROUNDOFF_FLOAT;
    private final Int8Rows coded = new Int8Rows(d, zero);
    private final long[] left = new long[levels];
    private int[] products = {};
    private int[] levelProducts = {};
    private double commonError;
    private float ofCoded;
    private float ofErrors;

    /** The rows that {@link #meanDots} are of. */
    private final int[] meanRows = new int[levels];

    /** x·m per level. */
    private final double[] meanDots = new double[levels];

    Int8Worker() {
      super(Int8Plan.this.stacked);
    }

    @Override
    public int encode(float[] vectors, int offset, int n, int[] codes, int codesBegin) {
      int rescored = super.encode(vectors, offset, n, codes, codesBegin);
      rows.add(n);
      summed.add(takeSummed());
      for (int l = 0; l < levels; l++) {
        survivors[l].add(left[l]);
        left[l] = 0;
      }
      return rescored;
    }

    @Override
    void multiply(float[] vectors, int offset, int n) {
      if (products.length < n * stacked.totalWidth) {
        products = new int[n * stacked.totalWidth];
      }
      Arrays.fill(meanRows, -1);
      coded.code(vectors, offset, n);
      resident.multiply(coded.components(), n, products);
    }

    @Override
    double squaredNorm(int row) {
      return coded.squaredNorm(row);
    }

    @Override
    void scoreAll(int row, int l, int begin, double error, double squares) {
      Int8Centroids level = centroids.get(l);
      int width = level.width();
      if (levelProducts.length < width) {
        levelProducts = new int[width];
      }
      System.arraycopy(products, row * stacked.totalWidth + begin, levelProducts, 0, width);
      double max = codebook.centroids(l).maxNorm();
      double xError = coded.errorNorm(row);
      double magnitude =
          squares
              + path.a
                  * ((xNorm + 2 * xError) * level.maxCodedNorm() + xNorm * level.maxErrorNorm());
      commonError =
          CertifiedSearch.SLACK
              * (error
                  + floatEvaluation * magnitude
                  + (1 + path.a + path.sumOfB(l)) * d * 0x1p-125 * (1 + xNorm + max));
      ofCoded = (float) (CertifiedSearch.SLACK * path.a * xError);
      ofErrors = (float) (CertifiedSearch.SLACK * path.a * xNorm);
      float[] lower = scores.values(width);
      level.lowerBounds(
          codebook.centroids(l).offsets(),
          (float) (path.a * coded.step(row)),
          levelProducts,
          shifts.get(l),
          ofCoded,
          ofErrors,
          lower);
      for (int j = 0; j < l; j++) {
        addScaled(lower, (float) path.b[j], tables.row(j, l, path.codes[j]), width);
      }
    }

    @Override
    int screen(int l) {
      Int8Centroids level = centroids.get(l);
      int count =
          scores.mayBeSmallest(
              level.width(),
              ofCoded,
              level.codedNorms(),
              ofErrors,
              level.errorNorms(),
              2 * commonError);
      left[l] += count;
      return count;
    }

    /** With a·x·m, which differs from path to path; its own rounding is at most τ·P·M more. */
    @Override
    void bounds(int row, int l, ScoreBounds into) {
      Int8Centroids level = centroids.get(l);
      float[] mean = level.mean();
      double offset = 0;
      double rounding = 0;
      if (mean != null) {
        if (meanRows[l] != row) {
          meanRows[l] = row;
          meanDots[l] = dotProduct.of(x, xBegin, mean, 0, d);
        }
        offset = path.a * meanDots[l];
        rounding = (d + 8) * Centroids.ROUNDOFF * path.terms * codebook.centroids(l).maxNorm();
      }
      into.set(
          scores,
          commonError + CertifiedSearch.SLACK * rounding,
          offset,
          ofCoded,
          level.codedNorms(),
          ofErrors,
          level.errorNorms());
    }

    @Override
    void survived(int l, int count) {
      left[l] += count;
    }

    @Override
    double lowerBound(int k) {
      return scores.values()[k] - commonError;
    }

    /** a·x·m, whose dot product few candidates would not save. */
    @Override
    double lowerBoundOffset(int l, int count) {
      float[] mean = centroids.get(l).mean();
      if (mean == null) {
        return 0;
      }
      return count < FEWEST_TO_PRUNE
          ? Double.POSITIVE_INFINITY
          : path.a * dotProduct.of(x, xBegin, mean, 0, d);
    }
  }
}
