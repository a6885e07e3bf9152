package dev.semanticid.deployment;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.SafeConstructor;

/** What docker-compose.yml lets in, and the passwords that it asks for. */
class ComposeTest {

  private static final Pattern VARIABLE = Pattern.compile("\\$\\{([A-Z_]+):\\?([^}]*)\\}");

  private static Map<?, ?> services() throws IOException {
    Map<?, ?> file =
        new Yaml(new SafeConstructor(new LoaderOptions()))
            .load(Files.readString(Path.of("docker-compose.yml")));
    return member(file, "services");
  }

  private static Map<?, ?> service(String name) throws IOException {
    return member(services(), name);
  }

  private static Map<?, ?> member(Map<?, ?> map, String name) {
    return (Map<?, ?>) Objects.requireNonNull(map.get(name), name);
  }

  @Test
  void networks_keepGrafanaFromServiceAndDatabase() throws IOException {
    assertThat(service("semantic-id").get("networks")).isEqualTo(List.of("database", "metrics"));
    assertThat(service("postgres").get("networks")).isEqualTo(List.of("database"));
    assertThat(service("prometheus").get("networks")).isEqualTo(List.of("metrics", "dashboards"));
    assertThat(service("grafana").get("networks")).isEqualTo(List.of("dashboards"));
    assertThat(services()).hasSize(4);
  }

  @Test
  void ports_areOpenToThisMachineAlone() throws IOException {
    for (Object service : services().values()) {
      Object ports = ((Map<?, ?>) Objects.requireNonNull(service)).get("ports");
      for (Object port : ports == null ? List.of() : (List<?>) ports) {
        assertThat(port.toString()).startsWith("127.0.0.1:");
      }
    }
  }

  @Test
  void passwords_comeFromTheEnvironmentOrAreAskedFor() throws IOException {
    String file = Files.readString(Path.of("docker-compose.yml"));
    assertThat(file).doesNotContain("trust");
    Matcher variable = VARIABLE.matcher(file);
    var asked = new TreeMap<String, String>();
    while (variable.find()) {
      asked.put(variable.group(1), variable.group(2));
    }
    assertThat(asked).containsOnlyKeys("SEMANTIC_ID_DATABASE_PASSWORD", "GRAFANA_ADMIN_PASSWORD");
    assertThat(asked.values()).allMatch(sentence -> sentence.contains("docker/make-env"));
    assertThat(Files.readAllLines(Path.of(".env.example")))
        .contains("SEMANTIC_ID_DATABASE_PASSWORD=", "GRAFANA_ADMIN_PASSWORD=");
    assertThat(Files.readAllLines(Path.of(".gitignore"))).contains("/.env");
    assertThat(member(service("postgres"), "environment").get("POSTGRES_PASSWORD"))
        .isEqualTo(member(service("semantic-id"), "environment").get("SPRING_DATASOURCE_PASSWORD"));
  }

  @Test
  @DisabledOnOs(OS.WINDOWS)
  void makeEnv_writesRandomPasswordsOnce(@TempDir Path temp)
      throws IOException, InterruptedException {
    Path script = Files.createDirectory(temp.resolve("docker")).resolve("make-env");
    Files.copy(Path.of("docker", "make-env"), script);
    Commands.run("sh", script.toString());
    Path made = temp.resolve(".env");
    List<String> lines = Files.readAllLines(made);
    assertThat(lines).hasSize(2);
    assertThat(lines.getFirst()).matches("SEMANTIC_ID_DATABASE_PASSWORD=[0-9a-f]{48}");
    assertThat(lines.getLast()).matches("GRAFANA_ADMIN_PASSWORD=[0-9a-f]{48}");
    assertThat(lines.getFirst().substring(lines.getFirst().indexOf('=')))
        .isNotEqualTo(lines.getLast().substring(lines.getLast().indexOf('=')));
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(made)))
        .isEqualTo("rw-------");
    assertThat(Commands.run("sh", script.toString())).contains("left as it is");
    assertThat(Files.readAllLines(made)).isEqualTo(lines);
    try (var files = Files.list(temp)) {
      assertThat(files).hasSize(2);
    }
  }
}
