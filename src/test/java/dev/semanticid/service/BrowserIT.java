package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A real browser on pages that attack a service without security on the same machine. What a page
 * of {@code *.example} asks for is sent to this machine, as if its owner had changed the address of
 * the name.
 */
class BrowserIT {

  private static final byte[] CODEBOOK = Embeddings.safetensors(Embeddings.codebook(4, 1, 3, 3));

  /** Attempts that read something. */
  private static final List<String> READS =
      List.of(
          "read /info",
          "read /codebooks",
          "read /actuator/health",
          "read /actuator/prometheus",
          "frame",
          "health frame");

  @TempDir private static Path folder;

  private static Chromium chromium;
  private static ServiceProcess service;
  private static Attacker attacker;

  @BeforeAll
  static void start() {
    if (!Chromium.isPossible()) {
      System.out.println("Not run: the tests in a browser, for there is no chromium on the path.");
    }
    assumeTrue(Chromium.isPossible(), "there is no chromium on the path");
    chromium = new Chromium(folder);
    service = ServiceProcess.start(folder.resolve("data"));
    attacker = new Attacker(service.client().port());
  }

  @AfterAll
  static void stop() {
    if (service != null) {
      service.close();
      attacker.close();
    }
  }

  /**
   * The server of an attacker: below {@code /attacker} a page that attacks; below {@code /victim}
   * whatever anybody sends is let in and kept; all else goes to the service as it came, which is
   * what rebinding the server's name comes to.
   */
  private static final class Attacker implements AutoCloseable {

    private final HttpServer server;
    private final int service;
    private final BlockingQueue<String> results = new LinkedBlockingQueue<>();
    private final List<Received> received = new CopyOnWriteArrayList<>();

    /** A request that the victim got. */
    private record Received(String method, String path, byte[] body) {}

    Attacker(int service) {
      this.service = service;
      try {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
      server.createContext(
          "/attacker/page", exchange -> answer(exchange, 200, "text/html", attackPage()));
      server.createContext(
          "/attacker/violation",
          exchange -> {
            exchange.getResponseHeaders().set("Content-Security-Policy", "default-src 'none'");
            answer(exchange, 200, "text/html", Bytes.utf8("<p><script>let a;</script>"));
          });
      server.createContext(
          "/attacker/codebook",
          exchange -> answer(exchange, 200, "application/octet-stream", CODEBOOK));
      server.createContext(
          "/attacker/results",
          exchange -> {
            results.add(
                new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8));
            answer(exchange, 200, "text/plain", new byte[0]);
          });
      server.createContext(
          "/victim",
          exchange -> {
            byte[] body = exchange.getRequestBody().readAllBytes();
            received.add(
                new Received(
                    exchange.getRequestMethod(), exchange.getRequestURI().getPath(), body));
            answer(exchange, 200, "text/plain", Bytes.utf8("secret"));
          });
      server.createContext("/", this::relay);
      server.start();
    }

    private static byte[] attackPage() throws IOException {
      try (InputStream in = BrowserIT.class.getResourceAsStream("/browser/attack.html")) {
        if (in == null) {
          throw new IOException("attack.html is missing");
        }
        return in.readAllBytes();
      }
    }

    private static void answer(HttpExchange exchange, int status, String type, byte[] body)
        throws IOException {
      try (exchange) {
        exchange.getResponseHeaders().set("Content-Type", type);
        exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
        exchange.getResponseBody().write(body);
      }
    }

    private void relay(HttpExchange exchange) throws IOException {
      byte[] body = exchange.getRequestBody().readAllBytes();
      var headers = new ArrayList<String>();
      for (Map.Entry<String, List<String>> header : exchange.getRequestHeaders().entrySet()) {
        if (!Set.of("Connection", "Transfer-encoding").contains(header.getKey())) {
          header.getValue().forEach(value -> headers.add(header.getKey() + ": " + value));
        }
      }
      Answer answer =
          RawConnection.call(
              service,
              "%s %s HTTP/1.1".formatted(exchange.getRequestMethod(), exchange.getRequestURI()),
              body,
              headers.toArray(String[]::new));
      answer(exchange, answer.status(), answer.header("Content-Type"), answer.body());
    }

    int port() {
      return server.getAddress().getPort();
    }

    /** What came of the attempts of a page. */
    JsonNode awaitResults(Chromium.Page page) throws InterruptedException {
      String found = results.poll(10, TimeUnit.SECONDS);
      assertThat(found).as("results of the page: %s", page).isNotNull();
      return JsonMapper.shared().readTree(found);
    }

    @Override
    public void close() {
      server.stop(0);
    }
  }

  private static JsonNode attack(String host, String target, String prefix)
      throws InterruptedException {
    return attacker.awaitResults(
        chromium.open(
            String.format(
                Locale.ROOT,
                "http://%s:%d/attacker/page?target=%s&prefix=%s",
                host,
                attacker.port(),
                target,
                prefix)));
  }

  private static void requireNothingUploaded(String prefix) {
    assertThat(service.client().get("/codebooks").expect(200).text()).doesNotContain(prefix);
    assertThat(service.client().get("/info").expect(200).text()).doesNotContain(prefix);
  }

  /** Otherwise the other tests would pass because the page does nothing. */
  @Test
  void attack_onAServerThatLetsInEverybody_succeeds() throws Exception {
    JsonNode results =
        attack(
            "evil.example",
            String.format(Locale.ROOT, "http://127.0.0.1:%d/victim", attacker.port()),
            "victim");
    for (String name : List.of("untyped", "buffer", "text", "beacon")) {
      assertThat(attacker.received)
          .as("%s: %s", name, results)
          .anyMatch(request ->
              request.method().equals("POST")
                  && request.path().contains("victim-%s/".formatted(name))
                  && Arrays.equals(request.body(), CODEBOOK));
    }
    for (String name : List.of("form", "urlencoded")) {
      assertThat(attacker.received)
          .anyMatch(request -> request.path().contains("victim-%s/".formatted(name)));
    }
    assertThat(attacker.received).anyMatch(request -> request.path().endsWith("/info"));
  }

  @Test
  void pageOfAnotherSite_uploadsAndReadsNothing() throws Exception {
    requireFails(
        "evil.example",
        String.format(Locale.ROOT, "http://127.0.0.1:%d", service.client().port()),
        "evil-site");
  }

  /** A page of another server on this machine, which browsers count as the same site. */
  @Test
  void pageOfAnotherPort_uploadsAndReadsNothing() throws Exception {
    requireFails(
        "localhost",
        String.format(Locale.ROOT, "http://localhost:%d", service.client().port()),
        "evil-port");
  }

  @Test
  void pageOfAnotherSite_underItsOwnName_uploadsAndReadsNothing() throws Exception {
    requireFails(
        "evil.example",
        String.format(Locale.ROOT, "http://evil.example:%d", service.client().port()),
        "evil-name");
  }

  private static void requireFails(String host, String target, String prefix) throws Exception {
    JsonNode results = attack(host, target, prefix);
    for (String name : READS) {
      assertThat(results.path(name).asString("")).as("%s: %s", name, results).startsWith("failed");
    }
    for (String name : List.of("cors", "image", "script")) {
      assertThat(results.path(name).asString("")).as("%s: %s", name, results).startsWith("failed");
    }
    requireNothingUploaded(prefix);
  }

  /** The page and the service have the same origin then, so the browser protects nothing. */
  @Test
  void pageWhoseNameIsRebound_uploadsAndReadsNothing() throws Exception {
    JsonNode results = attack("rebound.example", "", "rebound");
    for (String name : READS) {
      assertThat(results.path(name).asString("")).as(name).contains("MISDIRECTED_HOST");
    }
    for (String name : List.of("untyped", "buffer", "text", "octets", "cors")) {
      assertThat(results.path(name).asString("")).as("%s: %s", name, results).endsWith(" 421");
    }
    requireNothingUploaded("rebound");
    // The same page under the service's own name, such as Swagger UI is.
    JsonNode own = attack("localhost", "", "own");
    assertThat(own.path("read /info").asString("")).contains("semantic-id-service");
    assertThat(own.path("cors").asString("")).endsWith(" 201");
    assertThat(own.path("untyped").asString("")).endsWith(" 415");
    service.client().get("/codebooks/own-cors").expect(200);
    service.client().get("/codebooks/own-untyped").expect(404);
  }

  @Test
  void swaggerUi_withItsPolicy_showsOperations() {
    Chromium.Page page =
        chromium.open(
            String.format(
                Locale.ROOT, "http://localhost:%d/swagger-ui.html", service.client().port()));
    assertThat(page.dom()).contains("Semantic IDs", "/codebooks/{name}/versions");
    assertThat(page.dom().split("opblock-summary-path", -1)).hasSizeGreaterThan(20);
    assertThat(page.log()).doesNotContain("Content Security Policy", "CONSOLE");
    // The log would say so.
    assertThat(
            chromium
                .open(
                    String.format(
                        Locale.ROOT, "http://localhost:%d/attacker/violation", attacker.port()))
                .log())
        .contains("CONSOLE", "Content Security Policy");
  }
}
