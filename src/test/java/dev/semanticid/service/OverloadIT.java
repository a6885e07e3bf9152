package dev.semanticid.service;

import static dev.semanticid.service.Bytes.utf8;
import static dev.semanticid.service.ServiceClient.JSON;
import static dev.semanticid.service.ServiceClient.NPY;
import static dev.semanticid.service.ServiceClient.OCTETS;
import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Codebook;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * More than fits is refused at once and with a reason, slow bodies give their places back, and
 * nobody waits for an answer that nobody wants.
 */
class OverloadIT {

  private static final int D = 16;
  private static final int MOST_REQUESTS = 4;
  private static final int MOST_ROWS = 4096;

  /** As many as three of the largest requests. */
  private static final int MOST_QUEUED_ROWS = 3 * MOST_ROWS;

  private static final int MOST_BYTES = 16 << 20;

  /** Dimension of the codebook {@code wide}, by which a large request takes a while. */
  private static final int WIDE_D = 512;

  private static final float[][] ROWS = Embeddings.rows(3, D, 4);
  private static final byte[] BODY = Embeddings.octets(ROWS);
  private static final Codebook CODEBOOK = Embeddings.codebook(D, 5, 40, 30, 20);
  private static final int[][] CODES = Embeddings.reference(CODEBOOK, ROWS);

  /** Waits long for bodies. */
  private static ServiceProcess patient;

  /** Waits two seconds for bodies. */
  private static ServiceProcess hasty;

  private static ServiceClient client;

  /** {@link #MOST_ROWS} rows for {@code wide}. */
  private static byte[] large;

  @BeforeAll
  static void start(@TempDir Path folder) {
    String[] limits = {
      "--semantic-id.encoding.max-queued-requests=" + MOST_REQUESTS,
      "--semantic-id.encoding.max-queued-rows=" + MOST_QUEUED_ROWS,
      "--semantic-id.encoding.max-rows=" + MOST_ROWS,
      "--semantic-id.encoding.max-body-size=" + MOST_BYTES + "B",
    };
    patient = launch(folder.resolve("patient"), limits, "--semantic-id.encoding.body-timeout=60s");
    hasty = launch(folder.resolve("hasty"), limits, "--semantic-id.encoding.body-timeout=2s");
    client = patient.client();
    client.upload(
        "wide", Embeddings.safetensors(Embeddings.codebook(WIDE_D, 6, 2048, 2048, 2048)), true);
    float[][] rows = new float[MOST_ROWS][WIDE_D];
    var random = new Random(7);
    for (float[] row : rows) {
      for (int i = 0; i < WIDE_D; i++) {
        row[i] = random.nextFloat() - 0.5f;
      }
    }
    large = Embeddings.octets(rows);
  }

  private static ServiceProcess launch(Path data, String[] limits, String... more) {
    String[] all = Arrays.copyOf(limits, limits.length + more.length);
    System.arraycopy(more, 0, all, limits.length, more.length);
    ServiceProcess service = ServiceProcess.start(data, all);
    service.client().upload("default", Embeddings.safetensors(CODEBOOK), true);
    return service;
  }

  @AfterAll
  static void stop() {
    patient.close();
    hasty.close();
  }

  /** Whatever happened, all places are given back, and codes are right. */
  @AfterEach
  void everythingIsGivenBack() {
    for (ServiceProcess service : List.of(patient, hasty)) {
      awaitAdmitted(service, 0, 0);
      assertThat(service.client().encode("", ROWS).codes()).isDeepEqualTo(CODES);
    }
  }

  private static void awaitAdmitted(ServiceProcess service, int requests, int rows) {
    Await.until(
        String.format(Locale.ROOT, "%d requests of %d rows", requests, rows),
        () ->
            service.client().metric("semantic_id_encode_admitted_requests") == requests
                && service.client().metric("semantic_id_encode_admitted_rows") == rows,
        () -> service.client().get("/actuator/prometheus").text());
  }

  /** A connection over which the head of a request has been sent. */
  private static RawConnection begin(
      ServiceProcess service, String path, String contentType, long length, String... headers) {
    String[] all = Arrays.copyOf(headers, headers.length + 2);
    all[headers.length] = "Content-Type: " + contentType;
    all[headers.length + 1] = "Content-Length: " + length;
    return new RawConnection(service.client().port()).head("POST " + path, all);
  }

  /** Requests of so many rows whose bodies have come but for the last byte. */
  private static List<RawConnection> hold(int requests, int rows) {
    var held = new ArrayList<RawConnection>();
    byte[] body = new byte[rows * D * 4];
    for (int i = 0; i < requests; i++) {
      RawConnection connection = begin(patient, "/encode", OCTETS, body.length);
      held.add(connection.send(Arrays.copyOf(body, body.length - 1)));
    }
    awaitAdmitted(patient, requests, requests * rows);
    return held;
  }

  private static Answer expectOverloaded(Answer answer) {
    answer.expectProblem(429, "OVERLOADED", "try again");
    int seconds = Integer.parseInt(answer.header("Retry-After"));
    assertThat(seconds).isBetween(1, 60);
    assertThat(answer.json().path("retry_after_seconds").asInt()).isEqualTo(seconds);
    return answer;
  }

  @Test
  void encode_allPlacesTaken_isRefusedUntilOneIsFree() {
    double refused = client.metric("semantic_id_encode_refused_requests_total");
    List<RawConnection> held = hold(MOST_REQUESTS, 2);
    expectOverloaded(client.post("/encode", OCTETS, BODY));
    expectOverloaded(client.post("/encode", Embeddings.json(ROWS)));
    Answer v2 =
        client
            .send(
                "POST",
                "/v2/models/default/infer",
                utf8(
                    "{\"inputs\":[%s]}"
                        .formatted(Inference.jsonInput(3, D, "FP32", Embeddings.json(ROWS)))))
            .expect(429);
    assertThat(v2.json().propertyNames()).containsExactly("error");
    assertThat(Integer.parseInt(v2.header("Retry-After"))).isPositive();
    assertThat(client.metric("semantic_id_encode_refused_requests_total")).isEqualTo(refused + 3);
    // What is under way goes on, and makes room.
    held.getFirst().send(new byte[1]).receive().expect(200);
    awaitAdmitted(patient, MOST_REQUESTS - 1, 2 * (MOST_REQUESTS - 1));
    assertThat(client.encode("", ROWS).codes()).isDeepEqualTo(CODES);
    // So do clients that hang up.
    held.forEach(RawConnection::close);
    awaitAdmitted(patient, 0, 0);
    assertThat(client.encode("", ROWS).codes()).isDeepEqualTo(CODES);
  }

  @Test
  void encode_allRowsTaken_isRefusedUntilSomeAreFree() {
    List<RawConnection> held = hold(3, MOST_ROWS);
    expectOverloaded(client.post("/encode", OCTETS, BODY));
    // Without a length it comes in as one row, and is refused when there are more.
    expectOverloaded(client.post("/encode", OCTETS, Bytes.gzip(BODY), "Content-Encoding", "gzip"));
    held.removeLast().close();
    awaitAdmitted(patient, 2, 2 * MOST_ROWS);
    assertThat(client.encode("", ROWS).codes()).isDeepEqualTo(CODES);
    assertThat(
            ServiceClient.codes(
                client
                    .post("/encode", OCTETS, Bytes.gzip(BODY), "Content-Encoding", "gzip")
                    .expect(200)
                    .json()
                    .path("semantic_ids")))
        .isDeepEqualTo(CODES);
    held.forEach(RawConnection::close);
  }

  /** Other addresses need no place: operators see what is going on. */
  @Test
  void otherAddresses_allPlacesTaken_areAnswered() {
    List<RawConnection> held = hold(MOST_REQUESTS, 1);
    client.get("/info").expect(200);
    client.get("/actuator/health/readiness").expect(200);
    client.get("/v2/models/default/ready").expect(200);
    client.get("/codebooks").expect(200);
    held.forEach(RawConnection::close);
  }

  private static void expectCodes(Answer answer) {
    assertThat(ServiceClient.codes(answer.expect(200).json().path("semantic_ids")))
        .isDeepEqualTo(CODES);
  }

  /** After an error, a connection is either closed in order, or good for the next request. */
  private static void expectUsableOrEnded(RawConnection connection, Answer answer) {
    if (answer.header("Connection").equalsIgnoreCase("close")) {
      assertThat(connection.isEnded()).as(answer.toString()).isTrue();
      return;
    }
    connection.head("POST /encode", "Content-Type: " + OCTETS, "Content-Length: " + BODY.length);
    expectCodes(connection.send(BODY).receive());
  }

  @Test
  void encode_overloadedWithALargeBody_isAnsweredBeforeItAndNotCutOff() {
    List<RawConnection> held = hold(MOST_REQUESTS, 1);
    byte[] body = new byte[MOST_ROWS * D * 4];
    try (var early = begin(patient, "/encode", OCTETS, body.length);
        var late = begin(patient, "/encode", OCTETS, body.length)) {
      // Before the body is there.
      Answer earlyAnswer = expectOverloaded(early.receive());
      early.send(body);
      // As most clients do: the body first, whatever has been answered meanwhile.
      Answer lateAnswer = expectOverloaded(late.send(body).receive());
      held.forEach(RawConnection::close);
      awaitAdmitted(patient, 0, 0);
      expectUsableOrEnded(early, earlyAnswer);
      expectUsableOrEnded(late, lateAnswer);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "/encode?nonsense=1, application/octet-stream, 8388608, 400, UNKNOWN_PARAMETER",
    "/encode?version=99, application/octet-stream, 8388608, 404, UNKNOWN_VERSION",
    "/encode, text/plain, 8388608, 415, UNSUPPORTED_MEDIA_TYPE",
    "/encode, application/octet-stream, 262208, 413, PAYLOAD_TOO_LARGE",
    "/encode, application/octet-stream, 16777217, 413, PAYLOAD_TOO_LARGE",
    "/encode, application/json, 16777217, 413, PAYLOAD_TOO_LARGE",
    "/encode, application/x-npy, 16777217, 413, PAYLOAD_TOO_LARGE",
    "/encode, application/octet-stream, 99999999999, 413, PAYLOAD_TOO_LARGE",
    "/decode, application/json, 16777217, 413, PAYLOAD_TOO_LARGE",
  })
  void request_refusedByItsHead_isAnsweredBeforeItsBody(
      String path, String contentType, long length, int status, String code) {
    // Nothing of the body is sent.
    try (var connection = begin(patient, path, contentType, length)) {
      connection.receive().expectProblem(status, code);
    }
    // A client that asks first is told not to send it.
    try (var connection = begin(patient, path, contentType, length, "Expect: 100-continue")) {
      connection.receive().expectProblem(status, code);
    }
    if (length > 2L * MOST_BYTES) {
      return;
    }
    // A client that sends all of it first reads the reason, not a reset connection.
    byte[] body = new byte[(int) length];
    try (var connection = begin(patient, path, contentType, length)) {
      Answer answer = connection.send(body).receive().expectProblem(status, code);
      expectUsableOrEnded(connection, answer);
    }
  }

  @Test
  void encode_expectContinue_isToldToGoOn() {
    try (var connection = begin(patient, "/encode", OCTETS, BODY.length, "Expect: 100-continue")) {
      assertThat(connection.receive().status()).isEqualTo(100);
      expectCodes(connection.send(BODY).receive());
    }
  }

  @Test
  void encode_bodyThatStops_givesItsPlaceBack() {
    byte[] half = Arrays.copyOf(BODY, BODY.length / 2);
    byte[] json = Arrays.copyOf(utf8(Embeddings.json(ROWS)), 100);
    byte[] npy = Arrays.copyOf(Embeddings.npy(ROWS), 150);
    byte[] gzip = Arrays.copyOf(Bytes.gzip(BODY), 60);
    List<RawConnection> stopped =
        List.of(
            begin(hasty, "/encode", OCTETS, BODY.length).send(half),
            begin(hasty, "/encode", JSON, 1000).send(json),
            begin(hasty, "/encode", NPY, 1000).send(npy),
            begin(hasty, "/encode", OCTETS, 1000, "Content-Encoding: gzip").send(gzip));
    // All of the places are taken; they come back by themselves.
    for (RawConnection connection : stopped) {
      Answer answer = connection.receive().expectProblem(408, "REQUEST_TIMEOUT", "in time");
      assertThat(answer.header("Connection")).isEqualToIgnoringCase("close");
      assertThat(connection.isEnded()).isTrue();
      connection.close();
    }
    awaitAdmitted(hasty, 0, 0);
  }

  /** A body of which nothing at all comes. */
  @Test
  void infer_bodyThatNeverBegins_givesItsPlaceBack() {
    try (var connection = begin(hasty, "/v2/models/default/infer", JSON, 1000)) {
      Answer answer = connection.receive().expect(408);
      assertThat(answer.json().propertyNames()).containsExactly("error");
    }
  }

  /** Bytes keep coming, so that no single read takes long; the whole has a bound all the same. */
  @Test
  void encode_bodiesThatDrip_giveTheirPlacesBack() {
    byte[] json = utf8("[" + " ".repeat(100_000));
    byte[] octets = new byte[64 * 1000];
    byte[] gzip = Bytes.gzip(randomBytes(64 * 1000));
    byte[] npy = Embeddings.npy(Embeddings.rows(1000, D, 8));
    List<RawConnection> dripping =
        List.of(
            begin(hasty, "/encode", JSON, json.length),
            begin(hasty, "/encode", OCTETS, octets.length),
            begin(hasty, "/encode", OCTETS, gzip.length, "Content-Encoding: gzip"),
            begin(hasty, "/encode", NPY, npy.length));
    List<byte[]> bodies = List.of(json, octets, gzip, npy);
    boolean[] answered = new boolean[4];
    long end = System.nanoTime() + Await.LIMIT.toNanos();
    for (int i = 0; !(answered[0] && answered[1] && answered[2] && answered[3]); i++) {
      assertThat(System.nanoTime()).as("end of all drips").isLessThan(end);
      for (int c = 0; c < 4; c++) {
        if (!answered[c] && !drip(dripping.get(c), bodies.get(c), i)) {
          answered[c] = true;
          dripping.get(c).close();
        }
      }
      Await.pass(Duration.ofMillis(20));
    }
    awaitAdmitted(hasty, 0, 0);
  }

  /** Sends one byte more, unless it was refused. */
  private static boolean drip(RawConnection connection, byte[] body, int i) {
    assertThat(i).as("bytes taken").isLessThan(body.length);
    try {
      if (!connection.hasAnswer()) {
        connection.send(new byte[] {body[i]});
        return true;
      }
    } catch (UncheckedIOException e) {
      // Closed, which will do as well.
      return false;
    }
    connection.receive().expectProblem(408, "REQUEST_TIMEOUT", "2000 ms");
    return false;
  }

  private static byte[] randomBytes(int count) {
    byte[] bytes = new byte[count];
    new Random(3).nextBytes(bytes);
    return bytes;
  }

  /** A slow body of many rows must not keep others out for longer than its time. */
  @Test
  void encode_behindBodiesThatStop_isServedInTheEnd() {
    var stopped = new ArrayList<RawConnection>();
    for (int i = 0; i < MOST_REQUESTS; i++) {
      stopped.add(begin(hasty, "/encode", OCTETS, BODY.length).send(new byte[5]));
    }
    awaitAdmitted(hasty, MOST_REQUESTS, MOST_REQUESTS * ROWS.length);
    Await.until(
        "a place",
        () -> hasty.client().post("/encode", OCTETS, BODY).status() == 200,
        () -> hasty.client().get("/actuator/prometheus").text());
    stopped.forEach(RawConnection::close);
  }

  @ParameterizedTest
  @ValueSource(strings = {"0", "-1", "x", "1.5", "1e3", "", "86400001", "99999999999999999999"})
  void encode_badTimeout_isRefused(String timeout) {
    client
        .post("/encode", OCTETS, BODY, "X-Request-Timeout-Ms", timeout)
        .expectProblem(400, "INVALID_PARAMETER", "X-Request-Timeout-Ms", "'" + timeout + "'");
  }

  @ParameterizedTest
  @ValueSource(strings = {"60000", "86400000", " 60000 "})
  void encode_timeoutThatSuffices_changesNothing(String timeout) {
    expectCodes(client.post("/encode", OCTETS, BODY, "X-Request-Timeout-Ms", timeout));
  }

  private static RawConnection sendLarge(String... headers) {
    return begin(patient, "/encode?codebook=wide", OCTETS, large.length, headers).send(large);
  }

  private static double abandoned(String why) {
    return client.metric("semantic_id_encode_abandoned_requests_total{why=\"%s\"}".formatted(why));
  }

  /** Eight megabytes do not even arrive within a millisecond. */
  @Test
  void encode_deadlinePassesBeforeTheRowsAreEncoded_isGivenUp() {
    double before = abandoned("deadline");
    double rows = client.metric("semantic_id_encoded_rows_total");
    try (var connection = sendLarge("X-Request-Timeout-Ms: 1")) {
      connection.receive().expectProblem(504, "DEADLINE_EXCEEDED", "1 ms", MOST_ROWS);
    }
    assertThat(abandoned("deadline")).isEqualTo(before + 1);
    assertThat(client.metric("semantic_id_encoded_rows_total")).isEqualTo(rows);
  }

  @Test
  void encode_deadlinePassesWhileItWaits_isGivenUp() {
    double before = abandoned("deadline");
    Await.until(
        "a request that waited too long",
        () -> {
          try (var first = sendLarge();
              var second = sendLarge()) {
            Await.until(
                "rows that wait",
                () ->
                    client.metric("semantic_id_encode_waiting_requests") > 0
                        || (first.hasAnswer() && second.hasAnswer()),
                () -> "");
            int status = client.post("/encode", OCTETS, BODY, "X-Request-Timeout-Ms", "1").status();
            assertThat(status).isIn(200, 504);
            first.receive().expect(200);
            second.receive().expect(200);
            return status == 504;
          }
        },
        () -> "");
    assertThat(abandoned("deadline")).isGreaterThan(before);
  }

  @Test
  void encode_clientLeavesWhileItWaits_isGivenUp() {
    double before = abandoned("client_gone");
    Await.until(
        "a request whose client has gone",
        () -> {
          try (var first = sendLarge();
              var second = sendLarge()) {
            var third = sendLarge();
            awaitReadOrAnswered(third);
            third.close();
            first.receive().expect(200);
            second.receive().expect(200);
          }
          awaitAdmitted(patient, 0, 0);
          return abandoned("client_gone") > before;
        },
        () -> "");
  }

  /** All three have come and their rows wait or are encoded. */
  private static void awaitReadOrAnswered(RawConnection last) {
    Await.until(
        "three that are under way",
        () -> last.hasAnswer() || client.metric("semantic_id_encode_waiting_requests") >= 3,
        () -> client.get("/actuator/prometheus").text());
  }

  @Test
  void encode_smallRequests_areAnsweredWhileLargeOnesAreUnderWay() {
    Await.until(
        "a small answer before the large ones",
        () -> {
          try (var first = sendLarge();
              var second = sendLarge();
              var third = sendLarge()) {
            // Three times the largest: the rows left over are none, so this waits for no room.
            first.receive().expect(200);
            int[][] codes = client.encode("", ROWS).codes();
            boolean before = !second.hasAnswer() || !third.hasAnswer();
            assertThat(codes).isDeepEqualTo(CODES);
            second.receive().expect(200);
            third.receive().expect(200);
            return before;
          }
        },
        () -> "");
  }

  @Test
  void encode_largeRequests_leaveTheirBuffersToTheNext() {
    try (var connection = sendLarge()) {
      connection.receive().expect(200);
    }
    awaitAdmitted(patient, 0, 0);
    double idle = client.metric("semantic_id_encode_idle_buffers_bytes");
    assertThat(idle).isGreaterThanOrEqualTo(large.length);
    for (int i = 0; i < 5; i++) {
      try (var connection = sendLarge()) {
        connection.receive().expect(200);
      }
      awaitAdmitted(patient, 0, 0);
      assertThat(client.metric("semantic_id_encode_idle_buffers_bytes")).isEqualTo(idle);
    }
    double heap = client.metric("jvm_memory_max_bytes{area=\"heap\",id=\"G1 Old Gen\"}");
    assertThat(idle).isLessThanOrEqualTo(heap / 8);
  }

  @ParameterizedTest
  @CsvSource({"gzip", "x-gzip", "GZIP", "deflate", "' gzip '"})
  void encode_compressedBody_isInflated(String encoding) {
    Map.of(OCTETS, BODY, JSON, utf8(Embeddings.json(ROWS)), NPY, Embeddings.npy(ROWS))
        .forEach((type, plain) -> {
          byte[] body = encoding.equals("deflate") ? Bytes.deflate(plain) : Bytes.gzip(plain);
          expectCodes(client.post("/encode", type, body, "Content-Encoding", encoding));
        });
  }

  @ParameterizedTest
  @ValueSource(strings = {"identity", ""})
  void encode_bodyThatIsNotCompressed_isReadAsItIs(String encoding) {
    expectCodes(client.post("/encode", OCTETS, BODY, "Content-Encoding", encoding));
  }

  @ParameterizedTest
  @ValueSource(strings = {"br", "zstd", "compress", "gzip, gzip", "gzip,deflate", "nonsense"})
  void encode_unknownContentEncoding_isRefusedAndTheKnownAreNamed(String encoding) {
    Answer answer =
        client
            .post("/encode", OCTETS, BODY, "Content-Encoding", encoding)
            .expectProblem(415, "UNSUPPORTED_CONTENT_ENCODING", encoding, "gzip");
    assertThat(answer.header("Accept-Encoding")).isEqualTo("gzip, deflate");
  }

  @Test
  void encode_truncatedGzip_isRefused() {
    Map.of(OCTETS, Bytes.gzip(BODY), JSON, Bytes.gzip(utf8(Embeddings.json(ROWS))))
        .forEach((type, body) -> {
          for (int length = 0; length < body.length; length += 7) {
            client
                .post("/encode", type, Arrays.copyOf(body, length), "Content-Encoding", "gzip")
                .expectProblem(400, "MALFORMED_BODY");
          }
        });
  }

  @ParameterizedTest
  @ValueSource(strings = {"gzip", "deflate"})
  void encode_bodyThatIsNotCompressedAsItSays_isRefused(String encoding) {
    byte[] broken = encoding.equals("gzip") ? Bytes.gzip(BODY) : Bytes.deflate(BODY);
    for (int i = 20; i < broken.length - 8; i++) {
      broken[i] ^= 0x5A;
    }
    byte[] other = encoding.equals("gzip") ? Bytes.deflate(BODY) : Bytes.gzip(BODY);
    for (byte[] body : List.of(BODY, utf8(Embeddings.json(ROWS)), broken, other)) {
      client
          .post("/encode", OCTETS, body, "Content-Encoding", encoding)
          .expectProblem(400, "MALFORMED_BODY");
    }
  }

  @Test
  void encode_gzipWithAWrongChecksum_isRefused() {
    byte[] body = Bytes.gzip(BODY);
    body[body.length - 6] ^= 1;
    client
        .post("/encode", OCTETS, body, "Content-Encoding", "gzip")
        .expectProblem(400, "MALFORMED_BODY");
  }

  /** A few kilobytes that become more than may come; the bound is on what comes out. */
  @Test
  void encode_bodyThatInflatesBeyondTheBound_isRefused() {
    byte[] spaces = new byte[200 << 20];
    Arrays.fill(spaces, (byte) ' ');
    for (byte[] bomb : List.of(Bytes.gzip(spaces), Bytes.deflate(spaces))) {
      assertThat(bomb.length).isLessThan(1 << 20);
      String encoding = bomb[0] == 0x1F ? "gzip" : "deflate";
      client
          .post("/encode", JSON, bomb, "Content-Encoding", encoding)
          .expectProblem(413, "PAYLOAD_TOO_LARGE", MOST_BYTES);
      client
          .post("/encode", OCTETS, bomb, "Content-Encoding", encoding)
          .expectProblem(413, "PAYLOAD_TOO_LARGE", MOST_ROWS);
    }
  }
}
