package dev.semanticid.core.search;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Centroids;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the screening bound takes for granted about coded vectors, in exact arithmetic. */
class Int8RowsTest {

  private static final int[] ZEROS = {1, 3, 15, 63, 127};

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 7, 64, 207, 384, 2048})
  void code_allKindsOfRows_staysWithinItsOwnBounds(int d) {
    var random = new SplittableRandom(d);
    for (int zero : ZEROS) {
      List<float[]> rows = rows(random, d);
      float[] vectors = concatenated(rows, d);
      var coded = new Int8Rows(d, zero);
      coded.code(vectors, 0, rows.size());
      for (int row = 0; row < rows.size(); row++) {
        assertWithinBounds(coded, row, rows.get(row), zero);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "64, 1",
    "64, 127",
    "384, 3",
    "384, 63",
    "384, 127",
    "2048, 15",
    "2048, 127",
    "207, 63"
  })
  void errorNorm_ordinaryRows_isHardlyMoreThanTheError(int d, int zero) {
    var random = new SplittableRandom(d + zero);
    var coded = new Int8Rows(d, zero);
    for (double size : new double[] {1e-10, 1, 1e9}) {
      float[] x = gaussian(random, d, size);
      coded.code(x, 0, 1);
      double actual = Math.sqrt(squaredError(coded, 0, x, zero).doubleValue());
      assertThat(coded.errorNorm(0)).isBetween(actual, 1.0001 * actual);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {64, 207, 384, 2048})
  void errorNorm_ordinaryRowsOfManySteps_isOnePercentOfTheRow(int d) {
    var random = new SplittableRandom(d);
    var coded = new Int8Rows(d, 127);
    for (int round = 0; round < 50; round++) {
      coded.code(gaussian(random, d, 1), 0, 1);
      assertThat(coded.errorNorm(0) / Math.sqrt(coded.squaredNorm(0))).isLessThan(0.0134);
    }
  }

  /** To cut one of these off would leave an error as large as the row. */
  @ParameterizedTest
  @CsvSource({"64, 30", "384, 10", "384, 1000", "2048, 60", "2048, 1e6"})
  void errorNorm_outlierInOneComponent_isThatOfCoarserStepsOnly(int d, double outlier) {
    var random = new SplittableRandom(d);
    var coded = new Int8Rows(d, 127);
    float[] x = gaussian(random, d, 1);
    x[d / 3] = (float) outlier;
    coded.code(x, 0, 1);
    double norm = Math.sqrt(coded.squaredNorm(0));
    assertThat(coded.step(0)).isEqualTo((float) outlier / 127);
    assertThat(coded.errorNorm(0)).isLessThan(0.51 * coded.step(0) * Math.sqrt(d));
    assertThat(coded.errorNorm(0)).isLessThan(0.2 * norm);
  }

  @ParameterizedTest
  @ValueSource(ints = {207, 384, 2048})
  void errorNorm_oneComponentAlone_isNearlyZero(int d) {
    for (int zero : ZEROS) {
      var coded = new Int8Rows(d, zero);
      for (double size : new double[] {1e-12, -1, 1e12}) {
        float[] x = new float[d];
        x[d / 2] = (float) size;
        coded.code(x, 0, 1);
        // With 3 steps an error as large as the row passes for rounding.
        if (zero > 1) {
          assertThat(coded.errorNorm(0)).isLessThan(1e-6 * Math.abs(size));
        }
        assertWithinBounds(coded, 0, x, zero);
      }
    }
  }

  /** Rows of these go to the loop, but are coded beside the others of their block. */
  @Test
  void code_rowsBeyondTheRange_leavesTheOthersAlone() {
    var random = new SplittableRandom(5);
    int d = 19;
    float[] huge = new float[d];
    Arrays.fill(huge, Float.MAX_VALUE);
    huge[3] = -Float.MAX_VALUE;
    float[] tiny = new float[d];
    tiny[7] = Float.MIN_VALUE;
    for (int zero : ZEROS) {
      float[] ordinary = gaussian(random, d, 1);
      var alone = new Int8Rows(d, zero);
      alone.code(ordinary, 0, 1);
      var coded = new Int8Rows(d, zero);
      coded.code(concatenated(List.of(huge, ordinary, tiny, ordinary), d), 0, 4);
      for (int row : new int[] {1, 3}) {
        assertThat(unpacked(coded, row, d)).isEqualTo(unpacked(alone, 0, d));
        assertThat(coded.errorNorm(row)).isEqualTo(alone.errorNorm(0));
      }
      for (int row = 0; row < 4; row++) {
        for (int q : unpacked(coded, row, d)) {
          assertThat(q).isBetween(0, 2 * zero);
        }
      }
      assertThat(coded.errorNorm(2)).isGreaterThanOrEqualTo(0);
    }
  }

  @Test
  void code_fromAnOffsetAndFewerRowsThanBefore_codesThoseRows() {
    var random = new SplittableRandom(6);
    int d = 9;
    float[] vectors = gaussian(random, 4 + 7 * d, 1);
    var coded = new Int8Rows(d, 63);
    coded.code(vectors, 0, 7);
    coded.code(vectors, 4 + 2 * d, 3);
    for (int row = 0; row < 3; row++) {
      float[] x = Arrays.copyOfRange(vectors, 4 + (2 + row) * d, 4 + (3 + row) * d);
      assertWithinBounds(coded, row, x, 63);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 207, 384})
  void position_everyComponent_hasAPlaceOfItsOwn(int d) {
    boolean[] taken = new boolean[4 * Int8Rows.words(d)];
    for (int i = 0; i < d; i++) {
      assertThat(taken[Int8Rows.position(i, d)]).isFalse();
      taken[Int8Rows.position(i, d)] = true;
    }
    assertThat(Int8Rows.words(d)).isEqualTo(Math.ceilDiv(d, 4));
  }

  /** The inequality that 8-bit screening rests on, for the packed bytes as a backend sees them. */
  @ParameterizedTest
  @CsvSource({"1, 5", "2, 7", "3, 7", "5, 20", "7, 20", "64, 20", "207, 20", "384, 10"})
  void products_ofCodedRowsAndCentroids_areWithinTheErrorNorms(int d, int width) {
    var random = new SplittableRandom(d);
    for (double shift : new double[] {0, 3}) {
      float[] data = gaussian(random, width * d, 1);
      for (int i = 0; i < data.length; i++) {
        data[i] += (float) shift;
      }
      var centroids = new Int8Centroids(new Centroids(data, width, d));
      float[] mean = centroids.mean() == null ? new float[d] : centroids.mean();
      int bytes = 4 * Int8Rows.words(d);
      for (int zero : ZEROS) {
        List<float[]> rows = rows(random, d);
        // Along centroids the bound is tightest.
        rows.add(Arrays.copyOf(data, d));
        rows.add(Arrays.copyOfRange(data, d, 2 * d));
        var coded = new Int8Rows(d, zero);
        coded.code(concatenated(rows, d), 0, rows.size());
        for (int row = 0; row < rows.size(); row++) {
          float[] x = rows.get(row);
          double xNorm = Math.sqrt(coded.squaredNorm(row));
          for (int k = 0; k < width; k++) {
            long sum = 0;
            for (int at = 0; at < bytes; at++) {
              sum += (long) place(coded, row, at, d) * centroids.components()[k * bytes + at];
            }
            sum -= (long) zero * centroids.sums()[k];
            double screened = (double) coded.step(row) * centroids.steps()[k] * sum;
            double exact = 0;
            double magnitude = 0;
            for (int i = 0; i < d; i++) {
              exact += x[i] * ((double) data[k * d + i] - mean[i]);
              magnitude += Math.abs(x[i]) * (Math.abs(data[k * d + i]) + Math.abs(mean[i]));
            }
            double bound =
                coded.errorNorm(row) * centroids.codedNorms()[k]
                    + xNorm * centroids.errorNorms()[k];
            // float64 rounds here too
            assertThat(Math.abs(exact - screened))
                .as("row %d, centroid %d, zero %d", row, k, zero)
                .isLessThanOrEqualTo(bound + 1e-12 * magnitude);
          }
        }
      }
    }
  }

  private static void assertWithinBounds(Int8Rows coded, int row, float[] x, int zero) {
    int d = x.length;
    String what = String.format(Locale.ROOT, "zero %d, d %d, row %d", zero, d, row);
    int bytes = 4 * Int8Rows.words(d);
    boolean[] taken = new boolean[bytes];
    for (int i = 0; i < d; i++) {
      taken[Int8Rows.position(i, d)] = true;
    }
    for (int at = 0; at < bytes; at++) {
      int q = place(coded, row, at, d);
      if (taken[at]) {
        assertThat(q).as(what).isBetween(0, 2 * zero);
      } else {
        assertThat(q).as("%s: padding at %d", what, at).isEqualTo(zero);
      }
    }
    BigDecimal squares = BigDecimal.ZERO;
    double largest = 0;
    for (float component : x) {
      // 48 bits, so exact
      squares = squares.add(new BigDecimal((double) component * component));
      largest = Math.max(largest, Math.abs(component));
    }
    assertThat(new BigDecimal(coded.squaredNorm(row)).subtract(squares).abs())
        .as(what)
        .isLessThanOrEqualTo(squares.multiply(new BigDecimal(d * 0x1p-53)));
    double norm = Math.sqrt(squares.doubleValue());
    double bound = coded.errorNorm(row);
    assertThat(squaredError(coded, row, x, zero))
        .as("%s: squared error", what)
        .isLessThanOrEqualTo(new BigDecimal(bound).pow(2));
    // Either nearly nothing is cut off, or nothing at all.
    double rounding = 1.5 * 3.9 / zero / Math.sqrt(12) * norm;
    double widest = 0.501 * largest / zero * Math.sqrt(d);
    assertThat(bound)
        .as("%s: bound", what)
        .isLessThanOrEqualTo(1.0001 * Math.max(rounding, widest) + 1e-6 * norm + 1e-20);
  }

  private static BigDecimal squaredError(Int8Rows coded, int row, float[] x, int zero) {
    int[] q = unpacked(coded, row, x.length);
    BigDecimal sum = BigDecimal.ZERO;
    for (int i = 0; i < x.length; i++) {
      // The product has at most 31 bits.
      double decoded = (double) coded.step(row) * (q[i] - zero);
      sum = sum.add(new BigDecimal(x[i]).subtract(new BigDecimal(decoded)).pow(2));
    }
    return sum;
  }

  private static int[] unpacked(Int8Rows coded, int row, int d) {
    int[] q = new int[d];
    for (int i = 0; i < d; i++) {
      q[i] = place(coded, row, Int8Rows.position(i, d), d);
    }
    return q;
  }

  /** A byte of a coded vector, little end first. */
  private static int place(Int8Rows coded, int row, int at, int d) {
    int word = coded.components()[row * Int8Rows.words(d) + at / 4];
    return word >>> (8 * (at % 4)) & 0xff;
  }

  /** Rows of norms 0 and 1e-12 to 1e12, which screening takes. */
  private static List<float[]> rows(SplittableRandom random, int d) {
    var rows = new ArrayList<float[]>();
    rows.add(new float[d]);
    for (double size : new double[] {1e-12, 1e-3, 1, 1e12}) {
      // norms, not components, shall be of that size
      double component = size / Math.sqrt(d);
      rows.add(scaledTo(gaussian(random, d, 1), size));
      float[] constant = new float[d];
      Arrays.fill(constant, (float) component);
      rows.add(constant);
      float[] signs = new float[d];
      float[] denormal = new float[d];
      float[] steps = new float[d];
      for (int i = 0; i < d; i++) {
        signs[i] = (float) (random.nextBoolean() ? component : -component);
        denormal[i] = (random.nextInt(3) - 1) * Float.MIN_VALUE * random.nextInt(1000);
        steps[i] = (float) (component * Math.pow(2, -random.nextInt(60)));
      }
      rows.add(signs);
      rows.add(steps);
      // one component that dwarfs the others, by more and more
      denormal[random.nextInt(d)] = (float) size;
      rows.add(denormal);
      for (double outlier : new double[] {3, 6, 20, 1e3, 1e9}) {
        float[] x = gaussian(random, d, 1);
        x[random.nextInt(d)] = (float) (random.nextBoolean() ? outlier : -outlier);
        rows.add(scaledTo(x, size));
      }
      // half a step from everywhere: the worst for rounding
      float[] halves = new float[d];
      for (int i = 0; i < d; i++) {
        halves[i] = (float) (component * (random.nextInt(-60, 60) + 0.5) / 32);
      }
      rows.add(scaledTo(halves, size));
      float[] one = new float[d];
      one[random.nextInt(d)] = (float) -size;
      rows.add(one);
    }
    return rows;
  }

  private static float[] scaledTo(float[] x, double norm) {
    double squares = 0;
    for (float component : x) {
      squares += (double) component * component;
    }
    double factor = norm / Math.sqrt(squares);
    float[] scaled = new float[x.length];
    for (int i = 0; i < x.length; i++) {
      scaled[i] = (float) (factor * x[i]);
    }
    return scaled;
  }

  private static float[] gaussian(SplittableRandom random, int length, double size) {
    float[] values = new float[length];
    for (int i = 0; i < length; i++) {
      values[i] = (float) (size * random.nextGaussian());
    }
    return values;
  }

  private static float[] concatenated(List<float[]> rows, int d) {
    float[] all = new float[rows.size() * d];
    for (int row = 0; row < rows.size(); row++) {
      System.arraycopy(rows.get(row), 0, all, row * d, d);
    }
    return all;
  }
}
