package dev.semanticid.core.search;

import dev.semanticid.core.codebook.Centroids;
import dev.semanticid.core.compute.Int8Backend;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The centroids of one level in 8 bits: {@code C[k] = m + t_k·w_k + (an error of norm at most
 * f_k)}, with w_k of components from −127 to 127, a step t_k for each centroid, and m the mean of
 * all where that makes what is left much shorter, else 0. Scores of one vector differ by the same
 * {@code u·m} for all centroids, so m need not enter them.
 */
public final class Int8Centroids {

  /** Covers the float64 rounding of the norms computed here, which is 10⁻¹¹ at most. */
  private static final double WIDER = 1 + 1e-9;

  /** Centring is worth its own dot product where it takes this share off the squared norms. */
  private static final double WORTHWHILE = 0.1;

  private final int width;
  private final int dimension;
  private final byte[] components;
  private final float[] mean;
  private final boolean centred;
  private final float[] steps;
  private final float[] codedNorms;
  private final float[] errorNorms;
  private final int[] sums;
  private final double maxCodedNorm;
  private final double maxErrorNorm;

  /**
   * Codes a level's centroids.
   *
   * @param centroids the level
   */
  public Int8Centroids(Centroids centroids) {
    this.width = centroids.width();
    this.dimension = centroids.dimension();
    this.components = new byte[Math.multiplyExact(width, 4 * Int8Rows.words(dimension))];
    this.mean = new float[dimension];
    this.steps = new float[width];
    this.codedNorms = new float[width];
    this.errorNorms = new float[width];
    this.sums = new int[width];
    this.centred = center(centroids);
    double meanNorm = 0;
    for (float component : mean) {
      meanNorm += (double) component * component;
    }
    meanNorm = Math.sqrt(meanNorm);
    double maxCoded = 0;
    double maxError = 0;
    double[] e = new double[dimension];
    double[] w = new double[dimension];
    for (int k = 0; k < width; k++) {
      code(centroids.data(), k, centroids.norms()[k] + meanNorm, e, w);
      maxCoded = Math.max(maxCoded, codedNorms[k]);
      maxError = Math.max(maxError, errorNorms[k]);
    }
    this.maxCodedNorm = maxCoded;
    this.maxErrorNorm = maxError;
  }

  private boolean center(Centroids centroids) {
    double[] sum = new double[dimension];
    double squares = 0;
    for (int k = 0; k < width; k++) {
      squares += centroids.squaredNorms()[k];
      for (int i = 0; i < dimension; i++) {
        sum[i] += centroids.data()[k * dimension + i];
      }
    }
    double squaredMean = 0;
    for (int i = 0; i < dimension; i++) {
      mean[i] = (float) (sum[i] / width);
      squaredMean += (double) mean[i] * mean[i];
    }
    if (squaredMean * width > WORTHWHILE * squares) {
      return true;
    }
    Arrays.fill(mean, 0f);
    return false;
  }

  /** Codes a centroid; e and w are working memory of d components. */
  private void code(float[] data, int k, double magnitude, double[] e, double[] w) {
    int begin = k * dimension;
    for (int i = 0; i < dimension; i++) {
      e[i] = (double) data[begin + i] - mean[i];
    }
    double largest = 0;
    for (double component : e) {
      largest = Math.max(largest, Math.abs(component));
    }
    float step = (float) (largest / Int8Backend.LARGEST_SIGNED);
    steps[k] = step;
    double perStep = step == 0 ? 0 : 1.0 / step;
    for (int i = 0; i < dimension; i++) {
      double rounded = Math.rint(e[i] * perStep);
      w[i] = Math.min(Math.max(rounded, -Int8Backend.LARGEST_SIGNED), Int8Backend.LARGEST_SIGNED);
    }
    double squaredError = 0;
    double squares = 0;
    double sum = 0;
    for (int i = 0; i < dimension; i++) {
      double error = e[i] - step * w[i];
      squaredError += error * error;
      squares += w[i] * w[i];
      sum += w[i];
    }
    int words = Int8Rows.words(dimension);
    int coded = k * 4 * words;
    for (int i = 0; i < dimension; i++) {
      components[coded + i % words * 4 + i / words] = (byte) w[i];
    }
    sums[k] = (int) sum;
    codedNorms[k] = Math.nextUp((float) (step * Math.sqrt(squares) * WIDER));
    // Forming e and the difference rounds twice, each time by 2⁻⁵³ of at most this magnitude.
    errorNorms[k] = Math.nextUp((float) (Math.sqrt(squaredError) * WIDER + 0x1p-50 * magnitude));
  }

  /**
   * Lower bounds of the scores of one coded vector, before tables and errors common to all: {@code
   * ½‖C[k]‖² + w[k] − scale·t_k·(p_k − z·Σw_k) − ofCoded·‖t_k·w_k‖ − ofErrors·f_k}.
   *
   * @param offsets ½‖C[k]‖² + w[k]
   * @param products p_k = q·w_k
   * @param shifts z·Σw_k ({@link #shifts})
   * @param lower receives them
   */
  public void lowerBounds(
      float[] offsets,
      float scale,
      int[] products,
      int[] shifts,
      float ofCoded,
      float ofErrors,
      float[] lower) {
    lowerBounds(
        offsets,
        scale,
        steps,
        products,
        shifts,
        ofCoded,
        codedNorms,
        ofErrors,
        errorNorms,
        width,
        lower);
  }

  // The arrays as arguments: a loop over fields is not vectorised.
  private static void lowerBounds(
      float[] offsets,
      float scale,
      float[] steps,
      int[] products,
      int[] shifts,
      float ofCoded,
      float[] codedNorms,
      float ofErrors,
      float[] errorNorms,
      int width,
      float[] lower) {
    for (int k = 0; k < width; k++) {
      lower[k] =
          offsets[k]
              - scale * (steps[k] * (products[k] - shifts[k]))
              - (ofCoded * codedNorms[k] + ofErrors * errorNorms[k]);
    }
  }

  /** z·Σw_k, what the zero point z adds to the products of q with w_k. */
  public int[] shifts(int zero) {
    int[] shifts = sums.clone();
    for (int k = 0; k < width; k++) {
      shifts[k] *= zero;
    }
    return shifts;
  }

  /** Number of centroids K. */
  public int width() {
    return width;
  }

  /** w, K rows of the components that a coded vector has, in their order; not a copy. */
  public byte[] components() {
    return components;
  }

  /** m, d components, or null if it is 0; not a copy. */
  public float @Nullable [] mean() {
    return centred ? mean : null;
  }

  /** t_k; not a copy. */
  public float[] steps() {
    return steps;
  }

  /** ‖t_k·w_k‖, rounded up; not a copy. */
  public float[] codedNorms() {
    return codedNorms;
  }

  /** f_k ≥ ‖C[k] − m − t_k·w_k‖; not a copy. */
  public float[] errorNorms() {
    return errorNorms;
  }

  /** The sum of the components of every w_k; not a copy. */
  public int[] sums() {
    return sums;
  }

  /** The largest ‖t_k·w_k‖. */
  public double maxCodedNorm() {
    return maxCodedNorm;
  }

  /** The largest f_k. */
  public double maxErrorNorm() {
    return maxErrorNorm;
  }
}
