package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Where the service listens, and what it wants to be told first. */
class ExposureIT {

  private static final String EVERYWHERE = "--server.address=0.0.0.0";
  private static final String NO_SECURITY = "--semantic-id.security.mode=none";
  private static final String NO_FILE = "--semantic-id.security.api-keys-file=/nowhere/keys.yaml";

  @TempDir Path folder;

  /**
   * A start that must not be.
   *
   * @param arguments of the service
   * @param named what the message must have
   */
  record Refused(List<String> arguments, List<String> named) {}

  static Stream<Refused> refused() {
    return Stream.of(
        new Refused(
            List.of(EVERYWHERE),
            List.of(
                "server.address",
                "0.0.0.0",
                "semantic-id.security.api-keys-file",
                "spring.security.oauth2.resourceserver.jwt.issuer-uri",
                "semantic-id.security.mode=none",
                "127.0.0.1")),
        new Refused(List.of("--server.address="), List.of("server.address", "all addresses")),
        new Refused(
            List.of("--management.server.port=0", "--management.server.address=0.0.0.0"),
            List.of("management.server.address", "0.0.0.0")),
        new Refused(
            List.of("--management.server.port=0"),
            List.of("management.server.address", "all addresses")),
        new Refused(
            List.of(NO_SECURITY, NO_FILE),
            List.of("semantic-id.security.mode", "semantic-id.security.api-keys-file is set")),
        new Refused(
            List.of("--spring.security.oauth2.resourceserver.jwt.issuer-uri=http://127.0.0.1:1"),
            List.of(
                "spring.security.oauth2.resourceserver.jwt.audiences",
                "issuer-uri is set",
                "claim aud",
                "semantic-id.security.require-audience=false")),
        new Refused(
            List.of(
                "--spring.security.oauth2.resourceserver.jwt.jwk-set-uri=http://127.0.0.1:1",
                "--spring.security.oauth2.resourceserver.jwt.audiences= "),
            List.of("spring.security.oauth2.resourceserver.jwt.audiences", "jwk-set-uri is set")),
        new Refused(
            List.of("--semantic-id.security.allowed-hosts=http://ids.example/"),
            List.of("semantic-id.security.allowed-hosts", "http://ids.example/")),
        new Refused(
            List.of(EVERYWHERE, NO_FILE),
            List.of("semantic-id.security.api-keys-file", "it cannot be read")));
  }

  @ParameterizedTest
  @MethodSource("refused")
  void start_exposedOrContradictory_isRefusedWithWhatMayBeDone(Refused refused) {
    String[] arguments =
        Stream.concat(Stream.of(ServiceProcess.QUICK_START), refused.arguments().stream())
            .toArray(String[]::new);
    try (ServiceProcess service = ServiceProcess.launch(folder.resolve("data"), arguments)) {
      assertThat(service.awaitExit()).isEqualTo(1);
      assertThat(service.log())
          .contains("APPLICATION FAILED TO START")
          .contains(refused.named())
          .doesNotContain("Tomcat started");
    }
  }

  @Test
  void start_withKeyInPlaceOfItsHash_doesNotSayTheKey() {
    var file = new TestKeys(folder.resolve("keys.yaml"));
    String key = TestKeys.random();
    Path path = file.write("reader: {sha256: %s, scopes: [encode]}".formatted(key));
    try (ServiceProcess service =
        ServiceProcess.launch(
            folder.resolve("data"),
            ServiceProcess.QUICK_START,
            "--semantic-id.security.api-keys-file=" + path)) {
      assertThat(service.awaitExit()).isEqualTo(1);
      assertThat(service.log()).contains("sha256 of key reader").doesNotContain(key);
    }
  }

  @Test
  void start_withAnIssuerThatServesNobodyElse_needsNoAudience() {
    try (var issuer = new Issuer()) {
      issuer.start();
      try (ServiceProcess service =
          ServiceProcess.start(
              folder.resolve("data"),
              ServiceProcess.QUICK_START,
              issuer.arguments()[0],
              "--semantic-id.security.require-audience=false")) {
        service
            .client()
            .get("/info", "Authorization", "Bearer " + issuer.token("encode"))
            .expect(200);
      }
    }
  }

  /** And no credentials are in the way then. */
  @Test
  void start_exposedByIntent_letsInEverybody() {
    try (ServiceProcess service =
        ServiceProcess.start(
            folder.resolve("data"),
            ServiceProcess.QUICK_START,
            EVERYWHERE,
            NO_SECURITY,
            "--management.endpoints.web.exposure.include=health,mappings")) {
      ServiceClient client = service.client();
      Answer info = client.get("/info", "Authorization", "Bearer whatever").expect(200);
      assertThat(client.get("/actuator/mappings").expect(200).text())
          .contains("servletFilters")
          .doesNotContain("springSecurityFilterChain");
      assertThat(info.headers()).doesNotContainKeys("set-cookie", "expires");
      assertThat(client.get("/v3/api-docs").json().path("components").has("securitySchemes"))
          .isFalse();
    }
  }

  @Test
  void management_onItsOwnPort_isForOperators() throws Exception {
    var file = new TestKeys(folder.resolve("keys.yaml"));
    String key = file.add("reader", "encode");
    try (ServiceProcess service =
            ServiceProcess.launch(
                folder.resolve("data"),
                ServiceProcess.QUICK_START,
                "--management.server.address=127.0.0.1",
                "--management.server.port=0",
                "--semantic-id.security.api-keys-file=" + file.write());
        var management = new ServiceClient(service::managementPort)) {
      Await.until(
          "readiness",
          () ->
              management.tryGet("/actuator/health/readiness").map(Answer::status).orElse(0) == 200,
          service::log);
      ServiceClient client = service.client();
      assertThat(management.get("/actuator/prometheus").expect(200).text()).contains("jvm_memory");
      assertThat(management.get("/actuator/health").expect(200).json().has("components")).isFalse();
      assertThat(management.get("/info").status()).isIn(401, 404);
      assertThat(management.get("/codebooks").status()).isIn(401, 404);
      client.get("/actuator/health/readiness").expectProblem(404, "NOT_FOUND");
      client.get("/actuator/prometheus", "X-API-Key", key).expectProblem(404, "NOT_FOUND");
      client.get("/info").expectProblem(401, "UNAUTHENTICATED");
      client.get("/v2/health/ready").expect(200);
      var health = new ProcessBuilder("bash", "docker/health.sh");
      health
          .environment()
          .put("MANAGEMENT_SERVER_PORT", Integer.toString(service.managementPort()));
      assertThat(health.start().waitFor()).as("health.sh").isZero();
      health.environment().put("MANAGEMENT_SERVER_PORT", Integer.toString(client.port()));
      assertThat(health.start().waitFor()).as("health.sh on the wrong port").isNotZero();
    }
  }

  @Test
  void deployment_probesAndScrapesThePortOfItsOwn() throws Exception {
    String image = Files.readString(Path.of("Dockerfile"));
    assertThat(image).contains("MANAGEMENT_SERVER_PORT=8081", "EXPOSE 8080 8081");
    assertThat(Files.readString(Path.of("docker/prometheus.yml"))).contains("semantic-id:8081");
  }
}
