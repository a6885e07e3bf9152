package dev.semanticid.core.clustering;

import java.util.Objects;

/**
 * The centroids of one level with what the certified search needs of them. Immutable: the array is
 * copied by nobody and must not be written afterwards.
 */
public final class Centroids {

  /** 2⁻⁵³, the unit roundoff of float64. */
  public static final double ROUNDOFF = 0x1p-53;

  /** 2⁻²⁴, the unit roundoff of float32. */
  public static final double ROUNDOFF_FLOAT = 0x1p-24;

  private final float[] data;
  private final int width;
  private final int dimension;
  private final double[] squaredNorms;
  private final double[] norms;
  private final float[] halfSquaredNorms;
  private final double maxNorm;

  /**
   * @param data width × dimension, row-major, finite
   * @param width number of centroids K
   * @param dimension components d
   */
  public Centroids(float[] data, int width, int dimension) {
    Objects.checkFromIndexSize(0, Math.multiplyExact(width, dimension), data.length);
    this.data = data;
    this.width = width;
    this.dimension = dimension;
    this.squaredNorms = new double[width];
    this.norms = new double[width];
    this.halfSquaredNorms = new float[width];
    var dot = new DotProduct();
    double max = 0;
    for (int k = 0; k < width; k++) {
      squaredNorms[k] = dot.squaredNorm(data, k * dimension, dimension);
      norms[k] = Math.sqrt(squaredNorms[k]);
      halfSquaredNorms[k] = (float) (0.5 * squaredNorms[k]);
      max = Math.max(max, norms[k]);
    }
    this.maxNorm = max;
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

  /** ½‖C[k]‖² of every centroid, rounded to float32; not a copy. */
  public float[] halfSquaredNorms() {
    return halfSquaredNorms;
  }

  /** The largest ‖C[k]‖. */
  public double maxNorm() {
    return maxNorm;
  }

  /** The centroid nearest to u by the contract's float64 loop over all of them. */
  public int nearest(double[] u, int uBegin) {
    int[] all = new int[width];
    for (int k = 0; k < width; k++) {
      all[k] = k;
    }
    return ExactDistance.nearestOf(u, uBegin, data, dimension, all, width);
  }
}
