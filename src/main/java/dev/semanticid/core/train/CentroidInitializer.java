package dev.semanticid.core.train;

import dev.semanticid.core.compute.RandomStream;
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
      int blocks = (n + BLOCK_ROWS - 1) / BLOCK_ROWS;
      float[][] transposed = new float[blocks][];
      pool.forEach(
          blocks, block -> transposed[block] = transpose(points, n, d, block * BLOCK_ROWS));
      for (int k = 1; k < chosen.length; k++) {
        int last = chosen[k - 1] * d;
        pool.forEach(
            blocks,
            block -> lower(transposed[block], points, last, d, nearest, block * BLOCK_ROWS));
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

  private static final int BLOCK_ROWS = 256;

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

  /** Up to {@link #BLOCK_ROWS} rows from {@code from} on, component by component. */
  private static float[] transpose(float[] points, int n, int d, int from) {
    int count = Math.min(BLOCK_ROWS, n - from);
    float[] transposed = new float[count * d];
    for (int row = 0; row < count; row++) {
      for (int i = 0; i < d; i++) {
        transposed[i * count + row] = points[(from + row) * d + i];
      }
    }
    return transposed;
  }

  /**
   * Lowers each row's squared distance to that to the centroid at {@code c}. The inner loop runs
   * across rows, so it vectorises and leaves each row's sum in index order.
   */
  private static void lower(
      float[] transposed, float[] points, int c, int d, double[] nearest, int from) {
    int count = transposed.length / d;
    double[] sums = new double[count];
    for (int i = 0; i < d; i++) {
      double ci = points[c + i];
      int begin = i * count;
      for (int row = 0; row < count; row++) {
        double difference = transposed[begin + row] - ci;
        sums[row] += difference * difference;
      }
    }
    for (int row = 0; row < count; row++) {
      nearest[from + row] = Math.min(nearest[from + row], sums[row]);
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
