package dev.semanticid.core.compute;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.semanticid.Trials;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a backend promises, checked on every backend: products within γ of float64, above all. */
@ParameterizedClass
@MethodSource("backends")
class ComputeBackendContractTest {

  private static final List<ComputeBackend> BACKENDS = TestBackends.start();
  private static final int[] AWKWARD = {1, 4, 6, 8, 13, 207, 702};

  @Parameter private ComputeBackend backend = BACKENDS.getFirst();

  static List<ComputeBackend> backends() {
    return BACKENDS;
  }

  @AfterAll
  static void close() {
    BACKENDS.forEach(ComputeBackend::close);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4, 6, 8, 13, 207, 702})
  void multiply_awkwardShapes_staysWithinGamma(int d) {
    var random = new SplittableRandom(d);
    for (int rows : AWKWARD) {
      float[] matrix = gaussians(random, rows * d, 1);
      try (ResidentCodebook resident = backend.makeResident(matrix, rows, d)) {
        for (int n : AWKWARD) {
          if (!Trials.takes(rows + n + d, 3)) {
            continue;
          }
          float[] vectors = gaussians(random, n * d, 1);
          assertWithinGamma(resident, matrix, vectors, 0, n);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {1e-15, 1e-6, 1e6, 1e14})
  void multiply_smallAndLargeComponents_staysWithinGamma(double size) {
    var random = new SplittableRandom(11);
    float[] matrix = gaussians(random, 37 * 65, size);
    float[] vectors = gaussians(random, 19 * 65, size);
    // a component that dwarfs the others, so that they are lost in its rounding
    matrix[3] *= 1e4f;
    vectors[3] *= 1e4f;
    try (ResidentCodebook resident = backend.makeResident(matrix, 37, 65)) {
      assertWithinGamma(resident, matrix, vectors, 0, 19);
    }
  }

  @Test
  void multiply_fromAnOffset_readsThoseRows() {
    var random = new SplittableRandom(2);
    float[] matrix = gaussians(random, 5 * 9, 1);
    float[] vectors = gaussians(random, 7 + 12 * 9 + 3, 1);
    try (ResidentCodebook resident = backend.makeResident(matrix, 5, 9)) {
      for (int offset : new int[] {0, 1, 7, 9, 10}) {
        assertWithinGamma(resident, matrix, vectors, offset, 12);
      }
    }
  }

  @Test
  void multiply_blocksThatGrowAndShrink_fillsExactlyTheirPlaces() {
    var random = new SplittableRandom(3);
    float[] wide = gaussians(random, 300 * 3, 1);
    float[] deep = gaussians(random, 2 * 200, 1);
    try (ResidentCodebook first = backend.makeResident(wide, 300, 3);
        ResidentCodebook second = backend.makeResident(deep, 2, 200)) {
      for (int n : new int[] {1, 500, 2, 499, 1}) {
        assertWithinGamma(first, wide, gaussians(random, n * 3, 1), 0, n);
        assertWithinGamma(second, deep, gaussians(random, n * 200, 1), 0, n);
      }
    }
  }

  @Test
  void multiply_fromFourThreads_givesEachItsOwnProducts() throws Exception {
    var random = new SplittableRandom(4);
    int threads = 4;
    float[] matrix = gaussians(random, 50 * 33, 1);
    try (ResidentCodebook resident = backend.makeResident(matrix, 50, 33);
        var executor = Executors.newFixedThreadPool(threads)) {
      var start = new CyclicBarrier(threads);
      var results = new ArrayList<Future<?>>();
      for (int t = 0; t < threads; t++) {
        int n = 20 + 17 * t;
        float[] vectors = gaussians(random, n * 33, 1);
        results.add(
            executor.submit(() -> {
              start.await();
              for (int round = 0; round < 100; round++) {
                assertWithinGamma(resident, matrix, vectors, 0, n);
              }
              return null;
            }));
      }
      for (Future<?> result : results) {
        assertThat(result.get()).isNull();
      }
    }
  }

  @Test
  void makeResident_tellsItsShapeAndMemory() {
    try (ResidentCodebook resident = backend.makeResident(new float[6 * 13], 6, 13)) {
      assertThat(resident.rows()).isEqualTo(6);
      assertThat(resident.dimension()).isEqualTo(13);
      assertThat(resident.bytes()).isGreaterThanOrEqualTo(4 * 6 * 13).isLessThan(64 * 1024);
    }
    assertThat(backend.name()).matches("[a-z0-9]+");
    assertThat(backend.device()).isNotBlank();
  }

  @Test
  void makeResident_arrayWrittenAfterwards_keepsWhatItCopied() {
    var random = new SplittableRandom(6);
    float[] matrix = gaussians(random, 8 * 6, 1);
    float[] before = matrix.clone();
    try (ResidentCodebook resident = backend.makeResident(matrix, 8, 6)) {
      Arrays.fill(matrix, Float.NaN);
      assertWithinGamma(resident, before, gaussians(random, 4 * 6, 1), 0, 4);
    }
  }

  @Test
  void makeResident_arrayLongerThanItsShape_usesItsBeginning() {
    var random = new SplittableRandom(8);
    float[] matrix = gaussians(random, 100, 1);
    try (ResidentCodebook resident = backend.makeResident(matrix, 4, 6)) {
      assertWithinGamma(resident, matrix, gaussians(random, 3 * 6, 1), 0, 3);
    }
  }

  @Test
  void makeResident_arrayTooShort_isRefusedAsDocumented() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> backend.makeResident(new float[11], 3, 4).close());
  }

  @Test
  void close_oneOfTwoCodebooks_leavesTheOtherAlone() {
    var random = new SplittableRandom(9);
    float[] matrix = gaussians(random, 40 * 16, 1);
    try (ResidentCodebook kept = backend.makeResident(matrix, 40, 16)) {
      for (int round = 0; round < 200; round++) {
        backend.makeResident(gaussians(random, 40 * 16, 1), 40, 16).close();
      }
      assertWithinGamma(kept, matrix, gaussians(random, 9 * 16, 1), 0, 9);
    }
  }

  @Test
  void gamma_growsWithTheDimensionAndEndsWhereFloat32Does() {
    assertThat(backend.gamma(1)).isBetween(0x1p-24, 0x1p-20);
    assertThat(backend.gamma(2048)).isGreaterThan(backend.gamma(2047)).isLessThan(1e-3);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> backend.gamma(1 << 23))
        .withMessageContaining(Integer.toString(1 << 23));
  }

  /** Multiplies into an array with room left over and compares with float64. */
  private void assertWithinGamma(
      ResidentCodebook resident, float[] matrix, float[] vectors, int offset, int n) {
    int rows = resident.rows();
    int d = resident.dimension();
    float[] products = new float[n * rows + 3];
    Arrays.fill(products, Float.NaN);
    resident.multiply(vectors, offset, n, products);
    double worst = 0;
    for (int i = 0; i < n; i++) {
      double xNorm = Math.sqrt(dot(vectors, offset + i * d, vectors, offset + i * d, d));
      for (int k = 0; k < rows; k++) {
        double exact = dot(vectors, offset + i * d, matrix, k * d, d);
        double cNorm = Math.sqrt(dot(matrix, k * d, matrix, k * d, d));
        double error = Math.abs(products[i * rows + k] - exact) / (xNorm * cNorm);
        worst = error <= worst ? worst : error;
      }
    }
    assertThat(worst)
        .as("largest |computed − x·c| / (‖x‖·‖c‖) of %d × %d × %d", n, rows, d)
        .isLessThanOrEqualTo(backend.gamma(d));
    assertThat(products).endsWith(Float.NaN, Float.NaN, Float.NaN);
  }

  private static double dot(float[] a, int aBegin, float[] b, int bBegin, int d) {
    double sum = 0;
    for (int i = 0; i < d; i++) {
      sum += (double) a[aBegin + i] * b[bBegin + i];
    }
    return sum;
  }

  private static float[] gaussians(SplittableRandom random, int length, double size) {
    float[] values = new float[length];
    for (int i = 0; i < length; i++) {
      values[i] = (float) (size * random.nextGaussian());
    }
    return values;
  }
}
