package dev.semanticid.core.search;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Centroids;
import java.math.BigDecimal;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the screening bound takes for granted about coded centroids, in exact arithmetic. */
class Int8CentroidsTest {

  @ParameterizedTest
  @CsvSource({
    "1, 1", "1, 9", "2, 5", "3, 40", "4, 2", "5, 17", "7, 30", "64, 33", "207, 10", "384, 20"
  })
  void code_allKindsOfCentroids_staysWithinItsOwnBounds(int d, int width) {
    var random = new SplittableRandom(1000L * d + width);
    for (double size : new double[] {1, 1e-9, 1e9, 1e-30, 1e18, 1e-44}) {
      for (double shift : new double[] {0, 0.3, 1, 1e4}) {
        float[] data = new float[width * d];
        for (int k = 0; k < width; k++) {
          // some much shorter than others
          double length = size * Math.pow(10, -random.nextInt(4));
          for (int i = 0; i < d; i++) {
            data[k * d + i] = (float) (length * random.nextGaussian() + size * shift);
          }
        }
        if (width > 4) {
          System.arraycopy(data, 0, data, d, d);
          Arrays.fill(data, 2 * d, 3 * d, 0f);
          Arrays.fill(data, 3 * d, 4 * d, 0f);
          data[3 * d + random.nextInt(d)] = (float) (100 * size);
        }
        assertWithinBounds(data, width, d);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 5, 64})
  void code_zeroCentroids_areCodedAsZero(int d) {
    var coded = assertWithinBounds(new float[3 * d], 3, d);
    assertThat(coded.components()).containsOnly(0);
    assertThat(coded.steps()).containsOnly(0);
    assertThat(coded.sums()).containsOnly(0);
    // rounded up from 0
    assertThat(coded.maxCodedNorm()).isLessThan(1e-40);
    assertThat(coded.maxErrorNorm()).isLessThan(1e-40);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 6})
  void code_equalCentroids_areAllMeanAndNoRemainder(int width) {
    var random = new SplittableRandom(width);
    int d = 33;
    float[] one = gaussian(random, d, 1);
    float[] data = new float[width * d];
    for (int k = 0; k < width; k++) {
      System.arraycopy(one, 0, data, k * d, d);
    }
    var coded = assertWithinBounds(data, width, d);
    assertThat(coded.mean()).isEqualTo(one);
    assertThat(coded.components()).containsOnly(0);
    assertThat(coded.maxErrorNorm()).isLessThan(1e-13);
  }

  @Test
  void mean_centroidsAroundAPointFarAway_isThatPoint() {
    var random = new SplittableRandom(3);
    int d = 20;
    int width = 50;
    float[] data = gaussian(random, width * d, 1);
    for (int i = 0; i < data.length; i++) {
      data[i] += 10f;
    }
    var coded = assertWithinBounds(data, width, d);
    assertThat(coded.mean())
        .isNotNull()
        .satisfies(mean -> {
          for (float component : mean) {
            assertThat(component).isBetween(9f, 11f);
          }
        });
    // Without it they would be ten times as long.
    assertThat(coded.maxCodedNorm()).isLessThan(2 * Math.sqrt(d));
  }

  /** What centring takes off must pay for a dot product with every row. */
  @Test
  void mean_centroidsAroundTheOrigin_isLeftOut() {
    var random = new SplittableRandom(4);
    float[] data = gaussian(random, 200 * 16, 1);
    assertThat(assertWithinBounds(data, 200, 16).mean()).isNull();
    float[] opposite = new float[2 * 16];
    for (int i = 0; i < 16; i++) {
      opposite[i] = data[i];
      opposite[16 + i] = -data[i];
    }
    assertThat(assertWithinBounds(opposite, 2, 16).mean()).isNull();
  }

  @Test
  void errorNorms_ordinaryCentroids_areOnePercentAndHardlyMoreThanTheError() {
    var random = new SplittableRandom(5);
    int d = 384;
    int width = 30;
    float[] data = gaussian(random, width * d, 1);
    var centroids = new Centroids(data, width, d);
    var coded = new Int8Centroids(centroids);
    for (int k = 0; k < width; k++) {
      double actual = Math.sqrt(squaredError(coded, data, k, d).doubleValue());
      assertThat((double) coded.errorNorms()[k]).isBetween(actual, 1.00001 * actual);
      assertThat(coded.errorNorms()[k] / centroids.norms()[k]).isLessThan(0.01);
      assertThat((double) coded.codedNorms()[k])
          .isBetween(0.99 * centroids.norms()[k], 1.01 * centroids.norms()[k]);
    }
  }

  private static Int8Centroids assertWithinBounds(float[] data, int width, int d) {
    var coded = new Int8Centroids(new Centroids(data, width, d));
    int bytes = 4 * Int8Rows.words(d);
    assertThat(coded.width()).isEqualTo(width);
    assertThat(coded.components()).hasSize(width * bytes);
    double maxCoded = 0;
    double maxError = 0;
    for (int k = 0; k < width; k++) {
      int sum = 0;
      long squares = 0;
      for (int at = 0; at < bytes; at++) {
        int w = coded.components()[k * bytes + at];
        assertThat(w).isBetween(-127, 127);
        sum += w;
        squares += (long) w * w;
      }
      int ofComponents = 0;
      for (int i = 0; i < d; i++) {
        ofComponents += coded.components()[k * bytes + Int8Rows.position(i, d)];
      }
      // Nothing lies where there is no component.
      assertThat(sum).isEqualTo(ofComponents).isEqualTo(coded.sums()[k]);
      assertThat(squaredError(coded, data, k, d))
          .as("squared error of centroid %d of %d, d %d", k, width, d)
          .isLessThanOrEqualTo(new BigDecimal(coded.errorNorms()[k]).pow(2));
      assertThat(new BigDecimal(coded.steps()[k]).pow(2).multiply(BigDecimal.valueOf(squares)))
          .as("squared coded norm of centroid %d of %d, d %d", k, width, d)
          .isLessThanOrEqualTo(new BigDecimal(coded.codedNorms()[k]).pow(2));
      maxCoded = Math.max(maxCoded, coded.codedNorms()[k]);
      maxError = Math.max(maxError, coded.errorNorms()[k]);
    }
    assertThat(coded.maxCodedNorm()).isEqualTo(maxCoded);
    assertThat(coded.maxErrorNorm()).isEqualTo(maxError);
    float[] mean = coded.mean();
    if (mean != null) {
      double centred = 0;
      double whole = 0;
      for (int i = 0; i < data.length; i++) {
        centred += Math.pow((double) data[i] - mean[i % d], 2);
        whole += Math.pow(data[i], 2);
      }
      assertThat(centred).as("squared norms about the mean").isLessThan(0.91 * whole);
    }
    return coded;
  }

  private static BigDecimal squaredError(Int8Centroids coded, float[] data, int k, int d) {
    int bytes = 4 * Int8Rows.words(d);
    float[] mean = coded.mean();
    BigDecimal sum = BigDecimal.ZERO;
    for (int i = 0; i < d; i++) {
      int w = coded.components()[k * bytes + Int8Rows.position(i, d)];
      BigDecimal error =
          new BigDecimal(data[k * d + i])
              .subtract(new BigDecimal(mean == null ? 0 : mean[i]))
              // at most 31 bits, so exact
              .subtract(new BigDecimal((double) coded.steps()[k] * w));
      sum = sum.add(error.pow(2));
    }
    return sum;
  }

  private static float[] gaussian(SplittableRandom random, int length, double size) {
    float[] values = new float[length];
    for (int i = 0; i < length; i++) {
      values[i] = (float) (size * random.nextGaussian());
    }
    return values;
  }
}
