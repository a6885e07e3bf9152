package dev.semanticid.core.encode;

import dev.semanticid.core.codebook.Codebook;
import java.util.random.RandomGenerator;

/**
 * Rows made to break a fast path: half-way between two centroids and one ulp to either side, on
 * centroids and next to them, zero, huge and tiny, at every level of the codebook.
 */
public final class AdversarialRows {

  private final Codebook codebook;
  private final RandomGenerator random;
  private final int d;

  public AdversarialRows(Codebook codebook, RandomGenerator random) {
    this.codebook = codebook;
    this.random = random;
    this.d = codebook.dimension();
  }

  public float[] make(int n) {
    float[] rows = new float[n * d];
    for (int row = 0; row < n; row++) {
      float[] x = one(row % 9);
      System.arraycopy(x, 0, rows, row * d, d);
    }
    return rows;
  }

  private float[] one(int kind) {
    double[] x = new double[d];
    switch (kind) {
      case 0 -> addBetween(x, 0, 1);
      case 1 -> {
        // a tie at a deeper level, on the residual of exact centroids above it
        int depth = random.nextInt(codebook.levels());
        double scale = 1;
        for (int l = 0; l < depth; l++) {
          addCentroid(codebook, l, random, scale, x);
          scale *= 0.5 + random.nextDouble();
        }
        addBetween(x, depth, scale);
      }
      case 2 -> addCentroid(codebook, 0, random, 1, x);
      case 3 -> {
        addCentroid(codebook, 0, random, 1, x);
        addNoise(x, Math.pow(10, -9 + 6 * random.nextDouble()));
      }
      case 4 -> {
        if (random.nextBoolean()) {
          addNoise(x, 1);
          scale(x, Math.pow(10, -30 + 60 * random.nextDouble()));
        }
      }
      case 5 -> {
        for (int l = 0; l < codebook.levels(); l++) {
          addCentroid(codebook, l, random, 1, x);
        }
      }
      case 6 -> {
        addBetween(x, 0, 1);
        scale(x, Math.scalb(1.0, random.nextInt(41) - 20));
      }
      case 7 -> x[random.nextInt(d)] = random.nextBoolean() ? 1e30 : 1e-30;
      default -> addNoise(x, 1);
    }
    float[] result = new float[d];
    int nudged = random.nextInt(d);
    for (int i = 0; i < d; i++) {
      result[i] = (float) x[i];
      if (i == nudged && kind < 7) {
        result[i] =
            switch (random.nextInt(3)) {
              case 0 -> Math.nextUp(result[i]);
              case 1 -> Math.nextDown(result[i]);
              default -> result[i];
            };
      }
    }
    return result;
  }

  private int anyCentroid(int level) {
    return random.nextInt(codebook.width(level));
  }

  /** Adds any centroid of a level. */
  public static void addCentroid(
      Codebook codebook, int level, RandomGenerator random, double scale, double[] x) {
    int k = random.nextInt(codebook.width(level));
    for (int i = 0; i < x.length; i++) {
      x[i] += scale * codebook.centroids(level).data()[k * x.length + i];
    }
  }

  private void addBetween(double[] x, int level, double scale) {
    int a = anyCentroid(level);
    int b = anyCentroid(level);
    float[] centroids = codebook.centroids(level).data();
    for (int i = 0; i < d; i++) {
      x[i] += scale * 0.5 * ((double) centroids[a * d + i] + centroids[b * d + i]);
    }
  }

  private void addNoise(double[] x, double size) {
    for (int i = 0; i < d; i++) {
      x[i] += size * random.nextGaussian();
    }
  }

  private static void scale(double[] x, double factor) {
    for (int i = 0; i < x.length; i++) {
      x[i] *= factor;
    }
  }
}
