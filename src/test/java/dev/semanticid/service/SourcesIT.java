package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.NPY;
import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.vector.ByteSource;
import dev.semanticid.format.NpyWriter;
import dev.semanticid.format.SafetensorsWriter;
import dev.semanticid.format.SafetensorsWriter.Tensor;
import dev.semanticid.parquet.IdType;
import dev.semanticid.parquet.Ids;
import dev.semanticid.parquet.ParquetFiles;
import dev.semanticid.parquet.ParquetIds;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

/**
 * Trainings and bulk encodings over every kind of source, from disk and from a real S3 server with
 * signatures on.
 */
class SourcesIT {

  private static final int D = 16;
  private static final int N = 700;
  private static final float[][] ROWS = Embeddings.rows(N, D, 1);

  private static S3Server s3;
  private static ServiceProcess service;
  private static ServiceClient client;
  private static Path root;

  @BeforeAll
  static void start(@TempDir Path temp) throws IOException {
    root = Files.createDirectories(temp.resolve("root")).toRealPath();
    s3 = S3Server.start();
    s3.createBucket("items");
    service = start(temp.resolve("data"), S3Server.SECRET_KEY);
    client = service.client();
    for (Map.Entry<String, byte[]> file : files().entrySet()) {
      Path path = root.resolve(file.getKey());
      Files.createDirectories(path.getParent());
      Files.write(path, file.getValue());
      s3.put("items", "catalog/" + file.getKey(), file.getValue());
    }
    client.train("activate=always&" + ServiceClient.SMALL, ROWS);
  }

  private static ServiceProcess start(Path dataDir, String secret) {
    return ServiceProcess.start(
        dataDir,
        "-Daws.accessKeyId=" + S3Server.ACCESS_KEY,
        "-Daws.secretAccessKey=" + secret,
        "--semantic-id.data-root=" + root,
        "--semantic-id.s3.endpoint=" + s3.endpoint(),
        "--semantic-id.s3.allowed=s3://items/catalog");
  }

  @AfterAll
  static void stop() {
    service.close();
    s3.close();
  }

  /** The same rows in every form. */
  private static Map<String, byte[]> files() throws IOException {
    var files = new LinkedHashMap<String, byte[]>();
    files.put("npy/whole.npy", Embeddings.npy(ROWS));
    files.put("npy/double.npy", Embeddings.npy("<f8", Embeddings.doubles(ROWS), N, D));
    files.put("parts/a.npy", Embeddings.npy(Arrays.copyOf(ROWS, 300)));
    files.put("parts/b.npy", Embeddings.npy(Arrays.copyOfRange(ROWS, 300, 301)));
    files.put("parts/c.npy", Embeddings.npy(Arrays.copyOfRange(ROWS, 301, N)));
    float[] flat = new float[N * D];
    for (int i = 0; i < flat.length; i++) {
      flat[i] = ROWS[i / D][i % D];
    }
    files.put("st/one.safetensors", safetensors(Tensor.ofFloats("x", flat, N, D)));
    files.put(
        "st/several.safetensors",
        safetensors(
            Tensor.ofFloats("before", new float[6], 3, 2), Tensor.ofFloats("items", flat, N, D)));
    files.put("pq/plain.parquet", parquet(ParquetFiles.vectors(ROWS).rowGroup(200)));
    files.put("pq/zstd.parquet", parquet(ParquetFiles.vectors(ROWS).zstd().ids(ids())));
    files.put("pq/two.parquet", parquet(ParquetFiles.vectors(ROWS).column("v").secondColumn()));
    return files;
  }

  private static String[] ids() {
    return IntStream.range(0, N).mapToObj(i -> "sku-ä-" + i).toArray(String[]::new);
  }

  private static byte[] safetensors(Tensor... tensors) throws IOException {
    var out = new ByteArrayOutputStream();
    SafetensorsWriter.write(out, Map.of(), List.of(tensors));
    return out.toByteArray();
  }

  private static byte[] parquet(ParquetFiles file) throws IOException {
    Path path = Files.createTempFile("vectors", ".parquet");
    try {
      file.write(path);
      return Files.readAllBytes(path);
    } finally {
      Files.delete(path);
    }
  }

  private static String at(String place, String name) {
    return (place.equals("s3") ? "s3://items/catalog/" : "file://" + root + "/") + name;
  }

  private static String training(String codebook, String uri, String more) {
    return """
    {"codebook": "%s", "source": {"uri": "%s"%s}, "codebook_width": 8, "init_buffer_size": 64,
     "batch_size": 128, "max_steps": 30}
    """
        .formatted(codebook, uri, more);
  }

  private static JsonNode encode(String uri, String more, String destination) {
    return client.awaitJob(
        client.post(
            "/encode/jobs",
            """
            {"source": {"uri": "%s"%s}, "destination": {"uri": "%s"}}
            """
                .formatted(uri, more, destination)));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\0',
      value = {
        "npy/whole.npy|",
        "npy/double.npy|",
        "parts/*.npy|",
        "st/one.safetensors|",
        "st/several.safetensors|, \"tensor\": \"items\"",
        "pq/plain.parquet|",
        "pq/zstd.parquet|",
        "pq/two.parquet|, \"column\": \"v\"",
      })
  void anySource_anywhere_givesTheSameCodebookAndCodes(String name, String more)
      throws IOException {
    String option = more == null ? "" : more;
    byte[] expected =
        client.post("/encode", NPY, Embeddings.npy(ROWS), "Accept", NPY).expect(200).body();
    for (String place : List.of("disk", "s3")) {
      JsonNode job = client.trainFrom(training("formats", at(place, name), option));
      assertThat(job.path("state").asString()).as(job.toString()).isEqualTo("succeeded");
      assertThat(job.path("parameters").path("rows").asInt()).isEqualTo(N);
      assertThat(client.fingerprint("formats", job.path("version").asInt()))
          .isEqualTo(client.fingerprint("default", 1));
      String out = "codes-%s-%s.npy".formatted(place, name.replaceAll("[^a-z]", ""));
      JsonNode encoded = encode(at(place, name), option, at("disk", out));
      assertThat(encoded.path("state").asString()).as(encoded.toString()).isEqualTo("succeeded");
      assertThat(encoded.path("result").path("rows").asInt()).isEqualTo(N);
      assertThat(Files.readAllBytes(root.resolve(out))).isEqualTo(expected);
    }
    try (var staged = Files.list(root.resolveSibling("data").resolve("staging"))) {
      assertThat(staged).isEmpty();
    }
  }

  private static Ids readIds(byte[] parquet, IdType type) throws IOException {
    ByteSource source = ParquetFiles.source("output", parquet);
    assertThat(ParquetIds.defaultColumn(source)).contains("id");
    try (ParquetIds ids = ParquetIds.open(source, "id")) {
      assertThat(ids.type()).isEqualTo(type);
      var read = new Ids(type);
      ids.read(read, 1 << 20);
      return read;
    }
  }

  @Test
  void encode_toParquet_carriesIdsThrough() throws IOException {
    JsonNode job = encode(at("s3", "pq/zstd.parquet"), "", "s3://items/catalog/out/ids.parquet");
    assertThat(job.path("state").asString()).as(job.toString()).isEqualTo("succeeded");
    byte[] named = s3.get("items", "catalog/out/ids.parquet").orElseThrow();
    Ids ids = readIds(named, IdType.STRING);
    assertThat(Arrays.copyOf(ids.strings(), ids.count())).isEqualTo(ids());
    assertThat(new String(named, StandardCharsets.ISO_8859_1))
        .contains(client.fingerprint("default", 1), "semantic_id");
    assertThat(job.path("result").path("size_bytes").asInt()).isEqualTo(named.length);
    assertThat(s3.uploads("items")).isEmpty();

    encode(at("disk", "npy/whole.npy"), "", at("disk", "numbered.parquet"));
    Ids numbers = readIds(Files.readAllBytes(root.resolve("numbered.parquet")), IdType.INT64);
    assertThat(Arrays.copyOf(numbers.longs(), numbers.count()))
        .isEqualTo(IntStream.range(0, N).asLongStream().toArray());

    JsonNode again = encode(at("s3", "pq/zstd.parquet"), "", "s3://items/catalog/out/ids.parquet");
    assertThat(again.path("error").path("code").asString()).isEqualTo("DESTINATION_EXISTS");
    assertThat(s3.get("items", "catalog/out/ids.parquet").orElseThrow()).isEqualTo(named);
  }

  @Test
  void badRows_failTheJobOrAreSkippedAndCounted() throws IOException {
    float[][] rows = new float[N + 2][];
    System.arraycopy(ROWS, 0, rows, 1, N);
    rows[0] = ROWS[5].clone();
    rows[0][3] = Float.NaN;
    rows[N + 1] = Arrays.copyOf(ROWS[7], D - 1);
    byte[] parquet = parquet(ParquetFiles.vectors(rows));
    Files.write(root.resolve("bad.parquet"), parquet);
    s3.put("items", "catalog/bad.parquet", parquet);
    float[][] nan = Arrays.copyOf(rows, N + 1);
    Files.write(root.resolve("bad.npy"), Embeddings.npy(nan));
    for (String uri :
        List.of(at("disk", "bad.parquet"), at("s3", "bad.parquet"), at("disk", "bad.npy"))) {
      String request = training("bad", uri, "");
      JsonNode failed = client.trainFrom(request);
      assertThat(failed.path("error").path("code").asString())
          .as(failed.toString())
          .isEqualTo("NON_FINITE_VALUE");
      assertThat(failed.path("error").path("detail").asString()).contains("bad.", "row ");
      JsonNode skipped =
          client.trainFrom(
              request.replace("{\"codebook\"", "{\"on_bad_row\": \"skip\", \"codebook\""));
      assertThat(skipped.path("state").asString()).as(skipped.toString()).isEqualTo("succeeded");
      int bad = uri.endsWith("npy") ? 1 : 2;
      assertThat(skipped.path("parameters").path("skipped_rows").asInt()).isEqualTo(bad);
      assertThat(skipped.path("report").path("rows").asInt()).isEqualTo(N);
      assertThat(skipped.path("report").path("notes").toString()).contains(bad + " rows");
    }
    assertThat(client.fingerprint("bad", 3))
        .as("as from the good rows alone")
        .isEqualTo(client.fingerprint("default", 1));
    JsonNode encoded =
        client.awaitJob(
            client.post(
                "/encode/jobs",
                """
                {"source": {"uri": "%s"}, "destination": {"uri": "%s"}, "on_bad_row": "skip"}
                """
                    .formatted(at("disk", "bad.npy"), at("disk", "bad-codes.npy"))));
    assertThat(encoded.path("result").path("skipped_rows").asInt()).isEqualTo(1);
    byte[] codes = Files.readAllBytes(root.resolve("bad-codes.npy"));
    byte[] data = Arrays.copyOfRange(codes, codes.length - 12 * (N + 1), codes.length);
    assertThat(ServiceClient.codes(data, N + 1)[0]).containsExactly(-1, -1, -1);
    assertThat(Arrays.copyOfRange(ServiceClient.codes(data, N + 1), 1, N + 1))
        .isDeepEqualTo(client.encode("", ROWS).codes());
  }

  @ParameterizedTest
  @CsvSource({"npy/whole.npy", "st/one.safetensors", "pq/plain.parquet"})
  void truncated_file_failsWithItsCode(String name) throws IOException {
    byte[] whole = Files.readAllBytes(root.resolve(name));
    String cut = "cut-" + name.replace('/', '-');
    byte[] part = Arrays.copyOf(whole, whole.length - 1000);
    Files.write(root.resolve(cut), part);
    s3.put("items", "catalog/" + cut, part);
    client
        .post("/train", training("cut", at("disk", cut), ""))
        .expectProblem(422, "SOURCE_INVALID", cut);
    JsonNode job = client.trainFrom(training("cut", at("s3", cut), ""));
    assertThat(job.path("state").asString()).isEqualTo("failed");
    assertThat(job.path("error").path("code").asString()).isEqualTo("SOURCE_INVALID");
    assertThat(job.path("error").path("detail").asString()).contains(cut);
    client.encode("", ROWS);
  }

  @Test
  void s3_missingForbiddenOrWrongKey_eachHasItsCode(@TempDir Path temp) {
    for (String missing : List.of("none.npy", "none*.npy")) {
      JsonNode job = client.trainFrom(training("missing", at("s3", missing), ""));
      assertThat(job.path("error").path("code").asString())
          .as(job.toString())
          .isEqualTo("SOURCE_NOT_FOUND");
    }
    client
        .post("/train", training("missing", "s3://items/elsewhere/x.npy", ""))
        .expectProblem(403, "SOURCE_FORBIDDEN", "semantic-id.s3.allowed");
    client
        .post(
            "/encode/jobs",
            """
            {"source": {"uri": "s3://other/x.npy"}, "destination": {"uri": "file:///x.npy"}}
            """)
        .expect(403);
    try (ServiceProcess stranger = start(temp.resolve("data"), "not-the-secret")) {
      JsonNode job =
          stranger.client().trainFrom(training("stranger", at("s3", "npy/whole.npy"), ""));
      assertThat(job.path("state").asString()).isEqualTo("failed");
      assertThat(job.path("error").path("code").asString()).isEqualTo("SOURCE_ACCESS_DENIED");
      assertThat(job.toString()).doesNotContain("not-the-secret");
      assertThat(stranger.log()).doesNotContain("not-the-secret");
      stranger.client().train("activate=always&" + ServiceClient.SMALL, ROWS);
      stranger.client().encode("", ROWS);
    }
  }

  @Test
  void encode_badRequests_areRefused() throws IOException {
    Files.write(root.resolve("narrow.npy"), Embeddings.npy(Embeddings.rows(9, 5, 1)));
    Files.write(root.resolve("taken.npy"), new byte[] {1});
    String good = at("disk", "npy/whole.npy");
    refused(good, at("disk", "taken.npy"), 409, "DESTINATION_EXISTS");
    refused(good, at("disk", "no/folder.npy"), 422, "DESTINATION_INVALID");
    refused(good, at("disk", "codes.csv"), 400, "INVALID_PARAMETER");
    refused(good, "file:///tmp/elsewhere.npy", 403, "SOURCE_FORBIDDEN");
    refused(at("disk", "narrow.npy"), at("disk", "x.npy"), 422, "DIMENSION_MISMATCH");
    refused(at("disk", "none.npy"), at("disk", "x.npy"), 422, "SOURCE_NOT_FOUND");
    client
        .post("/encode/jobs", "{\"destination\": {\"uri\": \"file:///x.npy\"}}")
        .expectProblem(400, "INVALID_PARAMETER", "source");
    client
        .post("/encode/jobs", "{\"sources\": {}}")
        .expectProblem(400, "MALFORMED_JSON", "sources");
    client.get("/encode/jobs/none").expectProblem(404, "UNKNOWN_JOB");
    assertThat(Files.size(root.resolve("taken.npy"))).isEqualTo(1);
  }

  private static void refused(String source, String destination, int status, String code) {
    client
        .post(
            "/encode/jobs",
            """
            {"source": {"uri": "%s"}, "destination": {"uri": "%s"}}
            """
                .formatted(source, destination))
        .expectProblem(status, code);
  }

  @Test
  void encode_cancelled_leavesNothing() throws IOException {
    Path many = root.resolve("many.npy");
    byte[] header = NpyWriter.header("<f4", 20_000_000, D);
    try (var out = new RandomAccessFile(many.toFile(), "rw")) {
      out.write(header);
      out.setLength(header.length + 20_000_000L * D * Float.BYTES);
    }
    var locations = new ArrayList<String>();
    for (String name : List.of("first.npy", "second.parquet")) {
      locations.add(
          client
              .post(
                  "/encode/jobs",
                  """
                  {"source": {"uri": "%s"}, "destination": {"uri": "%s"}}
                  """
                      .formatted(at("disk", "many.npy"), at("disk", name)))
              .expect(202)
              .header("Location"));
    }
    Await.until(
        "rows are encoded",
        () -> client.get(locations.getFirst()).json().path("progress").path("rows").asInt() > 0,
        () -> client.get(locations.getFirst()).text());
    JsonNode progress = client.get(locations.getFirst()).json().path("progress");
    assertThat(progress.path("total_rows").asInt()).isEqualTo(20_000_000);
    assertThat(progress.path("phase").asString()).isEqualTo("encoding");
    assertThat(client.get(locations.getLast()).json().path("state").asString()).isEqualTo("queued");
    JsonNode page = client.get("/encode/jobs?limit=1").expect(200).json();
    assertThat(page.path("jobs").get(0).path("id").asString())
        .isEqualTo(locations.getLast().substring("/encode/jobs/".length()));
    JsonNode next = client.get("/encode/jobs?limit=1&after=" + page.path("next").asString()).json();
    assertThat(next.path("jobs").get(0).path("id").asString())
        .isEqualTo(locations.getFirst().substring("/encode/jobs/".length()));
    for (String location : locations.reversed()) {
      client.delete(location).expect(202);
      assertThat(client.awaitJob(location).path("state").asString()).isEqualTo("cancelled");
      client.delete(location).expectProblem(409, "JOB_FINISHED");
    }
    assertThat(root.resolve("first.npy")).doesNotExist();
    assertThat(root.resolve("second.parquet")).doesNotExist();
    try (var left = Files.list(root.resolveSibling("data").resolve("encoding"))) {
      assertThat(left).isEmpty();
    }
    Files.delete(many);
  }

  /** The version is that of the moment of acceptance. */
  @Test
  void encode_aliasMovedMeanwhile_usesThePinnedVersion() throws IOException {
    client.train("codebook=moving&seed=1&" + ServiceClient.SMALL, ROWS);
    int[][] expected = client.encode("codebook=moving", ROWS).codes();
    String blocker =
        client
            .post(
                "/encode/jobs",
                """
                {"source": {"uri": "%s"}, "destination": {"uri": "%s"}}
                """
                    .formatted(at("disk", "parts/*.npy"), at("disk", "blocker.npy")))
            .expect(202)
            .header("Location");
    String job =
        client
            .post(
                "/encode/jobs",
                """
                {"codebook": "moving", "source": {"uri": "%s"}, "destination": {"uri": "%s"}}
                """
                    .formatted(at("disk", "npy/whole.npy"), at("disk", "moving.npy")))
            .expect(202)
            .header("Location");
    client.train("codebook=moving&seed=2&" + ServiceClient.SMALL, ROWS);
    client.awaitJob(blocker);
    JsonNode done = client.awaitJob(job);
    assertThat(done.path("version").asInt()).isEqualTo(1);
    assertThat(done.path("result").path("fingerprint").asString())
        .isEqualTo(client.fingerprint("moving", 1));
    byte[] codes = Files.readAllBytes(root.resolve("moving.npy"));
    assertThat(
            ServiceClient.codes(Arrays.copyOfRange(codes, codes.length - 12 * N, codes.length), N))
        .isDeepEqualTo(expected);
  }

  @Test
  void idempotencyKey_givesOneJobHoweverOftenItIsSent()
      throws InterruptedException, ExecutionException {
    String path = "/train?codebook=once&" + ServiceClient.SMALL;
    byte[] body = Embeddings.npy(ROWS);
    Callable<String> send =
        () ->
            client
                .post(path, NPY, body, "Idempotency-Key", "night of the 23rd")
                .expect(202)
                .header("Location");
    String first;
    try (var clients = Executors.newFixedThreadPool(4)) {
      var locations =
          clients.invokeAll(List.of(send, send, send, send)).stream()
              .map(answer -> answer.resultNow())
              .distinct()
              .toList();
      assertThat(locations).hasSize(1);
      first = locations.getFirst();
    }
    client.awaitJob(first);
    assertThat(
            client.post(path, NPY, body, "Idempotency-Key", "night of the 23rd").header("Location"))
        .isEqualTo(first);
    client
        .post(path + "&seed=9", NPY, body, "Idempotency-Key", "night of the 23rd")
        .expectProblem(422, "IDEMPOTENCY_KEY_REUSED", first.substring("/train/".length()));
    client
        .post(
            path,
            NPY,
            Embeddings.npy(Embeddings.rows(N, D, 4)),
            "Idempotency-Key",
            "night of the 23rd")
        .expectProblem(422, "IDEMPOTENCY_KEY_REUSED");
    client
        .post(path, NPY, body, "Idempotency-Key", "k".repeat(256))
        .expectProblem(400, "INVALID_PARAMETER", 255, 256);
    assertThat(service.spooled()).isEmpty();
    assertThat(client.get("/codebooks/once").json().path("versions").size()).isEqualTo(1);
  }

  @Test
  void events_ofAJob_endWithItsEnd() {
    for (String location :
        List.of(
            client
                .post("/train?codebook=told&" + ServiceClient.SMALL, NPY, Embeddings.npy(ROWS))
                .expect(202)
                .header("Location"),
            client
                .post(
                    "/encode/jobs",
                    """
                    {"source": {"uri": "%s"}, "destination": {"uri": "%s"}}
                    """
                        .formatted(at("disk", "npy/whole.npy"), at("disk", "told.npy")))
                .expect(202)
                .header("Location"))) {
      Answer events = client.get(location + "/events").expect(200);
      assertThat(events.header("Content-Type")).startsWith("text/event-stream");
      List<String> data = events.text().lines().filter(line -> line.startsWith("data:")).toList();
      assertThat(data).isNotEmpty();
      assertThat(data.getLast())
          .isEqualTo("data:" + client.get(location).expect(200).text())
          .contains("\"state\":\"succeeded\"");
    }
    client.get("/train/none/events").expectProblem(404, "UNKNOWN_JOB");
  }
}
