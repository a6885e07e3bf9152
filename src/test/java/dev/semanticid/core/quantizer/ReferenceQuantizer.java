package dev.semanticid.core.quantizer;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * The definition of semantic IDs, as plainly as it can be written: float64, sums in index order,
 * the lowest index on a tie. Every fast path must agree with it on every row. Deliberately shares
 * nothing with the code under test but the codebook's centroids.
 */
public final class ReferenceQuantizer {

  private final Codebook codebook;

  public ReferenceQuantizer(Codebook codebook) {
    this.codebook = codebook;
  }

  /** Codes of one vector. */
  public int[] encode(float[] x) {
    int d = codebook.dimension();
    double[] r = new double[d];
    for (int i = 0; i < d; i++) {
      r[i] = x[i];
    }
    int[] codes = new int[codebook.levels()];
    boolean exhausted = false;
    for (int l = 0; l < codes.length; l++) {
      double[] u = r.clone();
      if (codebook.normalizeResiduals()) {
        double squares = 0;
        for (int i = 0; i < d; i++) {
          squares += r[i] * r[i];
        }
        double norm = Math.sqrt(squares);
        exhausted |= l == 0 ? norm == 0 : norm <= 1e-6;
        for (int i = 0; i < d; i++) {
          u[i] = exhausted ? 0 : r[i] / norm;
        }
      }
      float[] centroids = codebook.centroids(l).data();
      double best = Double.POSITIVE_INFINITY;
      for (int k = 0; k < codebook.width(l); k++) {
        double sum = 0;
        for (int i = 0; i < d; i++) {
          double difference = u[i] - centroids[k * d + i];
          sum += difference * difference;
        }
        double score = 0.5 * sum;
        if (score < best) {
          best = score;
          codes[l] = k;
        }
      }
      for (int i = 0; i < d; i++) {
        r[i] = u[i] - centroids[codes[l] * d + i];
      }
    }
    return codes;
  }

  /** Codes of n vectors, row-major. */
  public int[] encodeAll(float[] vectors, int n) {
    int d = codebook.dimension();
    int levels = codebook.levels();
    int[] codes = new int[n * levels];
    IntStream.range(0, n)
        .parallel()
        .forEach(row ->
            System.arraycopy(
                encode(Arrays.copyOfRange(vectors, row * d, (row + 1) * d)),
                0,
                codes,
                row * levels,
                levels));
    return codes;
  }
}
