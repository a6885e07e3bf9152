package dev.semanticid.core.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.semanticid.core.compute.RandomStream;
import dev.semanticid.core.compute.RandomStream.Purpose;
import dev.semanticid.core.compute.WorkerPool;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** First centroids are rows of the buffer, drawn with the probabilities that the method names. */
@TestInstance(Lifecycle.PER_CLASS)
class CentroidInitializerTest {

  private static final int DRAWS = 20_000;

  private final WorkerPool one = new WorkerPool(1, "one");
  private final WorkerPool three = new WorkerPool(3, "three");

  @AfterAll
  void close() {
    one.close();
    three.close();
  }

  private float[] choose(
      CentroidInitializer initializer, float[] points, int d, int width, long seed) {
    return initializer.initialize(
        points, points.length / d, d, width, RandomStream.of(seed, Purpose.INITIALIZATION, 0), one);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3, 8})
  void kMeansPlusPlus_distinctPointsLeft_neverRepeatsOne(int d) {
    var random = new SplittableRandom(1);
    int distinct = 12;
    // every distinct point several times over; some of them 1e-20 apart, far below the others
    float[] points = new float[distinct * 7 * d];
    for (int row = 0; row < distinct * 7; row++) {
      int point = row % distinct;
      for (int i = 0; i < d; i++) {
        points[row * d + i] = point < 4 ? point * 1e-20f : point;
      }
    }
    for (int seed = 0; seed < 200; seed++) {
      int width = 1 + random.nextInt(distinct);
      float[] centroids = choose(CentroidInitializer.KMEANS_PLUS_PLUS, points, d, width, seed);
      assertThat(rows(centroids, d)).hasSize(width).doesNotHaveDuplicates();
    }
  }

  @Test
  void kMeansPlusPlus_fewerDistinctPointsThanCentroids_takesAllOfThemFirst() {
    float[] points = {5, 5, 1, 1, 5, 1, 9, 5};
    for (int seed = 0; seed < 200; seed++) {
      float[] centroids = choose(CentroidInitializer.KMEANS_PLUS_PLUS, points, 1, 6, seed);
      assertThat(Arrays.copyOf(centroids, 3)).containsExactlyInAnyOrder(1, 5, 9);
      assertThat(centroids).hasSize(6).containsOnly(1, 5, 9);
    }
  }

  /** All ordered outcomes of three draws from five points, against their exact probabilities. */
  @Test
  void kMeansPlusPlus_manySeeds_drawsInProportionToSquaredDistance() {
    double[] x = {0, 1, 3, 3.5, 10};
    int n = x.length;
    double[] expected = new double[n * n * n];
    for (int a = 0; a < n; a++) {
      int first = a;
      double[] second = proportional(n, i -> square(x[i] - x[first]));
      for (int b = 0; b < n; b++) {
        int next = b;
        double[] third =
            proportional(n, i -> Math.min(square(x[i] - x[first]), square(x[i] - x[next])));
        for (int c = 0; c < n; c++) {
          expected[(a * n + b) * n + c] = second[b] * third[c] / n;
        }
      }
    }
    float[] points = new float[n];
    for (int i = 0; i < n; i++) {
      points[i] = (float) x[i];
    }
    long[] observed = new long[n * n * n];
    for (int seed = 0; seed < DRAWS; seed++) {
      float[] centroids = choose(CentroidInitializer.KMEANS_PLUS_PLUS, points, 1, 3, seed);
      int outcome = 0;
      for (float centroid : centroids) {
        outcome = outcome * n + Arrays.binarySearch(points, centroid);
      }
      observed[outcome]++;
    }
    assertDistribution(observed, expected);
  }

  @Test
  void random_manySeeds_drawsOrderedPairsOfDistinctRowsUniformly() {
    float[] points = {0, 1, 2, 3, 4};
    double[] expected = new double[25];
    Arrays.fill(expected, 1.0 / 20);
    for (int i = 0; i < 5; i++) {
      expected[i * 6] = 0;
    }
    long[] observed = new long[25];
    for (int seed = 0; seed < DRAWS; seed++) {
      float[] centroids = choose(CentroidInitializer.RANDOM, points, 1, 2, seed);
      observed[(int) (centroids[0] * 5 + centroids[1])]++;
    }
    assertDistribution(observed, expected);
  }

  @Test
  void random_asManyCentroidsAsRows_takesEachOnceAndThenEachAgain() {
    float[] points = {0, 1, 2, 3, 4, 5, 6};
    for (int seed = 0; seed < 50; seed++) {
      float[] centroids = choose(CentroidInitializer.RANDOM, points, 1, 14, seed);
      assertThat(Arrays.copyOf(centroids, 7)).containsExactlyInAnyOrder(points);
      assertThat(Arrays.copyOfRange(centroids, 7, 14)).containsExactlyInAnyOrder(points);
    }
  }

  @ParameterizedTest
  @EnumSource(CentroidInitializer.class)
  void initialize_oneCentroid_isAnyRowEquallyOften(CentroidInitializer initializer) {
    float[] points = {0, 0.001f, 0.002f, 50};
    long[] observed = new long[4];
    for (int seed = 0; seed < DRAWS; seed++) {
      float[] centroids = choose(initializer, points, 1, 1, seed);
      assertThat(centroids).hasSize(1);
      observed[Arrays.binarySearch(points, centroids[0])]++;
    }
    assertDistribution(observed, new double[] {0.25, 0.25, 0.25, 0.25});
  }

  @ParameterizedTest
  @EnumSource(CentroidInitializer.class)
  void initialize_allRowsEqual_givesThatRow(CentroidInitializer initializer) {
    float[] points = new float[40 * 3];
    for (int i = 0; i < points.length; i++) {
      points[i] = i % 3 - 0.1f;
    }
    for (int width : new int[] {1, 7, 40, 60}) {
      float[] centroids = choose(initializer, points, 3, width, 5);
      assertThat(rows(centroids, 3)).hasSize(width).containsOnly(List.of(-0.1f, 0.9f, 1.9f));
    }
  }

  @ParameterizedTest
  @EnumSource(CentroidInitializer.class)
  void initialize_fewerRowsThanCentroids_repeatsRows(CentroidInitializer initializer) {
    float[] points = {1, 2, 3, 4};
    float[] centroids = choose(initializer, points, 2, 9, 3);
    assertThat(rows(centroids, 2))
        .hasSize(9)
        .containsOnly(List.of(1f, 2f), List.of(3f, 4f))
        .contains(List.of(1f, 2f), List.of(3f, 4f));
  }

  @ParameterizedTest
  @EnumSource(CentroidInitializer.class)
  void initialize_onOneOrThreeThreads_choosesTheSame(CentroidInitializer initializer) {
    var random = new SplittableRandom(4);
    for (int n : new int[] {1, 255, 256, 257, 1030}) {
      int d = 13;
      float[] points = new float[n * d];
      for (int i = 0; i < points.length; i++) {
        points[i] = (float) random.nextGaussian();
      }
      float[] expected = choose(initializer, points, d, 50, n);
      float[] actual =
          initializer.initialize(
              points, n, d, 50, RandomStream.of(n, Purpose.INITIALIZATION, 0), three);
      assertThat(actual).as("%d rows", n).isEqualTo(expected);
      if (n > 1) {
        assertThat(choose(initializer, points, d, 50, n + 1L))
            .as("%d rows, another seed", n)
            .isNotEqualTo(expected);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(CentroidInitializer.class)
  void initialize_arrayLongerThanItsRows_choosesAmongItsRowsOnly(CentroidInitializer initializer) {
    float[] points = {1, 2, 3, 99, 99, 99, 99, 99};
    for (int seed = 0; seed < 50; seed++) {
      float[] centroids =
          initializer.initialize(
              points, 3, 1, 3, RandomStream.of(seed, Purpose.INITIALIZATION, 0), one);
      assertThat(centroids).containsExactlyInAnyOrder(1, 2, 3);
    }
  }

  @ParameterizedTest
  @EnumSource(CentroidInitializer.class)
  void initialize_noRows_isRefusedWithTheirNumber(CentroidInitializer initializer) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> choose(initializer, new float[0], 1, 3, 1))
        .withMessageContaining("0 rows");
  }

  private static double square(double value) {
    return value * value;
  }

  private static double[] proportional(int n, IntToDoubleFunction weight) {
    double[] p = new double[n];
    double sum = 0;
    for (int i = 0; i < n; i++) {
      p[i] = weight.applyAsDouble(i);
      sum += p[i];
    }
    for (int i = 0; i < n; i++) {
      p[i] = sum > 0 ? p[i] / sum : 1.0 / n;
    }
    return p;
  }

  /**
   * Pearson's χ² within six standard deviations of its mean; what is impossible never happens.
   * Outcomes expected fewer than five times are pooled.
   */
  private static void assertDistribution(long[] observed, double[] probabilities) {
    double chi = 0;
    int cells = 0;
    double pooledExpected = 0;
    long pooledObserved = 0;
    for (int i = 0; i < observed.length; i++) {
      double expected = DRAWS * probabilities[i];
      if (expected == 0) {
        assertThat(observed[i]).as("times that impossible outcome %d was drawn", i).isZero();
      } else if (expected < 5) {
        pooledExpected += expected;
        pooledObserved += observed[i];
      } else {
        chi += square(observed[i] - expected) / expected;
        cells++;
      }
    }
    if (pooledExpected > 0) {
      chi += square(pooledObserved - pooledExpected) / pooledExpected;
      cells++;
    }
    int freedom = cells - 1;
    assertThat(chi)
        .as("χ² with %d degrees of freedom", freedom)
        .isLessThan(freedom + 6 * Math.sqrt(2.0 * freedom));
  }

  private static List<List<Float>> rows(float[] data, int d) {
    var rows = new ArrayList<List<Float>>();
    for (int begin = 0; begin < data.length; begin += d) {
      var row = new ArrayList<Float>();
      for (int i = begin; i < begin + d; i++) {
        row.add(data[i]);
      }
      rows.add(row);
    }
    return rows;
  }
}
