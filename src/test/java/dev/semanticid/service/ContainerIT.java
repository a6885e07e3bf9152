package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.github.dockerjava.api.model.Capability;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.Network;
import org.testcontainers.containers.wait.strategy.Wait;
import org.testcontainers.postgresql.PostgreSQLContainer;
import tools.jackson.databind.JsonNode;

/**
 * The image that the Dockerfile gives, in the straits that Kubernetes puts it into. Needs a Docker
 * engine; builds with the host's network, as the engine's own may lead nowhere.
 */
class ContainerIT {

  private static final String IMAGE = "semantic-id-service:test";

  @TempDir private static Path folder;

  @BeforeAll
  static void build() {
    boolean engine = tryRun(Duration.ofMinutes(2), "docker", "version").status() == 0;
    if (!engine) {
      System.out.println(
          "Not run: the tests of the container image, for no Docker engine answers.");
    }
    assumeTrue(engine, "no Docker engine answers");
    run(Duration.ofMinutes(15), "docker", "build", "--network", "host", "--tag", IMAGE, ".");
  }

  @AfterAll
  static void remove() {
    tryRun(Duration.ofMinutes(2), "docker", "image", "rm", "--force", IMAGE);
  }

  @Test
  void image_withOneGigabyteAndProcessor_getsReady_trainsAndEncodes() {
    long begin = System.nanoTime();
    // Its id cannot be told from the warnings that docker prints with it.
    String id = "semantic-id-test-" + ProcessHandle.current().pid();
    try {
      run(
          Duration.ofMinutes(2),
          """
          docker run --detach --name %s --memory 1g --memory-swap 1g --cpus 1 --read-only \
          --cap-drop ALL --security-opt no-new-privileges --publish 127.0.0.1::8080 \
          --env SEMANTIC_ID_SECURITY_MODE=none %s\
          """
              .formatted(id, IMAGE)
              .split(" ", -1));
      trainsAndEncodes(id, begin);
    } finally {
      tryRun(Duration.ofMinutes(2), "docker", "rm", "--force", "--volumes", id);
    }
  }

  private static void trainsAndEncodes(String id, long begin) {
    try (var client = new ServiceClient(port(id))) {
      awaitReady(client, id);
      Soak.judge("seconds until the image is ready", Soak.secondsSince(begin), 15);
      assertThat(client.get("/info").json().path("backend").asString()).isEqualTo("nd4j");

      float[][] rows = Embeddings.rows(4096, 384, 1);
      client.train("codebook_width=64&max_steps=50", rows);
      assertThat(client.encode("", rows).codes())
          .isDeepEqualTo(Embeddings.reference(client.download("default", 1), rows));

      assertThat(
              run(
                  Duration.ofMinutes(2),
                  "docker",
                  "exec",
                  id,
                  "/app/smoke-test.sh",
                  "127.0.0.1",
                  "8080"))
          .contains("trained, encoded, deleted");
      run(Duration.ofMinutes(2), "docker", "exec", id, "/app/health.sh");
      assertThat(run(Duration.ofMinutes(2), "docker", "exec", id, "id", "-u").strip())
          .isEqualTo("10001");
      run(Duration.ofMinutes(2), "docker", "stop", id);
      assertThat(
              run(
                      Duration.ofMinutes(2),
                      "docker",
                      "inspect",
                      "--format",
                      "{{.State.ExitCode}} {{.State.OOMKilled}}",
                      id)
                  .strip())
          .as(logs(id))
          .isEqualTo("143 false");
      assertThat(logs(id)).doesNotContain("WARN", "ERROR");
    }
  }

  /** As Kubernetes would run them; which the engine's own network lets them reach. */
  @Test
  void image_twiceOnPostgres_servesInBothWhatOneTrained() {
    try (Network network = Network.newNetwork();
        var database = new PostgreSQLContainer("postgres:17").withNetwork(network);
        GenericContainer<?> one = replica(network, database);
        GenericContainer<?> two = replica(network, database)) {
      database.withNetworkAliases("database").start();
      one.start();
      two.start();
      float[][] rows = Embeddings.rows(600, 16, 1);
      try (var first = new ServiceClient(one.getMappedPort(8080));
          var second = new ServiceClient(two.getMappedPort(8080))) {
        first.train(ServiceClient.SMALL, rows);
        Await.until(
            "the other replica serves it",
            () -> second.get("/info").json().path("codebooks").size() == 1,
            two::getLogs);
        assertThat(second.encode("", rows).codes())
            .isDeepEqualTo(Embeddings.reference(first.download("default", 1), rows));
      }
    }
  }

  private static GenericContainer<?> replica(Network network, PostgreSQLContainer database) {
    return new GenericContainer<>(IMAGE)
        .withNetwork(network)
        .withExposedPorts(8080, 8081)
        .withEnv("SEMANTIC_ID_SECURITY_MODE", "none")
        .withEnv("SPRING_PROFILES_ACTIVE", "postgres")
        .withEnv(
            "SPRING_DATASOURCE_URL",
            "jdbc:postgresql://database:5432/" + database.getDatabaseName())
        .withEnv("SPRING_DATASOURCE_USERNAME", database.getUsername())
        .withEnv("SPRING_DATASOURCE_PASSWORD", database.getPassword())
        .withCreateContainerCmdModifier(command ->
            Objects.requireNonNull(command.getHostConfig())
                .withMemory(1L << 30)
                .withReadonlyRootfs(true)
                .withCapDrop(Capability.ALL))
        .waitingFor(Wait.forHttp("/actuator/health/readiness").forPort(8081));
  }

  @Test
  void compose_bringsUpAServiceThatIsHealthy_andOutlivesKills() {
    List<String> compose =
        tryRun(Duration.ofMinutes(2), "docker", "compose", "version").status() == 0
            ? List.of("docker", "compose")
            : List.of("docker-compose");
    assumeTrue(
        tryRun(Duration.ofMinutes(2), compose(compose, "version")).status() == 0,
        "docker-compose.yml not tested: neither docker compose nor docker-compose is there");
    run(Duration.ofMinutes(2), compose(compose, "config", "--quiet"));
    try {
      // Prometheus and Grafana would have to come from a registry.
      run(Duration.ofMinutes(2), compose(compose, "up", "--detach", "--no-build", "semantic-id"));
      String id = container(compose, "semantic-id");
      awaitHealthy(id);
      float[][] rows = Embeddings.rows(20, 384, 1);
      ServiceClient.Encoded expected;
      try (var client = new ServiceClient(port(id))) {
        JsonNode job =
            client.trainFrom(
                """
                {"codebook": "default", "codebook_width": [16, 16], "max_steps": 10,
                 "source": {"uri": "file:///sources/sample-4096-f2.npy"}}
                """);
        assertThat(job.path("state").asString()).as(job.toString()).isEqualTo("succeeded");
        expected = client.encode("", rows);
        run(Duration.ofMinutes(2), "docker", "kill", container(compose, "postgres"));
        assertThat(client.encode("", rows).codes()).isDeepEqualTo(expected.codes());
        client.get("/codebooks").expectProblem(503, "STORE_UNAVAILABLE");
        run(Duration.ofMinutes(2), compose(compose, "up", "--detach", "--no-build", "semantic-id"));
        Await.until(
            "the database is back", () -> client.get("/codebooks").status() == 200, () -> logs(id));
      }
      run(Duration.ofMinutes(2), "docker", "kill", id);
      run(Duration.ofMinutes(2), compose(compose, "up", "--detach", "--no-build", "semantic-id"));
      String again = container(compose, "semantic-id");
      awaitHealthy(again);
      try (var client = new ServiceClient(port(again))) {
        ServiceClient.Encoded now = client.encode("", rows);
        assertThat(now.fingerprint()).isEqualTo(expected.fingerprint());
        assertThat(now.codes()).isDeepEqualTo(expected.codes());
      }
    } finally {
      tryRun(Duration.ofMinutes(2), compose(compose, "down", "--volumes"));
    }
  }

  private static String container(List<String> compose, String service) {
    return run(Duration.ofMinutes(2), compose(compose, "ps", "-q", service)).strip();
  }

  private static void awaitHealthy(String id) {
    Await.until(
        "health of the container",
        () ->
            run(
                    Duration.ofMinutes(2),
                    "docker",
                    "inspect",
                    "--format",
                    "{{.State.Health.Status}}",
                    id)
                .strip()
                .equals("healthy"),
        () -> logs(id));
  }

  private static String[] compose(List<String> compose, String... arguments) {
    return Stream.of(
            compose.stream(),
            Stream.of("--project-name", "semantic-id-test"),
            Arrays.stream(arguments))
        .flatMap(part -> part)
        .toArray(String[]::new);
  }

  private static void awaitReady(ServiceClient client, String id) {
    Await.until(
        "readiness of the container",
        () -> client.tryGet("/v2/health/ready").filter(ready -> ready.status() == 200).isPresent(),
        () -> logs(id));
  }

  private static int port(String id) {
    String address =
        run(Duration.ofMinutes(2), "docker", "port", id, "8080/tcp")
            .lines()
            .findFirst()
            .orElseThrow();
    return Integer.parseInt(address.substring(address.lastIndexOf(':') + 1).strip());
  }

  private static String logs(String id) {
    return tryRun(Duration.ofMinutes(2), "docker", "logs", id).output();
  }

  /** How a command ended and what it said. */
  private record Ended(int status, String output) {}

  private static String run(Duration limit, String... command) {
    Ended ended = tryRun(limit, command);
    assertThat(ended.status()).as("%s%n%s", String.join(" ", command), ended.output()).isZero();
    return ended.output();
  }

  private static Ended tryRun(Duration limit, String... command) {
    try {
      Path said = Files.createTempFile(folder, "command", ".log");
      var builder =
          new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(said.toFile());
      builder.environment().put("DOCKER_BUILDKIT", "1");
      builder.environment().put("SEMANTIC_ID_IMAGE", IMAGE);
      builder.environment().put("SEMANTIC_ID_PORT", "0");
      builder.environment().put("SEMANTIC_ID_DATABASE_PASSWORD", "of this test");
      builder.environment().put("GRAFANA_ADMIN_PASSWORD", "of this test too");
      Process process = builder.start();
      if (!process.waitFor(limit.toSeconds(), TimeUnit.SECONDS)) {
        process.destroyForcibly().waitFor();
        return new Ended(-1, "not within " + limit + ": " + Files.readString(said));
      }
      return new Ended(process.exitValue(), Files.readString(said, StandardCharsets.UTF_8));
    } catch (IOException e) {
      return new Ended(-1, String.valueOf(e.getMessage()));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted", e);
    }
  }
}
