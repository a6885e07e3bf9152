package dev.semanticid.core.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.JavaBackend;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.encode.ReferenceQuantizer;
import dev.semanticid.core.encode.ResidualQuantizer;
import dev.semanticid.core.report.LevelReport;
import dev.semanticid.core.report.QuantizationEvaluator;
import dev.semanticid.core.report.QuantizationReport;
import dev.semanticid.core.vector.InMemoryVectorSource;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.core.vector.VectorSource;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Balanced levels: their centroids get about equally many rows, for a small price in error. */
@TestInstance(Lifecycle.PER_CLASS)
class LevelBalancerTest {

  private static final int D = 16;
  private static final int WIDTH = 16;
  private static final List<Integer> WIDTHS = List.of(WIDTH, WIDTH, WIDTH);
  private static final int ROWS = 100 * WIDTH;

  private final ComputeBackend backend = new JavaBackend();
  private final WorkerPool pool = new WorkerPool(2, "test");

  @AfterAll
  void close() {
    pool.close();
    backend.close();
  }

  @ParameterizedTest
  @CsvSource({"LLOYD,true", "LLOYD,false", "MINIBATCH_KMEANS,true", "MINIBATCH_KMEANS,false"})
  void train_balancedOnSkewedClusters_usesCentroidsEvenlyForASmallPrice(
      Algorithm algorithm, boolean normalize) throws IOException {
    float[] rows = skewed(new SplittableRandom(12));
    Codebook plain = train(algorithm, normalize, false, rows);
    Codebook balanced = train(algorithm, normalize, true, rows);
    assertThat(plain.weighted()).isFalse();
    if (algorithm == Algorithm.MINIBATCH_KMEANS) {
      // Lloyd's passes may even out the loads by relocation alone.
      assertThat(balanced.weighted()).isTrue();
    }
    QuantizationReport before = report(plain, rows);
    QuantizationReport after = report(balanced, rows);
    assertThat(before.levels().getFirst().perplexity())
        .as("the data are skewed")
        .isLessThan(0.95 * WIDTH);
    for (LevelReport level : after.levels()) {
      assertThat(level.perplexity())
          .as("perplexity of level %d", level.level())
          .isGreaterThanOrEqualTo(0.95 * WIDTH);
    }
    assertThat(after.reconstructionMse()).isLessThanOrEqualTo(1.1 * before.reconstructionMse());
    try (var quantizer = new ResidualQuantizer(balanced, backend, pool, Long.MAX_VALUE)) {
      assertThat(quantizer.encode(VectorBatch.of(rows, D)))
          .isEqualTo(new ReferenceQuantizer(balanced).encodeAll(rows, ROWS));
    }
    for (int l = 0; l < WIDTHS.size(); l++) {
      assertThat(balanced.centroids(l).weights()).doesNotContain(Float.NaN);
    }
  }

  /** Of 48 clusters the first is the largest, the i-th 1/i^¾ of it. */
  private static float[] skewed(SplittableRandom random) {
    int clusters = 48;
    float[] centers = TrainingKind.gaussians(random, clusters * D, 1);
    double[] shares = new double[clusters];
    for (int i = 0; i < clusters; i++) {
      shares[i] = Math.pow(i + 1, -0.75);
    }
    double total = Arrays.stream(shares).sum();
    float[] rows = TrainingKind.gaussians(random, ROWS * D, 0.6);
    for (int row = 0; row < ROWS; row++) {
      double at = random.nextDouble() * total;
      int cluster = 0;
      while (cluster + 1 < clusters && at > shares[cluster]) {
        at -= shares[cluster++];
      }
      for (int i = 0; i < D; i++) {
        rows[row * D + i] += centers[cluster * D + i];
      }
    }
    return rows;
  }

  private Codebook train(Algorithm algorithm, boolean normalize, boolean balance, float[] rows)
      throws IOException {
    var kind = new TrainingKind(algorithm, 1e-4, 0, 1, balance, normalize, true);
    try (VectorSource source = source(rows)) {
      return new ResidualQuantizerTrainer(kind.config(D, WIDTHS, 800, 400, 90), backend, pool)
          .train(source, TrainingListener.NONE)
          .codebook();
    }
  }

  private QuantizationReport report(Codebook codebook, float[] rows) throws IOException {
    try (VectorSource source = source(rows);
        var quantizer = new ResidualQuantizer(codebook, backend, pool, Long.MAX_VALUE)) {
      return new QuantizationEvaluator(quantizer, pool).evaluate(source, done -> {});
    }
  }

  private static VectorSource source(float[] rows) {
    return new InMemoryVectorSource(VectorBatch.of(rows, D));
  }
}
