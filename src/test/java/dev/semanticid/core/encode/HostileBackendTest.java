package dev.semanticid.core.encode;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.CodebookSettings;
import dev.semanticid.core.codebook.Provenance;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.HostileBackend;
import dev.semanticid.core.compute.HostileBackend.Plot;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.vector.VectorBatch;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Hunts for rows whose codes a plan gets wrong when the products it is given are as wrong as their
 * bound allows.
 */
@TestInstance(Lifecycle.PER_CLASS)
class HostileBackendTest {

  private static final long TABLES = Long.MAX_VALUE;
  private static final long NO_TABLES = 0;
  private static final double FLOAT32 = -1;

  /** Lengths of what a centroid leaves of a row, relative to it; exhaustion begins at 1e-6. */
  private static final double[] REMAINDERS = {
    0.3, 1e-3, 1e-5, 2.1e-6, 2e-6, 1.9e-6, 1.001e-6, 1e-6, 0.999e-6, 1e-7
  };

  private final WorkerPool pool = new WorkerPool(2, "test");

  @AfterAll
  void close() {
    pool.close();
  }

  @ParameterizedTest
  @CsvSource({
    "1, 1", "1, 3", "2, 6", "3, 2", "3, 6", "8, 3", "13, 6", "17, 1", "17, 4", "33, 3", "64, 2",
    "64, 6"
  })
  void encode_misleadingProducts_givesTheReferenceCodes(int d, int levels) {
    for (boolean normalize : new boolean[] {true, false}) {
      for (int round = 0; round < 3; round++) {
        var random = new SplittableRandom(1000L * d + 10L * levels + round);
        Codebook codebook = codebook(random, d, levels, normalize, round);
        float[] rows =
            concatenated(
                new AdversarialRows(codebook, random).make(180), nearCentroids(random, codebook));
        assertReferenceCodes(codebook, rows);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"1, 3", "2, 4", "3, 6", "8, 3", "13, 5", "17, 2", "33, 3", "64, 2"})
  void encode_misleadingProductsWithWeightsOrABeam_givesTheReferenceCodes(int d, int levels) {
    for (boolean normalize : new boolean[] {true, false}) {
      var random = new SplittableRandom(1000L * d + 10L * levels);
      Codebook plain = codebook(random, d, levels, normalize, 1);
      for (Codebook codebook : variants(plain, random, 1 / 32f)) {
        float[] rows =
            concatenated(
                new AdversarialRows(codebook, random).make(90), nearCentroids(random, codebook));
        assertReferenceCodes(codebook, rows);
      }
    }
  }

  /** Both plans give the reference's codes whatever a backend does within its error bound. */
  private void assertReferenceCodes(Codebook codebook, float[] rows) {
    int[] expected =
        new ReferenceQuantizer(codebook).encodeAll(rows, rows.length / codebook.dimension());
    for (double gamma : new double[] {FLOAT32, 1e-3, 0.3}) {
      for (Plot plot : List.of(against(codebook), HostileBackend.ERRATIC)) {
        assertCodes(codebook, new HostileBackend(gamma, plot), TABLES, rows, expected);
      }
      for (Plot plot : List.of(HostileBackend.AGAINST_NEAREST, HostileBackend.ERRATIC)) {
        assertCodes(codebook, new HostileBackend(gamma, plot), NO_TABLES, rows, expected);
      }
    }
  }

  /** The same centroids with weights that are multiples of a step, and with beams. */
  private static List<Codebook> variants(Codebook plain, SplittableRandom random, float step) {
    int d = plain.dimension();
    var levels = new ArrayList<float[]>();
    var weights = new ArrayList<float[]>();
    for (int l = 0; l < plain.levels(); l++) {
      levels.add(plain.centroids(l).data());
      float[] level = new float[plain.width(l)];
      for (int k = 0; k < level.length; k++) {
        level[k] = step * (random.nextInt(9) - 4);
      }
      weights.add(level);
    }
    boolean normalize = plain.normalizeResiduals();
    return List.of(
        Codebook.of(plain.settings(), d, levels, weights, Provenance.UNKNOWN),
        Codebook.of(new CodebookSettings(normalize, 2), d, levels, Provenance.UNKNOWN),
        Codebook.of(new CodebookSettings(normalize, 5), d, levels, Provenance.UNKNOWN));
  }

  /** As below, with weights that make ties of their own, and with beams. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4, 7, 16, 64})
  void encode_exactProductsAndTiesWithWeightsOrABeam_givesTheReferenceCodes(int d) {
    var backend = new HostileBackend(0, HostileBackend.ERRATIC);
    for (boolean normalize : new boolean[] {true, false}) {
      for (int levels = 1; levels <= 6; levels++) {
        var random = new SplittableRandom(10L * d + levels);
        for (int round = 0; round < 3; round++) {
          Codebook plain = gridCodebook(random, d, levels, normalize, round % 3 == 0);
          for (Codebook codebook : variants(plain, random, 1 / 64f)) {
            float[] rows = gridRows(random, codebook, 120);
            int[] expected = new ReferenceQuantizer(codebook).encodeAll(rows, rows.length / d);
            assertCodes(codebook, backend, TABLES, rows, expected);
          }
        }
      }
    }
  }

  /** As below, with weights and with beams. */
  @ParameterizedTest
  @CsvSource({"4, true", "9, true", "4, false", "9, false"})
  void encode_chainThenATieWithWeightsOrABeam_givesTheReferenceCodes(int d, boolean normalize) {
    var backend = new HostileBackend(0, HostileBackend.ERRATIC);
    for (int levels = 2; levels <= 4; levels++) {
      var random = new SplittableRandom(10L * d + levels);
      Codebook plain = axisCodebook(d, levels, normalize ? 1 : 0x1p-9f, normalize);
      for (Codebook codebook : variants(plain, random, 1 / 64f)) {
        float[] rows = chains(random, d, levels, 200, normalize);
        int[] expected = new ReferenceQuantizer(codebook).encodeAll(rows, rows.length / d);
        assertCodes(codebook, backend, TABLES, rows, expected);
      }
    }
  }

  /**
   * Where products are exact, the GEMM's bound no longer hides the rest: rows on a grid, many of
   * them half-way between centroids at some level, where the loop's rounding alone decides.
   */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4, 7, 16, 64})
  void encode_exactProductsAndTiesAtEveryLevel_givesTheReferenceCodes(int d) {
    var backend = new HostileBackend(0, HostileBackend.ERRATIC);
    for (boolean normalize : new boolean[] {true, false}) {
      for (int levels = 1; levels <= 6; levels++) {
        var random = new SplittableRandom(10L * d + levels);
        for (int round = 0; round < 12; round++) {
          Codebook codebook = gridCodebook(random, d, levels, normalize, round % 3 == 0);
          float[] rows = gridRows(random, codebook, 250);
          int[] expected = new ReferenceQuantizer(codebook).encodeAll(rows, rows.length / d);
          assertCodes(codebook, backend, TABLES, rows, expected);
        }
      }
    }
  }

  /**
   * Level upon level that nearly exhausts the residual, where small errors above become large ones
   * below; then a near tie. Centroids lie on the axes, so products are exact.
   */
  @ParameterizedTest
  @CsvSource({"4, true", "5, true", "9, true", "4, false", "9, false"})
  void encode_chainOfNearCentroidsThenATie_givesTheReferenceCodes(int d, boolean normalize) {
    var backend = new HostileBackend(0, HostileBackend.ERRATIC);
    for (int levels = 2; levels <= 6; levels++) {
      var random = new SplittableRandom(10L * d + levels);
      for (int round = 0; round < 10; round++) {
        Codebook codebook = axisCodebook(d, levels, normalize ? 1 : 0x1p-9f, normalize);
        float[] rows = chains(random, d, levels, 400, normalize);
        int[] expected = new ReferenceQuantizer(codebook).encodeAll(rows, rows.length / d);
        assertCodes(codebook, backend, TABLES, rows, expected);
      }
    }
  }

  /** All axes in both directions, of length 1, ½ and ¼ at level 0, each level below smaller. */
  private static Codebook axisCodebook(int d, int levels, float shrink, boolean normalize) {
    var made = new ArrayList<float[]>();
    float size = 1;
    for (int l = 0; l < levels; l++) {
      float[] level = new float[6 * d * d];
      for (int i = 0; i < d; i++) {
        for (int t = 0; t < 6; t++) {
          level[(t * d + i) * d + i] = Math.scalb(t < 3 ? size : -size, -(t % 3));
        }
      }
      made.add(level);
      size *= shrink;
    }
    return Codebook.of(new CodebookSettings(normalize), d, made, Provenance.UNKNOWN);
  }

  /** {@code x = e_a + ν·(e_b + ν'·(… + t))}, t nearly as far from a centroid as from its half. */
  private static float[] chains(
      SplittableRandom random, int d, int levels, int n, boolean normalize) {
    float[] rows = new float[n * d];
    for (int row = 0; row < n; row++) {
      int depth = 1 + random.nextInt(Math.min(levels, d) - 1);
      double scale = 1;
      int axis = random.nextInt(d);
      for (int l = 0; l < depth; l++) {
        rows[row * d + (axis + l) % d] = (float) (random.nextBoolean() ? scale : -scale);
        scale *= normalize ? Math.pow(10, -0.5 - 3 * random.nextDouble()) : 0x1p-9;
      }
      double tie = random.nextBoolean() ? 0.75 : 0.375;
      tie += (random.nextInt(3) - 1) * Math.pow(10, -10 + 8 * random.nextDouble());
      rows[row * d + (axis + depth) % d] += (float) (scale * tie);
      rows[row * d + (axis + depth + 1) % d] += (float) (scale * Math.sqrt(1 - tie * tie));
    }
    return rows;
  }

  private void assertCodes(
      Codebook codebook, ComputeBackend backend, long budget, float[] rows, int[] expected) {
    try (var quantizer = new ResidualQuantizer(codebook, backend, pool, budget)) {
      int[] codes = quantizer.encode(VectorBatch.of(rows, codebook.dimension()));
      if (!Arrays.equals(codes, expected)) {
        int at = Arrays.mismatch(codes, expected);
        int d = codebook.dimension();
        int row = at / codebook.levels();
        assertThat(codes[at])
            .as(
                "%s on plan %s, %s, normalised %s: level %d of row %d, %s",
                backend.device(),
                quantizer.plan(),
                codebook.widths(),
                codebook.normalizeResiduals(),
                at % codebook.levels(),
                row,
                Arrays.toString(Arrays.copyOfRange(rows, row * d, (row + 1) * d)))
            .isEqualTo(expected[at]);
      }
    }
  }

  /** At each level of the stacked centroids, makes the right one look farther, others nearer. */
  private static Plot against(Codebook codebook) {
    var reference = new ReferenceQuantizer(codebook);
    return (x, centroids, products) -> {
      int[] signs = new int[products.length];
      Arrays.fill(signs, 1);
      int[] codes = reference.encode(x);
      for (int l = 0, begin = 0; l < codes.length; l++) {
        signs[begin + codes[l]] = -1;
        begin += codebook.width(l);
      }
      return signs;
    };
  }

  /**
   * Centroids of one length per level, where the bound is tightest: unit vectors above, so that a
   * normalised row can come near them, shorter ones below.
   */
  private static Codebook codebook(
      SplittableRandom random, int d, int levels, boolean normalize, int round) {
    var made = new ArrayList<float[]>();
    for (int l = 0; l < levels; l++) {
      int width = 2 + random.nextInt(14);
      double length = l <= round ? 1 : 0.5;
      float[] level = new float[width * d];
      for (int k = 0; k < width; k++) {
        float[] c = direction(random, d, length);
        System.arraycopy(c, 0, level, k * d, d);
        if (k > 0 && random.nextInt(3) == 0) {
          // a neighbour of the centroid before it
          for (int i = 0; i < d; i++) {
            level[k * d + i] = (float) (level[(k - 1) * d + i] + 1e-6 * random.nextGaussian());
          }
        }
      }
      made.add(level);
    }
    return Codebook.of(new CodebookSettings(normalize), d, made, Provenance.UNKNOWN);
  }

  /**
   * {@code x = ν_0·(C_0 + ν_1·(C_1 + …))}, each ν one of {@link #REMAINDERS}, of any length when
   * normalised; ends half-way between two centroids or in noise.
   */
  private static float[] nearCentroids(SplittableRandom random, Codebook codebook) {
    int d = codebook.dimension();
    int n = 30 * REMAINDERS.length;
    float[] rows = new float[n * d];
    for (int row = 0; row < n; row++) {
      int depth = 1 + random.nextInt(codebook.levels());
      double[] x = new double[d];
      if (depth < codebook.levels() && random.nextBoolean()) {
        AdversarialRows.addCentroid(codebook, depth, random, 0.5, x);
        AdversarialRows.addCentroid(codebook, depth, random, 0.5, x);
      } else {
        float[] noise = direction(random, d, 1);
        for (int i = 0; i < d; i++) {
          x[i] = noise[i];
        }
      }
      double scale = codebook.normalizeResiduals() ? Math.pow(10, -3 + 6 * random.nextDouble()) : 1;
      for (int l = depth - 1; l >= 0; l--) {
        double remainder =
            l == depth - 1 ? REMAINDERS[row % REMAINDERS.length] : REMAINDERS[random.nextInt(3)];
        for (int i = 0; i < d; i++) {
          x[i] *= remainder;
        }
        AdversarialRows.addCentroid(codebook, l, random, 1, x);
      }
      for (int i = 0; i < d; i++) {
        rows[row * d + i] = (float) (scale * x[i]);
      }
    }
    return rows;
  }

  private static float[] direction(SplittableRandom random, int d, double length) {
    double[] c = new double[d];
    double squares = 0;
    for (int i = 0; i < d; i++) {
      c[i] = random.nextGaussian();
      squares += c[i] * c[i];
    }
    float[] result = new float[d];
    for (int i = 0; i < d; i++) {
      result[i] = (float) (length * c[i] / Math.sqrt(squares));
    }
    return result;
  }

  /**
   * Centroids whose components are multiples of 1/64: few values, so that many are equally far from
   * the same vector; some nearly unit vectors.
   */
  private static Codebook gridCodebook(
      SplittableRandom random, int d, int levels, boolean normalize, boolean axes) {
    var made = new ArrayList<float[]>();
    for (int l = 0; l < levels; l++) {
      int width = 3 + random.nextInt(12);
      float[] level = new float[width * d];
      for (int k = 0; k < width; k++) {
        if (axes || random.nextInt(3) == 0) {
          level[k * d + random.nextInt(d)] =
              (random.nextBoolean() ? 1 : -1) * (64 - random.nextInt(3)) / 64f;
        } else {
          for (int i = 0; i < d; i++) {
            level[k * d + i] = (random.nextInt(3) - 1) * 0.25f;
          }
        }
      }
      made.add(level);
    }
    return Codebook.of(new CodebookSettings(normalize), d, made, Provenance.UNKNOWN);
  }

  /** Sums of centroids and halves of pairs, with a grid step of 1/1024 here and there. */
  private static float[] gridRows(SplittableRandom random, Codebook codebook, int n) {
    int d = codebook.dimension();
    float[] rows = new float[n * d];
    for (int row = 0; row < n; row++) {
      double[] x = new double[d];
      int depth = random.nextInt(codebook.levels());
      AdversarialRows.addCentroid(codebook, 0, random, 0.5, x);
      AdversarialRows.addCentroid(codebook, 0, random, 0.5, x);
      if (depth > 0) {
        AdversarialRows.addCentroid(codebook, depth, random, 0.25, x);
        AdversarialRows.addCentroid(codebook, depth, random, 0.25, x);
      }
      if (row % 2 == 0) {
        x[random.nextInt(d)] += (random.nextInt(3) - 1) / 1024.0;
      }
      for (int i = 0; i < d; i++) {
        rows[row * d + i] = (float) x[i];
      }
    }
    return rows;
  }

  private static float[] concatenated(float[] a, float[] b) {
    float[] both = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, both, a.length, b.length);
    return both;
  }
}
