package dev.semanticid.core.search;

/**
 * One vector's scores against all centroids of a level, in float32 because what they come from is
 * float32 already, and the search for those that may be the smallest. Working memory of one thread;
 * grows as needed.
 */
public final class Scores {

  /** Scores that {@link #blockMinimum} is of. */
  public static final int BLOCK = 16;

  private float[] values = {};
  private float[] products = {};
  private float[] blockMinima = {};
  private int[] candidates = {};

  /** At least {@code width} places for scores. */
  public float[] values(int width) {
    if (values.length < width) {
      values = new float[width];
      blockMinima = new float[(width + BLOCK - 1) / BLOCK];
      candidates = new int[width];
    }
    return values;
  }

  /**
   * A row's part of a GEMM's result, moved to the front of an array of its own: a loop over arrays
   * that all begin at 0 is vectorised, because none can overlap another.
   */
  public float[] products(float[] matrix, int begin, int width) {
    if (products.length < width) {
      products = new float[width];
    }
    System.arraycopy(matrix, begin, products, 0, width);
    return products;
  }

  /** The scores of the last {@link #values(int)}; not a copy. */
  public float[] values() {
    return values;
  }

  /**
   * Finds every score within {@code tolerance} of the smallest of the first {@code width}.
   *
   * @return how many there are in {@link #candidates}, or 0 if the smallest is not finite
   */
  public int within(double tolerance, int width) {
    int smallest = smallest(width);
    return smallest < 0 ? 0 : upTo(Math.nextUp((float) (values[smallest] + tolerance)), width);
  }

  /**
   * Takes the first {@code width} scores for lower bounds, finds the least upper bound, and those
   * lower bounds that are not above it. Upper bounds are {@code values[k] + 2·(a·p[k] + b·q[k]) +
   * tolerance}.
   *
   * @return how many there are in {@link #candidates}, or 0 if the smallest is not finite
   */
  public int mayBeSmallest(int width, float a, float[] p, float b, float[] q, double tolerance) {
    int smallest = smallest(width);
    if (smallest < 0) {
      return 0;
    }
    double limit = upper(smallest, a, p, b, q, tolerance);
    int count = upTo(Math.nextUp((float) limit), width);
    for (int i = 0; i < count; i++) {
      limit = Math.min(limit, upper(candidates[i], a, p, b, q, tolerance));
    }
    int left = 0;
    for (int i = 0; i < count; i++) {
      if (values[candidates[i]] <= limit) {
        candidates[left++] = candidates[i];
      }
    }
    return left;
  }

  private double upper(int k, float a, float[] p, float b, float[] q, double tolerance) {
    return values[k] + 2 * ((double) a * p[k] + (double) b * q[k]) + tolerance;
  }

  /** The smallest of the {@link #BLOCK} scores from {@code BLOCK · i} on, once found. */
  public float blockMinimum(int i) {
    return blockMinima[i];
  }

  /** Finds the minimum of every block of the first {@code width}; false if one is not finite. */
  public boolean findBlockMinima(int width) {
    return Float.isFinite(minimum(width));
  }

  private float minimum(int width) {
    float smallest = Float.POSITIVE_INFINITY;
    int blocks = 0;
    int k = 0;
    // Math.min, unlike a comparison, lets NaN through to where it is seen.
    for (; k + BLOCK <= width; k += BLOCK) {
      float least = minOfBlock(values, k);
      blockMinima[blocks++] = least;
      smallest = Math.min(smallest, least);
    }
    if (k < width) {
      float least = values[k];
      for (int i = k + 1; i < width; i++) {
        least = Math.min(least, values[i]);
      }
      blockMinima[blocks++] = least;
      smallest = Math.min(smallest, least);
    }
    return smallest;
  }

  /** Where the smallest score is, or −1 if it is not finite; leaves the minima of blocks. */
  private int smallest(int width) {
    float smallest = minimum(width);
    if (!Float.isFinite(smallest)) {
      return -1;
    }
    int block = 0;
    while (blockMinima[block] != smallest) {
      block++;
    }
    int k = block * BLOCK;
    while (values[k] != smallest) {
      k++;
    }
    return k;
  }

  /** Gathers the scores that are no larger than {@code limit}. */
  private int upTo(float limit, int width) {
    int count = 0;
    for (int begin = 0, block = 0; begin < width; begin += BLOCK, block++) {
      if (blockMinima[block] <= limit) {
        int end = Math.min(width, begin + BLOCK);
        for (int i = begin; i < end; i++) {
          if (values[i] <= limit) {
            candidates[count++] = i;
          }
        }
      }
    }
    return count;
  }

  /** What was found last, ascending; not a copy. */
  public int[] candidates() {
    return candidates;
  }

  private static float minOfBlock(float[] v, int k) {
    float a = Math.min(Math.min(v[k], v[k + 4]), Math.min(v[k + 8], v[k + 12]));
    float b = Math.min(Math.min(v[k + 1], v[k + 5]), Math.min(v[k + 9], v[k + 13]));
    float c = Math.min(Math.min(v[k + 2], v[k + 6]), Math.min(v[k + 10], v[k + 14]));
    float d = Math.min(Math.min(v[k + 3], v[k + 7]), Math.min(v[k + 11], v[k + 15]));
    return Math.min(Math.min(a, b), Math.min(c, d));
  }
}
