package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.NPY;
import static dev.semanticid.service.ServiceClient.SMALL;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.compute.JavaBackend;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.encode.ResidualQuantizer;
import dev.semanticid.core.report.HoldoutSplit;
import dev.semanticid.core.report.LevelReport;
import dev.semanticid.core.report.QuantizationEvaluator;
import dev.semanticid.core.report.QuantizationReport;
import dev.semanticid.core.vector.InMemoryVectorSource;
import dev.semanticid.core.vector.VectorBatch;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code holdout_fraction}: rows that are reported on and never trained on. */
@ExtendWith(SharedService.Provider.class)
class HoldoutIT {

  private static final int D = 16;
  private static final float[][] ROWS = Embeddings.rows(1500, D, 1);
  private static final HoldoutSplit SPLIT = new HoldoutSplit(0.2, 7);

  private static ServiceProcess service;
  private static ServiceClient client;
  private static Path root;

  @BeforeAll
  static void start(SharedService shared) throws IOException {
    root = shared.root();
    service = shared.process();
    client = service.client();
  }

  private static float[][] rows(boolean heldOut) {
    return IntStream.range(0, ROWS.length)
        .filter(row -> SPLIT.holdsOut(row) == heldOut)
        .mapToObj(row -> ROWS[row])
        .toArray(float[][]::new);
  }

  @Test
  void holdout_rows_areReportedOnAndNeverTrainedOn() throws IOException {
    float[][] training = rows(false);
    float[][] heldOut = rows(true);
    assertThat(heldOut.length).isBetween(220, 380);
    JsonNode job =
        client.train(
            "codebook=held&holdout_fraction=0.2&seed=7&" + SMALL.replace("max_steps=30&", ""),
            ROWS);
    JsonNode without =
        client.train("codebook=without&seed=7&" + SMALL.replace("max_steps=30&", ""), training);
    assertThat(client.fingerprint("held", 1)).isEqualTo(client.fingerprint("without", 1));
    JsonNode report = job.path("report");
    assertThat(report.path("rows").asInt()).isEqualTo(training.length);
    assertThat(((ObjectNode) report.deepCopy()).without("holdout"))
        .isEqualTo(without.path("report"));
    assertThat(without.path("report").has("holdout")).isFalse();

    JsonNode holdout = report.path("holdout");
    assertThat(holdout.has("holdout")).isFalse();
    Codebook codebook = client.download("held", 1);
    QuantizationReport expected = evaluation(codebook, heldOut);
    assertThat(holdout.path("rows").asLong()).isEqualTo(heldOut.length);
    assertThat(holdout.path("mse").asDouble()).isEqualTo(expected.mse());
    assertThat(holdout.path("mse").asDouble())
        .isCloseTo(naiveMse(codebook, heldOut), within(1e-12));
    assertThat(holdout.path("reconstruction_mse").asDouble())
        .isEqualTo(expected.reconstructionMse());
    assertThat(holdout.path("unique_ratio").asDouble()).isEqualTo(expected.uniqueRatio());
    assertThat(holdout.path("colliding_share").asDouble()).isEqualTo(expected.collidingShare());
    assertThat(holdout.path("max_group").asLong()).isEqualTo(expected.maxGroup());
    assertThat(holdout.path("levels").size()).isEqualTo(3);
    for (LevelReport level : expected.levels()) {
      JsonNode actual = holdout.path("levels").get(level.level());
      assertThat(actual.path("inertia").asDouble()).isEqualTo(level.inertia());
      assertThat(actual.path("perplexity").asDouble()).isEqualTo(level.perplexity());
      assertThat(actual.path("dead_codes").asInt()).isEqualTo(level.deadCodes());
      assertThat(actual.path("mean_norm").asDouble()).isEqualTo(level.meanNorm());
    }

    JsonNode version = client.get("/codebooks/held/versions/1").json();
    assertThat(version.path("report")).isEqualTo(report);
    assertThat(client.get("/codebooks/held").json().path("versions").get(0).path("report"))
        .isEqualTo(report);
    JsonNode provenance = version.path("provenance");
    assertThat(provenance.path("holdout_fraction").asString()).isEqualTo("0.2");
    assertThat(provenance.path("rows").asInt()).isEqualTo(training.length);
    assertThat(provenance.path("holdout_rows").asInt()).isEqualTo(heldOut.length);
    // ten passes of the training rows for each of three levels
    assertThat(job.path("parameters").path("max_steps").asInt())
        .isEqualTo(30 * ((training.length + 127) / 128));
  }

  private static QuantizationReport evaluation(Codebook codebook, float[][] rows)
      throws IOException {
    float[] flat = new float[rows.length * D];
    for (int row = 0; row < rows.length; row++) {
      System.arraycopy(rows[row], 0, flat, row * D, D);
    }
    try (var pool = new WorkerPool(1, "test");
        var backend = new JavaBackend();
        var quantizer = new ResidualQuantizer(codebook, backend, pool, 0);
        var source = new InMemoryVectorSource(VectorBatch.of(flat, D))) {
      return new QuantizationEvaluator(quantizer, pool).evaluate(source, done -> {});
    }
  }

  /** Mean square of a component of the last residual, row after row. */
  private static double naiveMse(Codebook codebook, float[][] rows) {
    int[][] codes = client.encode("codebook=held&version=1", rows).codes();
    double squares = 0;
    for (int row = 0; row < rows.length; row++) {
      double[] r = new double[D];
      for (int i = 0; i < D; i++) {
        r[i] = rows[row][i];
      }
      for (int l = 0; l < codebook.levels(); l++) {
        double norm = Math.sqrt(Arrays.stream(r).map(x -> x * x).sum());
        for (int i = 0; i < D; i++) {
          r[i] = r[i] / norm - codebook.centroids(l).data()[codes[row][l] * D + i];
        }
      }
      squares += Arrays.stream(r).map(x -> x * x).sum();
    }
    return squares / rows.length / D;
  }

  /** Files of this machine and the body are read differently, and split alike. */
  @Test
  void holdout_fromASource_isTheSameSplit() throws IOException {
    Files.write(root.resolve("held.npy"), Embeddings.npy(ROWS));
    client.train("codebook=source&holdout_fraction=0.2&" + SMALL, ROWS);
    JsonNode job =
        client.trainFrom(
            """
            {"codebook": "source", "source": {"uri": "file://%s/held.npy"}, "codebook_width": 8,
             "init_buffer_size": 64, "batch_size": 128, "max_steps": 30, "holdout_fraction": 0.2}
            """
                .formatted(root));
    assertThat(job.path("state").asString()).as(job.toString()).isEqualTo("succeeded");
    assertThat(client.fingerprint("source", 2)).isEqualTo(client.fingerprint("source", 1));
    assertThat(job.path("report"))
        .isEqualTo(client.get("/codebooks/source/versions/1").json().path("report"));
  }

  @Test
  void holdout_gate_looksAtTheRowsHeldOut() {
    String query = "codebook=gate&holdout_fraction=0.2&quality_gate.max_holdout_mse=%s&" + SMALL;
    JsonNode failed = client.train(query.formatted("0.0001"), ROWS);
    assertThat(failed.path("activated").asBoolean()).isFalse();
    assertThat(failed.path("report").path("notes").toString())
        .contains("quality gate", "max_holdout_mse", "1.0E-4");
    assertThat(client.train(query.formatted("1"), ROWS).path("activated").asBoolean()).isTrue();
  }

  private static void refused(String query, int rows, int status, String code, Object... named) {
    client
        .post(
            "/train?codebook=refused&codebook_width=8&" + query,
            NPY,
            Embeddings.npy(Arrays.copyOf(ROWS, rows)))
        .expectProblem(status, code, named);
  }

  @Test
  void holdout_badFraction_isRefusedWithBoth() {
    for (String value : new String[] {"1", "-0.1", "1.5"}) {
      refused(
          "holdout_fraction=" + value,
          60,
          400,
          "INVALID_PARAMETER",
          "at least 0 and below 1",
          value);
    }
    for (String value : new String[] {"half", "true", ""}) {
      refused("holdout_fraction=" + value, 60, 400, "INVALID_PARAMETER", "holdout_fraction", value);
    }
    long held = new HoldoutSplit(0.9, 42).count(20);
    refused("holdout_fraction=0.9", 20, 422, "TOO_FEW_ROWS", 8, 20, held + " are held out");
    refused("holdout_fraction=0.00001", 60, 422, "TOO_FEW_ROWS", "1.0E-5", "none of the 60 rows");
    refused("quality_gate.max_holdout_mse=0.1", 60, 422, "HOLDOUT_REQUIRED", "holdout_fraction");
    refused(
        "holdout_fraction=0.5&quality_gate.max_holdout_mse=-1", 60, 400, "INVALID_PARAMETER", -1);
    assertThat(service.spooled()).isEmpty();
  }
}
