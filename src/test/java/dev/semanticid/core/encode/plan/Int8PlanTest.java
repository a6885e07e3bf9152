package dev.semanticid.core.encode.plan;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.backend.onednn.OneDnnBackend;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.CodebookSettings;
import dev.semanticid.core.codebook.Provenance;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.ExactInt8;
import dev.semanticid.core.compute.Int8Backend;
import dev.semanticid.core.compute.JavaBackend;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.encode.AdversarialRows;
import dev.semanticid.core.encode.GoldenRun;
import dev.semanticid.core.encode.ReferenceQuantizer;
import dev.semanticid.core.encode.ResidualQuantizer;
import dev.semanticid.core.search.Screening;
import dev.semanticid.core.search.ScreeningStatistics;
import dev.semanticid.core.vector.VectorBatch;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Hunts for rows that screening in 8 bits gets wrong, and checks what it counts. */
@TestInstance(Lifecycle.PER_CLASS)
class Int8PlanTest {

  private static final int[] LARGEST = {2, 6, 30, 126, 254};

  private final WorkerPool pool = new WorkerPool(2, "test");

  @AfterAll
  void close() {
    pool.close();
  }

  /** How the centroids of a level lie. */
  private enum Kind {
    /** All over, of shrinking length. */
    SPREAD,
    /** Each with neighbours that float32 products cannot tell apart, and some equal ones. */
    NEIGHBOURS,
    /** Around a point far from the origin, so that they are coded about their mean. */
    AROUND_A_POINT,
    /** One component dwarfs the others, so that their coding loses those. */
    OUTLIERS,
    /** Along one line to both sides of the origin, where the norms of errors are the errors. */
    ON_A_LINE
  }

  @ParameterizedTest
  @CsvSource({
    "1, 1", "1, 4", "2, 2", "2, 8", "3, 3", "4, 1", "5, 5", "7, 2", "8, 8", "16, 4", "33, 3",
    "64, 2", "130, 3"
  })
  void encode_rowsMadeToMislead_givesTheReferenceCodes(int d, int levels) {
    for (Kind kind : Kind.values()) {
      for (boolean normalize : new boolean[] {true, false}) {
        for (int round = 0; round < 3; round++) {
          var random = new SplittableRandom(1000L * d + 100L * levels + 10L * round);
          Codebook codebook = codebook(random, d, levels, kind, normalize);
          float[] rows =
              concatenated(
                  new AdversarialRows(codebook, random).make(90),
                  misleading(random, codebook, 300));
          int[] expected = new ReferenceQuantizer(codebook).encodeAll(rows, rows.length / d);
          for (int largest : LARGEST) {
            assertCodes(kind, codebook, new ExactInt8(largest), rows, expected);
          }
        }
      }
    }
  }

  /**
   * A vector along one axis is coded without error, and a centroid's component on that axis is what
   * its coding loses: products differ by exactly ‖x‖·‖f‖, and its neighbour's by as much in the
   * other direction.
   */
  @ParameterizedTest
  @ValueSource(ints = {2, 3, 5, 16})
  void encode_errorOfCentroidsAlongTheRow_givesTheReferenceCodes(int d) {
    var random = new SplittableRandom(d);
    for (boolean normalize : new boolean[] {true, false}) {
      for (int round = 0; round < 40; round++) {
        float[] level = new float[8 * d];
        float step = 1 / 127f;
        for (int k = 0; k < 8; k++) {
          // opposite ones, so that their mean is not worth taking off
          level[k * d] = k % 2 == 0 ? 1 : -1;
          level[k * d + 1] =
              step
                  * (0.5f
                      + random.nextInt(3)
                      + (random.nextInt(3) - 1)
                          * (float) Math.pow(10, -6 + 5 * random.nextDouble()));
        }
        Codebook codebook =
            Codebook.of(new CodebookSettings(normalize), d, List.of(level), Provenance.UNKNOWN);
        int n = 100;
        float[] rows = new float[n * d];
        for (int row = 0; row < n; row++) {
          int a = random.nextInt(8) * d + 1;
          int b = random.nextInt(8) * d + 1;
          rows[row * d + 1] = normalize ? 1 : 0.5f * (level[a] + level[b]);
          rows[row * d] = random.nextInt(3) == 0 ? (float) random.nextGaussian() : 0;
        }
        int[] expected = new ReferenceQuantizer(codebook).encodeAll(rows, n);
        for (int largest : LARGEST) {
          assertCodes("along an axis", codebook, new ExactInt8(largest), rows, expected);
        }
      }
    }
  }

  @Test
  void screening_ordinaryRows_countsRowsAndSurvivorsOfEveryLevel() {
    var random = new SplittableRandom(3);
    Codebook codebook = codebook(random, 24, 3, Kind.SPREAD, true);
    int n = 700;
    float[] rows = gaussian(random, n * 24, 1);
    try (var quantizer = screening(codebook, new ExactInt8(30))) {
      assertThat(statistics(quantizer))
          .isEqualTo(new ScreeningStatistics(0, List.of(0L, 0L, 0L), 0));
      quantizer.encode(VectorBatch.of(rows, 24));
      ScreeningStatistics once = statistics(quantizer);
      assertThat(once.rows()).isEqualTo(n);
      for (int l = 0; l < 3; l++) {
        assertThat(once.survivors().get(l)).isBetween((long) n, (long) n * codebook.width(l));
        assertThat(once.survivorsPerRow().get(l)).isEqualTo((double) once.survivors().get(l) / n);
      }
      // Of the last level no norm is needed, so one survivor alone needs no product.
      assertThat(once.summed())
          .isBetween(2L * n, once.survivors().stream().mapToLong(Long::longValue).sum());
      assertThat(once.summedPerRow()).isEqualTo((double) once.summed() / n);

      quantizer.encode(VectorBatch.of(rows, 24));
      assertThat(statistics(quantizer).rows()).isEqualTo(2L * n);
      assertThat(statistics(quantizer).survivors())
          .isEqualTo(once.survivors().stream().map(count -> 2 * count).toList());
      assertThat(statistics(quantizer).summed()).isEqualTo(2 * once.summed());
    }
  }

  @Test
  void screening_zeroRowsAndRowsForTheLoop_leavesNoSurvivors() {
    var random = new SplittableRandom(4);
    Codebook codebook = codebook(random, 8, 2, Kind.SPREAD, true);
    float[] rows = new float[3 * 8];
    rows[8] = 1e-20f;
    rows[16] = 1e20f;
    try (var quantizer = screening(codebook, new ExactInt8(254))) {
      quantizer.encode(VectorBatch.of(rows, 8));
      assertThat(statistics(quantizer)).isEqualTo(new ScreeningStatistics(3, List.of(0L, 0L), 0));
    }
  }

  @Test
  void screening_selfTest_isNotCounted() {
    var random = new SplittableRandom(5);
    Codebook codebook = codebook(random, 8, 2, Kind.SPREAD, true);
    try (var quantizer = screening(codebook, new ExactInt8(254))) {
      quantizer.selfTest();
      assertThat(statistics(quantizer)).isEqualTo(new ScreeningStatistics(0, List.of(0L, 0L), 0));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void screening_moreSteps_leaveFewerSurvivors(boolean normalize) {
    var random = new SplittableRandom(6);
    Codebook codebook = codebook(random, 64, 3, Kind.SPREAD, normalize);
    float[] rows = gaussian(random, 400 * 64, 0.1);
    List<Long> before = List.of(Long.MAX_VALUE, Long.MAX_VALUE, Long.MAX_VALUE);
    for (int largest : new int[] {2, 6, 30, 126}) {
      try (var quantizer = screening(codebook, new ExactInt8(largest))) {
        quantizer.encode(VectorBatch.of(rows, 64));
        List<Long> survivors = statistics(quantizer).survivors();
        for (int l = 0; l < 3; l++) {
          assertThat(survivors.get(l))
              .as("level %d, %d steps", l, largest)
              .isLessThan(before.get(l));
        }
        before = survivors;
      }
    }
  }

  static List<GoldenRun> goldenRuns() {
    return GoldenRun.small().toList();
  }

  /** What screening is for: of real rows it leaves next to nothing to float64. */
  @ParameterizedTest
  @MethodSource("goldenRuns")
  void screening_goldenRows_leavesFewSurvivors(GoldenRun golden) {
    try (var int8 = new OneDnnBackend();
        var quantizer = screening(golden.codebook(), int8)) {
      quantizer.encode(golden.holdout());
      assertThat(statistics(quantizer).survivorsPerRow())
          .hasSize(GoldenRun.LEVELS)
          .allSatisfy(survivors -> assertThat(survivors).isBetween(1.0, 8.0));
      assertThat(statistics(quantizer).summedPerRow()).isLessThan(8.0 * GoldenRun.LEVELS);
      assertThat(quantizer.rescoredDecisions()).isLessThan(quantizer.encodedRows() / 100);
    }
  }

  private ResidualQuantizer screening(Codebook codebook, Int8Backend int8) {
    ComputeBackend backend = ExactInt8.beside(new JavaBackend(), int8);
    return new ResidualQuantizer(codebook, backend, pool, Long.MAX_VALUE, Screening.ALWAYS);
  }

  private static ScreeningStatistics statistics(ResidualQuantizer quantizer) {
    ScreeningStatistics statistics = quantizer.screening();
    assertThat(statistics).isNotNull();
    return statistics;
  }

  private void assertCodes(
      Object kind, Codebook codebook, Int8Backend int8, float[] rows, int[] expected) {
    try (var quantizer = screening(codebook, int8)) {
      int[] codes = quantizer.encode(VectorBatch.of(rows, codebook.dimension()));
      if (!Arrays.equals(codes, expected)) {
        int at = Arrays.mismatch(codes, expected);
        int d = codebook.dimension();
        int row = at / codebook.levels();
        assertThat(codes[at])
            .as(
                "%s, %s, %s, normalised %s: level %d of row %d, %s",
                int8.device(),
                kind,
                codebook.widths(),
                codebook.normalizeResiduals(),
                at % codebook.levels(),
                row,
                Arrays.toString(Arrays.copyOfRange(rows, row * d, (row + 1) * d)))
            .isEqualTo(expected[at]);
      }
    }
  }

  private static Codebook codebook(
      SplittableRandom random, int d, int levels, Kind kind, boolean normalize) {
    var made = new ArrayList<float[]>();
    float[] direction = signs(random, d);
    for (int l = 0; l < levels; l++) {
      int width = 2 + random.nextInt(kind == Kind.SPREAD ? 60 : 20);
      double length = normalize ? 0.8 : Math.pow(0.7, l);
      float[] level = gaussian(random, width * d, length / Math.sqrt(d));
      float[] point = gaussian(random, d, 4 * length / Math.sqrt(d));
      for (int k = 0; k < width; k++) {
        int begin = k * d;
        switch (kind) {
          case SPREAD -> {}
          case NEIGHBOURS -> {
            if (k % 4 > 0) {
              double distance = k % 4 == 1 ? 0 : Math.pow(10, -8 + 6 * random.nextDouble());
              for (int i = 0; i < d; i++) {
                level[begin + i] = (float) (level[begin - d + i] + distance * level[begin + i]);
              }
            }
          }
          case AROUND_A_POINT -> {
            for (int i = 0; i < d; i++) {
              level[begin + i] = 0.3f * level[begin + i] + point[i];
            }
          }
          case OUTLIERS -> level[begin + random.nextInt(d)] *= 40f;
          case ON_A_LINE -> {
            double at = length * (2 * random.nextDouble() - 1) / Math.sqrt(d);
            for (int i = 0; i < d; i++) {
              level[begin + i] = (float) (at * direction[i]);
            }
          }
        }
      }
      made.add(level);
    }
    return Codebook.of(new CodebookSettings(normalize), d, made, Provenance.UNKNOWN);
  }

  /**
   * Near ties at a random level, below centroids that leave little or much of the row, and rows
   * that are hard to code: with outliers, constant, and of extreme norms.
   */
  private static float[] misleading(SplittableRandom random, Codebook codebook, int n) {
    int d = codebook.dimension();
    float[] rows = new float[n * d];
    for (int row = 0; row < n; row++) {
      double[] x = new double[d];
      int depth = random.nextInt(codebook.levels());
      double share = 0.5 + (random.nextInt(3) - 1) * Math.pow(10, -12 + 11 * random.nextDouble());
      AdversarialRows.addCentroid(codebook, depth, random, share, x);
      AdversarialRows.addCentroid(codebook, depth, random, 1 - share, x);
      for (int l = depth - 1; l >= 0; l--) {
        double remainder = codebook.normalizeResiduals() ? 0.05 + random.nextDouble() : 1;
        for (int i = 0; i < d; i++) {
          x[i] *= remainder;
        }
        AdversarialRows.addCentroid(codebook, l, random, 1, x);
      }
      switch (row % 6) {
        case 1 -> x[random.nextInt(d)] += 30 * random.nextGaussian();
        case 2 -> {
          double constant = random.nextGaussian();
          Arrays.fill(x, row % 12 == 2 ? constant : constant / Math.sqrt(d));
        }
        case 3 -> {
          double factor = Math.pow(10, -13 + 26 * random.nextDouble());
          for (int i = 0; i < d; i++) {
            x[i] *= factor;
          }
        }
        case 4 -> {
          for (int i = 0; i < d; i++) {
            x[i] += 1e-3 * random.nextGaussian();
          }
        }
        default -> {}
      }
      for (int i = 0; i < d; i++) {
        rows[row * d + i] = (float) x[i];
      }
    }
    return rows;
  }

  private static float[] signs(SplittableRandom random, int d) {
    float[] signs = new float[d];
    for (int i = 0; i < d; i++) {
      signs[i] = random.nextBoolean() ? 1 : -1;
    }
    return signs;
  }

  private static float[] gaussian(SplittableRandom random, int length, double size) {
    float[] values = new float[length];
    for (int i = 0; i < length; i++) {
      values[i] = (float) (size * random.nextGaussian());
    }
    return values;
  }

  private static float[] concatenated(float[] a, float[] b) {
    float[] both = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, both, a.length, b.length);
    return both;
  }
}
