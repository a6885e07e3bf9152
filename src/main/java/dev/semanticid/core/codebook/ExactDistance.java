package dev.semanticid.core.codebook;

/**
 * The float64 arithmetic that defines semantic IDs: every sum runs in index order, nothing is
 * fused, so each result is the same bits on every machine. Loops are laid out across rows or
 * candidates, never across components, because that leaves each sum's order alone.
 */
public final class ExactDistance {

  private ExactDistance() {}

  /** ‖r‖₂ of {@code d} components from {@code begin} on. */
  public static double norm(double[] r, int begin, int d) {
    return Math.sqrt(squaredNorm(r, begin, d));
  }

  /** ‖r‖₂² of {@code d} components from {@code begin} on. */
  public static double squaredNorm(double[] r, int begin, int d) {
    double sum = 0;
    for (int i = begin; i < begin + d; i++) {
      sum += r[i] * r[i];
    }
    return sum;
  }

  /**
   * ‖r_i‖₂ of {@code n} rows; four rows run side by side, because one sum alone waits for each
   * addition to finish.
   *
   * @param r n × d, row-major
   * @param norms receives n norms
   */
  public static void norms(double[] r, int n, int d, double[] norms) {
    int row = 0;
    for (; row + 4 <= n; row += 4) {
      int a = row * d;
      int b = a + d;
      int c = b + d;
      int e = c + d;
      double sa = 0;
      double sb = 0;
      double sc = 0;
      double se = 0;
      for (int i = 0; i < d; i++) {
        sa += r[a + i] * r[a + i];
        sb += r[b + i] * r[b + i];
        sc += r[c + i] * r[c + i];
        se += r[e + i] * r[e + i];
      }
      norms[row] = Math.sqrt(sa);
      norms[row + 1] = Math.sqrt(sb);
      norms[row + 2] = Math.sqrt(sc);
      norms[row + 3] = Math.sqrt(se);
    }
    for (; row < n; row++) {
      norms[row] = norm(r, row * d, d);
    }
  }

  /** ½‖u − c‖², u float64 and c float32, {@code d} components each from their place on. */
  public static double halfSquared(double[] u, int uBegin, float[] c, int cBegin, int d) {
    return 0.5 * squared(u, uBegin, c, cBegin, d);
  }

  /**
   * ‖u − C[k]‖² of every centroid; four run side by side.
   *
   * @param u one vector, d components from {@code uBegin} on
   * @param level the centroids
   * @param squared receives K distances
   */
  public static void squared(double[] u, int uBegin, Centroids level, double[] squared) {
    int d = level.dimension();
    int width = level.width();
    float[] centroids = level.data();
    int k = 0;
    for (; k + 4 <= width; k += 4) {
      int a = k * d;
      int b = a + d;
      int c = b + d;
      int e = c + d;
      double sa = 0;
      double sb = 0;
      double sc = 0;
      double se = 0;
      for (int i = 0; i < d; i++) {
        double ui = u[uBegin + i];
        double da = ui - centroids[a + i];
        double db = ui - centroids[b + i];
        double dc = ui - centroids[c + i];
        double de = ui - centroids[e + i];
        sa += da * da;
        sb += db * db;
        sc += dc * dc;
        se += de * de;
      }
      squared[k] = sa;
      squared[k + 1] = sb;
      squared[k + 2] = sc;
      squared[k + 3] = se;
    }
    for (; k < width; k++) {
      squared[k] = squared(u, uBegin, centroids, k * d, d);
    }
  }

  /** ‖u − c‖², u float64 and c float32, {@code d} components each from their place on. */
  public static double squared(double[] u, int uBegin, float[] c, int cBegin, int d) {
    double sum = 0;
    for (int i = 0; i < d; i++) {
      double difference = u[uBegin + i] - c[cBegin + i];
      sum += difference * difference;
    }
    return sum;
  }

  /**
   * The candidate of the lowest {@code ½‖u − C[k]‖² + w[k]}, the lowest index on an exact tie.
   *
   * @param u one vector, d components from {@code uBegin} on
   * @param level where the candidates are from
   * @param candidates ascending indices of centroids, {@code count} of them, at least one
   */
  public static int nearestOf(
      double[] u, int uBegin, Centroids level, int[] candidates, int count) {
    int d = level.dimension();
    float[] centroids = level.data();
    float[] weights = level.weights();
    int best = -1;
    double bestScore = Double.POSITIVE_INFINITY;
    int at = 0;
    for (; at + 4 <= count; at += 4) {
      int a = candidates[at] * d;
      int b = candidates[at + 1] * d;
      int c = candidates[at + 2] * d;
      int e = candidates[at + 3] * d;
      double sa = 0;
      double sb = 0;
      double sc = 0;
      double se = 0;
      for (int i = 0; i < d; i++) {
        double ui = u[uBegin + i];
        double da = ui - centroids[a + i];
        double db = ui - centroids[b + i];
        double dc = ui - centroids[c + i];
        double de = ui - centroids[e + i];
        sa += da * da;
        sb += db * db;
        sc += dc * dc;
        se += de * de;
      }
      for (int t = 0; t < 4; t++) {
        double score =
            0.5 * (t == 0 ? sa : t == 1 ? sb : t == 2 ? sc : se) + weights[candidates[at + t]];
        if (score < bestScore || best < 0) {
          bestScore = score;
          best = candidates[at + t];
        }
      }
    }
    for (; at < count; at++) {
      double score =
          halfSquared(u, uBegin, centroids, candidates[at] * d, d) + weights[candidates[at]];
      if (score < bestScore || best < 0) {
        bestScore = score;
        best = candidates[at];
      }
    }
    return best;
  }
}
