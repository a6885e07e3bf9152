package dev.semanticid.core.encode;

import dev.semanticid.core.codebook.Codebook;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The definition of semantic IDs, as plainly as it can be written: float64, sums in index order,
 * the lowest index on a tie; with a beam, all extensions of all partial codes, sorted. Every fast
 * path must agree with it on every row. Deliberately shares nothing with the code under test but
 * the codebook's centroids.
 */
public final class ReferenceQuantizer {

  private final Codebook codebook;

  public ReferenceQuantizer(Codebook codebook) {
    this.codebook = codebook;
  }

  /** Codes of one vector. */
  public int[] encode(float[] x) {
    return codebook.settings().beamSize() > 1 ? encodeByBeam(x) : encodeGreedily(x);
  }

  private int[] encodeGreedily(float[] x) {
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
        double score = 0.5 * sum + codebook.centroids(l).weights()[k];
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

  /** A code of some levels with what it leaves of a vector. */
  private record Partial(
      List<Integer> codes, double[] residual, double product, boolean exhausted, double score) {}

  private int[] encodeByBeam(float[] x) {
    int d = codebook.dimension();
    double[] start = new double[d];
    for (int i = 0; i < d; i++) {
      start[i] = x[i];
    }
    var beam = List.of(new Partial(List.of(), start, 1, false, 0));
    for (int l = 0; l < codebook.levels(); l++) {
      var extended = new ArrayList<Partial>();
      for (Partial partial : beam) {
        double squares = 0;
        for (int i = 0; i < d; i++) {
          squares += partial.residual[i] * partial.residual[i];
        }
        double norm = Math.sqrt(squares);
        boolean exhausted = false;
        double product = partial.product;
        double[] u = partial.residual;
        if (codebook.normalizeResiduals()) {
          exhausted = partial.exhausted || (l == 0 ? norm == 0 : norm <= 1e-6);
          product = l == 0 ? 1 : product * norm;
          u = new double[d];
          for (int i = 0; i < d; i++) {
            u[i] = exhausted ? 0 : partial.residual[i] / norm;
          }
        }
        float[] centroids = codebook.centroids(l).data();
        for (int k = 0; k < codebook.width(l); k++) {
          double[] r = new double[d];
          double sum = 0;
          for (int i = 0; i < d; i++) {
            r[i] = u[i] - centroids[k * d + i];
            sum += r[i] * r[i];
          }
          var codes = new ArrayList<>(partial.codes);
          codes.add(k);
          extended.add(new Partial(codes, r, product, exhausted, product * product * sum));
        }
      }
      extended.sort(
          Comparator.comparingDouble(Partial::score)
              .thenComparing(Partial::codes, ReferenceQuantizer::lexicographically));
      beam = extended.subList(0, Math.min(codebook.settings().beamSize(), extended.size()));
    }
    return beam.getFirst().codes.stream().mapToInt(Integer::intValue).toArray();
  }

  private static int lexicographically(List<Integer> a, List<Integer> b) {
    return Arrays.compare(
        a.stream().mapToInt(Integer::intValue).toArray(),
        b.stream().mapToInt(Integer::intValue).toArray());
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
