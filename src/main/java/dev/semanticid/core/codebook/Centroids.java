package dev.semanticid.core.codebook;

import java.util.Objects;

/**
 * The centroids of one level, with a weight each, and what the certified search needs of them: the
 * score of centroid k for a vector u is {@code ½‖u − C[k]‖² + w[k]}, the lowest wins. Weights other
 * than 0 make the level's cells a power diagram (Aurenhammer 1987, "Power diagrams: properties,
 * algorithms and applications"). Immutable: the arrays are copied by nobody and must not be written
 * afterwards.
 */
public final class Centroids {

  /** 2⁻⁵³, the unit roundoff of float64. */
  public static final double ROUNDOFF = 0x1p-53;

  /** 2⁻²⁴, the unit roundoff of float32. */
  public static final double ROUNDOFF_FLOAT = 0x1p-24;

  private final float[] data;
  private final int width;
  private final int dimension;
  private final float[] weights;
  private final double[] squaredNorms;
  private final double[] norms;
  private final float[] offsets;
  private final double maxNorm;
  private final double maxWeight;

  /** Centroids of weight 0. */
  public Centroids(float[] data, int width, int dimension) {
    this(data, width, dimension, new float[width]);
  }

  /**
   * @param data width × dimension, row-major, finite
   * @param width number of centroids K
   * @param dimension components d
   * @param weights w, width of them, finite
   */
  public Centroids(float[] data, int width, int dimension, float[] weights) {
    Objects.checkFromIndexSize(0, Math.multiplyExact(width, dimension), data.length);
    Objects.checkFromIndexSize(0, width, weights.length);
    this.data = data;
    this.weights = weights;
    this.width = width;
    this.dimension = dimension;
    this.squaredNorms = new double[width];
    this.norms = new double[width];
    this.offsets = new float[width];
    var dot = new DotProduct();
    double max = 0;
    double heaviest = 0;
    for (int k = 0; k < width; k++) {
      squaredNorms[k] = dot.squaredNorm(data, k * dimension, dimension);
      norms[k] = Math.sqrt(squaredNorms[k]);
      offsets[k] = (float) offset(k);
      max = Math.max(max, norms[k]);
      heaviest = Math.max(heaviest, Math.abs(weights[k]));
    }
    this.maxNorm = max;
    this.maxWeight = heaviest;
  }

  /** width × dimension, row-major; not a copy. */
  public float[] data() {
    return data;
  }

  /** Number of centroids K. */
  public int width() {
    return width;
  }

  /** Components d of a centroid. */
  public int dimension() {
    return dimension;
  }

  /** ‖C[k]‖² of every centroid, within d·2⁻⁵³ relative; not a copy. */
  public double[] squaredNorms() {
    return squaredNorms;
  }

  /** ‖C[k]‖ of every centroid; not a copy. */
  public double[] norms() {
    return norms;
  }

  /** w of every centroid; not a copy. */
  public float[] weights() {
    return weights;
  }

  /** ½‖C[k]‖² + w[k], the score of a vector of zeros. */
  public double offset(int k) {
    return 0.5 * squaredNorms[k] + weights[k];
  }

  /** {@link #offset} of every centroid, rounded to float32; not a copy. */
  public float[] offsets() {
    return offsets;
  }

  /** The largest |w[k]|. */
  public double maxWeight() {
    return maxWeight;
  }

  /** The largest ‖C[k]‖. */
  public double maxNorm() {
    return maxNorm;
  }

  /** The centroid of the lowest score for u, by the contract's float64 loop over all of them. */
  public int nearest(double[] u, int uBegin) {
    int[] all = new int[width];
    for (int k = 0; k < width; k++) {
      all[k] = k;
    }
    return ExactDistance.nearestOf(u, uBegin, this, all, width);
  }
}
