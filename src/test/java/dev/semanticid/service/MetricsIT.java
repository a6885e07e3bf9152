package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What alerts and dashboard ask for is what the service tells. */
class MetricsIT {

  private static final float[][] ROWS = Embeddings.rows(600, 16, 1);

  /** A metric is what stands before its labels; every query of ours names some. */
  private static final Pattern SELECTOR = Pattern.compile("([a-zA-Z_:][a-zA-Z0-9_:]*)\\{");

  private static ServiceProcess service;
  private static String exposition = "";

  /** Before the first request that is not a probe, with a codebook in the store. */
  private static String atStart = "";

  @BeforeAll
  static void serve(@TempDir Path folder) {
    Path data = folder.resolve("data");
    try (ServiceProcess first = ServiceProcess.start(data, ServiceProcess.QUICK_START)) {
      first.client().train(ServiceClient.SMALL, ROWS);
      first.stop();
    }
    service = ServiceProcess.start(data);
    atStart = service.client().get("/actuator/prometheus").expect(200).text();
    service.client().train(ServiceClient.SMALL, ROWS);
    service.client().encode("", ROWS);
    Await.until(
        "a sampled row",
        () -> service.client().metric("semantic_id_encode_residual_ratio_count") > 0,
        service::log);
    exposition = service.client().get("/actuator/prometheus").expect(200).text();
  }

  @AfterAll
  static void stop() {
    service.close();
  }

  @Test
  void alerts_askForWhatIsThere() throws IOException {
    Set<String> asked = metrics(Files.readString(Path.of("helm/files/alerts.yaml")));
    assertThat(asked).hasSizeGreaterThan(10);
    assertExposed(asked);
  }

  /** What the collector does is there once it has done something, and need not be yet. */
  private static void assertExposed(Set<String> asked) {
    assertThat(exposed())
        .containsAll(asked.stream().filter(name -> !name.startsWith("jvm_gc_pause")).toList());
  }

  @Test
  void dashboard_asksForWhatIsThere_andForAllThatIsOurs() throws IOException {
    JsonNode dashboard =
        JsonMapper.shared().readTree(Path.of("helm/files/dashboard.json").toFile());
    Set<String> asked = metrics(String.join("\n", dashboard.findValuesAsString("expr")));
    assertExposed(asked);
    assertThat(asked)
        .containsAll(exposed().stream().filter(name -> name.startsWith("semantic_id_")).toList());
  }

  @Test
  void ourMetrics_areThereBeforeTheFirstRequest() {
    Set<String> ours = ours(exposition);
    assertThat(ours).hasSizeGreaterThan(30);
    assertThat(ours(atStart)).isEqualTo(ours);
  }

  @Test
  void ourMetrics_tellWhatWasDone() {
    ServiceClient client = service.client();
    assertThat(client.metric("semantic_id_codebook_version")).isEqualTo(2);
    assertThat(client.metric("semantic_id_codebook_swaps_total")).isEqualTo(1);
    assertThat(client.metric("semantic_id_codebook_resident_bytes")).isPositive();
    assertThat(client.metric("semantic_id_encode_block_rows_total"))
        .isGreaterThanOrEqualTo(ROWS.length);
    assertThat(client.metric("semantic_id_encode_block_seconds_sum")).isPositive();
    assertThat(client.metric("semantic_id_encode_block_seconds_count")).isPositive();
    assertThat(client.metric("semantic_id_encode_wait_seconds_count")).isGreaterThanOrEqualTo(1);
    assertThat(client.metric("semantic_id_encode_wait_seconds_sum")).isPositive();
  }

  /**
   * Rows that are far from all centroids leave more over than those trained on, and less margin.
   */
  @Test
  void drift_showsInWhatIsSampled() {
    ServiceClient client = service.client();
    double trained = sampledResidual(client, ROWS);
    assertThat(trained).isBetween(0.01, 0.99);
    assertThat(sampledResidual(client, Embeddings.rows(600, 16, 77))).isGreaterThan(trained);
    assertThat(client.metric("semantic_id_encode_margin_sum")).isPositive();
    Await.until(
        "a margin of each of three levels for each row",
        () ->
            client.metric("semantic_id_encode_margin_count")
                == 3 * client.metric("semantic_id_encode_residual_ratio_count"),
        service::log);
  }

  /** The mean over the next few rows that are sampled while these are encoded. */
  private static double sampledResidual(ServiceClient client, float[][] rows) {
    String name = "semantic_id_encode_residual_ratio";
    double sum = client.metric(name + "_sum");
    double count = client.metric(name + "_count");
    Await.until(
        "sampled rows",
        () -> {
          client.encode("", rows);
          return client.metric(name + "_count") >= count + 8;
        },
        service::log);
    return (client.metric(name + "_sum") - sum) / (client.metric(name + "_count") - count);
  }

  private static Set<String> ours(String text) {
    return names(text).stream()
        .filter(name -> name.startsWith("semantic_id_"))
        .collect(Collectors.toCollection(TreeSet::new));
  }

  @Test
  void diskMetrics_areOfTheDataDirectory() {
    assertThat(exposition).contains("disk_free_bytes{path=\"data-dir\"}");
  }

  @Test
  void ourMetrics_haveNothingForPromtoolToFind() throws Exception {
    assumeTrue(
        Pattern.compile(":")
            .splitAsStream(System.getenv("PATH"))
            .anyMatch(folder -> Files.isExecutable(Path.of(folder, "promtool"))),
        "metrics not checked: no promtool on the PATH");
    Process promtool =
        new ProcessBuilder("promtool", "check", "metrics").redirectErrorStream(true).start();
    try (var input = promtool.getOutputStream()) {
      input.write(exposition.getBytes(StandardCharsets.UTF_8));
    }
    String said = new String(promtool.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    // 3: read as it should be, with something to say about Spring Boot's metrics.
    assertThat(promtool.waitFor()).as(said).isIn(0, 3);
    assertThat(said.lines()).noneMatch(line -> line.startsWith("semantic_id"));
  }

  private static Set<String> metrics(String queries) {
    Set<String> names =
        SELECTOR
            .matcher(queries)
            .results()
            .map(match -> match.group(1))
            .collect(Collectors.toCollection(TreeSet::new));
    names.remove("up"); // Prometheus's own
    return names;
  }

  private static Set<String> exposed() {
    return names(exposition);
  }

  private static Set<String> names(String text) {
    return text.lines()
        .filter(line -> !line.startsWith("#"))
        .map(line -> line.split("[ {]", 2)[0])
        .collect(Collectors.toCollection(TreeSet::new));
  }
}
