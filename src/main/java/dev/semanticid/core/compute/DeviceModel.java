package dev.semanticid.core.compute;

import java.util.List;

/**
 * All that a {@link DeviceEncoder} needs to know of a codebook. Nothing is a copy, nothing may be
 * written.
 *
 * @param dimension d
 * @param normalized whether every level works on unit vectors
 * @param levels from the first to the last
 * @param tables {@code G_jl = C_j·C_lᵀ} at {@code j·L + l} for j &lt; l, K_j × K_l, row-major
 * @param zeroCodes the codes of a row of zeros
 */
public record DeviceModel(
    int dimension, boolean normalized, List<Level> levels, double[][] tables, int[] zeroCodes) {

  /**
   * One level.
   *
   * @param width K
   * @param centroids K × d, row-major
   * @param offsets ½‖C‖² + w
   * @param squaredNorms ‖C‖²
   * @param norms ‖C‖
   * @param maxNorm the largest of them
   * @param maxWeight the largest |w|
   */
  public record Level(
      int width,
      float[] centroids,
      double[] offsets,
      double[] squaredNorms,
      double[] norms,
      double maxNorm,
      double maxWeight) {}

  /** Centroids of all levels together. */
  public int totalWidth() {
    return levels.stream().mapToInt(Level::width).sum();
  }
}
