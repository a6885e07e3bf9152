package dev.semanticid.core.encode;

import dev.semanticid.backend.nd4j.Nd4jBackend;
import dev.semanticid.backend.onednn.OneDnnBackend;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.search.Screening;
import dev.semanticid.core.train.CentroidInitializer;
import dev.semanticid.core.train.ResidualQuantizerConfig;
import dev.semanticid.core.train.ResidualQuantizerTrainer;
import dev.semanticid.core.train.TrainingListener;
import dev.semanticid.core.vector.InMemoryVectorSource;
import dev.semanticid.core.vector.VectorBatch;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Rows as embeddings are, points around many centres with noise in a few directions more than in
 * others, against codebooks trained on them: every plan, every row, against the float64 definition.
 */
@TestInstance(Lifecycle.PER_CLASS)
class GeneratedRowsTest {

  /** Rows with up to 384 components, of all cases together; {@code -Psoak} makes 1,000,000. */
  private static final int ROWS = Integer.getInteger("generated.rows", 12_000);

  private static final int CHUNK = 1000;
  private static final int CENTERS = 400;

  private final WorkerPool pool = new WorkerPool(2, "test");
  private final ComputeBackend backend = new Nd4jBackend(new OneDnnBackend());

  @AfterAll
  void close() {
    backend.close();
    pool.close();
  }

  /** Shares of {@link #ROWS} in per cent. */
  @ParameterizedTest
  @CsvSource({
    "32, 3, 256, true, 20",
    "128, 4, 64, false, 30",
    "384, 3, 256, true, 50",
    "2048, 3, 256, true, 10"
  })
  void encode_generatedRows_agreesWithReference(
      int d, int levels, int width, boolean normalize, int percent) throws IOException {
    var random = new SplittableRandom(d);
    float[] centers = gaussians(random, CENTERS * d, 1);
    double[] spread = new double[d];
    for (int i = 0; i < d; i++) {
      spread[i] = 1.2 / Math.sqrt(1 + 40.0 * i / d);
    }
    var config =
        new ResidualQuantizerConfig(
            d,
            Collections.nCopies(levels, width),
            1000,
            1000,
            5 * levels,
            0.5,
            normalize,
            true,
            false,
            true,
            CentroidInitializer.KMEANS_PLUS_PLUS,
            1);
    float[] training = rows(random, centers, spread, 2000);
    Codebook codebook =
        new ResidualQuantizerTrainer(config, backend, pool)
            .train(new InMemoryVectorSource(VectorBatch.of(training, d)), TrainingListener.NONE)
            .codebook();
    var quantizers = new ArrayList<ResidualQuantizer>();
    for (Screening screening : List.of(Screening.ALWAYS, Screening.NEVER)) {
      for (long tables : new long[] {Long.MAX_VALUE, 0}) {
        quantizers.add(new ResidualQuantizer(codebook, backend, pool, tables, screening));
      }
    }
    try {
      int n = (int) ((long) ROWS * percent / 100);
      for (int done = 0; done < n; done += CHUNK) {
        float[] rows = rows(random, centers, spread, Math.min(CHUNK, n - done));
        int[] expected = new ReferenceQuantizer(codebook).encodeAll(rows, rows.length / d);
        for (ResidualQuantizer quantizer : quantizers) {
          ResidualQuantizerExactnessTest.assertSameRows(
              d + " components, from row " + done,
              quantizer.plan() + ", " + quantizer.planReason(),
              rows,
              quantizer.encode(VectorBatch.of(rows, d)),
              expected);
        }
      }
    } finally {
      quantizers.forEach(ResidualQuantizer::close);
    }
  }

  private static float[] rows(SplittableRandom random, float[] centers, double[] spread, int n) {
    int d = spread.length;
    float[] rows = new float[n * d];
    for (int row = 0; row < n; row++) {
      int center = random.nextInt(CENTERS) * d;
      double length = Math.exp(0.3 * random.nextGaussian());
      for (int i = 0; i < d; i++) {
        rows[row * d + i] =
            (float) (length * (centers[center + i] + spread[i] * random.nextGaussian()));
      }
    }
    return rows;
  }

  private static float[] gaussians(SplittableRandom random, int n, double size) {
    float[] values = new float[n];
    for (int i = 0; i < n; i++) {
      values[i] = (float) (size * random.nextGaussian());
    }
    return values;
  }
}
