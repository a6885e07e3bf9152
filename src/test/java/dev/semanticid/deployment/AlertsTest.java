package dev.semanticid.deployment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The alerts as Prometheus judges them. Needs {@code promtool}, which Debian's prometheus has. */
class AlertsTest {

  @BeforeAll
  static void promtoolIsThere() {
    if (!Commands.isThere("promtool")) {
      System.out.println("Not run: the tests of the alerts, for promtool is not on the PATH.");
    }
    assumeTrue(Commands.isThere("promtool"), "no promtool on the PATH");
  }

  @Test
  void rules_areValid() throws Exception {
    assertThat(Commands.run("promtool", "check", "rules", "helm/files/alerts.yaml"))
        .contains("SUCCESS");
  }

  @Test
  void composesConfiguration_isValid() throws Exception {
    assertThat(
            Commands.run("promtool", "check", "config", "--syntax-only", "docker/prometheus.yml"))
        .contains("SUCCESS");
  }

  @Test
  void rules_fireWhenTheyShould() throws Exception {
    assertThat(
            Commands.run(
                "promtool",
                "test",
                "rules",
                "src/test/resources/prometheus/alerts-test.yaml",
                "src/test/resources/prometheus/drift-test.yaml"))
        .contains("SUCCESS");
  }
}
