package dev.semanticid.core.search;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The search for scores that may be the smallest, against its definition in float64. */
class ScoresTest {

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 15, 16, 17, 31, 32, 33, 255, 1000})
  void mayBeSmallest_anyBounds_findsTheLowerBoundsNotAboveTheLeastUpperBound(int width) {
    var random = new SplittableRandom(width);
    var scores = new Scores();
    // what a wider level left behind must not matter
    scores.values(2000);
    Arrays.fill(scores.values(), -1e9f);
    for (int round = 0; round < 2000; round++) {
      // from errors that hide everything to those that hide nothing
      float a = (float) Math.pow(10, -7 + 8 * random.nextDouble());
      float b = random.nextInt(4) == 0 ? 0 : (float) Math.pow(10, -7 + 8 * random.nextDouble());
      double tolerance = random.nextInt(3) == 0 ? 0 : Math.pow(10, -9 + 8 * random.nextDouble());
      float[] values = scores.values(width);
      float[] p = new float[width];
      float[] q = new float[width];
      boolean ties = round % 3 == 0;
      for (int k = 0; k < width; k++) {
        values[k] = ties ? random.nextInt(-2, 3) : (float) random.nextGaussian();
        p[k] = (float) Math.abs(random.nextGaussian());
        q[k] = random.nextInt(5) == 0 ? 0 : (float) random.nextDouble();
      }
      int count = scores.mayBeSmallest(width, a, p, b, q, tolerance);
      assertThat(Arrays.copyOf(scores.candidates(), count))
          .isEqualTo(notAboveLeastUpper(values, width, a, p, b, q, tolerance));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 15, 16, 17, 255, 1000})
  void within_anyTolerance_findsAllWithinIt(int width) {
    var random = new SplittableRandom(width);
    var scores = new Scores();
    for (int round = 0; round < 1000; round++) {
      double tolerance = random.nextInt(3) == 0 ? 0 : Math.pow(10, -9 + 10 * random.nextDouble());
      float[] values = scores.values(width);
      double smallest = Double.POSITIVE_INFINITY;
      for (int k = 0; k < width; k++) {
        values[k] = round % 3 == 0 ? random.nextInt(-2, 3) : (float) random.nextGaussian();
        smallest = Math.min(smallest, values[k]);
      }
      double limit = smallest + tolerance;
      int count = scores.within(tolerance, width);
      assertThat(Arrays.stream(scores.candidates(), 0, count).boxed())
          .isSorted()
          .containsAll(IntStream.range(0, width).filter(k -> values[k] <= limit).boxed().toList())
          // rounding to float32 may add a neighbour and no more
          .allSatisfy(k -> assertThat(values[k] - limit).isLessThan(1e-6));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 15, 16, 17, 255, 1000})
  void search_smallestIsNotFinite_findsNone(int width) {
    var random = new SplittableRandom(width);
    var scores = new Scores();
    float[] ones = new float[width];
    Arrays.fill(ones, 1f);
    for (float bad : new float[] {Float.NaN, Float.NEGATIVE_INFINITY}) {
      for (int round = 0; round < 50; round++) {
        float[] values = scores.values(width);
        for (int k = 0; k < width; k++) {
          values[k] = (float) random.nextGaussian();
        }
        values[round == 0 ? 0 : round == 1 ? width - 1 : random.nextInt(width)] = bad;
        assertThat(scores.mayBeSmallest(width, 1, ones, 1, ones, 1)).isZero();
        assertThat(scores.within(1, width)).isZero();
      }
    }
    Arrays.fill(scores.values(width), 0, width, Float.POSITIVE_INFINITY);
    assertThat(scores.mayBeSmallest(width, 1, ones, 1, ones, 1)).isZero();
    assertThat(scores.within(1, width)).isZero();
  }

  /** Errors so large that no score says anything. */
  @ParameterizedTest
  @ValueSource(ints = {1, 15, 16, 17, 255, 1000})
  void mayBeSmallest_upperBoundsBeyondFloat32_keepsAll(int width) {
    var random = new SplittableRandom(width);
    var scores = new Scores();
    float[] values = scores.values(width);
    float[] huge = new float[width];
    Arrays.fill(huge, Float.MAX_VALUE);
    for (int k = 0; k < width; k++) {
      values[k] = (float) random.nextGaussian();
    }
    assertThat(scores.mayBeSmallest(width, 4, huge, 4, huge, 0)).isEqualTo(width);
    assertThat(scores.mayBeSmallest(width, 0, huge, 0, huge, 1e300)).isEqualTo(width);
    assertThat(scores.within(1e300, width)).isEqualTo(width);
  }

  private static int[] notAboveLeastUpper(
      float[] lower, int width, double a, float[] p, double b, float[] q, double tolerance) {
    double least = Double.POSITIVE_INFINITY;
    for (int k = 0; k < width; k++) {
      least = Math.min(least, lower[k] + 2 * (a * p[k] + b * q[k]) + tolerance);
    }
    double limit = least;
    return IntStream.range(0, width).filter(k -> lower[k] <= limit).toArray();
  }
}
