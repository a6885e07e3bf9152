package dev.semanticid.service;

import static dev.semanticid.service.Bytes.concat;
import static dev.semanticid.service.Bytes.utf8;
import static dev.semanticid.service.ServiceClient.JSON;
import static dev.semanticid.service.ServiceClient.OCTETS;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.UnixOperatingSystemMXBean;
import dev.semanticid.core.codebook.Codebook;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The table of docs/operations.md: what hostile or broken clients send, and what becomes of it. The
 * heap is small, and ends the process when it is full; afterwards the service is as before.
 */
class FaultTableIT {

  private static final int D = 16;
  private static final int MOST_BYTES = 4 << 20;
  private static final int IDLE_CONNECTIONS = 10_000;

  /** What may be added to the memory of the idle service; its heap has a bound besides. */
  private static final long MOST_GROWTH = 200L << 20;

  private static final float[][] ROWS = Embeddings.rows(3, D, 4);
  private static final byte[] BODY = Embeddings.octets(ROWS);
  private static final Codebook CODEBOOK = Embeddings.codebook(D, 5, 40, 30, 20);
  private static final int[][] CODES = Embeddings.reference(CODEBOOK, ROWS);
  private static final String CHUNKED = "Transfer-Encoding: chunked";

  private static ServiceProcess service;
  private static ServiceClient client;
  private static long residentBefore;

  @BeforeAll
  static void start(@TempDir Path folder) {
    service =
        ServiceProcess.start(
            folder.resolve("data"),
            ServiceProcess.QUICK_START,
            "-Xmx192m",
            "-XX:+ExitOnOutOfMemoryError",
            "--server.tomcat.connection-timeout=2s",
            "--semantic-id.backend=cpu",
            "--semantic-id.encoding.body-timeout=2s",
            "--semantic-id.encoding.max-body-size=" + MOST_BYTES + "B",
            "--semantic-id.training.max-upload-size=" + MOST_BYTES + "B",
            "--semantic-id.codebooks.max-upload-size=" + MOST_BYTES + "B");
    client = service.client();
    client.upload("default", Embeddings.safetensors(CODEBOOK), true);
    for (int i = 0; i < 50; i++) {
      expectCodes(client.post("/encode", OCTETS, BODY, "Accept", OCTETS));
    }
    residentBefore = service.residentBytes();
  }

  @AfterAll
  static void stop() {
    service.close();
  }

  @AfterEach
  void serviceIsAsBefore() {
    Await.until(
        "an answer with codes",
        () -> {
          try {
            return client.encode("", ROWS).codes()[0][0] == CODES[0][0];
          } catch (UncheckedIOException e) {
            return false;
          }
        },
        () -> service.log());
    assertThat(client.encode("", ROWS).codes()).isDeepEqualTo(CODES);
    assertThat(client.metric("semantic_id_encode_admitted_requests")).isZero();
    assertThat(client.get("/codebooks").json().path("codebooks").size()).isEqualTo(1);
    assertThat(service.spooled()).isEmpty();
    Soak.judge("bytes of growth", (double) (service.residentBytes() - residentBefore), MOST_GROWTH);
    assertThat(service.log()).doesNotContain("OutOfMemoryError", " ERROR ");
  }

  private static void expectCodes(Answer answer) {
    assertThat(ServiceClient.codes(answer.expect(200).body(), ROWS.length)).isDeepEqualTo(CODES);
  }

  /** A problem, or the one-member error of the inference protocol; no page, version or stack. */
  private static Answer expectRefusal(Answer answer, Integer... statuses) {
    assertThat(answer.status()).as(answer.toString()).isIn((Object[]) statuses);
    if (answer.request().contains(" /v2")) {
      assertThat(answer.json().path("error").asString("")).as(answer.toString()).isNotBlank();
    } else {
      assertThat(answer.header("Content-Type"))
          .as(answer.toString())
          .startsWith("application/problem+json");
      assertThat(answer.json().path("status").asInt()).isEqualTo(answer.status());
      assertThat(answer.json().path("code").asString("")).isNotBlank();
      assertThat(answer.json().path("detail").asString("")).isNotBlank();
    }
    assertThat(answer.text()).doesNotContain("<html", "Tomcat", "Exception", "\tat ", "java.");
    assertThat(answer.header("Server")).isEmpty();
    return answer;
  }

  private static RawConnection begin(String line, String... headers) {
    return new RawConnection(client.port()).head(line, headers);
  }

  /** Every call that reads a body, with a type that it reads. */
  static Stream<String[]> bodies() {
    return Stream.of(
        new String[] {"POST /encode", OCTETS},
        new String[] {"POST /encode", JSON},
        new String[] {"POST /encode", ServiceClient.NPY},
        new String[] {"POST /decode", JSON},
        new String[] {"POST /v2/models/default/infer", JSON},
        new String[] {"POST /train?embedding_dim=16", OCTETS},
        new String[] {"POST /train", JSON},
        new String[] {"POST /encode/jobs", JSON},
        new String[] {"POST /codebooks/default/versions", OCTETS},
        new String[] {"PUT /codebooks/default/aliases/active", JSON});
  }

  @ParameterizedTest
  @MethodSource("bodies")
  void body_announcedTooLong_isRefusedBeforeItComes(String line, String type) {
    try (var connection =
        begin(line, "Content-Type: " + type, "Content-Length: " + (MOST_BYTES + 1))) {
      // The framework looks at the first byte of what it reads itself.
      connection.send(utf8(" "));
      expectRefusal(connection.receive(), 413);
    }
  }

  @ParameterizedTest
  @MethodSource("bodies")
  void body_withoutLength_isRefusedWhenItIsTooLong(String line, String type) {
    byte[] piece = new byte[256 << 10];
    // JSON must go on to be JSON; what does not begin as its type says is refused at once.
    Arrays.fill(piece, (byte) ' ');
    try (var connection = begin(line, "Content-Type: " + type, CHUNKED)) {
      for (int sent = 0; sent <= MOST_BYTES && !connection.hasAnswer(); sent += piece.length) {
        connection.send(concat(utf8("40000\r\n"), piece, utf8("\r\n")));
      }
      connection.send(utf8("0\r\n\r\n"));
      expectRefusal(connection.receive(), 413, 400, 422);
    } catch (UncheckedIOException e) {
      // Refused and closed while it was still sent.
      assertThat(e).rootCause().isInstanceOf(IOException.class);
    }
  }

  /** Begins as its type says, and goes on too slowly. */
  private record Drip(RawConnection connection, byte[] start) {

    static Drip begin(String line, String type) {
      byte[] start =
          line.endsWith("/versions")
              ? Embeddings.safetensors(CODEBOOK)
              : type.equals(ServiceClient.NPY) ? Embeddings.npy(ROWS) : utf8(" ".repeat(100));
      return new Drip(
          FaultTableIT.begin(line, "Content-Type: " + type, "Content-Length: 65536"), start);
    }

    /** Sends a byte more, unless it was refused. */
    boolean isRefusedOrGoesOn(int i) {
      if (connection.hasAnswer()) {
        return true;
      }
      connection.send(new byte[] {start[i % start.length]});
      return false;
    }
  }

  @Test
  void bodies_thatDrip_doNotHoldTheirThreads() {
    List<Drip> drips = bodies().map(body -> Drip.begin(body[0], body[1])).toList();
    var refused = new boolean[drips.size()];
    long end = System.nanoTime() + Await.LIMIT.toNanos();
    for (int i = 0; !allOf(refused); i++) {
      assertThat(System.nanoTime()).as("end of the drips").isLessThan(end);
      for (int d = 0; d < refused.length; d++) {
        refused[d] = refused[d] || drips.get(d).isRefusedOrGoesOn(i);
      }
      Await.pass(Duration.ofMillis(50));
    }
    for (Drip drip : drips) {
      expectRefusal(drip.connection().receive(), 408);
      drip.connection().close();
    }
  }

  private static boolean allOf(boolean[] values) {
    for (boolean value : values) {
      if (!value) {
        return false;
      }
    }
    return true;
  }

  @Test
  void bodies_thatNeverBegin_areGivenUp() {
    List<RawConnection> silent =
        bodies()
            .map(body -> begin(body[0], "Content-Type: " + body[1], "Content-Length: 65536"))
            .toList();
    for (RawConnection connection : silent) {
      expectRefusal(connection.receive(), 408);
      connection.close();
    }
  }

  @Test
  void gzipBomb_isRefusedAtTheBoundOfWhatComesOut() {
    byte[] spaces = new byte[300 << 20];
    Arrays.fill(spaces, (byte) ' ');
    byte[] bomb = Bytes.gzip(spaces);
    assertThat(bomb.length).isLessThan(1 << 20);
    for (String path : List.of("/encode", "/decode", "/v2/models/default/infer")) {
      expectRefusal(client.post(path, JSON, bomb, "Content-Encoding", "gzip"), 413);
    }
    for (String path : List.of("/train?embedding_dim=16", "/codebooks/default/versions")) {
      expectRefusal(client.post(path, OCTETS, bomb, "Content-Encoding", "gzip"), 413, 422, 400);
    }
  }

  @Test
  void chunksOfOneByte_areABodyAsAnyOther() {
    float[][] rows = Embeddings.rows(1024, D, 8);
    var chunks = new ByteArrayOutputStream();
    for (byte next : Embeddings.octets(rows)) {
      chunks.writeBytes(new byte[] {'1', '\r', '\n', next, '\r', '\n'});
    }
    chunks.writeBytes(utf8("0\r\n\r\n"));
    try (var connection =
        begin("POST /encode", "Content-Type: " + OCTETS, "Accept: " + OCTETS, CHUNKED)) {
      Answer answer = connection.send(chunks.toByteArray()).receive().expect(200);
      assertThat(ServiceClient.codes(answer.body(), rows.length))
          .isDeepEqualTo(Embeddings.reference(CODEBOOK, rows));
    }
  }

  @Test
  void chunks_withEndlessExtensionsOrTrailers_areRefused() {
    String extension = ";x=" + "a".repeat(100_000);
    String trailers = "0\r\n" + "X: a\r\n".repeat(20_000);
    for (String body : List.of("40" + extension, trailers)) {
      try (var connection = begin("POST /encode", "Content-Type: " + OCTETS, CHUNKED)) {
        expectRefusal(connection.send(utf8(body)).receive(), 400);
      } catch (UncheckedIOException e) {
        // Refused and closed while it was still sent.
        assertThat(e).rootCause().isInstanceOf(IOException.class);
      }
    }
  }

  /** More than there are threads: heads are read without one. */
  @Test
  void headsThatStop_holdNoThreadAndAreClosed() {
    List<RawConnection> stopped =
        IntStream.range(0, 400)
            .mapToObj(i -> new RawConnection(client.port()))
            .map(connection -> connection.send(utf8("GET /info HTTP/1.1\r\nX: ")))
            .toList();
    assertThat(client.encode("", ROWS).codes()).isDeepEqualTo(CODES);
    for (RawConnection connection : stopped) {
      assertThat(connection.isEnded()).isTrue();
      connection.close();
    }
  }

  /** More than may be read at a time, and than there are threads. */
  @Test
  void bodiesThatStop_leaveRoomForOthersAndEndInTime() {
    List<RawConnection> stopped =
        IntStream.range(0, 300)
            .mapToObj(i ->
                begin("POST /encode", "Content-Type: " + OCTETS, "Content-Length: 192")
                    .send(new byte[10]))
            .toList();
    client.get("/actuator/health/liveness").expect(200);
    client.get("/info").expect(200);
    int late = 0;
    for (RawConnection connection : stopped) {
      late += expectRefusal(connection.receive(), 408, 429).status() == 408 ? 1 : 0;
      connection.close();
    }
    assertThat(late).isPositive();
  }

  @Test
  void idleConnections_takeABoundedAmountOfMemory() throws IOException {
    int descriptors =
        ManagementFactory.getOperatingSystemMXBean() instanceof UnixOperatingSystemMXBean unix
            ? (int) Math.min(Integer.MAX_VALUE, unix.getMaxFileDescriptorCount())
            : IDLE_CONNECTIONS;
    var address = new InetSocketAddress(InetAddress.getLoopbackAddress(), client.port());
    var idle = new ArrayList<SocketChannel>();
    try {
      for (int i = 0; i < Math.min(IDLE_CONNECTIONS, descriptors - 500); i++) {
        SocketChannel channel = SocketChannel.open();
        idle.add(channel);
        channel.setOption(StandardSocketOptions.SO_LINGER, 0);
        channel.configureBlocking(false);
        channel.connect(address);
      }
      Await.pass(Duration.ofSeconds(1));
      Soak.judge(
          "bytes of growth with idle connections",
          (double) (service.residentBytes() - residentBefore),
          MOST_GROWTH);
    } finally {
      for (SocketChannel channel : idle) {
        channel.close();
      }
    }
  }

  /** What the server refuses before there is a request. */
  static Stream<Map.Entry<String, Integer>> heads() {
    String end = "Host: localhost\r\nConnection: close\r\n\r\n";
    String info = "GET /info HTTP/1.1\r\n";
    return Stream.of(
        Map.entry(info + "X: 1\r\n".repeat(2000) + end, 400),
        Map.entry(info + "X: 1\r\n".repeat(120) + end, 400),
        Map.entry(info + "X: " + "a".repeat(60_000) + "\r\n" + end, 400),
        Map.entry("GET /info?" + "a".repeat(60_000) + " HTTP/1.1\r\n" + end, 400),
        Map.entry("GET /info?" + "a".repeat(9_000) + " HTTP/1.1\r\n" + end, 400),
        Map.entry(info + "\r\n", 400),
        Map.entry("G\u0001T /info HTTP/1.1\r\n" + end, 400),
        Map.entry("\u0016\u0003\u0001\u0002\u0000\u0001\r\n\r\n\r\n", 400),
        Map.entry("POST /encode HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n" + end, 400),
        Map.entry("POST /encode HTTP/1.1\r\nContent-Length: -3\r\n" + end, 400),
        Map.entry("POST /encode HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n" + end, 400),
        Map.entry("POST /encode HTTP/1.1\r\nTransfer-Encoding: nope\r\n" + end, 501),
        Map.entry("CONNECT a:1 HTTP/1.1\r\n" + end, 501),
        Map.entry("GET /info HTTP/3.0\r\n" + end, 505),
        Map.entry("TRACE /info HTTP/1.1\r\n" + end, 405),
        Map.entry("NOPE /info HTTP/1.1\r\n" + end, 405));
  }

  @ParameterizedTest
  @MethodSource("heads")
  void head_thatIsNone_isRefusedWithoutAWordOfTheServer(Map.Entry<String, Integer> head) {
    try (var connection = new RawConnection(client.port())) {
      expectRefusal(connection.send(utf8(head.getKey())).receive(), head.getValue());
    }
  }

  /** Calls with a place for an id, by what they refuse an unknown one with. */
  private static final List<String> PLACES =
      List.of(
          "GET /codebooks/{}",
          "GET /codebooks/default/versions/{}",
          "GET /codebooks/default/versions/{}.safetensors",
          "GET /codebooks/{}/reports?from=1&to=1",
          "DELETE /codebooks/default/versions/{}",
          "DELETE /codebooks/{}/versions/1",
          "PUT /codebooks/{}/aliases/x",
          "PUT /codebooks/default/aliases/{}/x",
          "GET /train/{}",
          "DELETE /train/{}",
          "GET /train/{}/events",
          "GET /encode/jobs/{}",
          "DELETE /encode/jobs/{}",
          "GET /encode/jobs/{}/events",
          "GET /v2/models/{}",
          "GET /v2/models/default/versions/{}",
          "GET /train?after={}",
          "GET /codebooks/default/reports?from={}&to=1",
          "POST /encode?codebook={}",
          "POST /encode?version={}",
          "POST /train?codebook={}",
          "POST /codebooks/{}/versions/x");

  static Stream<String> ids() {
    return Stream.of(
        "..",
        "%2e%2e",
        "..%2f..%2fetc",
        "a%2Fb",
        "a%5Cb",
        "a%00b",
        "a%0Ab",
        "%zz",
        "%C3%28",
        "%E2%98%83",
        "no;jsessionid=1",
        ";jsessionid=1",
        "x".repeat(7000),
        "-1",
        "0",
        "2147483648",
        "99999999999999999999");
  }

  @ParameterizedTest
  @MethodSource("ids")
  void id_thatIsATrick_isRefusedWhereverItStands(String id) {
    for (String place : PLACES) {
      String line = place.replace("{}", id);
      boolean hasBody = line.startsWith("P");
      String type = line.startsWith("PUT") ? JSON : OCTETS;
      byte[] body = line.startsWith("PUT") ? utf8("{\"version\": 1}") : BODY;
      try (var connection =
          begin(
              line,
              "Connection: close",
              "Content-Type: " + type,
              "Content-Length: " + (hasBody ? body.length : 0))) {
        Answer answer = connection.send(hasBody ? body : new byte[0]).receive();
        expectRefusal(answer, 400, 404, 405, 422);
      }
    }
  }
}
