package dev.semanticid.core.clustering;

import dev.semanticid.core.compute.ResidentCodebook;

/**
 * Finds the exact nearest centroid of float64 vectors with a float32 GEMM.
 *
 * <p>For one vector u, its float32 rounding v and the GEMM's {@code p[k] ≈ v·C[k]}, the score
 * {@code s[k] = ½‖C[k]‖² − p[k]} differs from what the float64 loop would give for {@code ½‖u −
 * C[k]‖² − ½‖u‖²} by at most
 *
 * <pre>
 *   E = γ·‖v‖·M                    the GEMM (M = max ‖C[k]‖, γ of the backend)
 *     + 2⁻²⁴·‖u‖·M                 u rounded to float32
 *     + underflow                  d·2⁻¹²⁵·(1 + ‖u‖ + M): results below the normal range, flushed or not
 *     + ½τ·(‖u‖ + M)²              the loop's own rounding, τ = (d + 4)·2⁻⁵³
 *     + ½τ·M² + 4·2⁻²⁴·(‖u‖·M + M²) the stored ½‖C[k]‖² and the evaluation of s in float32
 * </pre>
 *
 * If the best score is ahead of the second by more than 2E it is the loop's choice. Otherwise every
 * centroid within 2E of the best is rescored by the loop itself ({@link ExactDistance}), which
 * settles ties as the contract does. Where float32 could overflow (‖u‖·M or ‖u‖ beyond {@value
 * #LARGEST}) the loop decides among all centroids.
 */
public final class CertifiedSearch {

  /** Covers the products of error terms that the bounds leave out, and their own evaluation. */
  public static final double SLACK = 1.001;

  /** No partial sum of a dot product within this bound leaves float32. */
  public static final double LARGEST = 1e30;

  private final Centroids centroids;
  private final ResidentCodebook resident;
  private final double gamma;
  private final double tau;
  private final double underflow;

  /**
   * @param centroids the level's centroids
   * @param resident the same centroids on the device
   * @param gamma the backend's error bound for this dimension
   */
  public CertifiedSearch(Centroids centroids, ResidentCodebook resident, double gamma) {
    this.centroids = centroids;
    this.resident = resident;
    this.gamma = gamma;
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
    int width = centroids.width();
    float[] rounded = scratch.vectors(n * d);
    for (int i = 0; i < n * d; i++) {
      rounded[i] = (float) u[i];
    }
    float[] products = scratch.products(n * width);
    resident.multiply(rounded, 0, n, products);
    float[] half = centroids.halfSquaredNorms();
    Scores search = scratch.scores;
    float[] scores = search.values(width);
    int rescored = 0;
    for (int row = 0; row < n; row++) {
      double norm = norms[row];
      int count = 0;
      if (norm * Math.max(1, centroids.maxNorm()) <= LARGEST) {
        float[] product = search.products(products, row * width, width);
        for (int k = 0; k < width; k++) {
          scores[k] = half[k] - product[k];
        }
        count = search.within(2 * error(norm), width);
      }
      int code;
      if (count == 1) {
        code = search.candidates()[0];
      } else {
        rescored++;
        code =
            count == 0
                ? centroids.nearest(u, row * d)
                : ExactDistance.nearestOf(
                    u, row * d, centroids.data(), d, search.candidates(), count);
      }
      codes[codesBegin + row * stride] = code;
    }
    return rescored;
  }

  private double error(double norm) {
    double max = centroids.maxNorm();
    double sum = norm + max;
    return SLACK
        * ((gamma + 0x1p-24) * norm * max
            + underflow * (1 + sum)
            + 0.5 * tau * (sum * sum + max * max)
            + 4 * Centroids.ROUNDOFF_FLOAT * (norm * max + max * max));
  }

  /** Working memory of one thread; grows as needed and is kept between calls. */
  public static final class Scratch {

    private float[] vectors = {};
    private float[] products = {};
    private final Scores scores = new Scores();

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
  }
}
