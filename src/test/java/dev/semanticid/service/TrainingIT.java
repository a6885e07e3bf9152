package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.JSON;
import static dev.semanticid.service.ServiceClient.NPY;
import static dev.semanticid.service.ServiceClient.OCTETS;
import static dev.semanticid.service.ServiceClient.SMALL;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.semanticid.core.codebook.Codebook;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** {@code POST /train} and its jobs. Every test trains codebooks of its own. */
class TrainingIT {

  private static final int D = 16;
  private static final float[][] ROWS = Embeddings.rows(600, D, 1);

  /** Steps that no test waits for. */
  private static final String ENDLESS = SMALL.replace("max_steps=30", "max_steps=2000000000");

  private static ServiceProcess service;
  private static ServiceClient client;
  private static Path root;

  @BeforeAll
  static void start(@TempDir Path folder) throws IOException {
    root = Files.createDirectories(folder.resolve("a folder+")).toRealPath();
    service =
        ServiceProcess.start(
            folder.resolve("data"),
            "--semantic-id.data-root=" + root,
            "--semantic-id.jobs.queue-size=2");
    client = service.client();
  }

  @AfterAll
  static void stop() {
    service.close();
  }

  /** A source as JSON, with the blank of the root escaped. */
  private static String source(String codebook, String name, String more) {
    return """
    {"codebook": "%s", "source": {"uri": "file://%s/%s"}, "codebook_width": 8,
     "init_buffer_size": 64, "batch_size": 128, "max_steps": 30%s}
    """
        .formatted(codebook, root.toString().replace(" ", "%20"), name, more);
  }

  private static Answer accept(String codebook, String query) {
    return client
        .post("/train?codebook=%s&%s".formatted(codebook, query), NPY, Embeddings.npy(ROWS))
        .expect(202);
  }

  private static String state(String location) {
    return client.get(location).expect(200).json().path("state").asString();
  }

  private static void awaitState(String location, String state) {
    Await.until(
        location + " is " + state,
        () -> state(location).equals(state),
        () -> client.get(location).text());
  }

  private static void cancel(String location) {
    client.delete(location).expect(202);
    awaitState(location, "cancelled");
  }

  @Test
  void train_body_isAcceptedAndBecomesTheServedVersion() {
    Answer accepted = accept("first", SMALL + "&seed=7");
    JsonNode job = accepted.json();
    String location = accepted.header("Location");
    assertThat(location).isEqualTo("/train/" + job.path("id").asString());
    assertThat(job.path("state").asString()).isIn("queued", "running", "succeeded");
    JsonNode done = client.awaitJob(location);
    assertThat(done.path("state").asString()).as(done.toString()).isEqualTo("succeeded");
    assertThat(done.path("codebook").asString()).isEqualTo("first");
    assertThat(done.path("version").asInt()).isEqualTo(1);
    assertThat(done.path("activated").asBoolean()).isTrue();
    assertThat(done.has("progress")).isFalse();
    assertThat(done.has("error")).isFalse();
    List<Instant> times =
        List.of(
            Instant.parse(done.path("created_at").asString()),
            Instant.parse(done.path("started_at").asString()),
            Instant.parse(done.path("finished_at").asString()));
    assertThat(times).isSorted();
    JsonNode parameters = done.path("parameters");
    assertThat(parameters.path("seed").asInt()).isEqualTo(7);
    assertThat(parameters.path("embedding_dim").asInt()).isEqualTo(D);
    assertThat(parameters.path("codebook_width").toString()).isEqualTo("[8,8,8]");
    assertThat(parameters.path("learning_rate").asDouble()).isEqualTo(0.5);
    assertThat(parameters.path("initializer").asString()).isEqualTo("kmeans_plus_plus");
    Codebook codebook = client.download("first", 1);
    assertThat(codebook.widths()).containsExactly(8, 8, 8);
    assertThat(client.encode("codebook=first", ROWS).codes())
        .isDeepEqualTo(Embeddings.reference(codebook, ROWS));
    assertThat(service.spooled()).isEmpty();
  }

  @Test
  void report_ofAVersion_agreesWithTheCodesOfItsRows() {
    JsonNode report = train("report", "").path("report");
    int[][] codes = client.encode("codebook=report", ROWS).codes();
    assertThat(report.path("rows").asInt()).isEqualTo(600);
    var groups = new HashMap<List<Integer>, Integer>();
    for (int[] code : codes) {
      groups.merge(Arrays.stream(code).boxed().toList(), 1, Integer::sum);
    }
    assertThat(report.path("unique_ratio").asDouble()).isEqualTo(groups.size() / 600.0);
    assertThat(report.path("max_group").asInt())
        .isEqualTo(groups.values().stream().mapToInt(n -> n).max().orElseThrow());
    assertThat(report.path("colliding_share").asDouble())
        .isEqualTo(groups.values().stream().filter(n -> n > 1).mapToInt(n -> n).sum() / 600.0);
    assertThat(report.path("mse").asDouble()).isPositive();
    assertThat(report.path("reconstruction_mse").asDouble()).isPositive();
    assertThat(report.path("levels").size()).isEqualTo(3);
    for (int l = 0; l < 3; l++) {
      JsonNode level = report.path("levels").get(l);
      var used = new HashSet<Integer>();
      for (int[] code : codes) {
        used.add(code[l]);
      }
      assertThat(level.path("level").asInt()).isEqualTo(l);
      assertThat(level.path("width").asInt()).isEqualTo(8);
      assertThat(level.path("dead_codes").asInt()).isEqualTo(8 - used.size());
      assertThat(level.path("coverage").asDouble()).isEqualTo(used.size() / 8.0);
      assertThat(level.path("perplexity").asDouble())
          .isCloseTo(Math.exp(level.path("entropy").asDouble()), within(1e-9));
      assertThat(level.path("residual_norm_ratio").asDouble()).isBetween(0.0, 1.0);
      assertThat(level.path("inertia").asDouble()).isPositive();
    }
    JsonNode version = client.get("/codebooks/report/versions/1").json();
    assertThat(version.path("report")).isEqualTo(report);
  }

  private static JsonNode train(String codebook, String more) {
    return client.train("codebook=%s&%s%s".formatted(codebook, SMALL, more), ROWS);
  }

  @Test
  void train_sameSeed_givesTheSameBytesAndAnotherSeedOthers() {
    train("seeds", "&seed=1");
    train("seeds", "&seed=1&activate=never");
    train("seeds", "&seed=2");
    assertThat(client.fingerprint("seeds", 2)).isEqualTo(client.fingerprint("seeds", 1));
    assertThat(client.fingerprint("seeds", 3)).isNotEqualTo(client.fingerprint("seeds", 1));
  }

  @Test
  void train_sameDataHoweverItComes_givesTheSameCodebook() throws IOException {
    train("ways", "");
    Path parts = Files.createDirectories(root.resolve("parts"));
    Files.write(parts.resolve("b.npy"), Embeddings.npy(Arrays.copyOfRange(ROWS, 250, 599)));
    Files.write(parts.resolve("a.npy"), Embeddings.npy(Arrays.copyOf(ROWS, 250)));
    Files.write(parts.resolve("c.npy"), Embeddings.npy(Arrays.copyOfRange(ROWS, 599, 600)));
    Files.write(parts.resolve("ignored.txt"), new byte[] {1});
    Files.write(root.resolve("whole file.npy"), Embeddings.npy(ROWS));
    Files.createSymbolicLink(root.resolve("link.npy"), root.resolve("whole file.npy"));
    for (String name :
        List.of("parts/*.npy", "parts/?.npy", "parts/[a-c].npy", "whole%20file.npy", "link.npy")) {
      JsonNode job = client.trainFrom(source("ways", name, ""));
      assertThat(job.path("state").asString()).as(job.toString()).isEqualTo("succeeded");
      assertThat(client.fingerprint("ways", job.path("version").asInt()))
          .as(name)
          .isEqualTo(client.fingerprint("ways", 1));
    }
    assertThat(parts.resolve("a.npy")).as("a source is not an upload").exists();
    JsonNode raw =
        client.awaitJob(
            client.post(
                "/train?codebook=ways&embedding_dim=16&" + SMALL, OCTETS, Embeddings.octets(ROWS)));
    assertThat(client.fingerprint("ways", raw.path("version").asInt()))
        .isEqualTo(client.fingerprint("ways", 1));
    JsonNode doubles =
        client.trainNpy(
            "codebook=ways&" + SMALL, Embeddings.npy("<f8", Embeddings.doubles(ROWS), 600, D));
    assertThat(client.fingerprint("ways", doubles.path("version").asInt()))
        .isEqualTo(client.fingerprint("ways", 1));
  }

  @Test
  void train_halfPrecision_isTheRowsItDenotes() {
    float[][] rounded = new float[ROWS.length][D];
    for (int row = 0; row < rounded.length; row++) {
      for (int i = 0; i < D; i++) {
        rounded[row][i] = Float.float16ToFloat(Float.floatToFloat16(ROWS[row][i]));
      }
    }
    client.train("codebook=half&" + SMALL, rounded);
    client.trainNpy(
        "codebook=half&" + SMALL, Embeddings.npy("<f2", Embeddings.halves(ROWS), 600, D));
    client.awaitJob(
        client.post(
            "/train?codebook=half&dtype=f2&embedding_dim=16&" + SMALL,
            OCTETS,
            Embeddings.halves(ROWS)));
    for (int version : new int[] {2, 3}) {
      assertThat(client.fingerprint("half", version)).isEqualTo(client.fingerprint("half", 1));
    }
  }

  @Test
  void train_widthsPerLevel_areTheCodebooks() {
    client.train("codebook=widths&" + SMALL.replace("=8", "=4,16,8"), ROWS);
    assertThat(client.download("widths", 1).widths()).containsExactly(4, 16, 8);
    JsonNode version = client.get("/codebooks/widths/versions/1").json();
    assertThat(version.path("codebook_widths").toString()).isEqualTo("[4,16,8]");
    assertThat(client.encode("codebook=widths", ROWS).codes())
        .isDeepEqualTo(Embeddings.reference(client.download("widths", 1), ROWS));
  }

  @ParameterizedTest
  @CsvSource({
    "joint, train_layer_wise=false",
    "random, initializer=random",
    "raw, normalize_residuals=false",
    "ordered, shuffle=false",
    "slow, learning_rate=0.05",
  })
  void train_otherSettings_giveAnotherExactCodebook(String name, String setting) {
    train("plain-" + name, "");
    JsonNode job = train(name, "&" + setting);
    Codebook codebook = client.download(name, 1);
    assertThat(codebook.fingerprint()).isNotEqualTo(client.fingerprint("plain-" + name, 1));
    assertThat(codebook.normalizeResiduals()).isEqualTo(!name.equals("raw"));
    assertThat(job.path("report").path("unique_ratio").asDouble()).isGreaterThan(0.1);
    assertThat(client.encode("codebook=" + name, ROWS).codes())
        .isDeepEqualTo(Embeddings.reference(codebook, ROWS));
  }

  @Test
  void train_fewerRowsThanTheBuffer_isNotedInTheReport() {
    JsonNode job = client.train("codebook=few&codebook_width=8", Arrays.copyOf(ROWS, 50));
    assertThat(job.path("report").path("notes").toString()).contains("50", "3072");
    JsonNode enough = train("enough", "");
    assertThat(enough.path("report").path("notes").size()).isZero();
    JsonNode barely = client.train("codebook=barely&codebook_width=50", Arrays.copyOf(ROWS, 50));
    assertThat(barely.path("version").asInt()).isEqualTo(1);
  }

  @Test
  void train_activation_followsTheRequestAndTheGate() {
    String impossible = "&quality_gate.min_unique_ratio=1";
    assertThat(activated("&activate=never")).isFalse();
    client
        .post("/encode?codebook=gate", OCTETS, Embeddings.octets(ROWS))
        .expectProblem(404, "UNKNOWN_VERSION", "[1]");
    assertThat(client.encode("codebook=gate&version=1", ROWS).version()).isEqualTo(1);
    assertThat(activated("&activate=if_passes" + impossible)).isFalse();
    assertThat(activated(impossible)).isFalse();
    assertThat(activated("&quality_gate.min_unique_ratio=0.01&quality_gate.max_dead_codes=24"))
        .isTrue();
    assertThat(client.encode("codebook=gate", ROWS).version()).isEqualTo(4);
    assertThat(activated("&activate=always" + impossible)).isTrue();
    assertThat(client.encode("codebook=gate", ROWS).version()).isEqualTo(5);
    assertThat(activated("&activate=never")).isFalse();
    assertThat(activated(impossible)).isFalse();
    assertThat(client.encode("codebook=gate", ROWS).version()).isEqualTo(5);
    JsonNode failed = client.get("/codebooks/gate/versions/7").expect(200).json();
    assertThat(failed.path("report").path("notes").toString())
        .contains("quality gate", "unique_ratio", "min_unique_ratio 1");
  }

  private static boolean activated(String more) {
    JsonNode job = train("gate", more);
    return job.path("activated").asBoolean();
  }

  @Test
  void train_jsonParameters_areTheQuerys() throws IOException {
    Files.write(root.resolve("json.npy"), Embeddings.npy(ROWS));
    JsonNode job =
        client.trainFrom(
            source(
                "json",
                "json.npy",
                """
                , "embedding_dim": 16, "num_hierarchies": 3, "algorithm": "minibatch_kmeans",
                "learning_rate": 0.5, "normalize_residuals": true, "train_layer_wise": true,
                "track_residuals": false, "shuffle": true, "initializer": "kmeans_plus_plus",
                "seed": 42, "activate": "if_passes", "embedding_model": null,
                "quality_gate": {"min_unique_ratio": 1, "max_dead_codes": 0}
                """));
    assertThat(job.path("state").asString()).as(job.toString()).isEqualTo("succeeded");
    assertThat(job.path("activated").asBoolean()).isFalse();
    train("json", "");
    assertThat(client.fingerprint("json", 2)).isEqualTo(client.fingerprint("json", 1));
    JsonNode provenance = client.get("/codebooks/json/versions/1").json().path("provenance");
    assertThat(provenance.path("seed").asString()).isEqualTo("42");
    assertThat(provenance.path("rows").asString()).isEqualTo("600");
    assertThat(provenance.path("source").asString()).contains("json.npy");
    assertThat(provenance.path("job").asString()).isEqualTo(job.path("id").asString());
  }

  @ParameterizedTest
  @ValueSource(strings = {"nan.npy", "nan*.npy"})
  void train_sourceWithABadRow_failsAndNamesTheRow(String name) throws IOException {
    float[][] rows = Embeddings.rows(300, D, 8);
    rows[123][7] = Float.NaN;
    Files.write(root.resolve("nan.npy"), Embeddings.npy(rows));
    JsonNode job = client.trainFrom(source("nan", name, ""));
    assertThat(job.path("state").asString()).isEqualTo("failed");
    assertThat(job.path("error").path("code").asString()).isEqualTo("NON_FINITE_VALUE");
    assertThat(job.path("error").path("detail").asString()).contains("row 123");
    assertThat(job.has("version")).isFalse();
    client.get("/codebooks/nan").expectProblem(404, "UNKNOWN_CODEBOOK");
  }

  @Test
  void job_running_showsProgressAndKeepsOthersOfItsCodebookOut() {
    String location = accept("busy", ENDLESS).header("Location");
    try {
      Await.until(
          "progress",
          () -> client.get(location).json().path("progress").path("step").asInt(0) > 1,
          () -> client.get(location).text());
      JsonNode job = client.get(location).json();
      assertThat(job.path("state").asString()).isEqualTo("running");
      JsonNode progress = job.path("progress");
      assertThat(progress.path("level").asInt(-1)).isZero();
      assertThat(progress.path("steps").asInt()).isEqualTo(2_000_000_000 / 3);
      assertThat(progress.path("rows_per_second").asDouble(0)).isPositive();
      assertThat(progress.path("eta_seconds").asDouble(0)).isPositive();
      assertThat(progress.path("inertia").asDouble(0)).isPositive();
      assertThat(progress.path("phase").asString()).isEqualTo("update");
      Answer listed = client.get("/train?limit=1");
      assertThat(listed.json().path("jobs").get(0).path("progress").has("step")).isTrue();
      Answer second =
          client
              .post("/train?codebook=busy&" + SMALL, NPY, Embeddings.npy(ROWS))
              .expectProblem(409, "TRAINING_IN_PROGRESS", "busy");
      assertThat(second.json().path("job").asString()).isEqualTo(location);
      client.post("/train", source("busy", "whatever.npy", "")).expect(409);
      assertThat(service.spooled()).as("the running job's upload alone").hasSize(1);
    } finally {
      cancel(location);
    }
    assertThat(service.spooled()).isEmpty();
    client.get("/codebooks/busy").expectProblem(404, "UNKNOWN_CODEBOOK");
    client.delete(location).expectProblem(409, "JOB_FINISHED", "cancelled");
    assertThat(train("busy", "").path("version").asInt()).isEqualTo(1);
  }

  @Test
  void job_queued_waitsAndCanBeCancelledAtOnce() {
    String running = accept("q-running", ENDLESS).header("Location");
    var queued = new ArrayList<String>();
    try {
      awaitState(running, "running");
      queued.add(accept("q-1", SMALL).header("Location"));
      queued.add(accept("q-2", SMALL).header("Location"));
      assertThat(state(queued.get(0))).isEqualTo("queued");
      Answer full =
          client
              .post("/train?codebook=q-3&" + SMALL, NPY, Embeddings.npy(ROWS))
              .expectProblem(429, "QUEUE_FULL", 2);
      assertThat(Integer.parseInt(full.header("Retry-After"))).isPositive();
      assertThat(service.spooled()).hasSize(3);
      assertThat(client.delete(queued.get(0)).expect(202).json().path("state").asString())
          .isEqualTo("cancelled");
      assertThat(service.spooled()).hasSize(2);
      assertThat(client.get(queued.get(0)).json().has("started_at")).isFalse();
      // its codebook and its place in the queue are free again
      queued.set(0, accept("q-1", SMALL).header("Location"));
    } finally {
      cancel(running);
    }
    for (String location : queued) {
      assertThat(client.awaitJob(location).path("state").asString()).isEqualTo("succeeded");
    }
    assertThat(service.spooled()).isEmpty();
    client.get("/codebooks/q-3").expectProblem(404, "UNKNOWN_CODEBOOK");
  }

  @Test
  void list_jobs_comesNewestFirstInPages() {
    for (int i = 0; i < 5; i++) {
      train("paged-" + i, "");
    }
    var ids = new ArrayList<String>();
    var codebooks = new ArrayList<String>();
    String next = "";
    int pages = 0;
    do {
      JsonNode page = client.get("/train?limit=2" + next).expect(200).json();
      assertThat(page.path("jobs").size()).isBetween(1, 2);
      for (JsonNode job : page.path("jobs")) {
        ids.add(job.path("id").asString());
        codebooks.add(job.path("codebook").asString());
      }
      next = page.has("next") ? "&after=" + page.path("next").asString() : "";
      pages++;
    } while (!next.isEmpty());
    assertThat(ids).doesNotHaveDuplicates().hasSizeBetween(2 * pages - 1, 2 * pages);
    assertThat(codebooks.subList(0, 5))
        .containsExactly("paged-4", "paged-3", "paged-2", "paged-1", "paged-0");
    JsonNode all = client.get("/train?limit=200").json();
    assertThat(all.path("jobs").valueStream().map(job -> job.path("id").asString())).isEqualTo(ids);
    assertThat(all.has("next")).isFalse();
  }

  @Test
  void embeddingModel_whereBothSidesStateOne_mustBeTheSame() {
    client
        .post(
            "/train?codebook=model&embedding_model=clip-b&" + SMALL,
            NPY,
            Embeddings.npy(ROWS),
            "X-Embedding-Model",
            "other")
        .expectProblem(409, "EMBEDDING_MODEL_MISMATCH", "clip-b", "other");
    assertThat(service.spooled()).isEmpty();
    train("model", "&embedding_model=clip-b");
    assertThat(client.get("/codebooks/model/versions/1").json().path("embedding_model").asString())
        .isEqualTo("clip-b");
    client.awaitJob(
        client.post(
            "/train?codebook=model-of-header&" + SMALL,
            NPY,
            Embeddings.npy(ROWS),
            "X-Embedding-Model",
            "clip-b"));
    byte[] row = Embeddings.octets(Arrays.copyOf(ROWS, 1));
    String member =
        "{\"embedding_model\": \"%s\", \"embeddings\": "
            + Embeddings.json(Arrays.copyOf(ROWS, 1))
            + "}";
    for (String codebook : List.of("model", "model-of-header")) {
      String path = "/encode?codebook=" + codebook;
      for (Answer mismatch :
          List.of(
              client.post(path, OCTETS, row, "X-Embedding-Model", "clip-l"),
              client.post(path + "&embedding_model=clip-l", OCTETS, row),
              client.post(path, member.formatted("clip-l")),
              client.post(
                  path + "&embedding_model=clip-b", OCTETS, row, "X-Embedding-Model", "clip-l"),
              client.post(path, member.formatted("clip-b"), "X-Embedding-Model", "clip-l"))) {
        mismatch.expectProblem(409, "EMBEDDING_MODEL_MISMATCH", "clip-b", "clip-l");
      }
      client.post(path, OCTETS, row).expect(200);
      client.post(path, OCTETS, row, "X-Embedding-Model", "clip-b").expect(200);
      client.post(path + "&embedding_model=clip-b", OCTETS, row).expect(200);
      client.post(path, member.formatted("clip-b")).expect(200);
    }
    train("model-free", "");
    client
        .post("/encode?codebook=model-free", OCTETS, row, "X-Embedding-Model", "anything")
        .expect(200);
  }

  @Test
  void train_contentTypeWithParameters_isTheSameType() {
    Answer accepted =
        client.post("/train?codebook=typed&" + SMALL, NPY + "; version=1", Embeddings.npy(ROWS));
    assertThat(client.awaitJob(accepted).path("state").asString()).isEqualTo("succeeded");
    client
        .post(
            "/train",
            JSON + ";charset=UTF-8",
            source("typed", "none.npy", "").getBytes(StandardCharsets.UTF_8))
        .expectProblem(422, "SOURCE_NOT_FOUND");
  }

  /** No database but SQLite keeps it in a text. */
  @Test
  void texts_withTheCharacterZero_areRefused() {
    byte[] rows = Embeddings.npy(Embeddings.rows(100, 4, 1));
    for (String query : List.of("embedding_model=a%00b", "codebook=a%00b", "seed=%00")) {
      client
          .post("/train?%s&%s".formatted(SMALL, query), NPY, rows)
          .expectProblem(400, "INVALID_PARAMETER");
    }
    for (String path : List.of("/train?after=%00", "/encode/jobs?after=a%00b")) {
      assertThat(client.get(path).status()).as(path).isIn(400, 404);
    }
    client
        .post("/encode?version=%00", OCTETS, new byte[16])
        .expectProblem(400, "INVALID_PARAMETER");
  }
}
