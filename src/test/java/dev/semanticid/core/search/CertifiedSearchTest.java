package dev.semanticid.core.search;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Centroids;
import dev.semanticid.core.codebook.ExactDistance;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.HostileBackend;
import dev.semanticid.core.compute.HostileBackend.Plot;
import dev.semanticid.core.compute.JavaBackend;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Hunts for vectors whose nearest centroid the search gets wrong when the products it is given are
 * as wrong as their bound allows.
 */
class CertifiedSearchTest {

  private static final List<Plot> PLOTS =
      List.of(HostileBackend.AGAINST_NEAREST, HostileBackend.ERRATIC);

  /** −1 stands for float32's own bound; the others for backends of lower precision. */
  private static final double[] GAMMAS = {-1, 1e-4, 0.02, 0.7};

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 5, 8, 17, 33, 64})
  void assign_misleadingProducts_findsTheNearest(int d) {
    var random = new SplittableRandom(d);
    for (int round = 0; round < 6; round++) {
      int width = new int[] {1, 2, 3, 16, 40, 65}[round];
      boolean sameNorms = round % 2 == 0;
      for (double size : new double[] {1, 1e-9, 1e9, 1e-25}) {
        float[] centroids = centroids(random, width, d, size, sameNorms);
        double[] u = vectors(random, centroids, 300, d, size);
        for (double gamma : GAMMAS) {
          for (Plot plot : PLOTS) {
            assertFindsNearest(new HostileBackend(gamma, plot), centroids, u, d);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"1e-30,1", "1,1e-30", "1e-38,1e-5", "1e20,1e20", "1e30,1", "1,1e30", "1e-44,1e-44"})
  void assign_sizesThatFloat32CanHardlyHold_findsTheNearest(double centroidSize, double size) {
    var random = new SplittableRandom(2);
    for (int d : new int[] {1, 4, 19}) {
      float[] centroids = centroids(random, 23, d, centroidSize, false);
      double[] u = new double[200 * d];
      for (int i = 0; i < u.length; i++) {
        u[i] = (float) (size * random.nextGaussian());
      }
      assertFindsNearest(new JavaBackend(), centroids, u, d);
    }
  }

  @Test
  void assign_exactTies_takesTheLowestIndex() {
    float[] centroids = {3, 3, 1, 0, -1, 0, 0, 1, 0, -1, 1, 0};
    double[] u = {0, 0, 2, 0, 0, 0.5, -7, -7, 0.5, 0.5};
    assertThat(codes(new JavaBackend(), centroids, u, 2)).containsExactly(1, 1, 3, 2, 1);
    for (Plot plot : PLOTS) {
      assertThat(codes(new HostileBackend(0.1, plot), centroids, u, 2))
          .containsExactly(1, 1, 3, 2, 1);
    }
  }

  @Test
  void assign_strideAndBegin_writesOnlyItsPlaces() {
    float[] centroids = {0, 10, 20};
    int[] codes = new int[9];
    Arrays.fill(codes, -5);
    var search = search(new JavaBackend(), centroids, 1);
    search.assign(
        new double[] {19, 1, 11},
        new double[] {19, 1, 11},
        3,
        codes,
        1,
        3,
        new CertifiedSearch.Scratch());
    assertThat(codes).containsExactly(-5, 2, -5, -5, 0, -5, -5, 1, -5);
  }

  @Test
  void assign_honestProductsOfOrdinaryVectors_provesNearlyAllOfThem() {
    var random = new SplittableRandom(3);
    int d = 64;
    int n = 2000;
    float[] centroids = centroids(random, 100, d, 1, false);
    double[] u = new double[n * d];
    for (int i = 0; i < u.length; i++) {
      u[i] = random.nextGaussian() / Math.sqrt(d);
    }
    double[] norms = new double[n];
    ExactDistance.norms(u, n, d, norms);
    int[] codes = new int[n];
    var scratch = new CertifiedSearch.Scratch();
    assertThat(search(new JavaBackend(), centroids, d).assign(u, norms, n, codes, 0, 1, scratch))
        .as("vectors the bound could not decide")
        .isLessThan(n / 100);
    assertThat(
            search(new HostileBackend(0.7, HostileBackend.ERRATIC), centroids, d)
                .assign(u, norms, n, codes, 0, 1, scratch))
        .as("vectors that a bound of 0.7 cannot decide")
        .isEqualTo(n);
  }

  private static void assertFindsNearest(
      ComputeBackend backend, float[] centroids, double[] u, int d) {
    int[] codes = codes(backend, centroids, u, d);
    for (int row = 0; row < codes.length; row++) {
      int expected = nearest(centroids, u, row, d);
      if (codes[row] != expected) {
        assertThat(codes[row])
            .as(
                "%s, d = %d, %d centroids: nearest to vector %s",
                backend.device(),
                d,
                centroids.length / d,
                Arrays.toString(Arrays.copyOfRange(u, row * d, (row + 1) * d)))
            .isEqualTo(expected);
      }
    }
  }

  private static CertifiedSearch search(ComputeBackend backend, float[] centroids, int d) {
    int width = centroids.length / d;
    return new CertifiedSearch(
        new Centroids(centroids, width, d),
        backend.makeResident(centroids, width, d),
        backend.gamma(d));
  }

  private static int[] codes(ComputeBackend backend, float[] centroids, double[] u, int d) {
    int n = u.length / d;
    double[] norms = new double[n];
    for (int row = 0; row < n; row++) {
      double squares = 0;
      for (int i = 0; i < d; i++) {
        squares += u[row * d + i] * u[row * d + i];
      }
      norms[row] = Math.sqrt(squares);
    }
    int[] codes = new int[n];
    search(backend, centroids, d).assign(u, norms, n, codes, 0, 1, new CertifiedSearch.Scratch());
    return codes;
  }

  /** The contract's argmin, written down once more. */
  private static int nearest(float[] centroids, double[] u, int row, int d) {
    int best = 0;
    double smallest = Double.POSITIVE_INFINITY;
    for (int k = 0; k < centroids.length / d; k++) {
      double sum = 0;
      for (int i = 0; i < d; i++) {
        double difference = u[row * d + i] - centroids[k * d + i];
        sum += difference * difference;
      }
      if (0.5 * sum < smallest) {
        smallest = 0.5 * sum;
        best = k;
      }
    }
    return best;
  }

  /** Centroids with a duplicate and a zero; all of one length, where the bound is tightest. */
  private static float[] centroids(
      SplittableRandom random, int width, int d, double size, boolean sameNorms) {
    float[] centroids = new float[width * d];
    for (int k = 0; k < width; k++) {
      double[] c = new double[d];
      double squares = 0;
      for (int i = 0; i < d; i++) {
        c[i] = random.nextGaussian();
        squares += c[i] * c[i];
      }
      double scale = size / Math.sqrt(sameNorms ? squares : d);
      for (int i = 0; i < d; i++) {
        centroids[k * d + i] = (float) (scale * c[i]);
      }
    }
    if (width > 4) {
      System.arraycopy(centroids, 0, centroids, (width - 1) * d, d);
      Arrays.fill(centroids, d, 2 * d, 0f);
    }
    return centroids;
  }

  /** Vectors on, next to and between centroids, and anywhere. */
  private static double[] vectors(
      SplittableRandom random, float[] centroids, int n, int d, double size) {
    int width = centroids.length / d;
    double[] u = new double[n * d];
    for (int row = 0; row < n; row++) {
      int a = random.nextInt(width) * d;
      int b = random.nextInt(width) * d;
      double noise = size * Math.pow(10, -17 + 17 * random.nextDouble());
      double share = row % 4 == 0 ? 0 : 0.5 + Math.pow(10, -17 + 16 * random.nextDouble());
      double length = row % 6 == 5 ? Math.pow(10, -4 + 8 * random.nextDouble()) : 1;
      for (int i = 0; i < d; i++) {
        double between = centroids[a + i] + share * ((double) centroids[b + i] - centroids[a + i]);
        u[row * d + i] =
            row % 8 == 7
                ? size * random.nextGaussian()
                : length * (between + (row % 2) * noise * random.nextGaussian());
      }
    }
    Arrays.fill(u, 0, d, 0);
    return u;
  }
}
