package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.JSON;
import static dev.semanticid.service.ServiceClient.NPY;
import static dev.semanticid.service.ServiceClient.OCTETS;
import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.parquet.ParquetFiles;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * Clients that want to use up the memory, the processor or the disk of a service with the image's
 * heap, which ends itself when the heap is full: it goes on encoding, refuses what is too much, and
 * has everything back afterwards.
 */
class HostileMemoryIT {

  private static final int D = 16;
  private static final int WIDE_D = 2048;
  private static final int WIDTH = 1024;
  private static final long SCRATCH_BYTES = 256L << 20;
  private static final float[][] ROWS = Embeddings.rows(3, D, 4);
  private static final Codebook CODEBOOK = Embeddings.codebook(D, 5, 40, 30, 20);
  private static final int[][] CODES = Embeddings.reference(CODEBOOK, ROWS);

  private static ServiceProcess service;
  private static ServiceClient client;
  private static Path root;

  @BeforeAll
  static void start(@TempDir Path folder) throws IOException {
    root = Files.createDirectory(folder.resolve("root"));
    service =
        ServiceProcess.start(
            folder.resolve("data"),
            "-Xmx921m",
            "-XX:+ExitOnOutOfMemoryError",
            "--semantic-id.data-root=" + root,
            "--semantic-id.scratch.max-size=" + SCRATCH_BYTES + "B",
            "--semantic-id.scratch.max-uploads=3",
            "--semantic-id.encoding.body-timeout=5s");
    client = service.client();
    client.upload("default", Embeddings.safetensors(CODEBOOK), true);
    client.upload("wide", Embeddings.safetensors(Embeddings.codebook(WIDE_D, 6, 8, 8)), true);
  }

  @AfterAll
  static void stop() {
    service.close();
  }

  /** Whatever happened, it encodes, and what was taken has come back. */
  @AfterEach
  void everythingComesBack() {
    assertThat(client.encode("", ROWS).codes()).isDeepEqualTo(CODES);
    Await.until(
        "memory and space to come back",
        () ->
            client.metric("semantic_id_request_memory_bytes") == 0
                && client.metric("semantic_id_scratch_reserved_bytes") == 0
                && client.metric("semantic_id_encode_admitted_requests") == 0,
        () -> client.get("/actuator/prometheus").text());
    for (String name : List.of("spool", "staging", "uploads", "encoding")) {
      assertThat(service.dataDir().resolve(name)).isEmptyDirectory();
    }
  }

  /** Answers of requests that are sent at once, by status. */
  private static Map<Integer, Integer> atOnce(int requests, Callable<Answer> request)
      throws InterruptedException {
    var statuses = new TreeMap<Integer, Integer>();
    List<Callable<Answer>> all = Collections.nCopies(requests, request);
    try (var threads = Executors.newFixedThreadPool(requests)) {
      for (Future<Answer> answer : threads.invokeAll(all)) {
        try {
          statuses.merge(answer.get().status(), 1, Integer::sum);
        } catch (ExecutionException e) {
          throw new AssertionError(e);
        }
      }
    }
    return statuses;
  }

  private static RawConnection begin(String line, String... headers) {
    return new RawConnection(client.port()).head(line, headers);
  }

  // Compare

  private static void uploadPair(String name, int dimension, int... widths) {
    client.upload(name, Embeddings.safetensors(Embeddings.codebook(dimension, 1, widths)), true);
    client.upload(name, Embeddings.safetensors(Embeddings.codebook(dimension, 2, widths)), false);
  }

  @Test
  void compare_manyAtOnce_matchesOncePerPairOfVersions() throws Exception {
    uploadPair("compared", D, WIDTH, WIDTH, WIDTH);
    byte[] row = Embeddings.octets(Embeddings.rows(1, D, 3));
    Callable<Answer> compare =
        () -> client.post("/codebooks/compared/compare?from=1&to=2", OCTETS, row);
    Map<Integer, Integer> statuses = atOnce(24, compare);
    assertThat(statuses.keySet()).isSubsetOf(200, 429).contains(200);
    // Known from now on.
    assertThat(atOnce(12, compare)).containsOnlyKeys(200);
    JsonNode compared = compare.call().expect(200).json();
    assertThat(compared.path("levels").get(2).path("mean_shift").asDouble()).isPositive();
  }

  @Test
  void compare_clientGoneOrLate_ends() {
    uploadPair("left", 768, 2048, 2048);
    byte[] row = Embeddings.octets(Embeddings.rows(1, 768, 3));
    double gone = gone();
    for (int i = 0; i < 12; i++) {
      try (var connection =
          begin(
              "POST /codebooks/left/compare?from=1&to=2",
              "Content-Type: " + OCTETS,
              "Content-Length: " + row.length)) {
        connection.send(row);
      }
    }
    Await.until(
        "a client that has gone to be noticed",
        () -> gone() > gone && client.metric("semantic_id_request_memory_bytes") == 0,
        service::log);
    client
        .post("/codebooks/left/compare?from=1&to=2", OCTETS, row, "X-Request-Timeout-Ms", "20")
        .expectProblem(504, "DEADLINE_EXCEEDED", "20 ms");
    client.post("/codebooks/left/compare?from=1&to=2", OCTETS, row).expect(200);
  }

  /** Versions that are not resident are loaded one after the other, and few requests wait. */
  @Test
  void encode_manyVersionsInTurn_leavesThreadsToOthers() throws Exception {
    for (int i = 1; i <= 8; i++) {
      client.upload(
          "many", Embeddings.safetensors(Embeddings.codebook(D, i, 512, 512, 512)), i == 1);
    }
    byte[] row = Embeddings.octets(Embeddings.rows(1, D, 3));
    var version = new AtomicInteger();
    Map<Integer, Integer> statuses =
        atOnce(
            64,
            () ->
                client.post(
                    "/encode?codebook=many&version=" + (1 + version.getAndIncrement() % 8),
                    OCTETS,
                    row));
    assertThat(statuses.keySet()).isSubsetOf(200, 429).contains(200);
    // Its shape is known without loading it.
    client.get("/v2/models/many/versions/7").expect(200);
  }

  private static double gone() {
    return client.metric("semantic_id_encode_abandoned_requests_total{why=\"client_gone\"}");
  }

  // Promises

  /** A body that stops behind what announces more; nothing is taken for what has not come. */
  private static void stops(int connections, String line, byte[] start, String... headers) {
    var open = new ArrayList<RawConnection>();
    try {
      for (int i = 0; i < connections; i++) {
        open.add(begin(line, headers).send(start));
      }
      assertThat(client.metric("semantic_id_request_memory_bytes"))
          .as(line)
          .isLessThanOrEqualTo(connections * (1 << 20));
      assertThat(client.encode("", ROWS).codes()).isDeepEqualTo(CODES);
    } finally {
      open.forEach(RawConnection::close);
    }
    Await.until(
        "memory of %s to come back".formatted(line),
        () -> client.metric("semantic_id_request_memory_bytes") == 0,
        service::log);
  }

  private static byte[] safetensorsHead(long elements) {
    String header =
        String.format(
            Locale.ROOT,
            "{\"__metadata__\":{\"normalize_residuals\":\"true\"},\"level_0\":{\"dtype\":\"F32\",\"shape\":[%d,16],\"data_offsets\":[0,%d]}}",
            elements / 16,
            4 * elements);
    byte[] text = header.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(8 + text.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(text.length)
        .put(text)
        .array();
  }

  private static byte[] npyHead(long rows, long dimension) {
    return Embeddings.npy("<f4", new byte[0], rows, dimension);
  }

  @Test
  void bodies_thatStopBehindTheirHeader_takeNoMemoryForWhatTheyPromise() {
    long promised = 200L << 20;
    byte[] codebook = safetensorsHead(promised / 4);
    stops(
        20,
        "POST /codebooks/promised/versions",
        codebook,
        "Content-Type: " + OCTETS,
        "Content-Length: " + (codebook.length + promised));
    byte[] npy = npyHead(16_000, WIDE_D);
    for (String line :
        List.of(
            "POST /encode?codebook=wide",
            "POST /train?codebook=promised",
            "POST /codebooks/wide/compare?from=1&to=1")) {
      stops(
          10,
          line,
          npy,
          "Content-Type: " + NPY,
          "Content-Length: " + (npy.length + 16_000L * WIDE_D * 4));
    }
    for (String line :
        List.of("POST /encode?codebook=wide", "POST /train?codebook=promised&embedding_dim=2048")) {
      stops(
          10,
          line,
          new byte[4],
          "Content-Type: " + OCTETS,
          "Content-Length: " + 16_000L * WIDE_D * 4);
    }
    byte[] infer =
        ("{\"inputs\":[{\"name\":\"embeddings\",\"shape\":[16000,2048],\"datatype\":\"FP32\","
                + "\"parameters\":{\"binary_data_size\":131072000}}]}")
            .getBytes(StandardCharsets.UTF_8);
    stops(
        10,
        "POST /v2/models/wide/infer",
        infer,
        "Content-Type: " + OCTETS,
        "Inference-Header-Content-Length: " + infer.length,
        "Content-Length: " + (infer.length + 131_072_000L));
    byte[] json = "{\"embeddings\":[[0.5,".getBytes(StandardCharsets.UTF_8);
    for (String line : List.of("POST /encode?codebook=wide", "POST /v2/models/wide/infer")) {
      stops(10, line, json, "Content-Type: " + JSON, "Content-Length: 500000000");
    }
    byte[] ids = "{\"semantic_ids\":[[1,".getBytes(StandardCharsets.UTF_8);
    stops(
        10,
        "POST /decode?codebook=wide",
        ids,
        "Content-Type: " + JSON,
        "Content-Length: 500000000");
  }

  /** The reproduction: five connections of 300 bytes. */
  @Test
  void uploads_ofPromisesAlone_areRefusedOnceTheyEnd() {
    byte[] head = safetensorsHead(50L << 20);
    Answer answer =
        client.sendRaw(
            "/codebooks/promised/versions", OCTETS, "Content-Length: " + head.length, head);
    answer.expectProblem(422, "INVALID_CODEBOOK", Long.toString(200L << 20));
    client
        .sendRaw(
            "/codebooks/promised/versions",
            OCTETS,
            "Content-Length: " + (head.length + (200L << 20)),
            head)
        .expectProblem(400, "MALFORMED_BODY", "broke off");
  }

  /** What is really there is taken one after the other, as far as there is memory. */
  @Test
  void uploads_largeAndManyAtOnce_areRefusedOrStored() throws Exception {
    byte[] large = Embeddings.safetensors(Embeddings.codebook(WIDE_D, 9, 4096, 1024));
    Map<Integer, Integer> statuses =
        atOnce(6, () -> client.post("/codebooks/large/versions", OCTETS, large));
    assertThat(statuses.keySet()).isSubsetOf(201, 429, 507).contains(201);
    byte[] tooLarge = Embeddings.safetensors(Embeddings.codebook(WIDE_D, 9, 16384, 1024));
    client
        .post("/codebooks/large/versions", OCTETS, tooLarge)
        .expectProblem(413, "PAYLOAD_TOO_LARGE", "semantic-id.request-memory");
    for (JsonNode version : client.get("/codebooks/large").expect(200).json().path("versions")) {
      client.delete("/codebooks/large/versions/" + version.path("version").asInt()).expect(204);
    }
  }

  /** Codebooks that are served stay in memory, however many of them are uploaded. */
  @Test
  void uploads_thatAreServed_endBeforeTheHeapDoes(@TempDir Path folder) {
    try (ServiceProcess full =
        ServiceProcess.start(
            folder, ServiceProcess.QUICK_START, "-Xmx600m", "-XX:+ExitOnOutOfMemoryError")) {
      int stored = 0;
      for (int status = 201; status == 201; stored++) {
        assertThat(stored).isLessThan(20);
        byte[] file = Embeddings.safetensors(Embeddings.codebook(WIDE_D, stored, 4096));
        Answer answer =
            full.client()
                .post(
                    String.format(
                        Locale.ROOT, "/codebooks/served%d/versions?activate=true", stored),
                    OCTETS,
                    file);
        status = answer.status();
        if (status != 201) {
          answer.expectProblem(422, "MEMORY_BUDGET_EXCEEDED", "heap");
        }
      }
      assertThat(stored).isGreaterThan(3);
      full.client().get("/actuator/health/readiness").expect(200);
    }
  }

  /** Tables between all pairs of levels would take what no file of a few kilobytes should. */
  @Test
  void upload_thousandsOfLevels_isRefused() {
    int[] widths = new int[5000];
    Arrays.fill(widths, 1);
    var header = new StringBuilder("{\"__metadata__\":{\"normalize_residuals\":\"true\"}");
    for (int l = 0; l < widths.length; l++) {
      header.append(
          String.format(
              Locale.ROOT,
              ",\"level_%d\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[%d,%d]}",
              l,
              4 * l,
              4 * l + 4));
    }
    byte[] file =
        Embeddings.safetensors(header.append('}').toString(), new byte[4 * widths.length]);
    client
        .post("/codebooks/deep/versions", OCTETS, file)
        .expectProblem(422, "INVALID_CODEBOOK", "256 levels");
  }

  // Answers

  /** A client that does not read holds a piece of its answer, and not all of it. */
  @Test
  void answers_thatNobodyReads_takeLittle() {
    var open = new ArrayList<RawConnection>();
    float[][] rows = Embeddings.rows(300, WIDE_D, 1);
    byte[] body = Embeddings.octets(rows);
    int[][] ids = new int[4000][2];
    String decode = "{\"semantic_ids\":%s}".formatted(Arrays.deepToString(ids));
    try {
      for (int i = 0; i < 40; i++) {
        open.add(
            begin(
                    "POST /encode?codebook=wide&include=reconstruction,margins,norms,distances",
                    "Content-Type: " + OCTETS,
                    "Content-Length: " + body.length)
                .send(body));
        if (i < 20) {
          open.add(
              begin(
                      "POST /decode?codebook=default",
                      "Content-Type: " + JSON,
                      "Content-Length: " + decode.length())
                  .send(decode.getBytes(StandardCharsets.UTF_8)));
        }
      }
      assertThat(client.encode("", ROWS).codes()).isDeepEqualTo(CODES);
      Await.until(
          "all rows to be encoded",
          () -> client.metric("semantic_id_encode_admitted_requests") == 0,
          service::log);
      assertThat(client.metric("semantic_id_request_memory_bytes")).isLessThan(40 << 20);
    } finally {
      open.forEach(RawConnection::close);
    }
  }

  @Test
  void rows_moreThanTheMemory_areRefused() throws Exception {
    byte[] body = new byte[14_000 * WIDE_D * 4];
    for (int i = 0; i < body.length; i += 4) {
      body[i + 3] = 0x3f;
    }
    Map<Integer, Integer> statuses =
        atOnce(6, () -> client.post("/encode?codebook=wide", OCTETS, body, "Accept", OCTETS));
    assertThat(statuses.keySet()).isSubsetOf(200, 429).contains(200);
  }

  // Disk

  private static JsonNode train(String uri, String codebook) {
    return client.trainFrom(
        "{\"codebook\":\"%s\",\"source\":{\"uri\":\"%s\"},\"codebook_width\":4,\"max_steps\":30}"
            .formatted(codebook, uri));
  }

  /** A few kilobytes of Parquet that say hundreds of megabytes of rows. */
  @Test
  void parquetBomb_takesNoMoreSpaceThanThereIs() throws IOException {
    double[] row = new double[512];
    Arrays.fill(row, 1);
    double[][] rows = new double[200_000][];
    Arrays.fill(rows, row);
    Path bomb = root.resolve("bomb.parquet");
    ParquetFiles.vectors(rows).zstd().write(bomb);
    assertThat(bomb.toFile().length()).isLessThan(200_000);
    JsonNode job = train(bomb.toUri().toString(), "bomb");
    assertThat(job.path("state").asString()).as(job.toString()).isEqualTo("failed");
    assertThat(job.path("error").path("code").asString()).isEqualTo("INSUFFICIENT_STORAGE");
    assertThat(job.path("error").path("detail").asString())
        .contains(Long.toString(200_000L * 512 * 4), "semantic-id.scratch.max-size");
  }

  @Test
  void uploads_moreThanMayBeUnderWay_areRefused() {
    byte[] npy = npyHead(16_000, D);
    String[] headers = {
      "Content-Type: " + NPY, "Content-Length: " + (npy.length + 16_000 * D * 4),
    };
    var open = new ArrayList<RawConnection>();
    try {
      for (int i = 0; i < 3; i++) {
        open.add(begin("POST /train?codebook=slow" + i, headers).send(npy));
      }
      Await.until("three uploads", () -> service.spooled().size() == 3, service::log);
      try (RawConnection fourth = begin("POST /train?codebook=slow4", headers).send(npy)) {
        fourth
            .receive()
            .expectProblem(429, "OVERLOADED", "3 uploads", "semantic-id.scratch.max-uploads");
      }
      try (RawConnection codebook =
          begin(
                  "POST /codebooks/slow/versions",
                  "Content-Type: " + OCTETS,
                  "Content-Length: 100000")
              .send(new byte[8])) {
        codebook.receive().expectProblem(429, "OVERLOADED", "3 uploads");
      }
      // Slower than 5 s and 16 KiB a second: they are given up.
      for (RawConnection slow : open) {
        slow.send(new byte[1]);
      }
    } finally {
      open.forEach(RawConnection::close);
    }
    Await.until("all uploads to end", () -> service.spooled().isEmpty(), service::log);
  }

  /** A length that is only stated reserves nothing, so it takes nothing from others. */
  @Test
  void upload_longerThanTheSpace_isRefusedAsItArrives() {
    client
        .post("/train?codebook=long&embedding_dim=16", OCTETS, new byte[300 << 20])
        .expectProblem(507, "INSUFFICIENT_STORAGE", "semantic-id.scratch.max-size");
    RawConnection stated =
        begin(
            "POST /train?codebook=stated&embedding_dim=16",
            "Content-Type: " + OCTETS,
            "Content-Length: " + (200L << 20));
    try (stated) {
      stated.send(new byte[64]);
      Await.until("an upload", () -> !service.spooled().isEmpty(), service::log);
      assertThat(client.metric("semantic_id_scratch_reserved_bytes")).isLessThan(32 << 20);
    }
    Await.until("the upload to end", () -> service.spooled().isEmpty(), service::log);
  }
}
