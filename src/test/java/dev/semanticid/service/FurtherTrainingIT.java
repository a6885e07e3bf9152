package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.NPY;
import static dev.semanticid.service.ServiceClient.OCTETS;
import static dev.semanticid.service.ServiceClient.SMALL;
import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.TrainingState;
import dev.semanticid.core.compute.JavaBackend;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.train.CentroidInitializer;
import dev.semanticid.core.train.ResidualQuantizerConfig;
import dev.semanticid.core.train.ResidualQuantizerTrainer;
import dev.semanticid.core.train.TrainingListener;
import dev.semanticid.core.vector.InMemoryVectorSource;
import dev.semanticid.core.vector.VectorBatch;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** {@code init_from}: versions trained further. Every test has codebooks of its own. */
@ExtendWith(SharedService.Provider.class)
class FurtherTrainingIT {

  private static final int D = 16;

  /** The first 2,000 are the old items, the rest new ones. */
  private static final float[][] ROWS = Embeddings.rows(2100, D, 1);

  private static final float[][] OLD = Arrays.copyOf(ROWS, 2000);

  private static ServiceProcess service;
  private static ServiceClient client;
  private static Path root;

  @BeforeAll
  static void start(SharedService shared) throws IOException {
    root = shared.root();
    Files.write(root.resolve("further.npy"), Embeddings.npy(ROWS));
    service = shared.process();
    client = service.client();
  }

  private static JsonNode train(String codebook, String more, float[][] rows) {
    return client.train("codebook=%s&%s%s".formatted(codebook, SMALL, more), rows);
  }

  private static double changed(String codebook, int from, int to) {
    int[][] before =
        client
            .encode(String.format(Locale.ROOT, "codebook=%s&version=%d", codebook, from), OLD)
            .codes();
    int[][] after =
        client
            .encode(String.format(Locale.ROOT, "codebook=%s&version=%d", codebook, to), OLD)
            .codes();
    int changed = 0;
    for (int row = 0; row < before.length; row++) {
      changed += Arrays.equals(before[row], after[row]) ? 0 : 1;
    }
    return (double) changed / before.length;
  }

  @Test
  void initFrom_fewNewRows_changesFewIdsWhereAFreshStartChangesNearlyAll() {
    client.train("codebook=few&" + SMALL.replace("max_steps=30", "max_steps=300"), OLD);
    JsonNode job = train("few", "&init_from=active", ROWS);
    train("few", "&seed=43", ROWS);
    assertThat(changed("few", 1, 2)).isLessThan(0.3);
    assertThat(changed("few", 1, 3)).isGreaterThan(0.9);
    assertThat(job.path("version").asInt()).isEqualTo(2);
    assertThat(job.path("parameters").path("init_from").asInt()).isEqualTo(1);
    assertThat(job.path("parameters").has("initializer")).isFalse();
    assertThat(job.path("report").path("notes").size()).isZero();
    JsonNode provenance = client.get("/codebooks/few/versions/2").json().path("provenance");
    assertThat(provenance.path("init_from").asString()).isEqualTo("1");
    assertThat(provenance.path("init_from_fingerprint").asString())
        .isEqualTo(client.fingerprint("few", 1));
  }

  /** Real embeddings, every twentieth of which is new. */
  @Test
  void initFrom_realRowsOfWhichATwentiethIsNew_changesATenthOfTheIdsAtMost() throws IOException {
    byte[] file = Files.readAllBytes(Path.of("src", "samples", "sample-4096-f2.npy"));
    int rowBytes = 384 * 2;
    int header = file.length - 4096 * rowBytes;
    var old = new ByteArrayOutputStream();
    for (int row = 0; row < 4096; row++) {
      if (row % 20 != 0) {
        old.write(file, header + row * rowBytes, rowBytes);
      }
    }
    byte[] oldRows = old.toByteArray();
    String settings =
        "codebook=real&codebook_width=64&batch_size=512&activate=always" + "&holdout_fraction=0.1";
    client.trainNpy(settings, Embeddings.npy("<f2", oldRows, oldRows.length / rowBytes, 384));
    JsonNode further = client.trainNpy(settings + "&init_from=active&seed=43", file);
    JsonNode fresh = client.trainNpy(settings + "&seed=43", file);
    assertThat(further.path("parameters").path("max_steps").asInt())
        .as("three passes a level over the rows that are not held out")
        .isEqualTo(72);
    JsonNode kept = compare("real", "from=1&to=2&dtype=f2", oldRows);
    JsonNode renumbered = compare("real", "from=1&to=3&dtype=f2", oldRows);
    assertThat(kept.path("changed").asDouble()).as(kept.toString()).isLessThan(0.1);
    assertThat(kept.path("changed_after_matching").asDouble())
        .as("nothing was renumbered")
        .isEqualTo(kept.path("changed").asDouble());
    assertThat(renumbered.path("changed").asDouble()).isGreaterThan(0.95);
    assertThat(renumbered.path("levels").path(0).path("changed_after_matching").asDouble())
        .as("of the first level's centroids many are where they were, under other numbers")
        .isLessThan(0.7 * renumbered.path("levels").path(0).path("changed").asDouble());
    assertThat(holdoutMse(further)).isLessThan(1.02 * holdoutMse(fresh));
  }

  private static JsonNode compare(String codebook, String query, byte[] rows) {
    return client
        .post("/codebooks/%s/compare?%s".formatted(codebook, query), OCTETS, rows)
        .expect(200)
        .json();
  }

  private static double holdoutMse(JsonNode job) {
    JsonNode mse = job.path("report").path("holdout").path("mse");
    assertThat(mse.isNumber()).as(job.toString()).isTrue();
    return mse.asDouble();
  }

  /** What the service makes of a version is what the trainer of the core makes of its file. */
  @Test
  void initFrom_aVersion_isTheTrainersContinuationOfItsFile() throws IOException {
    train("core", "", OLD);
    train("core", "&init_from=1&seed=9", ROWS);
    Codebook from = client.download("core", 1);
    var config =
        new ResidualQuantizerConfig(
            D,
            List.of(8, 8, 8),
            64,
            128,
            30,
            0.5,
            true,
            true,
            true,
            true,
            CentroidInitializer.KMEANS_PLUS_PLUS,
            9);
    float[] rows = new float[ROWS.length * D];
    for (int row = 0; row < ROWS.length; row++) {
      System.arraycopy(ROWS[row], 0, rows, row * D, D);
    }
    try (var pool = new WorkerPool(1, "test");
        var backend = new JavaBackend();
        var source = new InMemoryVectorSource(VectorBatch.of(rows, D))) {
      ResidualQuantizerTrainer.Result expected =
          new ResidualQuantizerTrainer(config, backend, pool)
              .trainFrom(source, from, TrainingListener.NONE);
      assertThat(client.fingerprint("core", 2)).isEqualTo(expected.codebook().fingerprint());
      assertThat(counts(client.download("core", 2)))
          .isDeepEqualTo(expected.counts().toArray(long[][]::new));
    }
  }

  private static long[][] counts(Codebook codebook) {
    TrainingState state = Objects.requireNonNull(codebook.trainingState());
    return state.counts().toArray(long[][]::new);
  }

  @Test
  void initFrom_shapeAndSettings_areTheVersionsUnlessGiven() {
    client.train(
        "codebook=shape&codebook_width=4,16,8&normalize_residuals=false&embedding_model=clip-b",
        OLD);
    Answer accepted =
        client.post(
            "/train?codebook=shape&init_from=1&activate=never",
            OCTETS,
            Embeddings.octets(Arrays.copyOf(ROWS, 10)));
    assertThat(client.awaitJob(accepted).path("state").asString()).isEqualTo("succeeded");
    Codebook further = client.download("shape", 2);
    assertThat(further.widths()).containsExactly(4, 16, 8);
    assertThat(further.normalizeResiduals()).isFalse();
    assertThat(further.dimension()).isEqualTo(D);
    JsonNode version = client.get("/codebooks/shape/versions/2").json();
    assertThat(version.path("embedding_model").asString()).isEqualTo("clip-b");
    JsonNode same =
        client.train(
            "codebook=shape&init_from=2&embedding_dim=16&codebook_width=4,16,8&num_hierarchies=3"
                + "&normalize_residuals=false&embedding_model=clip-b",
            OLD);
    assertThat(same.path("version").asInt()).isEqualTo(3);
    for (String other :
        List.of(
            "codebook_width=4,16,16",
            "codebook_width=8",
            "num_hierarchies=2",
            "num_hierarchies=4&codebook_width=4",
            "normalize_residuals=true")) {
      client
          .post("/train?codebook=shape&init_from=1&" + other, NPY, Embeddings.npy(OLD))
          .expectProblem(
              422,
              "CODEBOOK_MISMATCH",
              other.substring(0, other.indexOf('=')),
              other.contains("hier") ? "3" : other.contains("width") ? "[4, 16, 8]" : "false",
              "version 1");
    }
    client
        .post(
            "/train?codebook=shape&init_from=1", NPY, Embeddings.npy(Embeddings.rows(50, D + 1, 1)))
        .expectProblem(422, "DIMENSION_MISMATCH", D, D + 1);
    client
        .post("/train?codebook=shape&init_from=1&embedding_model=other", NPY, Embeddings.npy(OLD))
        .expectProblem(409, "EMBEDDING_MODEL_MISMATCH", "clip-b", "other");
    assertThat(service.spooled()).isEmpty();
  }

  @Test
  void initFrom_versionThatIsNotThere_isRefusedAndNamesThoseThatAre() {
    client
        .post("/train?codebook=nothing&init_from=1", NPY, Embeddings.npy(OLD))
        .expectProblem(404, "UNKNOWN_CODEBOOK", "nothing");
    train("there", "", OLD);
    for (String version : List.of("7", "best", "999999999999")) {
      client
          .post("/train?codebook=there&init_from=" + version, NPY, Embeddings.npy(OLD))
          .expectProblem(404, "UNKNOWN_VERSION", version, "[1]", "active");
      client
          .post("/train", source("there", "\"init_from\": \"%s\"".formatted(version)))
          .expectProblem(404, "UNKNOWN_VERSION", version);
    }
    for (String value : List.of("true", "1.5", "[1]", "\"\"", "\"../x\"")) {
      client
          .post("/train", source("there", "\"init_from\": " + value))
          .expectProblem(400, "INVALID_PARAMETER", "init_from");
    }
    assertThat(service.spooled()).isEmpty();
  }

  private static String source(String codebook, String more) {
    return """
    {"codebook": "%s", "source": {"uri": "file://%s/further.npy"}, %s}
    """
        .formatted(codebook, root, more);
  }

  @Test
  void initFrom_uploadedVersion_needsCounts() {
    client.upload("bare", Embeddings.safetensors(Embeddings.codebook(D, 1, 8, 8)), false);
    client
        .post("/train?codebook=bare&init_from=1", NPY, Embeddings.npy(OLD))
        .expectProblem(422, "COUNTS_REQUIRED", "version 1", "count_0");
    train("counted", "", OLD);
    client.upload("bare", client.safetensors("counted", 1), false);
    train("bare", "&init_from=2", ROWS);
    train("counted", "&init_from=1", ROWS);
    assertThat(client.fingerprint("bare", 3)).isEqualTo(client.fingerprint("counted", 2));
  }

  /** A queued job begins with what the alias pointed to, and nobody takes that away from it. */
  @Test
  void initFrom_alias_isResolvedWhenTheJobIsAcceptedAndTheVersionIsKept() {
    String endless = SMALL.replace("max_steps=30", "max_steps=2000000000");
    train("moved", "&seed=1", OLD);
    train("moved", "&seed=2", OLD);
    train("expected", "&seed=2", OLD);
    train("expected", "&init_from=1", ROWS);
    String blocking =
        client
            .post("/train?codebook=blocking&" + endless, NPY, Embeddings.npy(OLD))
            .expect(202)
            .header("Location");
    String queued;
    try {
      Answer accepted =
          client.post(
              "/train",
              source(
                  "moved",
                  "\"init_from\": \"active\", \"init_buffer_size\": 64, \"batch_size\": 128,"
                      + " \"max_steps\": 30"),
              "Idempotency-Key",
              "further");
      queued = accepted.expect(202).header("Location");
      assertThat(accepted.json().path("parameters").path("init_from").asInt()).isEqualTo(2);
      assertThat(accepted.json().has("version")).isFalse();
      client.activate("moved", 1);
      Answer refused = client.delete("/codebooks/moved/versions/2");
      refused.expectProblem(409, "VERSION_IN_USE", "version 2", queued.substring(7));
    } finally {
      client.delete(blocking).expect(202);
    }
    JsonNode done = client.awaitJob(queued);
    assertThat(done.path("state").asString()).as(done.toString()).isEqualTo("succeeded");
    assertThat(client.fingerprint("moved", 3)).isEqualTo(client.fingerprint("expected", 2));
    client.delete("/codebooks/moved/versions/2").expect(204);
  }

  @Test
  void initFrom_killedAndContinued_endsAsUndisturbed(@TempDir Path temp) throws IOException {
    Path folder = temp.toRealPath();
    Files.write(folder.resolve("rows.npy"), Embeddings.npy(Embeddings.rows(8_000, 64, 1)));
    String request =
        """
        {"codebook": "%s", "source": {"uri": "file://%s/rows.npy"}, "codebook_width": 64,
         "init_buffer_size": 512, "batch_size": 1024, "max_steps": %d%s}
        """;
    String[] settings = {
      ServiceProcess.QUICK_START,
      "--semantic-id.data-root=" + folder,
      "--semantic-id.jobs.checkpoint-interval=20ms"
    };
    ServiceProcess process = ServiceProcess.start(folder.resolve("data"), settings);
    try {
      ServiceClient other = process.client();
      for (String name : List.of("killed", "undisturbed")) {
        other.trainFrom(request.formatted(name, folder, 30, ""));
      }
      String more = ", \"init_from\": 1, \"holdout_fraction\": 0.1";
      JsonNode undisturbed = other.trainFrom(request.formatted("undisturbed", folder, 450, more));
      String job =
          other
              .post("/train", request.formatted("killed", folder, 450, more))
              .expect(202)
              .header("Location");
      for (int level = 0; level < 2; level++) {
        int behind = level;
        ServiceClient now = process.client();
        Await.until(
            "steps of level " + level,
            () -> now.get(job).json().path("progress").path("level").asInt(-1) >= behind,
            () -> now.get(job).text());
        process.kill();
        process.close();
        process = ServiceProcess.start(folder.resolve("data"), settings);
      }
      JsonNode done = process.client().awaitJob(job);
      assertThat(done.path("state").asString()).as(done.toString()).isEqualTo("succeeded");
      assertThat(process.client().fingerprint("killed", 2))
          .isEqualTo(process.client().fingerprint("undisturbed", 2));
      assertThat(done.path("report")).isEqualTo(undisturbed.path("report"));
      assertThat(done.path("report").path("holdout").path("rows").asInt()).isBetween(760, 840);
      assertThat(process.log()).contains("goes on");
    } finally {
      process.close();
    }
  }
}
