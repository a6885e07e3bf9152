package dev.semanticid.core.encode;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.semanticid.backend.nd4j.Nd4jBackend;
import dev.semanticid.backend.onednn.OneDnnBackend;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.report.QuantizationEvaluator;
import dev.semanticid.core.report.QuantizationReport;
import dev.semanticid.core.search.Screening;
import dev.semanticid.core.train.IterationStats;
import dev.semanticid.core.train.IterationStats.Phase;
import dev.semanticid.core.train.ResidualQuantizerTrainer;
import dev.semanticid.core.vector.InMemoryVectorSource;
import dev.semanticid.core.vector.VectorBatch;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;

/**
 * Training and encoding against the research implementation's own runs. The small runs are always
 * replayed; {@code -Dgolden.dir=FOLDER} adds the full ones.
 */
@TestInstance(Lifecycle.PER_CLASS)
class GoldenTest {

  private static final long TABLES = Long.MAX_VALUE;
  private static final long NO_TABLES = 0;

  private final ComputeBackend backend = new Nd4jBackend();
  private final ComputeBackend screening = new Nd4jBackend(new OneDnnBackend());
  private final WorkerPool one = new WorkerPool(1, "one");
  private final WorkerPool two = new WorkerPool(2, "two");

  @AfterAll
  void close() {
    one.close();
    two.close();
    backend.close();
    screening.close();
  }

  /**
   * Runs whose training can be replayed; in the others exhausted residuals make deeper levels
   * unrepeatable.
   */
  static Stream<GoldenRun> replayable() {
    return Stream.concat(GoldenRun.small(), GoldenRun.full("normalized-64", "raw-256"));
  }

  static Stream<GoldenRun> all() {
    return Stream.concat(
        GoldenRun.small(), GoldenRun.full("normalized-64", "raw-256", "normalized-256"));
  }

  @ParameterizedTest
  @MethodSource("replayable")
  void train_fromGoldenInitialCentroids_givesGoldenCodebooksAndLosses(GoldenRun golden)
      throws IOException {
    var updates = new ArrayList<IterationStats>();
    var trainer = new ResidualQuantizerTrainer(golden.config(), backend, two);
    ResidualQuantizerTrainer.Result result =
        trainer.train(
            new InMemoryVectorSource(golden.train()),
            golden.levels("initial_centroids.npy"),
            stats -> {
              if (stats.phase() == Phase.UPDATE) {
                updates.add(stats);
              }
            });

    List<float[]> expected = golden.levels("codebooks.npy");
    for (int l = 0; l < GoldenRun.LEVELS; l++) {
      float[] trained = result.codebook().centroids(l).data();
      double largest = 0;
      for (int i = 0; i < trained.length; i++) {
        largest = Math.max(largest, Math.abs((double) trained[i] - expected.get(l)[i]));
      }
      assertThat(largest).as("largest difference of a component of level %d", l).isLessThan(1e-6);
    }
    var losses = new ArrayList<Double>();
    for (JsonNode step : golden.run().get("log")) {
      if (step.get("phase").asString().equals("update")) {
        losses.add(step.get("loss").asDouble());
      }
    }
    assertThat(updates).hasSize(30).hasSameSizeAs(losses);
    for (int step = 0; step < losses.size(); step++) {
      assertThat(updates.get(step).loss() / losses.get(step))
          .as("loss of update %d relative to the golden one", step)
          .isCloseTo(1, within(1e-5));
    }
  }

  @ParameterizedTest
  @MethodSource("all")
  void encode_allRows_givesGoldenCodes(GoldenRun golden) {
    float[] rows = golden.rows();
    int[] expected = golden.codes();
    for (long budget : new long[] {TABLES, NO_TABLES}) {
      for (WorkerPool pool : List.of(one, two)) {
        try (var quantizer = new ResidualQuantizer(golden.codebook(), backend, pool, budget)) {
          for (int batch : new int[] {1, 7, 1000, 20480}) {
            assertGoldenCodes(golden, quantizer, pool, batch, rows, expected);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("all")
  void encode_allRowsScreened_givesGoldenCodes(GoldenRun golden) {
    float[] rows = golden.rows();
    int[] expected = golden.codes();
    try (var quantizer = screened(golden.codebook())) {
      for (int batch : new int[] {7, 20480}) {
        assertGoldenCodes(golden, quantizer, two, batch, rows, expected);
      }
    }
  }

  private ResidualQuantizer screened(Codebook codebook) {
    var quantizer = new ResidualQuantizer(codebook, screening, two, TABLES, Screening.ALWAYS);
    assertThat(quantizer.plan()).isEqualTo("int8");
    return quantizer;
  }

  private static void assertGoldenCodes(
      GoldenRun golden,
      ResidualQuantizer quantizer,
      WorkerPool pool,
      int batch,
      float[] rows,
      int[] expected) {
    int d = golden.dimension();
    int n = rows.length / d;
    int[] codes = new int[n * GoldenRun.LEVELS];
    for (int begin = 0; begin < n; begin += batch) {
      int count = Math.min(batch, n - begin);
      var part =
          new VectorBatch(Arrays.copyOfRange(rows, begin * d, (begin + count) * d), count, d);
      int[] partCodes = quantizer.encode(part);
      System.arraycopy(partCodes, 0, codes, begin * GoldenRun.LEVELS, partCodes.length);
    }
    ResidualQuantizerExactnessTest.assertSameRows(
        golden + ", batches of " + batch,
        quantizer.plan() + ", " + pool.threads() + " threads",
        rows,
        codes,
        expected);
  }

  /** How many rows to make; {@code -Psoak} makes 100,000. */
  private static final int ADVERSARIAL_ROWS = Integer.getInteger("adversarial.rows", 5000);

  @ParameterizedTest
  @MethodSource("all")
  void encode_adversarialRows_agreesWithReference(GoldenRun golden) {
    Codebook codebook = golden.codebook();
    float[] rows = new AdversarialRows(codebook, new SplittableRandom(11)).make(ADVERSARIAL_ROWS);
    int[] expected = new ReferenceQuantizer(codebook).encodeAll(rows, ADVERSARIAL_ROWS);
    List<Supplier<ResidualQuantizer>> plans =
        List.of(
            () -> new ResidualQuantizer(codebook, backend, two, TABLES),
            () -> new ResidualQuantizer(codebook, backend, two, NO_TABLES),
            () -> screened(codebook));
    for (Supplier<ResidualQuantizer> plan : plans) {
      try (var quantizer = plan.get()) {
        ResidualQuantizerExactnessTest.assertSameRows(
            golden,
            quantizer.plan(),
            rows,
            quantizer.encode(VectorBatch.of(rows, codebook.dimension())),
            expected);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("all")
  void evaluate_goldenCodebook_givesGoldenStatistics(GoldenRun golden) throws IOException {
    try (var quantizer = new ResidualQuantizer(golden.codebook(), backend, two, TABLES)) {
      var evaluator = new QuantizationEvaluator(quantizer, two);
      // The training rows of normalized-256 include exhausted ones, whose golden deeper codes are
      // noise.
      boolean noise = golden.name().equals("normalized-256");
      for (String part : noise ? List.of("holdout") : List.of("train", "holdout")) {
        VectorBatch rows = part.equals("train") ? golden.train() : golden.holdout();
        QuantizationReport report = evaluator.evaluate(new InMemoryVectorSource(rows), done -> {});
        JsonNode stats = golden.run().get("stats").get(part);
        assertThat(report.uniqueRatio())
            .isCloseTo(stats.get("frac_unique_ids").asDouble(), within(1e-6));
        for (int l = 0; l < GoldenRun.LEVELS; l++) {
          assertThat(report.levels().get(l).coverage())
              .isCloseTo(stats.get("layer_coverages").get(l).asDouble(), within(1e-6));
          assertThat(report.levels().get(l).entropy())
              .isCloseTo(stats.get("layer_id_entropies").get(l).asDouble(), within(1e-6));
        }
        assertThat(report.mse())
            .isCloseTo(stats.get("mse").asDouble(), within(golden.normalized() ? 1e-4 : 1e-5));

        // The golden mse is a float32 sum in two halves; summed the same way, ours agrees to the
        // last digits.
        double float32Mse = Float32Statistics.mse(golden, rows, quantizer.encode(rows));
        assertThat(float32Mse / stats.get("mse").asDouble()).isCloseTo(1, within(1e-6));
      }
    }
  }

  /**
   * The golden statistics' own arithmetic: float32 throughout, one running sum for each of two
   * threads.
   */
  private static final class Float32Statistics {

    static double mse(GoldenRun golden, VectorBatch rows, int[] codes) {
      int d = rows.dimension();
      Codebook codebook = golden.codebook();
      int components = rows.rows() * d;
      float[] squares = new float[components];
      for (int row = 0; row < rows.rows(); row++) {
        float[] r = Arrays.copyOfRange(rows.data(), row * d, (row + 1) * d);
        for (int l = 0; l < GoldenRun.LEVELS; l++) {
          if (golden.normalized()) {
            double norm = 0;
            for (float component : r) {
              norm += (double) component * component;
            }
            float divisor = (float) Math.sqrt(norm);
            for (int i = 0; i < d; i++) {
              r[i] /= divisor;
            }
          }
          float[] centroids = codebook.centroids(l).data();
          int k = codes[row * GoldenRun.LEVELS + l];
          for (int i = 0; i < d; i++) {
            r[i] -= centroids[k * d + i];
          }
        }
        for (int i = 0; i < d; i++) {
          squares[row * d + i] = r[i] * r[i];
        }
      }
      float first = 0;
      float second = 0;
      for (int i = 0; i < components; i++) {
        if (i < components / 2) {
          first += squares[i];
        } else {
          second += squares[i];
        }
      }
      return (first + second) / components;
    }
  }
}
