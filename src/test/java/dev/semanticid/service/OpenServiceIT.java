package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.OCTETS;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** A service that lets in everybody, and what it still refuses: web pages. */
class OpenServiceIT {

  private static final String EVIL = "https://evil.example";
  private static final Map<String, String> SECURITY_HEADERS =
      Map.of(
          "X-Content-Type-Options",
          "nosniff",
          "X-Frame-Options",
          "DENY",
          "Cross-Origin-Resource-Policy",
          "same-origin",
          "Referrer-Policy",
          "no-referrer");

  private static ServiceProcess service;
  private static ServiceClient client;
  private static int port;

  @BeforeAll
  static void start(@TempDir Path folder) {
    service =
        ServiceProcess.start(
            folder.resolve("data"),
            "--semantic-id.security.allowed-hosts=ids.example,*.cluster.local,[2001:db8::1]",
            "--management.endpoints.web.exposure.include=health,info,prometheus,mappings");
    client = service.client();
    port = client.port();
  }

  @AfterAll
  static void stop() {
    service.close();
  }

  private static Answer call(String mapping, String... headers) {
    return RawConnection.call(
        port,
        "%s %s HTTP/1.1".formatted(SecurityIT.method(mapping), SecurityIT.path(mapping)),
        headers);
  }

  private static void requireRefused(Answer answer, boolean v2, int status, String code) {
    if (v2) {
      assertThat(answer.expect(status).json().propertyNames()).containsExactly("error");
    } else {
      answer.expectProblem(status, code);
      assertThat(answer.json().path("request_id").asString())
          .isEqualTo(answer.header("X-Request-Id"));
    }
    assertThat(answer.headers().keySet())
        .as(answer.toString())
        .noneMatch(name -> name.startsWith("access-control-"));
  }

  @Test
  void everythingMapped_isForClientsAndItsOwnPages_notForOthers() {
    assertThat(SecurityIT.mapped(client)).containsExactlyElementsOf(SecurityIT.ACCESS.keySet());
    String host = "Host: localhost:" + port;
    SecurityIT.ACCESS.forEach((mapping, access) -> {
      boolean v2 = mapping.contains(" /v2");
      int status = call(mapping, host).status();
      assertThat(status).as(mapping).isNotIn(401, 403, 421);
      assertThat(
              call(mapping, host, "Origin: http://localhost:" + port, "Sec-Fetch-Site: same-origin")
                  .status())
          .as(mapping)
          .isEqualTo(status);
      assertThat(call(mapping, host, "Sec-Fetch-Site: none").status()).isEqualTo(status);
      for (String foreign :
          List.of(
              "Origin: " + EVIL,
              "Origin: null",
              "Origin: http://localhost:1",
              "Origin: http://127.0.0.1:" + port,
              "Sec-Fetch-Site: cross-site",
              "Sec-Fetch-Site: same-site")) {
        Answer answer = call(mapping, host, foreign);
        if (access.equals("open")) {
          assertThat(answer.status()).as("%s %s", foreign, answer).isEqualTo(status);
        } else {
          requireRefused(answer, v2, 403, "FOREIGN_ORIGIN");
        }
      }
      requireRefused(call(mapping, "Host: evil.example:" + port), v2, 421, "MISDIRECTED_HOST");
      requireRefused(
          call(mapping, "Host: evil.example:" + port, "Origin: http://evil.example:" + port),
          v2,
          421,
          "MISDIRECTED_HOST");
    });
  }

  @Test
  void preflights_ofForeignPages_areRefused() {
    for (String path : List.of("/encode", "/codebooks/a/versions", "/v3/api-docs", "/v2", "/no")) {
      Answer answer =
          RawConnection.call(
              port,
              "OPTIONS %s HTTP/1.1".formatted(path),
              "Host: localhost:" + port,
              "Origin: " + EVIL,
              "Access-Control-Request-Method: POST",
              "Access-Control-Request-Headers: content-type");
      requireRefused(answer, path.equals("/v2"), 403, "FOREIGN_ORIGIN");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "localhost",
        "LOCALHOST:%d",
        "localhost.",
        "localhost.:%d",
        "ids.localhost",
        "127.0.0.1:%d",
        "127.0.0.1:1",
        "127.1.2.3",
        "[::1]:%d",
        "[0:0:0:0:0:0:0:1]",
        "ids.example",
        "IDS.Example:8080",
        "ids.example.",
        "ids.search.svc.cluster.local:80",
        "[2001:db8::1]:8080",
        ""
      })
  void host_ofThisService_isAnswered(String host) {
    RawConnection.call(port, "GET /info HTTP/1.1", "Host: " + host.formatted(port)).expect(200);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil-localhost",
        "notlocalhost:80",
        "cluster.local",
        "evilcluster.local",
        "x.ids.example",
        "192.0.2.1",
        "10.0.0.1:8080",
        "0.0.0.0",
        "[::]",
        "[2001:db8::2]",
        "xn--lcalhost-eya"
      })
  void host_ofAnother_isRefusedWithWhatToSet(String host) {
    RawConnection.call(port, "GET /info HTTP/1.1", "Host: " + host)
        .expectProblem(
            421, "MISDIRECTED_HOST", "'" + host + "'", "semantic-id.security.allowed-hosts");
  }

  /** What the server itself makes of it. */
  @Test
  void host_thatIsNone_orTwice_isAnsweredByTheServer() {
    RawConnection.call(port, "GET /info HTTP/1.1").expect(400);
    RawConnection.call(port, "GET /info HTTP/1.1", "Host: localhost", "Host: localhost")
        .expect(400);
    RawConnection.call(port, "GET /info HTTP/1.1", "Host: evil example").expect(400);
    RawConnection.call(port, "GET http://evil.example/info HTTP/1.1", "Host: localhost")
        .expect(400);
    RawConnection.call(port, "GET http://evil.example/info HTTP/1.1", "Host: evil.example")
        .expectProblem(421, "MISDIRECTED_HOST");
    // Probes: no browser speaks HTTP/1.0.
    RawConnection.call(port, "GET /actuator/health/readiness HTTP/1.0").expect(200);
    RawConnection.call(port, "GET /info HTTP/1.0", "Host: evil.example").expect(421);
    RawConnection.call(port, "GET /info HTTP/1.0", "Origin: " + EVIL).expect(403);
  }

  @Test
  void forwardedHost_doesNotStandForTheHost(@TempDir Path folder) {
    try (ServiceProcess behindProxy =
        ServiceProcess.start(
            folder.resolve("data"),
            ServiceProcess.QUICK_START,
            "--server.forward-headers-strategy=native")) {
      RawConnection.call(
              behindProxy.client().port(),
              "GET /info HTTP/1.1",
              "Host: evil.example",
              "X-Forwarded-Host: localhost",
              "Forwarded: host=localhost")
          .expect(421);
    }
  }

  @Test
  void upload_withoutItsType_orFromAForeignPage_storesNothing() {
    byte[] codebook = Embeddings.safetensors(Embeddings.codebook(4, 1, 3, 3));
    String path = "/codebooks/uploaded/versions?activate=true";
    client
        .send("POST", path, codebook)
        .expectProblem(415, "UNSUPPORTED_MEDIA_TYPE", "application/octet-stream", "none");
    for (String type : List.of("text/plain", "application/x-www-form-urlencoded")) {
      client.post(path, type, codebook).expectProblem(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    client.post(path, OCTETS, codebook, "Origin", EVIL).expectProblem(403, "FOREIGN_ORIGIN", EVIL);
    client.send("POST", path, codebook, "Origin", EVIL).expectProblem(403, "FOREIGN_ORIGIN");
    assertThat(client.get("/codebooks").text()).isEqualTo("{\"codebooks\":[]}");
    client.post(path.replace("uploaded", "own"), OCTETS, codebook).expect(201);
    client.delete("/codebooks/own/aliases/active");
    service.client().get("/codebooks/uploaded").expectProblem(404, "UNKNOWN_CODEBOOK");
  }

  /** Read to its end, so that the page's sender hears why. */
  @Test
  void largeUpload_ofAForeignPage_isToldWhy() {
    client
        .post("/train?embedding_dim=16", OCTETS, new byte[64 << 20], "Origin", EVIL)
        .expectProblem(403, "FOREIGN_ORIGIN");
    assertThat(service.spooled()).isEmpty();
  }

  @Test
  void everyAnswer_hasSecurityHeadersOnce() {
    for (String path :
        List.of(
            "/info",
            "/nothing",
            "/v2",
            "/v2/nothing",
            "/actuator/health",
            "/codebooks/nothing",
            "/swagger-ui.html",
            "/swagger-ui/index.html",
            "/swagger-ui/swagger-ui.css",
            "/v3/api-docs",
            "/error")) {
      requireSecurityHeaders(port, path);
      requireSecurityHeaders(port, path, "Origin", EVIL);
    }
    for (Answer refusedByTheServer :
        List.of(
            garbage(port),
            RawConnection.call(port, "GET /info HTTP/1.1"),
            RawConnection.call(port, "GET /info HTTP/3.0"))) {
      SECURITY_HEADERS.forEach(
          (name, value) -> assertThat(refusedByTheServer.header(name)).as(name).isEqualTo(value));
      assertThat(refusedByTheServer.header("Content-Security-Policy"))
          .startsWith("default-src 'none'");
    }
  }

  private static Answer garbage(int port) {
    return RawConnection.call(port, "\u0016\u0003\u0001");
  }

  @Test
  void health_saysNothingOfTheMachine() {
    requireNothingOfTheMachine(client.get("/actuator/health").expect(200), service);
  }

  @Test
  void managementPort_ofItsOwn_isGuardedToo(@TempDir Path folder) {
    try (ServiceProcess both =
            ServiceProcess.launch(
                folder.resolve("data"),
                ServiceProcess.QUICK_START,
                "--semantic-id.security.allowed-hosts=semantic-id",
                "--management.server.address=127.0.0.1",
                "--management.server.port=0");
        var operators = new ServiceClient(both::managementPort)) {
      int management = both.managementPort();
      Await.until(
          "readiness",
          () -> operators.tryGet("/actuator/health/readiness").map(Answer::status).orElse(0) == 200,
          both::log);
      String metrics = "GET /actuator/prometheus HTTP/1.1";
      RawConnection.call(management, metrics, "Host: semantic-id:8081").expect(200);
      RawConnection.call(management, "GET /actuator/health/readiness HTTP/1.0").expect(200);
      for (String line :
          List.of(metrics, "GET /actuator/health HTTP/1.1", "GET /nothing HTTP/1.1")) {
        requireRefused(
            RawConnection.call(management, line, "Host: evil.example"),
            false,
            421,
            "MISDIRECTED_HOST");
      }
      requireRefused(
          RawConnection.call(management, metrics, "Host: localhost", "Origin: " + EVIL),
          false,
          403,
          "FOREIGN_ORIGIN");
      RawConnection.call(
              management, "GET /actuator/health HTTP/1.1", "Host: localhost", "Origin: " + EVIL)
          .expect(200);
      for (String path : List.of("/actuator/health", "/actuator/prometheus", "/nothing", "/")) {
        requireSecurityHeaders(management, path);
      }
      garbage(management).expectProblem(400, "MALFORMED_REQUEST");
      SECURITY_HEADERS.forEach(
          (name, value) -> assertThat(garbage(management).header(name)).as(name).isEqualTo(value));
      requireNothingOfTheMachine(operators.get("/actuator/health").expect(200), both);
    }
  }

  /** Behind a proxy that checks the host itself. */
  @Test
  void host_whereAllAreAllowed_isAnswered_butPagesAreStillRefused(@TempDir Path folder) {
    try (ServiceProcess everywhere =
        ServiceProcess.start(
            folder.resolve("data"),
            ServiceProcess.QUICK_START,
            "--server.address=0.0.0.0",
            "--semantic-id.security.mode=none",
            "--semantic-id.security.allowed-hosts=*")) {
      RawConnection.call(everywhere.client().port(), "GET /info HTTP/1.1", "Host: anything.example")
          .expect(200);
      RawConnection.call(
              everywhere.client().port(),
              "GET /info HTTP/1.1",
              "Host: anything.example",
              "Origin: " + EVIL)
          .expect(403);
    }
  }

  /** Asserts that an answer has each of the headers once. */
  static void requireSecurityHeaders(int port, String path, String... headers) {
    var request =
        HttpRequest.newBuilder(
                URI.create(String.format(Locale.ROOT, "http://127.0.0.1:%d%s", port, path)))
            .timeout(Duration.ofSeconds(20));
    if (headers.length > 0) {
      request.headers(headers);
    }
    try (HttpClient http = HttpClient.newHttpClient()) {
      HttpResponse<Void> response = http.send(request.build(), BodyHandlers.discarding());
      SECURITY_HEADERS.forEach((name, value) ->
          assertThat(response.headers().allValues(name))
              .as("%s of %s", name, path)
              .containsExactly(value));
      assertThat(response.headers().allValues("Content-Security-Policy"))
          .as(path)
          .singleElement()
          .asString()
          .startsWith("default-src 'none'; ")
          .contains("frame-ancestors 'none'")
          .doesNotContain(path.startsWith("/swagger-ui/") ? "unsafe-eval" : "script-src");
    } catch (IOException e) {
      throw new AssertionError(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
  }

  /** Asserts that only this service's own components have texts, and that these name no place. */
  static void requireNothingOfTheMachine(Answer health, ServiceProcess service) {
    JsonNode components = health.json().path("components");
    assertThat(components.propertyNames()).contains("db", "diskSpace", "codebooks", "device");
    assertThat(components.path("diskSpace").path("details").path("free").asLong(0)).isPositive();
    var texts = new ArrayList<String>();
    for (Map.Entry<String, JsonNode> component : components.properties()) {
      if (!List.of("codebooks", "device").contains(component.getKey())) {
        component
            .getValue()
            .path("details")
            .valueStream()
            .filter(detail -> !detail.isNumber() && !detail.isBoolean())
            .forEach(detail -> texts.add(component.getKey() + ": " + detail));
      }
    }
    assertThat(texts).isEmpty();
    assertThat(health.text())
        .doesNotContain(
            service.dataDir().toString(),
            System.getProperty("user.dir"),
            System.getProperty("java.io.tmpdir"),
            System.getProperty("user.home") + "/");
  }
}
