package dev.semanticid.core.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.offset;
import static org.assertj.core.api.Assertions.within;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.CodebookSettings;
import dev.semanticid.core.codebook.NonFiniteVectorException;
import dev.semanticid.core.codebook.Provenance;
import dev.semanticid.core.codebook.SemanticId;
import dev.semanticid.core.compute.JavaBackend;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.encode.ReferenceQuantizer;
import dev.semanticid.core.encode.ResidualQuantizer;
import dev.semanticid.core.vector.InMemoryVectorSource;
import dev.semanticid.core.vector.VectorBatch;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Reports against a naive computation of every number in them. */
class QuantizationEvaluatorTest {

  private static QuantizationReport evaluate(
      Codebook codebook, float[] rows, int threads, QuantizationEvaluator.Progress progress)
      throws IOException {
    try (var pool = new WorkerPool(threads, "test");
        var backend = new JavaBackend();
        var quantizer = new ResidualQuantizer(codebook, backend, pool, Long.MAX_VALUE)) {
      var source = new InMemoryVectorSource(VectorBatch.of(rows, codebook.dimension()));
      return new QuantizationEvaluator(quantizer, pool).evaluate(source, progress);
    }
  }

  private static QuantizationReport evaluate(Codebook codebook, float[] rows) throws IOException {
    return evaluate(codebook, rows, 2, done -> {});
  }

  @ParameterizedTest
  @CsvSource({
    "true,  1,  500, 1",
    "false, 1,  500, 1",
    "true,  7,    1, 3",
    "true,  7,   63, 3",
    "true, 17, 1000, 3",
    "false, 17, 1000, 3",
    "true,  5,  300, 40",
    "false, 5,  300, 40"
  })
  void evaluate_randomRows_agreesWithNaiveComputation(boolean normalize, int d, int n, int levels)
      throws IOException {
    var random = new SplittableRandom(n + d);
    var widths = new ArrayList<Integer>();
    for (int l = 0; l < levels; l++) {
      widths.add(2 + (l * 5 + 3) % 7);
    }
    Codebook codebook = randomCodebook(normalize, d, widths, random);
    float[] rows = gaussians(random, n * d, 3);
    for (int row = 0; row < n; row += 4) {
      // every fourth row has a twin, so there are collisions at any depth
      if (row + 1 < n) {
        System.arraycopy(rows, row * d, rows, (row + 1) * d, d);
      }
    }
    assertAgrees(evaluate(codebook, rows), new NaiveReport(codebook, rows));
  }

  @Test
  void evaluate_zeroAndExhaustedRows_countsAndReconstructsThem() throws IOException {
    int d = 4;
    var random = new SplittableRandom(8);
    float[] first = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
    Codebook codebook =
        Codebook.of(
            new CodebookSettings(true),
            d,
            List.of(first, gaussians(random, 5 * d, 0.5), gaussians(random, 3 * d, 0.5)),
            Provenance.UNKNOWN);
    float[] rows = gaussians(random, 100 * d, 1);
    for (int row = 0; row < 30; row++) {
      Arrays.fill(rows, row * d, (row + 1) * d, 0f);
      if (row >= 10) {
        // a multiple of a centroid, so that nothing is left of it behind level 0
        rows[row * d + row % 3] = 1 + row;
      }
    }
    QuantizationReport report = evaluate(codebook, rows);
    assertThat(report.levels()).extracting(LevelReport::exhausted).containsExactly(10L, 30L, 30L);
    assertAgrees(report, new NaiveReport(codebook, rows));
  }

  @Test
  void evaluate_rawCodebook_reportsNothingExhaustedAndBothErrorsAlike() throws IOException {
    var random = new SplittableRandom(9);
    Codebook codebook = randomCodebook(false, 6, List.of(4, 4), random);
    float[] rows = gaussians(random, 90 * 6, 1);
    Arrays.fill(rows, 0, 60, 0f);
    QuantizationReport report = evaluate(codebook, rows);
    assertThat(report.levels()).extracting(LevelReport::exhausted).containsExactly(0L, 0L);
    assertThat(report.reconstructionMse()).isCloseTo(report.mse(), within(1e-15));
    assertAgrees(report, new NaiveReport(codebook, rows));
  }

  @Test
  void evaluate_everyCodeUsedEquallyOften_hasFullPerplexityAndNoDeadCode() throws IOException {
    float[] centroids = {0, 10, 20, 30};
    Codebook codebook =
        Codebook.of(new CodebookSettings(false), 1, List.of(centroids), Provenance.UNKNOWN);
    LevelReport level =
        evaluate(codebook, new float[] {0, 9, 21, 30, 1, 10, 19, 31}).levels().getFirst();
    assertThat(level.perplexity()).isCloseTo(4, within(1e-12));
    assertThat(level.entropy()).isCloseTo(Math.log(4), within(1e-12));
    assertThat(level.coverage()).isEqualTo(1);
    assertThat(level.deadCodes()).isZero();
    assertThat(level.inertia()).isEqualTo(5);
  }

  @Test
  void evaluate_onlyZeroRows_givesNoNaN() throws IOException {
    var random = new SplittableRandom(10);
    Codebook codebook = randomCodebook(true, 3, List.of(4, 2), random);
    QuantizationReport report = evaluate(codebook, new float[3 * 20]);
    assertThat(report.reconstructionMse()).isZero();
    assertThat(report.maxGroup()).isEqualTo(20);
    assertThat(report.uniqueRatio()).isEqualTo(0.05);
    assertThat(report.collidingShare()).isEqualTo(1);
    for (LevelReport level : report.levels()) {
      assertThat(level.residualNormRatio()).isZero();
      assertThat(level.perplexity()).isEqualTo(1);
      assertThat(level.meanNorm()).isZero();
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void evaluate_onAnyNumberOfThreads_givesTheSameBits(boolean normalize) throws IOException {
    var random = new SplittableRandom(12);
    Codebook codebook = randomCodebook(normalize, 9, List.of(8, 8, 8), random);
    float[] rows = gaussians(random, 1000 * 9, 1);
    QuantizationReport one = evaluate(codebook, rows, 1, done -> {});
    for (int threads : new int[] {2, 3, 5}) {
      assertThat(evaluate(codebook, rows, threads, done -> {})).isEqualTo(one);
    }
  }

  @Test
  void evaluate_moreRowsThanAChunk_reportsProgressToTheEnd() throws IOException {
    var random = new SplittableRandom(13);
    Codebook codebook = randomCodebook(true, 1, List.of(2), random);
    var progress = new ArrayList<Long>();
    int n = (1 << 16) + 5;
    float[] rows = gaussians(random, n, 1);
    QuantizationReport report = evaluate(codebook, rows, 2, progress::add);
    assertThat(progress).containsExactly(1L << 16, (long) n);
    assertAgrees(report, new NaiveReport(codebook, rows));
  }

  @Test
  void evaluate_progressThrows_ends() {
    var random = new SplittableRandom(14);
    Codebook codebook = randomCodebook(true, 2, List.of(2), random);
    assertThatThrownBy(() ->
            evaluate(
                codebook,
                new float[10],
                1,
                done -> {
                  throw new IllegalStateException("cancelled");
                }))
        .hasMessage("cancelled");
  }

  @Test
  void evaluate_nonFiniteRow_isNamed() {
    var random = new SplittableRandom(15);
    Codebook codebook = randomCodebook(true, 1, List.of(2), random);
    float[] rows = gaussians(random, (1 << 16) + 9, 1);
    rows[(1 << 16) + 4] = Float.NaN;
    assertThatThrownBy(() -> evaluate(codebook, rows))
        .isInstanceOfSatisfying(
            NonFiniteVectorException.class, e -> assertThat(e.row()).isEqualTo((1 << 16) + 4))
        .hasMessageContaining("row 65540");
  }

  @Test
  void evaluate_noRowsOrAnotherDimension_isRefusedWithTheNumbers() throws IOException {
    var random = new SplittableRandom(16);
    Codebook codebook = randomCodebook(true, 3, List.of(2), random);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> evaluate(codebook, new float[0]))
        .withMessageContaining("got 0");
    try (var pool = new WorkerPool(1, "test");
        var backend = new JavaBackend();
        var quantizer = new ResidualQuantizer(codebook, backend, pool, 0)) {
      var source = new InMemoryVectorSource(VectorBatch.of(new float[20], 5));
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new QuantizationEvaluator(quantizer, pool).evaluate(source, d -> {}))
          .withMessageContainingAll("3", "5");
    }
  }

  private static void assertAgrees(QuantizationReport report, NaiveReport naive) {
    int n = naive.n;
    assertThat(report.rows()).isEqualTo(n);
    assertRelative("mse", report.mse(), naive.mse());
    assertRelative("reconstruction mse", report.reconstructionMse(), naive.reconstructionMse());
    int distinct = naive.groups.size();
    assertRelative("unique ratio", report.uniqueRatio(), (double) distinct / n);
    int colliding = naive.groups.values().stream().filter(s -> s > 1).mapToInt(s -> s).sum();
    assertRelative("colliding share", report.collidingShare(), (double) colliding / n);
    assertThat(report.maxGroup()).isEqualTo(Collections.max(naive.groups.values()).longValue());
    assertThat(report.levels()).hasSize(naive.codebook.levels());
    for (LevelReport level : report.levels()) {
      int l = level.level();
      long[] uses = naive.uses.get(l);
      assertThat(level.width()).isEqualTo(uses.length);
      assertRelative("inertia", level.inertia(), naive.inertia[l]);
      assertRelative(
          "residual norm ratio",
          level.residualNormRatio(),
          naive.input > 0 ? Math.sqrt(naive.inertia[l]) / Math.sqrt(naive.input) : 0);
      long used = Arrays.stream(uses).filter(u -> u > 0).count();
      assertRelative("coverage", level.coverage(), used / (double) uses.length);
      assertThat(level.deadCodes()).isEqualTo(uses.length - (int) used);
      double entropy =
          Arrays.stream(uses)
              .filter(u -> u > 0)
              .mapToDouble(u -> -(u / (double) n) * Math.log(u / (double) n))
              .sum();
      assertThat(level.entropy()).isCloseTo(entropy, offset(1e-12));
      assertRelative("perplexity", level.perplexity(), Math.exp(entropy));
      assertThat(level.exhausted()).as("exhausted at level %d", l).isEqualTo(naive.exhausted[l]);
      assertRelative("mean norm", level.meanNorm(), naive.norms[l] / n);
    }
  }

  private static void assertRelative(String what, double actual, double expected) {
    assertThat(actual).as(what).isCloseTo(expected, within(1e-9 * Math.abs(expected) + 1e-20));
  }

  /** Walks every row down the levels by the definition, and rebuilds it from codes and norms. */
  private static final class NaiveReport {

    private final Codebook codebook;
    private final int n;
    private final Map<SemanticId, Integer> groups = new HashMap<>();
    private final List<long[]> uses = new ArrayList<>();
    private final double[] inertia;
    private final double[] norms;
    private final long[] exhausted;
    private double input;
    private double reconstruction;

    NaiveReport(Codebook codebook, float[] rows) {
      this.codebook = codebook;
      this.n = rows.length / codebook.dimension();
      this.inertia = new double[codebook.levels()];
      this.norms = new double[codebook.levels()];
      this.exhausted = new long[codebook.levels()];
      codebook.widths().forEach(width -> uses.add(new long[width]));
      int d = codebook.dimension();
      var reference = new ReferenceQuantizer(codebook);
      for (int row = 0; row < n; row++) {
        float[] x = Arrays.copyOfRange(rows, row * d, (row + 1) * d);
        int[] codes = reference.encode(x);
        groups.merge(SemanticId.ofRow(codes, 0, codes.length), 1, Integer::sum);
        add(x, codes);
      }
    }

    private void add(float[] x, int[] codes) {
      int d = x.length;
      int levels = codes.length;
      boolean normalize = codebook.normalizeResiduals();
      double[] rowNorms = new double[levels];
      double[] r = new double[d];
      for (int i = 0; i < d; i++) {
        r[i] = x[i];
      }
      boolean gone = false;
      for (int l = 0; l < levels; l++) {
        double norm = Math.sqrt(squares(r));
        gone |= normalize && (l == 0 ? norm == 0 : norm <= 1e-6);
        exhausted[l] += gone ? 1 : 0;
        rowNorms[l] = gone ? 0 : norm;
        norms[l] += rowNorms[l];
        double[] u = new double[d];
        for (int i = 0; i < d; i++) {
          u[i] = gone ? 0 : normalize ? r[i] / norm : r[i];
        }
        input += l == 0 ? squares(u) : 0;
        uses.get(l)[codes[l]]++;
        for (int i = 0; i < d; i++) {
          r[i] = u[i] - centroid(l, codes[l], i);
        }
        inertia[l] += squares(r);
      }
      // x̂ = ν_0·(C_0 + ν_1·(C_1 + …)) from the inside out; raw codebooks scale nothing
      double[] rebuilt = new double[d];
      for (int l = levels - 1; l >= 0; l--) {
        for (int i = 0; i < d; i++) {
          rebuilt[i] += centroid(l, codes[l], i);
          rebuilt[i] *= normalize ? rowNorms[l] : 1;
        }
      }
      for (int i = 0; i < d; i++) {
        double difference = x[i] - rebuilt[i];
        reconstruction += difference * difference;
      }
    }

    private double centroid(int level, int code, int i) {
      return codebook.centroids(level).data()[code * codebook.dimension() + i];
    }

    private double components() {
      return (double) n * codebook.dimension();
    }

    double mse() {
      return inertia[inertia.length - 1] / components();
    }

    double reconstructionMse() {
      return reconstruction / components();
    }

    private static double squares(double[] values) {
      double sum = 0;
      for (double value : values) {
        sum += value * value;
      }
      return sum;
    }
  }

  private static Codebook randomCodebook(
      boolean normalize, int d, List<Integer> widths, SplittableRandom random) {
    var levels = new ArrayList<float[]>();
    for (int width : widths) {
      levels.add(gaussians(random, width * d, 0.6 / Math.sqrt(d)));
    }
    return Codebook.of(new CodebookSettings(normalize), d, levels, Provenance.UNKNOWN);
  }

  private static float[] gaussians(SplittableRandom random, int length, double size) {
    float[] values = new float[length];
    for (int i = 0; i < length; i++) {
      values[i] = (float) (size * random.nextGaussian());
    }
    return values;
  }
}
