package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.OCTETS;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A request can be followed: by its id through answer and log, by its trace through services. */
class ObservabilityIT {

  private static final String ID = "X-Request-Id";
  private static final float[][] ROWS = Embeddings.rows(3, 16, 4);
  private static final String TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
  private static final String PARENT = "00f067aa0ba902b7";

  /** Bodies that were exported, as the bytes they are. */
  private static final Queue<String> EXPORTED = new ConcurrentLinkedQueue<>();

  private static HttpServer collector;
  private static ServiceProcess service;
  private static ServiceClient client;

  @BeforeAll
  static void start(@TempDir Path folder) throws IOException {
    collector = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    collector.createContext(
        "/v1/traces",
        exchange -> {
          byte[] body = exchange.getRequestBody().readAllBytes();
          EXPORTED.add(new String(body, StandardCharsets.ISO_8859_1));
          exchange.sendResponseHeaders(200, -1);
          exchange.close();
        });
    collector.start();
    service =
        ServiceProcess.start(
            folder.resolve("data"),
            ServiceProcess.QUICK_START,
            "--logging.structured.format.console=ecs",
            String.format(
                Locale.ROOT,
                "--management.opentelemetry.tracing.export.otlp.endpoint=http://127.0.0.1:%d/v1/traces",
                collector.getAddress().getPort()),
            "--management.opentelemetry.tracing.export.schedule-delay=100ms",
            "--management.tracing.sampling.probability=0");
    client = service.client();
    client.upload("default", Embeddings.safetensors(Embeddings.codebook(16, 5, 8, 8)), true);
  }

  @AfterAll
  static void stop() {
    service.close();
    collector.stop(0);
  }

  private static Answer encode(String... headers) {
    return client.post("/encode", OCTETS, Embeddings.octets(ROWS), headers);
  }

  @ParameterizedTest
  @ValueSource(strings = {"a", "7f3c2f0e-9b1d-4a55-8f1e-2f0c1a8f9f77", "A.b_c:d-9"})
  void requestId_ofTheClient_comesBack(String id) {
    assertThat(encode(ID, id).expect(200).header(ID)).isEqualTo(id);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "a b", "a\"b", "{}", "a\tb", "é", "a;b", "a\u00a0b"})
  void requestId_thatIsNone_isReplaced(String id) {
    assertThat(encode(ID, id).header(ID)).isNotEqualTo(id).matches("[0-9a-f]{16}");
  }

  @Test
  void requestId_thatIsTooLong_isReplaced() {
    assertThat(encode(ID, "a".repeat(128)).header(ID)).hasSize(128);
    assertThat(encode(ID, "a".repeat(129)).header(ID)).matches("[0-9a-f]{16}");
  }

  @Test
  void requestId_withoutOneOfTheClient_isAnotherEachTime() {
    String first = encode().header(ID);
    assertThat(first).matches("[0-9a-f]{16}");
    assertThat(encode().header(ID)).matches("[0-9a-f]{16}").isNotEqualTo(first);
  }

  @Test
  void requestId_isInProblemsAndInTheLog() {
    Answer answer = client.send("PROPFIND", "/info", new byte[0], ID, "follow-me").expect(405);
    assertThat(answer.header(ID)).isEqualTo("follow-me");
    assertThat(answer.json().path("request_id").asString("")).isEqualTo("follow-me");
    Answer broken = encode(ID, "broken", "Content-Encoding", "gzip");
    assertThat(broken.json().path("request_id").asString("")).isEqualTo("broken");
    Await.until(
        "a line of the request",
        () -> lines().stream().anyMatch(line -> line.toString().contains("follow-me")),
        service::log);
    JsonNode line =
        lines().stream().filter(l -> l.toString().contains("follow-me")).findFirst().orElseThrow();
    assertThat(line.path("request_id").asString("")).isEqualTo("follow-me");
    assertThat(line.path("message").asString("")).contains("PROPFIND");
    assertThat(line.path("log").path("level").asString("")).isEqualTo("WARN");
    assertThat(line.path("traceId").asString("")).matches("[0-9a-f]{32}");
    assertThat(line.path("service").path("name").asString("")).isEqualTo("semantic-id-service");
  }

  /** Every one is JSON, or this fails. */
  private static List<JsonNode> lines() {
    return service.log().lines().map(line -> JsonMapper.shared().readTree(line)).toList();
  }

  @Test
  void trace_ofACaller_isContinuedAndExported() {
    encode("traceparent", "00-%s-%s-01".formatted(TRACE, PARENT)).expect(200);
    Await.until(
        "a span of /encode",
        () -> EXPORTED.stream().anyMatch(body -> body.contains("http post /encode")),
        () -> String.join("\n", EXPORTED));
    String body =
        EXPORTED.stream().filter(b -> b.contains("http post /encode")).findFirst().orElseThrow();
    assertThat(body).contains(bytes(TRACE), bytes(PARENT), "semantic-id-service");
  }

  private static String bytes(String hex) {
    return new String(HexFormat.of().parseHex(hex), StandardCharsets.ISO_8859_1);
  }

  @Test
  void trace_withoutAnEndpoint_isNotMade(@TempDir Path folder) {
    try (ServiceProcess plain =
        ServiceProcess.start(folder.resolve("data"), ServiceProcess.QUICK_START)) {
      plain.client().send("PROPFIND", "/info", new byte[0]).expect(405);
      Await.until("a line", () -> plain.log().contains("PROPFIND"), plain::log);
      assertThat(plain.log()).doesNotContain("{\"@timestamp\"");
      // Where requests are traced, their lines have ids of 32 and 16 digits.
      assertThat(plain.log()).doesNotContainPattern("[0-9a-f]{32}-[0-9a-f]{16}");
    }
  }
}
