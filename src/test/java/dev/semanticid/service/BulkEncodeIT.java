package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.NPY;
import static dev.semanticid.service.ServiceClient.OCTETS;
import static dev.semanticid.service.ServiceClient.SMALL;
import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.format.NpyWriter;
import dev.semanticid.parquet.IdType;
import dev.semanticid.parquet.Ids;
import dev.semanticid.parquet.ParquetCodes;
import dev.semanticid.parquet.ParquetFiles;
import dev.semanticid.parquet.ParquetIds;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * {@code /encode/jobs}: what is written, to the byte; jobs that wait, run and are cancelled while
 * the world changes around them; requests that are sent twice.
 */
class BulkEncodeIT {

  private static final int D = 16;
  private static final int N = 500;
  private static final float[][] ROWS = Embeddings.rows(N, D, 1);

  /** Wide rows and a wide codebook: encoded in minutes, for which no test waits. */
  private static final int HEAVY_D = 256;

  private static final long ENDLESS_ROWS = 20_000_000;

  private static S3Server s3;
  private static ServiceProcess service;
  private static ServiceClient client;
  private static Path data;
  private static Path root;
  private static int[][] codes;

  @BeforeAll
  static void start(@TempDir Path temp) throws IOException {
    data = temp.resolve("data");
    root = Files.createDirectories(temp.resolve("root")).toRealPath();
    s3 = S3Server.start();
    s3.createBucket("codes");
    service =
        ServiceProcess.start(
            data,
            "-Daws.accessKeyId=" + S3Server.ACCESS_KEY,
            "-Daws.secretAccessKey=" + S3Server.SECRET_KEY,
            "--semantic-id.data-root=" + root,
            "--semantic-id.s3.endpoint=" + s3.endpoint(),
            "--semantic-id.s3.allowed=s3://codes,s3://nowhere");
    client = service.client();
    Files.write(root.resolve("rows.npy"), Embeddings.npy(ROWS));
    byte[] header = NpyWriter.header("<f4", ENDLESS_ROWS, HEAVY_D);
    try (var out = new RandomAccessFile(root.resolve("endless.npy").toFile(), "rw")) {
      out.write(header);
      out.setLength(header.length + ENDLESS_ROWS * HEAVY_D * Float.BYTES);
    }
    client.train("embedding_model=small-1&" + SMALL, ROWS);
    codes = client.encode("", ROWS).codes();
    client.upload(
        "heavy", Embeddings.safetensors(Embeddings.codebook(HEAVY_D, 1, 256, 256, 256)), true);
  }

  @AfterAll
  static void stop() {
    service.close();
    s3.close();
  }

  /** However its jobs ended, they left nothing but results. */
  @AfterEach
  void nothingIsLeft() throws IOException {
    for (Path folder : List.of(data.resolve("encoding"), data.resolve("staging"))) {
      try (var left = Files.list(folder)) {
        assertThat(left).isEmpty();
      }
    }
    try (var results = Files.list(root)) {
      assertThat(results.map(file -> String.valueOf(file.getFileName())))
          .noneMatch(name -> name.startsWith("."));
    }
    assertThat(s3.uploads("codes")).isEmpty();
  }

  private static String at(String name) {
    return "file://%s/%s".formatted(root, name);
  }

  private static String request(String source, String destination, String more) {
    return """
    {"source": {"uri": "%s"}, "destination": {"uri": "%s"}%s}
    """
        .formatted(source, destination, more);
  }

  private static String accept(String source, String destination, String more) {
    return client
        .post("/encode/jobs", request(source, destination, more))
        .expect(202)
        .header("Location");
  }

  private static JsonNode encode(String source, String destination, String more) {
    JsonNode job = client.awaitJob(accept(source, destination, more));
    assertThat(job.path("state").asString()).as(job.toString()).isEqualTo("succeeded");
    return job;
  }

  private static JsonNode failure(String location, String code) {
    JsonNode job = client.awaitJob(location);
    assertThat(job.path("state").asString()).as(job.toString()).isEqualTo("failed");
    assertThat(job.path("error").path("code").asString()).as(job.toString()).isEqualTo(code);
    assertThat(job.has("result")).isFalse();
    client.encode("", ROWS);
    return job.path("error");
  }

  private static void expectNothing(String name) {
    assertThat(root.resolve(name)).doesNotExist();
  }

  private static byte[] file(String name) throws IOException {
    return Files.readAllBytes(root.resolve(name));
  }

  /** What numpy.save makes of an array of int32. */
  private static byte[] npy(int[][] rows) {
    ByteBuffer bytes =
        ByteBuffer.allocate(4 * rows.length * rows[0].length).order(ByteOrder.LITTLE_ENDIAN);
    Arrays.stream(rows).flatMapToInt(Arrays::stream).forEach(bytes::putInt);
    return Embeddings.npy("<i4", bytes.array(), rows.length, rows[0].length);
  }

  private static List<Object> ids(byte[] parquet) throws IOException {
    try (ParquetIds reader = ParquetIds.open(ParquetFiles.source("output", parquet), "id")) {
      var ids = new Ids(reader.type());
      reader.read(ids, 1 << 20);
      return ids.type() == IdType.STRING
          ? List.of((Object[]) Arrays.copyOf(ids.strings(), ids.count()))
          : LongStream.of(ids.longs()).limit(ids.count()).<Object>mapToObj(i -> i).toList();
    }
  }

  /** The worker is busy until the job that this begins is cancelled. */
  private static String beginEndless(String destination) {
    String location = accept(at("endless.npy"), at(destination), ", \"codebook\": \"heavy\"");
    Await.until(
        "rows are encoded",
        () -> client.get(location).json().path("progress").path("rows").asInt(0) > 0,
        () -> client.get(location).text());
    return location;
  }

  private static void cancel(String location) {
    client.delete(location).expect(202);
    assertThat(client.awaitJob(location).path("state").asString()).isEqualTo("cancelled");
  }

  @Test
  void encode_npyToNpy_writesNumpysBytesAndSaysWhat() throws IOException {
    JsonNode job = encode(at("rows.npy"), at("plain.npy"), ", \"embedding_model\": \"small-1\"");
    assertThat(file("plain.npy")).isEqualTo(npy(codes));
    assertThat(job.path("codebook").asString()).isEqualTo("default");
    assertThat(job.path("version").asInt()).isEqualTo(1);
    assertThat(job.has("progress")).isFalse();
    JsonNode result = job.path("result");
    assertThat(result.path("destination").asString()).isEqualTo(at("plain.npy"));
    assertThat(result.path("fingerprint").asString()).isEqualTo(client.fingerprint("default", 1));
    assertThat(result.path("rows").asInt()).isEqualTo(N);
    assertThat(result.path("skipped_rows").asInt(-1)).isZero();
    assertThat(result.path("size_bytes").asLong()).isEqualTo(file("plain.npy").length);
    JsonNode parameters = job.path("parameters");
    assertThat(parameters.path("source").asString()).isEqualTo(at("rows.npy"));
    assertThat(parameters.path("destination").asString()).isEqualTo(at("plain.npy"));
    assertThat(parameters.path("on_bad_row").asString()).isEqualTo("fail");
    assertThat(parameters.path("rows").asInt()).isEqualTo(N);
  }

  @Test
  void encode_npyToParquet_numbersTheRowsAndNamesTheCodebook() throws IOException {
    encode(at("rows.npy"), at("numbered.parquet"), "");
    byte[] written = file("numbered.parquet");
    assertThat(ids(written)).isEqualTo(LongStream.range(0, N).<Object>mapToObj(i -> i).toList());
    ParquetCodes read = ParquetCodes.read(written);
    assertThat(read.codes()).isDeepEqualTo(codes);
    assertThat(read.metadata())
        .containsAllEntriesOf(
            Map.of(
                "codebook",
                "default",
                "version",
                "1",
                "fingerprint",
                client.fingerprint("default", 1),
                "embedding_model",
                "small-1"));
    encode(at("rows.npy"), "s3://codes/numbered.parquet", "");
    assertThat(s3.get("codes", "numbered.parquet").orElseThrow())
        .as("the same bytes wherever they go")
        .isEqualTo(written);
    encode(at("rows.npy"), "s3://codes/plain.npy", "");
    assertThat(s3.get("codes", "plain.npy").orElseThrow()).isEqualTo(npy(codes));
  }

  @Test
  void encode_parquetToParquet_carriesIdsOfEveryKind() throws IOException {
    String[] names = IntStream.range(0, N).mapToObj(i -> "söck-" + i).toArray(String[]::new);
    long[] numbers = LongStream.range(0, N).map(i -> 7_000_000_000L - 3 * i).toArray();
    ParquetFiles.vectors(ROWS).ids(names).rowGroup(120).write(root.resolve("named-a.parquet"));
    ParquetFiles.vectors(ROWS).ids(names).snappy().write(root.resolve("named-b.parquet"));
    ParquetFiles.vectors(ROWS).ids(numbers).idColumn("sku").write(root.resolve("skus.parquet"));

    encode(at("named-?.parquet"), at("names-out.parquet"), "");
    var twice = new ArrayList<Object>(List.of((Object[]) names));
    twice.addAll(List.of((Object[]) names));
    assertThat(ids(file("names-out.parquet"))).isEqualTo(twice);
    int[][] both = ParquetCodes.read(file("names-out.parquet")).codes();
    assertThat(Arrays.copyOf(both, N)).isDeepEqualTo(codes);
    assertThat(Arrays.copyOfRange(both, N, 2 * N)).isDeepEqualTo(codes);

    String skus = at("skus.parquet") + "\", \"id_column\": \"sku";
    encode(skus, at("skus-out.parquet"), "");
    assertThat(ids(file("skus-out.parquet")))
        .isEqualTo(LongStream.of(numbers).<Object>mapToObj(i -> i).toList());
    encode(at("skus.parquet"), at("rows-out.parquet"), "");
    assertThat(ids(file("rows-out.parquet")))
        .as("sku is no name that is taken for ids unless told")
        .startsWith(0L, 1L, 2L);
    encode(skus, at("skus-out.npy"), "");
    assertThat(file("skus-out.npy")).isEqualTo(npy(codes));
  }

  /** Before hours of encoding, not behind them. */
  @Test
  void encode_idsThatAreNotThere_areRefusedAtOnce() throws IOException {
    ParquetFiles.vectors(ROWS).write(root.resolve("no-ids.parquet"));
    client
        .post(
            "/encode/jobs",
            request(at("no-ids.parquet") + "\", \"id_column\": \"sku", at("x.parquet"), ""))
        .expectProblem(422, "SOURCE_INVALID", "sku", "no-ids.parquet");
    client
        .post(
            "/encode/jobs",
            request(at("rows.npy") + "\", \"id_column\": \"sku", at("x.parquet"), ""))
        .expectProblem(422, "SOURCE_INVALID", "id_column");
    ParquetFiles.vectors(ROWS)
        .ids(LongStream.range(0, N).toArray())
        .write(root.resolve("ids-1.parquet"));
    ParquetFiles.vectors(ROWS).write(root.resolve("ids-2.parquet"));
    client
        .post("/encode/jobs", request(at("ids-?.parquet"), at("x.parquet"), ""))
        .expectProblem(422, "SOURCE_INVALID", "ids-2.parquet");
    encode(at("ids-?.parquet"), at("ids-out.npy"), "");
    s3.put("codes", "no-ids.parquet", file("no-ids.parquet"));
    JsonNode error =
        failure(
            accept("s3://codes/no-ids.parquet\", \"id_column\": \"sku", at("x.parquet"), ""),
            "SOURCE_INVALID");
    assertThat(error.path("detail").asString()).contains("sku", "s3://codes/no-ids.parquet");
    expectNothing("x.parquet");
  }

  @Test
  void encode_badRows_failNamingThemOrAreSkippedAndCounted() throws IOException {
    float[][] rows = Arrays.copyOf(ROWS, 10);
    rows[4] = rows[4].clone();
    rows[4][2] = Float.NEGATIVE_INFINITY;
    Files.write(root.resolve("bad-1.npy"), Embeddings.npy(Arrays.copyOf(ROWS, 5)));
    Files.write(root.resolve("bad-2.npy"), Embeddings.npy(rows));
    rows[7] = Arrays.copyOf(rows[7], 3);
    String[] names = IntStream.range(0, 10).mapToObj(i -> "n" + i).toArray(String[]::new);
    ParquetFiles.vectors(rows).ids(names).write(root.resolve("bad.parquet"));
    s3.put("codes", "bad.parquet", file("bad.parquet"));

    assertThat(
            failure(accept(at("bad-?.npy"), at("bad-out.npy"), ""), "NON_FINITE_VALUE")
                .path("detail")
                .asString())
        .as("the row's number in its own file")
        .contains("bad-2.npy", "row 4 ");
    assertThat(
            failure(accept("s3://codes/bad.parquet", at("bad-out.npy"), ""), "NON_FINITE_VALUE")
                .path("detail")
                .asString())
        .contains("s3://codes/bad.parquet", "row 4 ");
    expectNothing("bad-out.npy");

    String skip = ", \"on_bad_row\": \"skip\"";
    JsonNode job = encode(at("bad-?.npy"), at("skipped.npy"), skip);
    assertThat(job.path("result").path("rows").asInt()).isEqualTo(15);
    assertThat(job.path("result").path("skipped_rows").asInt()).isEqualTo(1);
    int[][] expected = new int[15][];
    for (int i = 0; i < 15; i++) {
      expected[i] = i == 9 ? new int[] {-1, -1, -1} : codes[i < 5 ? i : i - 5];
    }
    assertThat(file("skipped.npy")).isEqualTo(npy(expected));
    for (String source : List.of(at("bad.parquet"), "s3://codes/bad.parquet")) {
      String destination = "skipped-%s.parquet".formatted(source.substring(0, 2));
      JsonNode other = encode(source, at(destination), skip);
      assertThat(other.path("result").path("rows").asInt()).isEqualTo(10);
      assertThat(other.path("result").path("skipped_rows").asInt()).isEqualTo(2);
      assertThat(ids(file(destination)))
          .isEqualTo(List.of("n0", "n1", "n2", "n3", "n5", "n6", "n8", "n9"));
      assertThat(ParquetCodes.read(file(destination)).codes())
          .isDeepEqualTo(
              IntStream.of(0, 1, 2, 3, 5, 6, 8, 9).mapToObj(i -> codes[i]).toArray(int[][]::new));
    }
  }

  @Test
  void encode_damagedOrMissingSource_failsWithItsCode() throws IOException {
    ParquetFiles.vectors(ROWS).rowGroup(100).write(root.resolve("torn.parquet"));
    byte[] torn = file("torn.parquet");
    Arrays.fill(torn, torn.length / 2, torn.length / 2 + 1000, (byte) 0x55);
    Files.write(root.resolve("torn.parquet"), torn);
    s3.put("codes", "torn.parquet", torn);
    s3.put("codes", "empty.npy", new byte[0]);
    s3.put("codes", "start.npy", Arrays.copyOf(Embeddings.npy(ROWS), 20));
    for (String source :
        List.of(
            at("torn.parquet"),
            "s3://codes/torn.parquet",
            "s3://codes/empty.npy",
            "s3://codes/start.npy")) {
      JsonNode error = failure(accept(source, at("torn.npy"), ""), "SOURCE_INVALID");
      assertThat(error.path("detail").asString())
          .contains(source.substring(source.lastIndexOf('/')));
    }
    for (String source : List.of("s3://codes/none.npy", "s3://codes/n/*.npy", "s3://nowhere/x")) {
      failure(accept(source, at("torn.npy"), ""), "SOURCE_NOT_FOUND");
    }
    JsonNode error =
        failure(accept(at("rows.npy"), "s3://nowhere/x.npy", ""), "DESTINATION_INVALID");
    assertThat(error.path("detail").asString()).contains("nowhere");
    s3.put("codes", "narrow.npy", Embeddings.npy(Embeddings.rows(9, 5, 1)));
    failure(accept("s3://codes/narrow.npy", at("torn.npy"), ""), "DIMENSION_MISMATCH");
    expectNothing("torn.npy");
  }

  @Test
  void encode_codebookThatDoesNotFit_isRefused() {
    String source = at("rows.npy");
    client
        .post("/encode/jobs", request(source, at("x.npy"), ", \"codebook\": \"none\""))
        .expectProblem(404, "UNKNOWN_CODEBOOK", "none");
    client
        .post("/encode/jobs", request(source, at("x.npy"), ", \"version\": \"99\""))
        .expectProblem(404, "UNKNOWN_VERSION", "99");
    client
        .post("/encode/jobs", request(source, at("x.npy"), ", \"version\": \"stable\""))
        .expectProblem(404, "UNKNOWN_VERSION", "stable");
    client
        .post("/encode/jobs", request(source, at("x.npy"), ", \"embedding_model\": \"large-2\""))
        .expectProblem(409, "EMBEDDING_MODEL_MISMATCH", "large-2", "small-1");
    client
        .post("/encode/jobs", request(source, at("x.npy"), ", \"on_bad_row\": \"guess\""))
        .expectProblem(400, "INVALID_PARAMETER", "on_bad_row", "guess");
    for (String destination : List.of(at("*.npy"), "s3://codes/[a].npy", "gopher://x/y.npy")) {
      client
          .post("/encode/jobs", request(source, destination, ""))
          .expectProblem(422, "DESTINATION_INVALID");
    }
    client
        .post("/encode/jobs", request(source, "s3://elsewhere/x.npy", ""))
        .expectProblem(403, "SOURCE_FORBIDDEN", "destination");
    expectNothing("x.npy");
  }

  @Test
  void job_queued_keepsItsVersionWhateverTheAliasDoes() throws IOException {
    client.train("codebook=moving&seed=1&" + SMALL, ROWS);
    client.put("/codebooks/moving/aliases/stable", "{\"version\": 1}").expect(200);
    int[][] expected = client.encode("codebook=moving", ROWS).codes();
    String running = beginEndless("endless.parquet");
    var jobs = new ArrayList<String>();
    try {
      for (String version : List.of("active", "stable", "1")) {
        Answer accepted =
            client.post(
                "/encode/jobs",
                request(
                    at("rows.npy"),
                    at("moving-%s.npy".formatted(version)),
                    ", \"codebook\": \"moving\", \"version\": \"%s\"".formatted(version)));
        assertThat(accepted.expect(202).json().path("version").asInt()).isEqualTo(1);
        assertThat(accepted.json().path("state").asString()).isEqualTo("queued");
        jobs.add(accepted.header("Location"));
      }
      client.train("codebook=moving&seed=2&" + SMALL, ROWS);
      client.put("/codebooks/moving/aliases/stable", "{\"version\": 2}").expect(200);
      assertThat(client.encode("codebook=moving", ROWS).version()).isEqualTo(2);
      assertThat(client.encode("codebook=moving", ROWS).codes())
          .as("another version that gives other codes")
          .isNotEqualTo(expected);
      client
          .delete("/codebooks/moving/versions/1")
          .expectProblem(409, "VERSION_IN_USE", "version 1", jobs.getFirst().substring(13));
    } finally {
      cancel(running);
    }
    for (String job : jobs) {
      JsonNode done = client.awaitJob(job);
      assertThat(done.path("state").asString()).as(done.toString()).isEqualTo("succeeded");
      assertThat(done.path("version").asInt()).isEqualTo(1);
      assertThat(done.path("result").path("fingerprint").asString())
          .isEqualTo(client.fingerprint("moving", 1));
    }
    for (String version : List.of("active", "stable", "1")) {
      assertThat(file("moving-%s.npy".formatted(version))).isEqualTo(npy(expected));
    }
    expectNothing("endless.parquet");
  }

  @Test
  void job_whoseDestinationIsTakenMeanwhile_failsAndLeavesItAlone() throws IOException {
    String running = beginEndless("taken-endless.npy");
    var jobs = new ArrayList<String>();
    try {
      jobs.add(accept(at("rows.npy"), at("taken.npy"), ""));
      jobs.add(accept(at("rows.npy"), at("same.npy"), ""));
      jobs.add(accept(at("rows.npy"), at("same.npy"), ", \"on_bad_row\": \"skip\""));
      jobs.add(accept(at("rows.npy"), "s3://codes/taken.npy", ""));
      Files.write(root.resolve("taken.npy"), new byte[] {1, 2, 3});
      s3.put("codes", "taken.npy", new byte[] {4, 5});
    } finally {
      cancel(running);
    }
    failure(jobs.get(0), "DESTINATION_EXISTS");
    assertThat(file("taken.npy")).containsExactly(1, 2, 3);
    assertThat(client.awaitJob(jobs.get(1)).path("state").asString()).isEqualTo("succeeded");
    failure(jobs.get(2), "DESTINATION_EXISTS");
    assertThat(file("same.npy")).isEqualTo(npy(codes));
    failure(jobs.get(3), "DESTINATION_EXISTS");
    assertThat(s3.get("codes", "taken.npy").orElseThrow()).containsExactly(4, 5);
  }

  /** The events among the lines of a stream. */
  private static List<JsonNode> told(List<String> lines) {
    return lines.stream()
        .filter(line -> line.startsWith("data:"))
        .map(line -> JsonMapper.shared().readTree(line.substring("data:".length())))
        .toList();
  }

  private static long rows(JsonNode event) {
    return event.path("progress").path("rows").asLong();
  }

  @Test
  void events_ofARunningJob_tellOfItsWayAndEndWhenItIsCancelled() throws Exception {
    String location = beginEndless("told.npy");
    var lines = new CopyOnWriteArrayList<String>();
    try (var http = HttpClient.newHttpClient();
        var listener = Executors.newSingleThreadExecutor()) {
      var request =
          HttpRequest.newBuilder(
              URI.create(
                  String.format(
                      Locale.ROOT, "http://127.0.0.1:%d%s/events", client.port(), location)));
      Future<?> stream =
          listener.submit(() -> {
            HttpResponse<Stream<String>> answer =
                http.send(request.build(), BodyHandlers.ofLines());
            assertThat(answer.statusCode()).isEqualTo(200);
            answer.body().forEach(lines::add);
            return null;
          });
      try {
        Await.until(
            "three events",
            () ->
                stream.isDone()
                    || told(lines).stream().map(BulkEncodeIT::rows).distinct().count() > 2,
            () -> lines.toString());
        assertThat(stream.isDone()).isFalse();
      } finally {
        cancel(location);
      }
      stream.get();
    }
    List<JsonNode> events = told(lines);
    assertThat(events).hasSizeGreaterThan(2);
    assertThat(events.getLast()).isEqualTo(client.get(location).json());
    assertThat(events.getLast().path("state").asString()).isEqualTo("cancelled");
    List<Long> rows =
        events.subList(0, events.size() - 1).stream().map(BulkEncodeIT::rows).toList();
    assertThat(rows).isSorted().allMatch(count -> count > 0);
    assertThat(new HashSet<>(rows)).as("it goes on").hasSizeGreaterThan(1);
    assertThat(events.getFirst().path("progress").path("total_rows").asLong())
        .isEqualTo(ENDLESS_ROWS);
    expectNothing("told.npy");
  }

  @Test
  void list_jobs_comesNewestFirstInPages() {
    var made = new ArrayList<String>();
    for (int i = 0; i < 5; i++) {
      JsonNode job = encode(at("rows.npy"), at(String.format(Locale.ROOT, "listed-%d.npy", i)), "");
      made.addFirst(job.path("id").asString());
    }
    var listed = new ArrayList<String>();
    String query = "limit=2";
    while (listed.size() < 5) {
      JsonNode page = client.get("/encode/jobs?" + query).expect(200).json();
      page.path("jobs").forEach(job -> listed.add(job.path("id").asString()));
      query = "limit=2&after=" + page.path("next").asString("none");
    }
    assertThat(listed.subList(0, 5)).isEqualTo(made);
    JsonNode all = client.get("/encode/jobs?limit=200").json();
    assertThat(all.has("next")).isFalse();
    client.get("/encode/jobs?limit=0").expectProblem(400, "INVALID_PARAMETER", "limit");
    client.get("/encode/jobs?limit=201").expectProblem(400, "INVALID_PARAMETER", "limit");
    client.get("/encode/jobs?after=none").expectProblem(404, "UNKNOWN_JOB", "none");
    client.delete("/encode/jobs/none").expectProblem(404, "UNKNOWN_JOB", "none");
    client.get("/train/" + made.getFirst()).expectProblem(404, "UNKNOWN_JOB");
    client.delete("/encode/jobs/" + made.getFirst()).expectProblem(409, "JOB_FINISHED");
  }

  /** The distinct locations of the jobs that clients got who all asked at the same moment. */
  private static Set<String> locations(Callable<Answer> request) throws Exception {
    int clients = 8;
    var barrier = new CyclicBarrier(clients);
    Callable<String> atOnce =
        () -> {
          barrier.await();
          return request.call().expect(202).header("Location");
        };
    var locations = new HashSet<String>();
    try (var threads = Executors.newFixedThreadPool(clients)) {
      var calls = IntStream.range(0, clients).mapToObj(i -> threads.submit(atOnce)).toList();
      for (Future<String> call : calls) {
        locations.add(call.get());
      }
    }
    return locations;
  }

  @Test
  void idempotencyKey_ofAnEncoding_givesOneJobHoweverOftenItIsSent() throws Exception {
    String once = request(at("rows.npy"), at("once.npy"), "");
    Set<String> locations =
        locations(() -> client.post("/encode/jobs", once, "Idempotency-Key", "nightly 7"));
    assertThat(locations).hasSize(1);
    String location = locations.iterator().next();
    assertThat(client.awaitJob(location).path("state").asString()).isEqualTo("succeeded");
    Answer again = client.post("/encode/jobs", once, "Idempotency-Key", "nightly 7").expect(202);
    assertThat(again.header("Location"))
        .as("though its destination is there by now")
        .isEqualTo(location);
    assertThat(again.json().path("state").asString()).isEqualTo("succeeded");
    client
        .post("/encode/jobs", once, "Idempotency-Key", "nightly 8")
        .expectProblem(409, "DESTINATION_EXISTS", "once.npy");
    Answer reused =
        client
            .post(
                "/encode/jobs",
                request(at("rows.npy"), at("twice.npy"), ""),
                "Idempotency-Key",
                "nightly 7")
            .expectProblem(422, "IDEMPOTENCY_KEY_REUSED", "nightly 7");
    assertThat(reused.json().path("job").asString()).isEqualTo(location);
    client
        .post("/encode/jobs", once, "Idempotency-Key", "k".repeat(256))
        .expectProblem(400, "INVALID_PARAMETER", "Idempotency-Key");
    expectNothing("twice.npy");
  }

  @Test
  void idempotencyKey_ofWhatHasLostItsSource_givesTheJobThatWas() throws IOException {
    Path source = Files.copy(root.resolve("rows.npy"), root.resolve("gone.npy"));
    String encoding = request(at("gone.npy"), at("from-gone.npy"), "");
    String training =
        """
        {"codebook": "from-gone", "source": {"uri": "%s"}, "codebook_width": 8,
         "init_buffer_size": 64, "batch_size": 128, "max_steps": 30}
        """
            .formatted(at("gone.npy"));
    for (String[] request : new String[][] {{"/encode/jobs", encoding}, {"/train", training}}) {
      Answer first = client.post(request[0], request[1], "Idempotency-Key", "gone");
      assertThat(client.awaitJob(first).path("state").asString()).isEqualTo("succeeded");
      Files.move(source, root.resolve("elsewhere.npy"));
      Answer again = client.post(request[0], request[1], "Idempotency-Key", "gone").expect(202);
      assertThat(again.header("Location")).isEqualTo(first.header("Location"));
      client
          .post(request[0], request[1], "Idempotency-Key", "gone too")
          .expectProblem(422, "SOURCE_NOT_FOUND", "gone.npy");
      Files.move(root.resolve("elsewhere.npy"), source);
    }
  }

  /** Again and again, because it matters who comes when. */
  @Test
  void idempotencyKey_ofATraining_givesOneJobToClientsThatAskAtOnce() throws Exception {
    byte[] body = Embeddings.npy(ROWS);
    for (int round = 0; round < 10; round++) {
      int number = round;
      String key = "training " + round;
      Set<String> locations =
          locations(() ->
              number % 2 == 0
                  ? client.post(
                      String.format(Locale.ROOT, "/train?codebook=once-%d&%s", number, SMALL),
                      NPY,
                      body,
                      "Idempotency-Key",
                      key)
                  : client.post(
                      "/train",
                      String.format(
                          Locale.ROOT,
                          """
                          {"codebook": "once-%d", "source": {"uri": "%s"}, "codebook_width": 8,
                           "init_buffer_size": 64, "batch_size": 128, "max_steps": 30}
                          """,
                          number,
                          at("rows.npy")),
                      "Idempotency-Key",
                      key));
      assertThat(locations).hasSize(1);
      client.awaitJob(locations.iterator().next());
      assertThat(client.state("once-" + round)).containsEntry("versions", List.of(1));
      assertThat(service.spooled()).isEmpty();
    }
    // The same key names nothing among the jobs of another kind.
    Answer other =
        client.post(
            "/encode/jobs",
            request(at("rows.npy"), at("other-kind.npy"), ""),
            "Idempotency-Key",
            "training 0");
    assertThat(client.awaitJob(other).path("state").asString()).isEqualTo("succeeded");
    client
        .post(
            "/train?codebook=once-0&embedding_dim=16&" + SMALL,
            OCTETS,
            Embeddings.octets(ROWS),
            "Idempotency-Key",
            "training 0")
        .expectProblem(422, "IDEMPOTENCY_KEY_REUSED", "training 0");
  }

  @Test
  void s3_thatDoesNotAnswer_failsTheJobAndNothingElse(@TempDir Path temp) throws IOException {
    S3Server own = S3Server.start();
    try (ServiceProcess other =
        ServiceProcess.start(
            temp.resolve("data"),
            ServiceProcess.QUICK_START,
            "-Daws.accessKeyId=" + S3Server.ACCESS_KEY,
            "-Daws.secretAccessKey=wrong",
            "--semantic-id.data-root=" + root,
            "--semantic-id.s3.endpoint=" + own.endpoint(),
            "--semantic-id.s3.allowed=s3://codes")) {
      own.createBucket("codes");
      other.client().train("activate=always&" + SMALL, ROWS);
      String denied = request(at("rows.npy"), "s3://codes/denied.npy", "");
      String source = request("s3://codes/rows.npy", at("denied.npy"), "");
      for (String code : List.of("SOURCE_ACCESS_DENIED", "SOURCE_UNAVAILABLE")) {
        for (String request : List.of(denied, source)) {
          JsonNode job = other.client().awaitJob(other.client().post("/encode/jobs", request));
          assertThat(job.path("error").path("code").asString()).as(job.toString()).isEqualTo(code);
        }
        if (code.equals("SOURCE_ACCESS_DENIED")) {
          assertThat(own.keys("codes", "")).isEmpty();
          own.kill();
        }
        other.client().encode("", ROWS);
        other.client().get("/actuator/health/readiness").expect(200);
      }
    } finally {
      own.close();
    }
    expectNothing("denied.npy");
  }
}
