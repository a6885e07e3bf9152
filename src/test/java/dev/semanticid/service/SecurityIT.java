package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.JSON;
import static dev.semanticid.service.ServiceClient.OCTETS;
import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** Who may do what, with API keys and tokens of an issuer side by side. */
class SecurityIT {

  private static final float[][] ROWS = Embeddings.rows(600, 16, 1);
  private static final List<String> SCOPES = List.of("encode", "train", "admin");

  /** Who may send what is mapped, exactly: {@code open}, {@code any}, or one of the scopes. */
  static final Map<String, String> ACCESS =
      new TreeMap<>(
          Map.ofEntries(
              Map.entry("POST /encode", "encode"),
              Map.entry("POST /decode", "encode"),
              Map.entry("GET /v2", "encode"),
              Map.entry("GET /v2/health/live", "open"),
              Map.entry("GET /v2/health/ready", "open"),
              Map.entry("GET /v2/models/{model}", "encode"),
              Map.entry("GET /v2/models/{model}/ready", "encode"),
              Map.entry("GET /v2/models/{model}/versions/{version}", "encode"),
              Map.entry("GET /v2/models/{model}/versions/{version}/ready", "encode"),
              Map.entry("POST /v2/models/{model}/infer", "encode"),
              Map.entry("POST /v2/models/{model}/versions/{version}/infer", "encode"),
              Map.entry("POST /encode/jobs", "train"),
              Map.entry("GET /encode/jobs", "train"),
              Map.entry("GET /encode/jobs/{id}", "train"),
              Map.entry("GET /encode/jobs/{id}/events", "train"),
              Map.entry("DELETE /encode/jobs/{id}", "train, admin"),
              Map.entry("POST /train", "train"),
              Map.entry("GET /train", "train"),
              Map.entry("GET /train/{id}", "train"),
              Map.entry("GET /train/{id}/events", "train"),
              Map.entry("DELETE /train/{id}", "train, admin"),
              Map.entry("GET /info", "any"),
              Map.entry("GET /codebooks", "any"),
              Map.entry("GET /codebooks/{name}", "any"),
              Map.entry("GET /codebooks/{name}/reports", "any"),
              Map.entry("GET /codebooks/{name}/versions/{version}", "any"),
              Map.entry("GET /codebooks/{name}/versions/{version}.safetensors", "any"),
              Map.entry("DELETE /codebooks/{name}", "admin"),
              Map.entry("POST /codebooks/{name}/versions", "admin"),
              Map.entry("PUT /codebooks/{name}/aliases/{alias}", "admin"),
              Map.entry("DELETE /codebooks/{name}/aliases/{alias}", "admin"),
              Map.entry("POST /codebooks/{name}/compare", "encode"),
              Map.entry("DELETE /codebooks/{name}/versions/{version}", "admin"),
              Map.entry("GET /actuator", "any"),
              Map.entry("GET /actuator/health", "open"),
              Map.entry("GET /actuator/health/**", "open"),
              Map.entry("GET /actuator/info", "any"),
              Map.entry("GET /actuator/mappings", "any"),
              Map.entry("GET /actuator/prometheus", "any"),
              Map.entry("GET /swagger-ui.html", "open"),
              Map.entry("GET /v3/api-docs", "open"),
              Map.entry("GET /v3/api-docs.yaml", "open"),
              Map.entry("GET /v3/api-docs/swagger-config", "open"),
              Map.entry("* /error", "admin")));

  private static final Map<String, String> KEYS = new LinkedHashMap<>();

  private static String allScopes = "";
  private static Issuer issuer;
  private static ServiceProcess service;
  private static ServiceClient client;

  @BeforeAll
  static void start(@TempDir Path folder) {
    var file = new TestKeys(folder.resolve("keys.yaml"));
    SCOPES.forEach(scope -> KEYS.put(scope, file.add(scope + "-client", scope)));
    allScopes = file.add("everything", "encode", "train", "admin");
    issuer = new Issuer();
    // The issuer does not answer yet.
    service =
        ServiceProcess.start(
            folder.resolve("data"),
            "--semantic-id.security.api-keys-file=" + file.write(),
            issuer.arguments()[0],
            issuer.arguments()[1],
            "--management.endpoints.web.exposure.include=health,info,prometheus,mappings");
    client = service.client();
    Answer unknown =
        info("Bearer " + issuer.token("encode")).expectProblem(503, "AUTHENTICATION_UNAVAILABLE");
    assertThat(Integer.parseInt(unknown.header("Retry-After"))).isPositive();
    info("Bearer " + keyOf("encode")).expect(200);
    issuer.start();
    info("Bearer " + issuer.token("encode")).expect(200);

    JsonNode job =
        awaitJob(
            client
                .post(
                    "/train?" + ServiceClient.SMALL,
                    ServiceClient.NPY,
                    Embeddings.npy(ROWS),
                    key("train"))
                .expect(202)
                .header("Location"));
    assertThat(job.path("state").asString()).isEqualTo("succeeded");
  }

  @AfterAll
  static void stop() {
    service.close();
    issuer.close();
  }

  private static JsonNode awaitJob(String location) {
    Await.until(
        "the end of " + location,
        () ->
            !List.of("queued", "running")
                .contains(
                    client.get(location, key("train")).expect(200).json().path("state").asString()),
        () -> client.get(location, key("train")).text());
    return client.get(location, key("train")).json();
  }

  private static String keyOf(String scope) {
    return Objects.requireNonNull(KEYS.get(scope), scope);
  }

  private static String[] key(String scope) {
    return new String[] {"X-API-Key", keyOf(scope)};
  }

  private static Answer info(String authorization) {
    return client.get("/info", "Authorization", authorization);
  }

  /** Method and pattern of all that Spring MVC has mapped, whether documented or not. */
  static List<String> mapped(ServiceClient client, String... headers) {
    var mapped = new TreeSet<String>();
    JsonNode contexts =
        client.get("/actuator/mappings", headers).expect(200).json().path("contexts");
    for (JsonNode mapping : contexts.findValues("requestMappingConditions")) {
      List<String> methods =
          mapping.path("methods").isEmpty()
              ? List.of("*")
              : mapping.path("methods").valueStream().map(JsonNode::asString).toList();
      for (JsonNode pattern : mapping.path("patterns")) {
        for (String method : methods) {
          mapped.add(
              method
                  + " "
                  + pattern.asString().replaceAll("\\{(\\w+):(?:[^{}]|\\{[^{}]*})*}", "{$1}"));
        }
      }
    }
    return List.copyOf(mapped);
  }

  /** The method of a mapping. */
  static String method(String mapping) {
    String method = mapping.substring(0, mapping.indexOf(' '));
    return method.equals("*") ? "GET" : method;
  }

  /** A path that a mapping is for. */
  static String path(String mapping) {
    return mapping
        .substring(mapping.indexOf(' ') + 1)
        .replace("{version}", "999")
        .replaceAll("\\{(model|name)}", "nothing")
        .replaceAll("\\{\\w+}", "nothing")
        .replace("**", "readiness");
  }

  private static Answer call(String mapping, String... headers) {
    return client.send(method(mapping), path(mapping), new byte[0], headers);
  }

  @Test
  void everythingMapped_isForThoseItShouldBeFor() {
    assertThat(mapped(client, key("admin")))
        .as("say in ACCESS who may")
        .containsExactlyElementsOf(ACCESS.keySet());
    ACCESS.forEach((mapping, access) -> {
      boolean v2 = mapping.contains(" /v2");
      Answer anonymous = call(mapping);
      if (access.equals("open")) {
        assertThat(anonymous.status()).as(anonymous.toString()).isIn(200, 302);
        return;
      }
      requireUnauthenticated(anonymous, v2, "credentials");
      for (String scope : SCOPES) {
        List<String> enoughOnes = List.of(access.split(", "));
        boolean enough = access.equals("any") || enoughOnes.contains(scope);
        for (String authorization :
            List.of("Bearer " + keyOf(scope), "Bearer " + issuer.token(scope))) {
          Answer answer = call(mapping, "Authorization", authorization);
          if (enough) {
            assertThat(answer.status()).as(answer.toString()).isNotIn(401, 403);
          } else {
            requireForbidden(answer, v2, access, "have " + scope);
            assertThat(answer.header("WWW-Authenticate"))
                .contains(
                    "insufficient_scope",
                    enoughOnes.size() > 1 ? "Bearer" : "scope=\"%s\"".formatted(access));
          }
        }
      }
      requireForbidden(
          call(mapping, "Authorization", "Bearer " + issuer.token("openid profile")),
          v2,
          "have none");
    });
  }

  /** A page does not know the key; a server that passes a page's request on does. */
  @Test
  void everythingMapped_fromAForeignPage_isDecidedByTheKeyAlone() {
    ACCESS.forEach((mapping, access) -> {
      String[] page = {"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"};
      Answer without = call(mapping, page);
      Answer with =
          call(
              mapping,
              Stream.concat(Arrays.stream(page), Stream.of("X-API-Key", allScopes))
                  .toArray(String[]::new));
      Answer host =
          RawConnection.call(
              client.port(),
              "%s %s HTTP/1.1".formatted(method(mapping), path(mapping)),
              "Host: evil.example",
              "X-API-Key: " + allScopes);
      if (!access.equals("open")) {
        requireUnauthenticated(without, mapping.contains(" /v2"), "credentials");
      }
      for (Answer answer : List.of(without, with, host)) {
        assertThat(answer.headers().keySet())
            .as(answer.toString())
            .noneMatch(name -> name.startsWith("access-control-"));
      }
      assertThat(with.status()).as(with.toString()).isNotIn(401, 403, 421);
      assertThat(host.status()).as(host.toString()).isNotIn(401, 403, 421);
    });
    requireUnauthenticated(
        client.send(
            "OPTIONS",
            "/codebooks/default/versions",
            new byte[0],
            "Origin",
            "https://evil.example",
            "Access-Control-Request-Method",
            "POST"),
        false);
  }

  @Test
  void everyAnswer_hasSecurityHeadersOnce() {
    for (String path : List.of("/info", "/nothing", "/v2", "/actuator/health", "/codebooks")) {
      OpenServiceIT.requireSecurityHeaders(client.port(), path);
      OpenServiceIT.requireSecurityHeaders(client.port(), path, key("train"));
    }
    OpenServiceIT.requireSecurityHeaders(client.port(), "/swagger-ui/index.html");
  }

  /** Each of them could be what a proxy before the service has looked at. */
  @Test
  void severalCredentials_areRefused() {
    String known = keyOf("encode");
    for (String header : List.of("X-API-Key: ", "Authorization: Bearer ")) {
      for (String second : List.of(known, keyOf("admin"), "")) {
        Answer answer =
            RawConnection.call(
                client.port(),
                "GET /info HTTP/1.1",
                "Host: localhost",
                header + known,
                header + second);
        requireUnauthenticated(
            answer, false, "one header " + header.substring(0, header.indexOf(':')));
      }
    }
  }

  @Test
  void tokens_withoutAnEnd_orWithAnAbsurdOne_areRefused() {
    info("Bearer " + issuer.sign("\"iat\": 1")).expectProblem(401, "UNAUTHENTICATED", "no exp");
    for (String end :
        List.of(
            "\"tomorrow\"",
            "null",
            "true",
            "{}",
            "[4102444800]",
            "-1",
            "0",
            "1e300",
            "-1e300",
            "9223372036854775807",
            "-9223372036854775808",
            "99999999999999999999999999",
            "\"4102444800\"")) {
      Answer answer = info("Bearer " + issuer.sign("\"exp\": " + end));
      assertThat(answer.status()).as("exp %s: %s", end, answer).isEqualTo(401);
      requireUnauthenticated(answer, false);
    }
    for (String claim :
        List.of(
            "\"nbf\": \"tomorrow\"",
            "\"nbf\": 1e300",
            "\"iat\": {}",
            "\"iat\": 9223372036854775807",
            "\"sub\": {}",
            "\"jti\": []",
            "\"scp\": {\"a\": 1}",
            "\"scp\": [[1], null]",
            "\"aud\": 7")) {
      Answer answer = info("Bearer " + issuer.sign("\"exp\": 4102444800, " + claim));
      assertThat(answer.status()).as("%s: %s", claim, answer).isIn(200, 401, 403);
    }
    info("Bearer " + issuer.sign("\"exp\": 4102444800")).expect(200);
  }

  private static void requireUnauthenticated(Answer answer, boolean v2, String... named) {
    assertThat(answer.header("WWW-Authenticate")).as(answer.toString()).startsWith("Bearer ");
    assertThat(answer.header("Set-Cookie")).isEmpty();
    require(answer, v2, 401, "UNAUTHENTICATED", named);
  }

  private static void requireForbidden(Answer answer, boolean v2, String... named) {
    require(answer, v2, 403, "FORBIDDEN", named);
  }

  private static void require(Answer answer, boolean v2, int status, String code, String... named) {
    if (v2) {
      assertThat(answer.expect(status).json().path("error").asString(""))
          .as(answer.toString())
          .contains(named);
    } else {
      answer.expectProblem(status, code, (Object[]) named);
    }
  }

  @Test
  void whatIsNotMapped_isForAdmin() {
    for (String path : List.of("/", "/nothing", "/encode/", "/train.json", "/webjars/x", "/.env")) {
      requireUnauthenticated(client.get(path), false);
      requireForbidden(client.get(path, key("encode")), false, "the scope admin");
    }
    client.get("/nothing", key("admin")).expectProblem(404, "NOT_FOUND");
    for (String method : List.of("PUT", "PATCH", "DELETE", "OPTIONS", "POST")) {
      requireUnauthenticated(client.send(method, "/codebooks/default", new byte[0]), false);
      requireForbidden(
          client.send(method, "/codebooks/default", new byte[0], key("encode")), false, "admin");
    }
  }

  @Test
  void encode_withAKeyOrAToken_gives() {
    byte[] body = Embeddings.octets(ROWS);
    byte[] expected =
        client
            .post("/encode", OCTETS, body, "Accept", OCTETS, "X-API-Key", keyOf("encode"))
            .expect(200)
            .body();
    for (String authorization :
        List.of(
            "Bearer " + keyOf("encode"),
            "bearer " + issuer.token("encode"),
            "Bearer " + issuer.token("openid encode train"),
            "Bearer " + issuer.sign(issuer.claims().claim("scp", List.of("encode"))))) {
      Answer answer =
          client.post("/encode", OCTETS, body, "Accept", OCTETS, "Authorization", authorization);
      assertThat(answer.expect(200).body()).isEqualTo(expected);
      assertThat(answer.header("Set-Cookie")).isEmpty();
    }
  }

  /** An answer that goes on in another thread than the one that let it in. */
  @Test
  void streams_withAKey_areWhole() {
    byte[] codebook =
        client.get("/codebooks/default/versions/1.safetensors", key("encode")).expect(200).body();
    client.post("/codebooks/copy/versions", OCTETS, codebook, key("admin")).expect(201);
    String id = client.get("/train", key("train")).json().path("jobs").get(0).path("id").asString();
    assertThat(client.get("/train/%s/events".formatted(id), key("train")).expect(200).text())
        .contains("succeeded");
  }

  @Test
  void badCredentials_areRefused() {
    String good = issuer.token("encode");
    Instant now = Instant.now();
    var claims = issuer.claims().claim("scope", "encode");
    String expired =
        issuer.sign(
            issuer
                .claims()
                .claim("scope", "encode")
                .issueTime(Date.from(now.minusSeconds(7200)))
                .expirationTime(Date.from(now.minusSeconds(3600))));
    var bad = new LinkedHashMap<String, String[]>();
    String known = keyOf("encode");
    bad.put("no key of ours", bearer(TestKeys.random()));
    bad.put("the hash", bearer(TestKeys.hash(known)));
    bad.put("the hash as a key", bearer("sid_" + TestKeys.hash(known)));
    bad.put("a key without its end", bearer(known.substring(0, known.length() - 1)));
    bad.put("a key with more", bearer(known + "A"));
    bad.put("a prefix alone", bearer("sid_"));
    bad.put("nothing", new String[] {"Authorization", "Bearer "});
    bad.put("no token", bearer("not.a.token"));
    bad.put("two words", new String[] {"Authorization", "Bearer " + known + " " + known});
    bad.put("no key in its header", new String[] {"X-API-Key", "secret"});
    bad.put("a token as a key", new String[] {"X-API-Key", good});
    bad.put("both", new String[] {"X-API-Key", known, "Authorization", "Bearer " + good});
    bad.put("password", new String[] {"Authorization", "Basic dXNlcjpwYXNzd29yZA=="});
    bad.put("expired", bearer(expired));
    bad.put(
        "of tomorrow",
        bearer(issuer.sign(issuer.claims().notBeforeTime(Date.from(now.plusSeconds(3600))))));
    bad.put("another issuer's", bearer(issuer.sign(issuer.claims().issuer("http://127.0.0.1:1"))));
    bad.put("no issuer's", bearer(issuer.sign(issuer.claims().issuer(null))));
    bad.put(
        "for another service",
        bearer(issuer.sign(issuer.claims().claim("scope", "encode").audience("billing"))));
    bad.put(
        "for nobody",
        bearer(issuer.sign(issuer.claims().claim("scope", "encode").audience((String) null))));
    bad.put("unsigned", bearer(Issuer.unsigned(claims)));
    bad.put("another key's", bearer(Issuer.sign(claims, Issuer.newKey())));
    bad.put("the public key's", bearer(issuer.signedByThePublicKey(claims)));
    bad.put("without signature", bearer(good.substring(0, good.lastIndexOf('.') + 1)));
    bad.put("another's claims", bearer(exchangeClaims(good, issuer.token("encode train admin"))));
    bad.forEach((what, headers) -> {
      for (String path : List.of("/info", "/nothing")) {
        Answer answer = client.get(path, headers);
        assertThat(answer.status()).as("%s: %s", what, answer).isEqualTo(401);
        requireUnauthenticated(answer, false);
        assertThat(answer.text()).as(what).doesNotContain(known, good, "Exception", "nimbus");
        for (int i = 1; i < headers.length; i += 2) {
          String secret = headers[i].replaceFirst("^\\w+ ", "");
          if (!secret.isBlank()) {
            assertThat(answer.text()).as(what).doesNotContain(secret);
            assertThat(answer.headers().toString()).as(what).doesNotContain(secret);
          }
        }
      }
    });
    info("Bearer " + expired).expectProblem(401, "UNAUTHENTICATED", "expired");
    info("Bearer " + good).expect(200);
    // A token in the address would be in everybody's log.
    requireUnauthenticated(client.get("/info?access_token=" + good), false);
  }

  private static String[] bearer(String token) {
    return new String[] {"Authorization", "Bearer " + token};
  }

  /** The signature of one token under the claims of another. */
  private static String exchangeClaims(String signed, String claims) {
    String[] mine = signed.split("\\.", -1);
    return mine[0] + "." + claims.split("\\.", -1)[1] + "." + mine[2];
  }

  /** What {@code helm test} runs, with the key of a client that may do everything. */
  @Test
  void smokeTest_withAKeyOfAllScopes_passes(@TempDir Path folder) throws Exception {
    var smokeTest =
        new ProcessBuilder(
                "bash", "helm/files/smoke-test.sh", "127.0.0.1", Integer.toString(client.port()))
            .redirectErrorStream(true);
    assertThat(run(smokeTest, folder)).contains("UNAUTHENTICATED");
    smokeTest.environment().put("SEMANTIC_ID_API_KEY", allScopes);
    assertThat(run(smokeTest, folder)).contains("trained, encoded, deleted");
  }

  private static String run(ProcessBuilder program, Path folder) throws Exception {
    Path said = folder.resolve("said.txt");
    int status = program.redirectOutput(said.toFile()).start().waitFor();
    return status + " " + Files.readString(said);
  }

  @Test
  void bodies_areNotAskedForBeforeTheClientIsKnown() {
    try (var connection = new RawConnection(client.port())) {
      connection.head(
          "POST /train?embedding_dim=16",
          "Content-Type: " + OCTETS,
          "Content-Length: 1000000",
          "Expect: 100-continue");
      requireUnauthenticated(connection.receive(), false);
    }
    assertThat(service.spooled()).isEmpty();
  }

  /** And not by a reset in the midst of it. */
  @Test
  void largeUploads_ofNobody_areToldWhy() {
    requireUnauthenticated(
        client.post("/train?embedding_dim=16", OCTETS, new byte[64 << 20]), false);
    requireForbidden(
        client.post("/train?embedding_dim=16", OCTETS, new byte[64 << 20], key("encode")),
        false,
        "train");
    assertThat(service.spooled()).isEmpty();
  }

  @Test
  void health_tellsDetailsToClientsAlone() {
    assertThat(client.get("/actuator/health").expect(200).json().propertyNames())
        .containsExactlyInAnyOrder("status", "groups");
    assertThat(client.get("/actuator/health/readiness").expect(200).text())
        .isEqualTo("{\"status\":\"UP\"}");
    Answer details = client.get("/actuator/health", key("encode")).expect(200);
    OpenServiceIT.requireNothingOfTheMachine(details, service);
  }

  @Test
  void apiDescription_saysWhatIsNeeded() {
    JsonNode api = client.get("/v3/api-docs").expect(200).json();
    JsonNode schemes = api.path("components").path("securitySchemes");
    assertThat(schemes.path("bearer").path("scheme").asString()).isEqualTo("bearer");
    assertThat(schemes.path("api_key").path("name").asString()).isEqualTo("X-API-Key");
    var checked = new ArrayList<String>();
    for (Map.Entry<String, JsonNode> path : api.path("paths").properties()) {
      for (Map.Entry<String, JsonNode> operation : path.getValue().properties()) {
        String name = operation.getKey().toUpperCase(Locale.ROOT) + " " + path.getKey();
        String access = String.valueOf(ACCESS.get(name));
        boolean open = access.equals("open");
        assertThat(operation.getValue().path("security").size()).as(name).isEqualTo(open ? 0 : 2);
        assertThat(operation.getValue().path("responses").has("401")).as(name).isEqualTo(!open);
        if (access.contains(", ")) {
          assertThat(operation.getValue().path("description").asString())
              .as(name)
              .endsWith("Needs one of the scopes %s.".formatted(access));
        }
        if (SCOPES.contains(access)) {
          assertThat(operation.getValue().path("description").asString())
              .as(name)
              .endsWith("Needs the scope %s.".formatted(access));
        }
        checked.add(name);
      }
    }
    assertThat(checked).hasSizeGreaterThan(20);
  }

  @Test
  void keys_areExchangedWithoutARestart(@TempDir Path folder) throws Exception {
    var file = new TestKeys(folder.resolve("keys.yaml"));
    String old = file.add("reader", "encode");
    try (ServiceProcess rotated =
        ServiceProcess.start(
            folder.resolve("data"),
            ServiceProcess.QUICK_START,
            "--semantic-id.security.api-keys-file=" + file.write())) {
      String next = file.add("reader-2", "encode");
      file.write();
      awaitStatus(rotated, next, 200);
      rotated.client().get("/info", bearer(old)).expect(200);
      file.clear();
      String last = file.add("reader-2", "train");
      file.write();
      awaitStatus(rotated, old, 401);
      rotated.client().get("/info", bearer(next)).expect(401);
      rotated.client().get("/train", bearer(last)).expect(200);

      // A key where its hash belongs, half a file, no file: what was before stays.
      String misplaced = TestKeys.random();
      file.write("reader:\n  sha256: %s\n  scopes: [encode]\n".formatted(misplaced));
      awaitLog(rotated, "sha256 of key reader must be 64 hexadecimal digits");
      file.write("reader:\n  sha256: \"%s\n".formatted(misplaced));
      awaitLog(rotated, "it is not YAML");
      file.write("");
      awaitLog(rotated, "it must map names to keys");
      file.write(misplaced + ": 1");
      awaitLog(rotated, "name 1 must be 1 to 32");
      file.write("reader: {sha256: 1, %s: 2}".formatted(misplaced));
      awaitLog(rotated, "must have sha256 and scopes");
      file.write("reader: {sha256: \"%s\", scopes: [%s]}".formatted("0".repeat(64), misplaced));
      awaitLog(rotated, "must be a list of encode, train and admin");
      Files.delete(folder.resolve("keys.yaml"));
      awaitLog(rotated, "it cannot be read");
      rotated.client().get("/train", bearer(last)).expect(200);
      file.clear();
      file.write();
      awaitStatus(rotated, last, 401);
      rotated
          .client()
          .get("/info", bearer(issuer.token("encode")))
          .expectProblem(401, "UNAUTHENTICATED", "only API keys");
      assertThat(rotated.log()).doesNotContain(misplaced, old, next, last);
    }
  }

  private static void awaitStatus(ServiceProcess service, String key, int status) {
    Await.until(
        String.format(Locale.ROOT, "status %d of a key", status),
        () -> service.client().get("/info", bearer(key)).status() == status,
        service::log);
  }

  private static void awaitLog(ServiceProcess service, String sentence) {
    Await.until(
        "'%s' in the log".formatted(sentence),
        () -> service.log().contains(sentence),
        service::log);
  }

  @Test
  void log_hasNoSecret_whateverItsLevel(@TempDir Path folder) {
    var file = new TestKeys(folder.resolve("keys.yaml"));
    String known = file.add("reader", "encode");
    String unknown = TestKeys.random();
    String good = issuer.token("encode");
    String bad = Issuer.sign(issuer.claims().claim("scope", "encode"), Issuer.newKey());
    String unsigned = Issuer.unsigned(issuer.claims().claim("scope", "encode"));
    try (ServiceProcess talkative =
        ServiceProcess.start(
            folder.resolve("data"),
            ServiceProcess.QUICK_START,
            "--semantic-id.security.api-keys-file=" + file.write(),
            issuer.arguments()[0],
            issuer.arguments()[1],
            "--logging.level.root=debug",
            "--logging.level.org.springframework=debug",
            "--logging.level.org.springframework.security=trace",
            "--logging.level.com.nimbusds=trace",
            "--logging.level.org.apache=trace")) {
      for (String secret : List.of(known, unknown, good, bad, unsigned)) {
        for (String path : List.of("/info", "/train", "/nothing", "/v2")) {
          talkative.client().get(path, bearer(secret));
          talkative.client().get(path, "X-API-Key", secret);
        }
        talkative.client().post("/encode", JSON, Bytes.utf8("{"), bearer(secret));
      }
      String log = talkative.log();
      assertThat(log).contains("DEBUG", "TRACE", "Failed to process authentication request");
      for (String secret : List.of(known, unknown, good, bad, unsigned)) {
        String telling =
            secret.startsWith("sid_") ? secret.substring(4) : secret.split("\\.", -1)[1];
        assertThat(log.contains(telling)).as("the log has %s", telling).isFalse();
      }
    }
  }
}
