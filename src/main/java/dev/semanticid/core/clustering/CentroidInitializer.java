package dev.semanticid.core.clustering;

import dev.semanticid.core.compute.WorkerPool;
import java.util.Arrays;
import java.util.random.RandomGenerator;

/** How the first centroids of a level are chosen from its buffer of rows. */
public enum CentroidInitializer {

  /**
   * k-means++ (Arthur & Vassilvitskii 2007): the first centroid uniform, each next one drawn with
   * probability proportional to its squared distance to the nearest already chosen; uniform where
   * all distances are 0. The nearest distance is kept up to date, so a draw costs one pass over the
   * rows.
   */
  KMEANS_PLUS_PLUS {
    @Override
    void choose(
        float[] points, int n, int d, int[] chosen, RandomGenerator random, WorkerPool pool) {
      double[] nearest = new double[n];
      Arrays.fill(nearest, Double.POSITIVE_INFINITY);
      chosen[0] = RandomStream.below(random, n);
      int tasks = (n + ROWS_PER_TASK - 1) / ROWS_PER_TASK;
      for (int k = 1; k < chosen.length; k++) {
        int last = chosen[k - 1];
        pool.forEach(
            tasks,
            task -> {
              int from = task * ROWS_PER_TASK;
              lower(points, from, Math.min(n, from + ROWS_PER_TASK), d, last, nearest);
            });
        chosen[k] = draw(nearest, random);
      }
    }
  },

  /**
   * Distinct rows, each subset as likely as any other; rows repeat only where there are fewer than
   * centroids.
   */
  RANDOM {
    @Override
    void choose(
        float[] points, int n, int d, int[] chosen, RandomGenerator random, WorkerPool pool) {
      int[] order = new int[n];
      for (int i = 0; i < n; i++) {
        order[i] = i;
      }
      for (int k = 0; k < chosen.length; k++) {
        int at = k % n;
        int other = at + RandomStream.below(random, n - at);
        int row = order[other];
        order[other] = order[at];
        order[at] = row;
        chosen[k] = row;
      }
    }
  };

  private static final int ROWS_PER_TASK = 256;

  abstract void choose(
      float[] points, int n, int d, int[] chosen, RandomGenerator random, WorkerPool pool);

  /**
   * Chooses {@code width} of {@code n} rows as centroids. Distances are float64, each summed in
   * index order, so the choice depends on the rows and the random numbers alone.
   *
   * @param points n × d, row-major
   * @param n number of rows, 1 or more
   * @return width × d, row-major
   */
  public float[] initialize(
      float[] points, int n, int d, int width, RandomGenerator random, WorkerPool pool) {
    if (n < 1) {
      throw new IllegalArgumentException("centroids cannot be chosen from " + n + " rows");
    }
    int[] chosen = new int[width];
    choose(points, n, d, chosen, random, pool);
    float[] centroids = new float[width * d];
    for (int k = 0; k < width; k++) {
      System.arraycopy(points, chosen[k] * d, centroids, k * d, d);
    }
    return centroids;
  }

  /** Lowers each row's squared distance to that to row {@code last}, four rows side by side. */
  private static void lower(float[] p, int from, int to, int d, int last, double[] nearest) {
    int c = last * d;
    int row = from;
    for (; row + 4 <= to; row += 4) {
      int r0 = row * d;
      int r1 = r0 + d;
      int r2 = r1 + d;
      int r3 = r2 + d;
      double s0 = 0;
      double s1 = 0;
      double s2 = 0;
      double s3 = 0;
      for (int i = 0; i < d; i++) {
        double ci = p[c + i];
        double d0 = p[r0 + i] - ci;
        double d1 = p[r1 + i] - ci;
        double d2 = p[r2 + i] - ci;
        double d3 = p[r3 + i] - ci;
        s0 += d0 * d0;
        s1 += d1 * d1;
        s2 += d2 * d2;
        s3 += d3 * d3;
      }
      nearest[row] = Math.min(nearest[row], s0);
      nearest[row + 1] = Math.min(nearest[row + 1], s1);
      nearest[row + 2] = Math.min(nearest[row + 2], s2);
      nearest[row + 3] = Math.min(nearest[row + 3], s3);
    }
    for (; row < to; row++) {
      double sum = 0;
      for (int i = 0; i < d; i++) {
        double difference = p[row * d + i] - (double) p[c + i];
        sum += difference * difference;
      }
      nearest[row] = Math.min(nearest[row], sum);
    }
  }

  private static int draw(double[] weights, RandomGenerator random) {
    double total = 0;
    for (double weight : weights) {
      total += weight;
    }
    if (!(total > 0)) {
      return RandomStream.below(random, weights.length);
    }
    double target = RandomStream.unit(random) * total;
    double sum = 0;
    int last = 0;
    for (int i = 0; i < weights.length; i++) {
      if (weights[i] > 0) {
        sum += weights[i];
        last = i;
        if (sum > target) {
          return i;
        }
      }
    }
    return last;
  }
}
