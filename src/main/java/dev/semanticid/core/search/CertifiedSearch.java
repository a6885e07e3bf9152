package dev.semanticid.core.search;

import dev.semanticid.core.codebook.Centroids;
import dev.semanticid.core.codebook.DotProduct;
import dev.semanticid.core.codebook.ExactDistance;
import dev.semanticid.core.compute.ResidentCodebook;
import org.jspecify.annotations.Nullable;

/**
 * Finds the exact nearest centroid of float64 vectors with a float32 or an 8-bit GEMM, whichever
 * has been faster.
 *
 * <p>For one vector u, its float32 rounding v and exact products {@code v·C[k]}, the score {@code
 * s[k] = ½‖C[k]‖² + w[k] − v·C[k]} differs from what the float64 loop would give for {@code ½‖u −
 * C[k]‖² + w[k] − ½‖u‖²} by at most (M = max ‖C[k]‖, W = max |w[k]|)
 *
 * <pre>
 *   E = 2⁻²⁴·‖u‖·M                 u rounded to float32
 *     + underflow                  d·2⁻¹²⁵·(1 + ‖u‖ + M): results below the normal range, flushed or not
 *     + ½τ·(‖u‖ + M)²              the loop's own rounding, τ = (d + 4)·2⁻⁵³
 *     + ½τ·M²                      the stored ½‖C[k]‖²
 *     + τ·W                        w added to both
 * and, computed in float32, more:
 *     + γ·‖v‖·M                    the GEMM (γ of the backend)
 *     + 4·2⁻²⁴·(‖u‖·M + M² + W)    the evaluation of s
 * or, from 8-bit products, for each k more, with v = v̂ + r and C[k] = m + ĉ_k + f_k:
 *     + ‖r‖·‖ĉ_k‖ + ‖v‖·‖f_k‖      what they leave out; m is the same for all k
 *     + 9·2⁻²⁴·(‖u‖·M + M² + W + (‖u‖ + 2‖r‖)·max‖ĉ‖ + ‖u‖·max‖f‖)  the evaluation in float32
 * or, summed in float64, more:
 *     + τ·(‖u‖·M + M² + W)         the sum in any order, the evaluation
 * </pre>
 *
 * From float32 products, a best score ahead of the second by more than 2E is the loop's choice;
 * else every centroid within 2E is rescored by the loop itself ({@link ExactDistance}), which
 * settles ties as the contract does. From 8-bit products, those whose lower bound is above no upper
 * bound are scored in float64 before that. Where float32 could overflow (‖u‖·M, ‖u‖ or W beyond
 * {@value #LARGEST}) the loop decides among all centroids.
 */
public final class CertifiedSearch {

  /** Covers the products of error terms that the bounds leave out, and their own evaluation. */
  public static final double SLACK = 1.001;

  /** No partial sum of a dot product within this bound leaves float32. */
  public static final double LARGEST = 1e30;

  /** The way by float32 products. */
  public static final int FLOAT32 = 0;

  /** The way by 8-bit products. */
  public static final int INT8 = 1;

  private final Centroids centroids;
  private final ResidentCodebook resident;
  private final @Nullable Int8Screen screen;
  private final FasterWay faster;
  private final double gamma;
  private final double tau;
  private final double underflow;

  /** A search by float32 products alone. */
  public CertifiedSearch(Centroids centroids, ResidentCodebook resident, double gamma) {
    this(centroids, resident, gamma, null, FasterWay.always(FLOAT32));
  }

  /**
   * A search by whichever products have been faster.
   *
   * @param centroids the level's centroids
   * @param resident the same centroids on the device
   * @param gamma the backend's error bound for this dimension
   * @param screen the same centroids in 8 bits, or null
   * @param faster which of {@link #FLOAT32} and {@link #INT8} has been faster on such vectors
   */
  public CertifiedSearch(
      Centroids centroids,
      ResidentCodebook resident,
      double gamma,
      @Nullable Int8Screen screen,
      FasterWay faster) {
    this.centroids = centroids;
    this.resident = resident;
    this.gamma = gamma;
    this.screen = screen;
    this.faster = faster;
    int d = centroids.dimension();
    this.tau = (d + 4) * Centroids.ROUNDOFF;
    this.underflow = d * 0x1p-125;
  }

  /** The centroids searched. */
  public Centroids centroids() {
    return centroids;
  }

  /**
   * Assigns {@code n} vectors.
   *
   * @param u n × d, float64, row-major
   * @param norms ‖u_i‖, n of them; a vector of norm 0 is taken as all zero
   * @param n number of vectors
   * @param codes receives n codes, {@code stride} apart from {@code codesBegin} on
   * @param scratch working memory for at least n vectors
   * @return how many vectors the float64 loop had to decide
   */
  public int assign(
      double[] u, double[] norms, int n, int[] codes, int codesBegin, int stride, Scratch scratch) {
    int d = centroids.dimension();
    multiply(u, n, scratch);
    int rescored = 0;
    for (int row = 0; row < n; row++) {
      int count = carries(norms[row]) ? candidates(norms[row], row, scratch) : 0;
      int[] candidates = scratch.scores.candidates();
      int code;
      if (count == 1) {
        code = candidates[0];
      } else {
        rescored++;
        code =
            count == 0
                ? centroids.nearest(u, row * d)
                : ExactDistance.nearestOf(u, row * d, centroids, candidates, count);
      }
      codes[codesBegin + row * stride] = code;
    }
    took(n, scratch);
    return rescored;
  }

  /**
   * Computes the products of {@code n} vectors, for {@link #bounds}; afterwards comes {@link
   * #took}.
   *
   * @param u n × d, float64, row-major
   */
  public void multiply(double[] u, int n, Scratch scratch) {
    int d = centroids.dimension();
    scratch.began = System.nanoTime();
    float[] rounded = scratch.vectors(n * d);
    for (int i = 0; i < n * d; i++) {
      rounded[i] = (float) u[i];
    }
    Int8Screen coded = faster.choose(n) == INT8 ? screen : null;
    scratch.screen = coded;
    if (coded == null) {
      resident.multiply(rounded, 0, n, scratch.products(n * centroids.width()));
    } else {
      Int8Rows rows = scratch.coded(d, coded.zero);
      rows.code(rounded, 0, n);
      coded.resident.multiply(rows.components(), n, scratch.int8Products(n * centroids.width()));
    }
  }

  /** All of the {@code n} vectors last multiplied are decided. */
  public void took(int n, Scratch scratch) {
    faster.took(scratch.screen == null ? FLOAT32 : INT8, n, System.nanoTime() - scratch.began);
  }

  /**
   * Bounds the scores of a vector last multiplied.
   *
   * @param norm ‖u‖
   * @param row which vector
   * @param into receives the bounds, which use {@code scratch}
   * @return false if the scores cannot tell
   */
  public boolean bounds(double norm, int row, Scratch scratch, ScoreBounds into) {
    if (!carries(norm)) {
      return false;
    }
    Int8Screen coded = scratch.screen;
    if (coded == null) {
      into.set(scratch.scores, score(norm, row, scratch));
      return true;
    }
    double common = score(coded, norm, row, scratch);
    float[] mean = coded.centroids.mean();
    double offset = 0;
    if (mean != null) {
      int d = centroids.dimension();
      offset = scratch.dotProduct.of(scratch.vectors, row * d, mean, 0, d);
      common += SLACK * tau * norm * centroids.maxNorm();
    }
    into.set(
        scratch.scores,
        common,
        offset,
        scratch.ofCoded,
        coded.centroids.codedNorms(),
        scratch.ofErrors,
        coded.centroids.errorNorms());
    return true;
  }

  private boolean carries(double norm) {
    return norm * Math.max(1, centroids.maxNorm()) <= LARGEST && centroids.maxWeight() <= LARGEST;
  }

  private int candidates(double norm, int row, Scratch scratch) {
    int width = centroids.width();
    Int8Screen coded = scratch.screen;
    if (coded == null) {
      return scratch.scores.within(2 * score(norm, row, scratch), width);
    }
    double common = score(coded, norm, row, scratch);
    int count =
        scratch.scores.mayBeSmallest(
            width,
            scratch.ofCoded,
            coded.centroids.codedNorms(),
            scratch.ofErrors,
            coded.centroids.errorNorms(),
            2 * common);
    return count < 2 ? count : nearestSums(norm, row, count, scratch);
  }

  /** Scores from float32 products; gives their error. */
  private double score(double norm, int row, Scratch scratch) {
    int width = centroids.width();
    float[] offsets = centroids.offsets();
    float[] scores = scratch.scores.values(width);
    float[] product = scratch.scores.products(scratch.products, row * width, width);
    for (int k = 0; k < width; k++) {
      scores[k] = offsets[k] - product[k];
    }
    return SLACK
        * (error(norm)
            + gamma * norm * centroids.maxNorm()
            + 4 * Centroids.ROUNDOFF_FLOAT * magnitude(norm));
  }

  /** Lower bounds from 8-bit products; gives the error that all have in common. */
  private double score(Int8Screen screen, double norm, int row, Scratch scratch) {
    int width = centroids.width();
    Int8Centroids coded = screen.centroids;
    Int8Rows rows = scratch.coded(centroids.dimension(), screen.zero);
    double xError = rows.errorNorm(row);
    double magnitude =
        magnitude(norm) + (norm + 2 * xError) * coded.maxCodedNorm() + norm * coded.maxErrorNorm();
    scratch.ofCoded = (float) (SLACK * xError);
    scratch.ofErrors = (float) (SLACK * norm);
    int[] products = scratch.levelProducts(width);
    System.arraycopy(scratch.int8Products, row * width, products, 0, width);
    coded.lowerBounds(
        centroids.offsets(),
        rows.step(row),
        products,
        screen.shifts,
        scratch.ofCoded,
        scratch.ofErrors,
        scratch.scores.values(width));
    return SLACK * (error(norm) + 9 * Centroids.ROUNDOFF_FLOAT * magnitude);
  }

  /** Keeps of {@code count} candidates those that may be the nearest by float64 sums. */
  private int nearestSums(double norm, int row, int count, Scratch scratch) {
    int d = centroids.dimension();
    int[] candidates = scratch.scores.candidates();
    double[] sums = scratch.sums(count);
    double best = Double.POSITIVE_INFINITY;
    for (int i = 0; i < count; i++) {
      int k = candidates[i];
      double dot = scratch.dotProduct.of(scratch.vectors, row * d, centroids.data(), k * d, d);
      sums[i] = centroids.offset(k) - dot;
      best = Math.min(best, sums[i]);
    }
    double tolerance = 2 * SLACK * (error(norm) + tau * magnitude(norm));
    int left = 0;
    for (int i = 0; i < count; i++) {
      if (sums[i] <= best + tolerance) {
        candidates[left++] = candidates[i];
      }
    }
    return left;
  }

  /** The part of E that does not depend on how products are computed. */
  private double error(double norm) {
    double max = centroids.maxNorm();
    double sum = norm + max;
    return Centroids.ROUNDOFF_FLOAT * norm * max
        + underflow * (1 + sum)
        + 0.5 * tau * (sum * sum + max * max)
        + tau * centroids.maxWeight();
  }

  /** Bounds the terms of a score. */
  private double magnitude(double norm) {
    double max = centroids.maxNorm();
    return norm * max + max * max + centroids.maxWeight();
  }

  /** Working memory of one thread; grows as needed and is kept between calls. */
  public static final class Scratch {

    private float[] vectors = {};
    private float[] products = {};
    private int[] int8Products = {};
    private int[] levelProducts = {};
    private double[] sums = {};
    private @Nullable Int8Rows coded;

    /** What the last products are of; null: float32. */
    private @Nullable Int8Screen screen;

    private long began;
    private float ofCoded;
    private float ofErrors;
    private final Scores scores = new Scores();
    private final DotProduct dotProduct = new DotProduct();

    float[] vectors(int length) {
      if (vectors.length < length) {
        vectors = new float[length];
      }
      return vectors;
    }

    float[] products(int length) {
      if (products.length < length) {
        products = new float[length];
      }
      return products;
    }

    int[] int8Products(int length) {
      if (int8Products.length < length) {
        int8Products = new int[length];
      }
      return int8Products;
    }

    int[] levelProducts(int length) {
      if (levelProducts.length < length) {
        levelProducts = new int[length];
      }
      return levelProducts;
    }

    double[] sums(int length) {
      if (sums.length < length) {
        sums = new double[length];
      }
      return sums;
    }

    Int8Rows coded(int dimension, int zero) {
      Int8Rows rows = coded;
      if (rows == null) {
        rows = new Int8Rows(dimension, zero);
        coded = rows;
      }
      return rows;
    }
  }
}
