package dev.semanticid.core.encode;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.Trials;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.CodebookSettings;
import dev.semanticid.core.codebook.Provenance;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.TestBackends;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.search.Screening;
import dev.semanticid.core.vector.VectorBatch;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every plan on every backend against the float64 definition, at awkward shapes and on adversarial
 * rows.
 */
@TestInstance(Lifecycle.PER_CLASS)
class ResidualQuantizerExactnessTest {

  private final List<ComputeBackend> backends = TestBackends.start();
  private final List<ComputeBackend> screening = TestBackends.startScreening(2, 6, 30, 126, 254);
  private final WorkerPool two = new WorkerPool(2, "test");
  private int turn;

  /** One codebook shape; all widths and dimensions are meant to be awkward for something. */
  record Shape(
      int dimension,
      List<Integer> widths,
      boolean normalize,
      double centroidSize,
      int beam,
      boolean weighted) {

    Shape(int dimension, List<Integer> widths, boolean normalize, double centroidSize) {
      this(dimension, widths, normalize, centroidSize, 1, false);
    }

    Shape withBeam(int size) {
      return new Shape(dimension, widths, normalize, centroidSize, size, false);
    }

    Shape withWeights() {
      return new Shape(dimension, widths, normalize, centroidSize, 1, true);
    }
  }

  @AfterAll
  void closeBackends() {
    backends.forEach(ComputeBackend::close);
    screening.forEach(ComputeBackend::close);
    two.close();
  }

  /** Enough rows that each kind of adversarial rows is among them. */
  private static int trials(int rows) {
    return Math.min(rows, Math.max(60, Trials.of(rows)));
  }

  static Stream<Shape> shapes() {
    var shapes = new ArrayList<Shape>();
    for (boolean normalize : new boolean[] {true, false}) {
      for (int d : new int[] {1, 2, 3, 7, 8, 13, 64, 207, 702}) {
        shapes.add(new Shape(d, List.of(5, 7, 3), normalize, 0.7));
      }
      shapes.add(new Shape(16, List.of(1), normalize, 0.7));
      shapes.add(new Shape(16, List.of(1, 1, 1, 1), normalize, 0.7));
      shapes.add(new Shape(32, List.of(64, 3, 17, 1, 129), normalize, 0.7));
      shapes.add(new Shape(24, List.of(16, 16, 16, 16, 16, 16, 16, 16), normalize, 0.6));
      shapes.add(new Shape(48, List.of(40, 40, 40), normalize, 1e-9));
      shapes.add(new Shape(48, List.of(40, 40, 40), normalize, 1e9));
      shapes.add(new Shape(384, List.of(256, 256, 256), normalize, 0.7));
    }
    return shapes.stream();
  }

  @ParameterizedTest
  @MethodSource("shapes")
  void encode_randomAndAdversarialRows_agreesWithReference(Shape shape) {
    var random = new SplittableRandom(7);
    Codebook codebook = randomCodebook(shape, random);
    int n = trials(shape.dimension() > 300 ? 3000 : 4500);
    float[] rows = new AdversarialRows(codebook, random).make(n);
    int[] expected = new ReferenceQuantizer(codebook).encodeAll(rows, n);
    for (ComputeBackend backend : backends) {
      for (long budget : new long[] {0, Long.MAX_VALUE}) {
        assertCodes(shape, codebook, backend, budget, rows, expected);
      }
    }
  }

  static Stream<Shape> weightedShapes() {
    return shapes().map(Shape::withWeights);
  }

  @ParameterizedTest
  @MethodSource("weightedShapes")
  void encode_withWeights_agreesWithReference(Shape shape) {
    var random = new SplittableRandom(9);
    int n = trials(shape.dimension() > 300 ? 400 : 1500);
    assertEveryPlan(shape, randomCodebook(shape, random), n, random);
  }

  static Stream<Shape> beamShapes() {
    return shapes()
        .filter(shape -> shape.dimension() != 702)
        .flatMap(shape -> Stream.of(2, 5, 16, 64).map(shape::withBeam))
        // The reference keeps every extension of 64 codes in memory.
        .filter(shape -> shape.beam() < 64 || shape.dimension() < 30);
  }

  @ParameterizedTest
  @MethodSource("beamShapes")
  void encode_byBeam_agreesWithReference(Shape shape) {
    var random = new SplittableRandom(10);
    int n = trials(shape.dimension() > 300 ? 60 : 240);
    assertEveryPlan(shape, randomCodebook(shape, random), n, random);
  }

  @ParameterizedTest
  @MethodSource("beamShapes")
  void encode_byBeamWhereLevelsShareCentroids_agreesWithReference(Shape shape) {
    // Codes that differ in the order of levels alone are as good, but for rounding.
    var random = new SplittableRandom(11);
    Codebook apart = randomCodebook(shape, random);
    var levels = new ArrayList<float[]>();
    for (int l = 0; l < apart.levels(); l++) {
      float[] first = apart.centroids(0).data();
      float[] level = apart.centroids(l).data().clone();
      System.arraycopy(first, 0, level, 0, Math.min(first.length, level.length));
      levels.add(level);
    }
    Codebook codebook =
        Codebook.of(apart.settings(), shape.dimension(), levels, Provenance.UNKNOWN);
    assertEveryPlan(shape, codebook, trials(shape.dimension() > 300 ? 30 : 120), random);
  }

  private void assertEveryPlan(Shape shape, Codebook codebook, int n, SplittableRandom random) {
    float[] rows = new AdversarialRows(codebook, random).make(n);
    int[] expected = new ReferenceQuantizer(codebook).encodeAll(rows, n);
    for (List<ComputeBackend> some : List.of(backends, screening)) {
      for (ComputeBackend backend : some) {
        for (long budget : new long[] {0, Long.MAX_VALUE}) {
          assertCodes(shape, codebook, backend, budget, rows, expected);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("shapes")
  void encode_screened_agreesWithReference(Shape shape) {
    var random = new SplittableRandom(8);
    Codebook codebook = randomCodebook(shape, random);
    int n = trials(shape.dimension() > 300 ? 400 : 1500);
    float[] rows = new AdversarialRows(codebook, random).make(n);
    int[] expected = new ReferenceQuantizer(codebook).encodeAll(rows, n);
    for (ComputeBackend backend : screening) {
      for (long budget : new long[] {0, Long.MAX_VALUE}) {
        assertCodes(shape, codebook, backend, budget, rows, expected);
      }
    }
  }

  private void assertCodes(
      Shape shape,
      Codebook codebook,
      ComputeBackend backend,
      long budget,
      float[] rows,
      int[] expected) {
    if (!Trials.takes(turn++, 7)) {
      return;
    }
    try (var quantizer = new ResidualQuantizer(codebook, backend, two, budget, Screening.ALWAYS)) {
      int[] codes = quantizer.encode(VectorBatch.of(rows, shape.dimension()));
      assertSameRows(shape, backend.device() + "/" + quantizer.plan(), rows, codes, expected);
    }
  }

  @ParameterizedTest
  @MethodSource("batchSizes")
  void encode_anyBatchSizeAndThreads_givesTheSameCodes(int batchSize) {
    var shape = new Shape(19, List.of(11, 23), true, 0.7);
    var random = new SplittableRandom(3);
    Codebook codebook = randomCodebook(shape, random);
    int n = 1500;
    float[] rows = new AdversarialRows(codebook, random).make(n);
    int[] expected = new ReferenceQuantizer(codebook).encodeAll(rows, n);
    try (var one = new WorkerPool(1, "one");
        var three = new WorkerPool(3, "three")) {
      for (WorkerPool pool : List.of(one, three)) {
        for (long budget : new long[] {0, Long.MAX_VALUE}) {
          try (var quantizer = new ResidualQuantizer(codebook, backends.getLast(), pool, budget)) {
            int[] codes = new int[n * 2];
            for (int begin = 0; begin < n; begin += batchSize) {
              int count = Math.min(batchSize, n - begin);
              float[] part = Arrays.copyOfRange(rows, begin * 19, (begin + count) * 19);
              System.arraycopy(
                  quantizer.encode(VectorBatch.of(part, 19)), 0, codes, begin * 2, count * 2);
            }
            assertThat(codes).isEqualTo(expected);
          }
        }
      }
    }
  }

  static Stream<Integer> batchSizes() {
    return Stream.of(1, 7, 64, 1000, 1500);
  }

  /** Random centroids of shrinking size, with duplicates and a zero among them. */
  static Codebook randomCodebook(Shape shape, SplittableRandom random) {
    var levels = new ArrayList<float[]>();
    int d = shape.dimension();
    for (int l = 0; l < shape.widths().size(); l++) {
      int width = shape.widths().get(l);
      float[] level = new float[width * d];
      for (int i = 0; i < level.length; i++) {
        level[i] = (float) (random.nextGaussian() * shape.centroidSize() / Math.sqrt(d));
      }
      if (width > 4) {
        System.arraycopy(level, 0, level, (width - 1) * d, d);
        Arrays.fill(level, d, 2 * d, 0f);
      }
      levels.add(level);
    }
    return Codebook.of(
        new CodebookSettings(shape.normalize(), shape.beam()),
        d,
        levels,
        shape.weighted() ? randomWeights(shape, random) : List.of(),
        Provenance.UNKNOWN);
  }

  /** Weights as large as what scores differ by, the same ones several times. */
  private static List<float[]> randomWeights(Shape shape, SplittableRandom random) {
    var weights = new ArrayList<float[]>();
    for (int width : shape.widths()) {
      float[] level = new float[width];
      for (int k = 0; k < width; k++) {
        level[k] = (float) (0.1 * shape.centroidSize() * (random.nextInt(9) - 4));
      }
      weights.add(level);
    }
    return weights;
  }

  static void assertSameRows(Object what, String path, float[] rows, int[] codes, int[] expected) {
    int differing = 0;
    int first = -1;
    for (int i = 0; i < expected.length; i++) {
      if (codes[i] != expected[i]) {
        differing++;
        first = first < 0 ? i : first;
      }
    }
    assertThat(differing)
        .as(
            "%s on %s of %d components: codes that differ, first at %d",
            what, path, rows.length, first)
        .isZero();
  }
}
