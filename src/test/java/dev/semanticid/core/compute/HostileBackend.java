package dev.semanticid.core.compute;

/**
 * A backend that keeps to its error bound and no further: each product is off by γ·‖x‖·‖c‖, towards
 * the side that misleads whoever trusts it too much. With γ = 0 it refuses data whose products
 * float32 cannot hold exactly.
 */
public final class HostileBackend implements ComputeBackend {

  /** Decides which products are too large and which too small. */
  @FunctionalInterface
  public interface Plot {

    /**
     * The sign of each product's error.
     *
     * @param x one vector, d components
     * @param centroids K × d, row-major
     * @param products x · c_k in float64, K of them
     * @return −1, 0 or 1 for each centroid
     */
    int[] signs(float[] x, float[] centroids, double[] products);
  }

  /** Makes the nearest centroid look farther and all others nearer. */
  public static final Plot AGAINST_NEAREST =
      (x, centroids, products) -> {
        int[] signs = new int[products.length];
        int nearest = 0;
        double best = Double.POSITIVE_INFINITY;
        for (int k = 0; k < products.length; k++) {
          double score = 0.5 * dot(centroids, k * x.length, centroids, k * x.length, x.length);
          score -= products[k];
          signs[k] = 1;
          if (score < best) {
            best = score;
            nearest = k;
          }
        }
        signs[nearest] = -1;
        return signs;
      };

  /** Up or down without a pattern, but the same for the same product. */
  public static final Plot ERRATIC =
      (x, centroids, products) -> {
        int[] signs = new int[products.length];
        for (int k = 0; k < products.length; k++) {
          long bits = Double.doubleToLongBits(products[k]) * 0x9E3779B97F4A7C15L + k;
          signs[k] = Long.bitCount(bits * 0xD1B54A32D192ED03L) % 2 == 0 ? 1 : -1;
        }
        return signs;
      };

  private final double gamma;
  private final Plot plot;

  /**
   * @param gamma the error bound it claims and uses up; negative for that of float32
   * @param plot where the errors point
   */
  public HostileBackend(double gamma, Plot plot) {
    this.gamma = gamma;
    this.plot = plot;
  }

  @Override
  public String name() {
    return "hostile";
  }

  @Override
  public String device() {
    return "off by %s".formatted(gamma);
  }

  @Override
  public double gamma(int dimension) {
    return gamma < 0 ? ComputeBackend.super.gamma(dimension) : gamma;
  }

  @Override
  public ResidentCodebook makeResident(float[] matrix, int rows, int dimension) {
    return new Hostile(matrix.clone(), rows, dimension, gamma(dimension), plot);
  }

  @Override
  public void close() {
    // nothing is held
  }

  private static double dot(float[] a, int aBegin, float[] b, int bBegin, int d) {
    double sum = 0;
    for (int i = 0; i < d; i++) {
      sum += (double) a[aBegin + i] * b[bBegin + i];
    }
    return sum;
  }

  private record Hostile(float[] matrix, int rows, int dimension, double gamma, Plot plot)
      implements ResidentCodebook {

    @Override
    public long bytes() {
      return 4L * matrix.length;
    }

    @Override
    public void multiply(float[] vectors, int offset, int n, float[] products) {
      int d = dimension;
      double[] exact = new double[rows];
      float[] x = new float[d];
      for (int row = 0; row < n; row++) {
        System.arraycopy(vectors, offset + row * d, x, 0, d);
        for (int k = 0; k < rows; k++) {
          exact[k] = dot(x, 0, matrix, k * d, d);
        }
        double norm = Math.sqrt(dot(x, 0, x, 0, d));
        int[] signs = plot.signs(x, matrix, exact);
        for (int k = 0; k < rows; k++) {
          double bound = gamma * norm * Math.sqrt(dot(matrix, k * d, matrix, k * d, d));
          products[row * rows + k] = off(exact[k], signs[k], bound);
        }
      }
    }

    /** The float32 number farthest from {@code exact} on that side, within the bound. */
    private static float off(double exact, int sign, double bound) {
      if (bound == 0) {
        if ((float) exact != exact) {
          throw new AssertionError("γ = 0 is not true of " + exact);
        }
        return (float) exact;
      }
      // The float64 arithmetic here is not exact either.
      double within = bound * (1 - 1e-9);
      float product = (float) (exact + sign * within);
      if (Math.abs(product - exact) > within) {
        product = Math.nextAfter(product, exact);
      }
      return product;
    }

    @Override
    public void close() {
      // garbage collected
    }
  }
}
