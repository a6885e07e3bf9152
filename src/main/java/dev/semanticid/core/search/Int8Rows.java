package dev.semanticid.core.search;

import dev.semanticid.core.codebook.DotProduct;
import java.util.Arrays;

/**
 * Codes vectors in 8 bits: {@code x = s·(q − z) + (an error of known norm)}, with q from 0 to 2z
 * and a step s for each vector, in the order of {@link #position}. Working memory of one thread.
 */
public final class Int8Rows {

  /**
   * The range is this many times the root mean square of the components: few of a Gaussian vector
   * are larger, and to cut those off costs less than a larger step for all.
   */
  private static final double RANGE = 3.9;

  /** A coding whose error is this many times that of rounding alone has cut off too much. */
  private static final double CUT = 1.5;

  /** Covers the rounding of squares and sums of four of them in float32. */
  private static final double WIDER = 1 + 1e-6;

  private final int dimension;
  private final int words;
  private final int zero;
  private final DotProduct dotProduct = new DotProduct();
  private final float[][] quarters;
  private final int[][] rounded;
  private final int[] packed;
  private final float[] squaredErrors;
  private int[] components = {};
  private double[] squaredNorms = {};
  private float[] steps = {};
  private double[] errorNorms = {};

  /**
   * @param dimension components d of a vector
   * @param zero z, half of the largest value
   */
  public Int8Rows(int dimension, int zero) {
    this.dimension = dimension;
    this.words = words(dimension);
    this.zero = zero;
    this.quarters = new float[4][words];
    this.rounded = new int[4][words];
    this.packed = new int[words];
    this.squaredErrors = new float[words];
  }

  /** How many ints, of four components each, a coded vector of {@code dimension} takes. */
  public static int words(int dimension) {
    return (dimension + 3) / 4;
  }

  /**
   * Where a component lies among the bytes of a coded vector, little end first: a vector is cut
   * into quarters, and an int has one component of each. What is left over is 0.
   */
  static int position(int component, int dimension) {
    int words = words(dimension);
    return component % words * 4 + component / words;
  }

  /** Codes {@code n} vectors of {@code vectors} from {@code offset} on, of finite components. */
  public void code(float[] vectors, int offset, int n) {
    if (squaredNorms.length < n) {
      components = new int[n * words];
      squaredNorms = new double[n];
      steps = new float[n];
      errorNorms = new double[n];
    }
    for (int row = 0; row < n; row++) {
      int begin = offset + row * dimension;
      double squaredNorm = dotProduct.squaredNorm(vectors, begin, dimension);
      squaredNorms[row] = squaredNorm;
      for (int quarter = 0, at = 0; at < dimension; quarter++, at += words) {
        System.arraycopy(
            vectors, begin + at, quarters[quarter], 0, Math.min(words, dimension - at));
      }
      code(row, Math.sqrt(squaredNorm));
      System.arraycopy(packed, 0, components, row * words, words);
    }
  }

  private void code(int row, double norm) {
    double rounding = RANGE / zero / Math.sqrt(12.0);
    float step = (float) (RANGE * norm / (zero * Math.sqrt(dimension)));
    double error = code(step, norm);
    if (error > CUT * rounding * norm) {
      float largest = 0;
      for (float[] quarter : quarters) {
        for (float component : quarter) {
          largest = Math.max(largest, Math.abs(component));
        }
      }
      float whole = largest / zero;
      double errorOfWhole = code(whole, norm);
      if (errorOfWhole < error) {
        step = whole;
        error = errorOfWhole;
      } else {
        code(step, norm);
      }
    }
    steps[row] = step;
    errorNorms[row] = error;
  }

  /** Fills {@link #packed} and returns a bound of ‖x − s·(q − z)‖. */
  private double code(float step, double norm) {
    float perStep = step == 0 ? 0 : 1 / step;
    Arrays.fill(squaredErrors, 0);
    for (int quarter = 0; quarter < 4; quarter++) {
      round(quarters[quarter], perStep, zero, rounded[quarter]);
      addSquaredErrors(quarters[quarter], step, zero, rounded[quarter], squaredErrors);
    }
    pack(rounded[0], rounded[1], rounded[2], rounded[3], packed);
    double error = Math.sqrt(dotProduct.sum(squaredErrors, words)) * WIDER;
    // Each difference is rounded twice in float32: s·(q − z), at most |x| + |error|, and itself;
    // and its square below the normal range.
    return error + 0x1p-23 * (norm + 2 * error) + Math.sqrt(dimension) * 0x1p-74;
  }

  // Loops as small as the compiler vectorises.

  private static void round(float[] x, float perStep, int zero, int[] q) {
    float half = zero + 0.5f;
    int most = 2 * zero;
    for (int i = 0; i < q.length; i++) {
      q[i] = Math.min(Math.max((int) (x[i] * perStep + half), 0), most);
    }
  }

  private static void addSquaredErrors(float[] x, float step, int zero, int[] q, float[] sums) {
    for (int i = 0; i < sums.length; i++) {
      float error = x[i] - step * (q[i] - zero);
      sums[i] += error * error;
    }
  }

  private static void pack(int[] q0, int[] q1, int[] q2, int[] q3, int[] packed) {
    for (int i = 0; i < packed.length; i++) {
      packed[i] = q0[i] | q1[i] << 8 | q2[i] << 16 | q3[i] << 24;
    }
  }

  /** q of the vectors last coded, n × {@link #words} ints; not a copy. */
  public int[] components() {
    return components;
  }

  /** ‖x‖², within d·2⁻⁵³ relative. */
  public double squaredNorm(int row) {
    return squaredNorms[row];
  }

  /** s of a vector. */
  public float step(int row) {
    return steps[row];
  }

  /** A bound of ‖x − s·(q − z)‖. */
  public double errorNorm(int row) {
    return errorNorms[row];
  }
}
