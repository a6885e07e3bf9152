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

  @BeforeAll
  static void serve(@TempDir Path folder) {
    service = ServiceProcess.start(folder.resolve("data"));
    service.client().train(ServiceClient.SMALL, ROWS);
    service.client().encode("", ROWS);
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
    assertThat(exposed()).containsAll(asked);
  }

  @Test
  void dashboard_asksForWhatIsThere_andForAllThatIsOurs() throws IOException {
    JsonNode dashboard =
        JsonMapper.shared().readTree(Path.of("helm/files/dashboard.json").toFile());
    Set<String> asked = metrics(String.join("\n", dashboard.findValuesAsString("expr")));
    assertThat(exposed()).containsAll(asked);
    assertThat(asked)
        .containsAll(exposed().stream().filter(name -> name.startsWith("semantic_id_")).toList());
  }

  @Test
  void diskMetrics_areOfTheDataDirectory() {
    assertThat(exposition).containsPattern("disk_free_bytes\\{path=\"[^\"]*/data\"}");
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
    return exposition
        .lines()
        .filter(line -> !line.startsWith("#"))
        .map(line -> line.split("[ {]", 2)[0])
        .collect(Collectors.toCollection(TreeSet::new));
  }
}
