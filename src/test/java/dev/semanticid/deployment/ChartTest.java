package dev.semanticid.deployment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.marcnuri.helm.LintResult;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The Helm chart with each of its sets of values: linted, rendered, and read as Kubernetes would.
 */
class ChartTest {

  private static final Path DEFAULT = values("default");
  private static final Path AUTOSCALING = values("autoscaling");

  private static Path values(String name) {
    return Chart.ROOT.resolve("ci").resolve(name + "-values.yaml");
  }

  static Stream<Path> valuesFiles() {
    return Chart.valuesFiles().stream();
  }

  @Test
  void valuesFiles_areThere() {
    assertThat(Chart.valuesFiles())
        .contains(
            DEFAULT,
            AUTOSCALING,
            values("gpu"),
            values("locked-down"),
            values("postgres"),
            values("trial"));
  }

  @ParameterizedTest
  @MethodSource("valuesFiles")
  void lint_strict_passes(Path values, @TempDir Path folder) throws IOException {
    LintResult result = Chart.lint(values, folder);
    assertThat(result.isFailed()).as(String.join("\n", result.getMessages())).isFalse();
    assertThat(result.getMessages())
        .noneMatch(line -> line.contains("[WARNING]") || line.contains("[ERROR]"));
  }

  @ParameterizedTest
  @MethodSource("valuesFiles")
  void objects_areWhatKubernetesKnows(Path values) {
    List<Map<String, Object>> objects = Chart.render(values);
    assertThat(objects).hasSizeGreaterThan(4);
    for (Map<String, Object> object : objects) {
      assertThat(KubernetesObjects.faults(object)).as("%s", object).isEmpty();
    }
  }

  @Test
  void faults_ofUnknownFieldsAndWrongTypes_areFound() {
    Map<String, Object> deployment = object(Chart.render(DEFAULT), "Deployment");
    at(deployment, "spec").put("replicas", "1");
    assertThat(KubernetesObjects.faults(deployment))
        .hasSize(1)
        .first()
        .asString()
        .contains("replicas");
    at(deployment, "spec").put("replicas", 1);
    at(deployment, "spec", "template", "spec").put("hostNetworks", true);
    assertThat(KubernetesObjects.faults(deployment))
        .hasSize(1)
        .first()
        .asString()
        .contains("hostNetworks");
    Map<String, Object> monitor = object(Chart.render(AUTOSCALING), "ServiceMonitor");
    at(monitor, "spec").put("endpoint", List.of());
    assertThat(KubernetesObjects.faults(monitor)).containsExactly(".spec has no field endpoint");
  }

  @ParameterizedTest
  @MethodSource("valuesFiles")
  void pods_areRestrictedAndHaveNoToken(Path values) {
    List<Map<String, Object>> objects = Chart.render(values);
    var pods = new ArrayList<Map<String, Object>>();
    pods.add(at(object(objects, "Deployment"), "spec", "template", "spec"));
    if (kinds(objects).contains("StatefulSet")) {
      pods.add(at(object(objects, "StatefulSet"), "spec", "template", "spec"));
    }
    // That of helm test, which is left out where it would have no key.
    if (kinds(objects).contains("Pod")) {
      pods.add(at(object(objects, "Pod"), "spec"));
    }
    for (Map<String, Object> pod : pods) {
      assertThat(pod)
          .containsEntry("automountServiceAccountToken", false)
          .containsEntry("enableServiceLinks", false);
      assertThat(at(pod, "securityContext"))
          .containsEntry("runAsNonRoot", true)
          .containsEntry("seccompProfile", Map.of("type", "RuntimeDefault"));
      List<?> containers = list(pod, "containers");
      assertThat(containers).hasSize(1);
      assertThat(at(Chart.map(containers.getFirst()), "securityContext"))
          .containsEntry("allowPrivilegeEscalation", false)
          .containsEntry("readOnlyRootFilesystem", true)
          .containsEntry("capabilities", Map.of("drop", List.of("ALL")));
    }
  }

  @Test
  void embeddedStore_isOneProcessesOnAVolume() {
    List<Map<String, Object>> objects = Chart.render(DEFAULT);
    assertThat(at(object(objects, "Deployment"), "spec"))
        .containsEntry("replicas", 1)
        .containsEntry("strategy", Map.of("type", "Recreate"));
    assertThat(kinds(objects)).contains("PersistentVolumeClaim");
  }

  @Test
  void database_isSharedByReplicasWithoutAVolume() {
    List<Map<String, Object>> objects = Chart.render(AUTOSCALING);
    assertThat(kinds(objects))
        .contains("HorizontalPodAutoscaler", "ServiceMonitor", "PrometheusRule")
        .doesNotContain("PersistentVolumeClaim");
    Map<String, Object> deployment = at(object(objects, "Deployment"), "spec");
    assertThat(deployment).doesNotContainKey("replicas");
    assertThat(at(deployment, "strategy", "rollingUpdate"))
        .containsExactlyInAnyOrderEntriesOf(Map.of("maxSurge", 1, "maxUnavailable", 0));
    assertThat(at(object(objects, "ConfigMap"), "data"))
        .containsEntry("SPRING_PROFILES_ACTIVE", "postgres")
        .containsEntry("SPRING_DATASOURCE_URL", "jdbc:postgresql://postgres:5432/semantic_id");
    assertThat(container(objects).toString())
        .contains(
            "SPRING_DATASOURCE_USERNAME", "SPRING_DATASOURCE_PASSWORD", "semantic-id-database");
    assertThat(at(object(objects, "HorizontalPodAutoscaler"), "spec").toString())
        .contains("semantic_id_encode_admitted_rows", "averageValue=8192");
  }

  @Test
  void trialDatabase_isReachedByTheServiceAlone_andNoPartOfIt() {
    List<Map<String, Object>> objects = Chart.render(values("trial"));
    Map<String, Object> database = at(object(objects, "StatefulSet"), "spec");
    Map<String, Object> labels = at(database, "template", "metadata", "labels");
    Map<String, Object> service =
        at(object(objects, "Deployment"), "spec", "selector", "matchLabels");
    assertThat(text(labels, "app.kubernetes.io/name"))
        .isNotEqualTo(text(service, "app.kubernetes.io/name"));
    assertThat(at(object(objects, "ConfigMap"), "data"))
        .containsEntry("SPRING_PROFILES_ACTIVE", "postgres")
        .extractingByKey("SPRING_DATASOURCE_URL")
        .asString()
        .contains(text(database, "serviceName") + ":5432/semantic_id");
    String secret = text(at(object(objects, "Secret"), "metadata"), "name");
    assertThat(container(objects).toString()).contains("name=" + secret);
    assertThat(database.toString()).contains("name=" + secret);
    List<Map<String, Object>> policies =
        objects.stream().filter(object -> "NetworkPolicy".equals(object.get("kind"))).toList();
    assertThat(policies).hasSize(2);
    assertThat(policies.toString())
        .contains("egress=[{ports=")
        .contains("{matchLabels=" + service + "}", "{matchLabels=" + labels + "}");
    List<Map<String, Object>> own =
        Chart.render(values("trial"), "database.existingSecret", "mine");
    assertThat(kinds(own)).doesNotContain("Secret");
    assertThat(at(object(own, "StatefulSet"), "spec").toString()).contains("name=mine");
  }

  @Test
  void gpu_isAskedForByOneSwitch() {
    List<Map<String, Object>> objects = Chart.render(values("gpu"));
    assertThat(at(container(objects), "resources", "limits")).containsEntry("nvidia.com/gpu", "1");
    assertThat(text(container(objects), "image")).endsWith("-cuda");
    assertThat(at(object(objects, "ConfigMap"), "data"))
        .containsEntry("SEMANTIC_ID_BACKEND", "cuda");
    List<Map<String, Object>> older = Chart.render(values("gpu"), "gpu.backend", "nd4j");
    assertThat(at(object(older, "ConfigMap"), "data")).containsEntry("SEMANTIC_ID_BACKEND", "nd4j");
    List<Map<String, Object>> shared =
        Chart.render(AUTOSCALING, "gpu.enabled", "true", "autoscaling.enabled", "false");
    assertThat(at(object(shared, "Deployment"), "spec", "strategy", "rollingUpdate"))
        .containsExactlyInAnyOrderEntriesOf(Map.of("maxSurge", 0, "maxUnavailable", 1));
  }

  @Test
  void settings_becomeTheEnvironment_andChangeThePods() {
    List<Map<String, Object>> objects = Chart.render(values("locked-down"));
    assertThat(at(object(objects, "ConfigMap"), "data"))
        .containsEntry("SEMANTIC_ID_READINESS_REQUIRE_CODEBOOK", "true")
        .containsEntry("SEMANTIC_ID_ENCODING_MAX_QUEUED_ROWS", "20000")
        .containsEntry("SEMANTIC_ID_S3_ALLOWED", "s3://catalogue/embeddings,s3://catalogue/ids")
        .containsEntry("SEMANTIC_ID_DATA_ROOT", "/sources");
    assertThat(checksum(Chart.render(DEFAULT)))
        .isEqualTo(checksum(Chart.render(DEFAULT)))
        .isNotEqualTo(checksum(Chart.render(DEFAULT, "settings.semantic-id\\.threads", "3")));
  }

  @Test
  void security_keysOfTheChart_areASecretThatTheServiceReads() {
    List<Map<String, Object>> objects = Chart.render(values("embedded"));
    Map<String, Object> secret = object(objects, "Secret");
    assertThat(at(secret, "metadata")).containsEntry("name", "ids-api-keys");
    assertThat(text(at(secret, "stringData"), "api-keys.yaml"))
        .contains("\"pipeline\":", "sha256: \"0a1b2c3d", "scopes: [train, admin]");
    assertThat(keysVolume(objects)).containsEntry("secretName", "ids-api-keys");
    assertThat(at(object(objects, "ConfigMap"), "data"))
        .containsEntry("SEMANTIC_ID_SECURITY_API_KEYS_FILE", "/api-keys/api-keys.yaml")
        .containsEntry("SEMANTIC_ID_SECURITY_MODE", "auto");
    assertThat(kinds(objects)).as("helm test without a key").doesNotContain("Pod");
  }

  @Test
  void security_existingSecretAndIssuer_areTold() {
    List<Map<String, Object>> locked = Chart.render(values("locked-down"));
    assertThat(kinds(locked)).doesNotContain("Secret");
    assertThat(keysVolume(locked))
        .containsEntry("secretName", "semantic-id-clients")
        .containsEntry("items", List.of(Map.of("key", "keys", "path", "api-keys.yaml")));
    assertThat(at(object(locked, "Pod"), "spec").toString())
        .contains("SEMANTIC_ID_API_KEY", "semantic-id-test");
    assertThat(at(object(Chart.render(AUTOSCALING), "ConfigMap"), "data"))
        .containsEntry(
            "SPRING_SECURITY_OAUTH2_RESOURCESERVER_JWT_ISSUERURI",
            "https://login.example/realms/search")
        .containsEntry("SPRING_SECURITY_OAUTH2_RESOURCESERVER_JWT_AUDIENCES", "semantic-id")
        .doesNotContainKey("SEMANTIC_ID_SECURITY_API_KEYS_FILE");
  }

  /** Names of the Services, under which pods reach them; probes use the pod's address. */
  @Test
  void security_none_allowsTheNamesOfTheServices() {
    assertThat(
            text(
                    at(
                        object(
                            Chart.render(DEFAULT, "security.allowedHosts[0]", "ids.example"),
                            "ConfigMap"),
                        "data"),
                    "SEMANTIC_ID_SECURITY_ALLOWED_HOSTS")
                .split(",", -1))
        .containsExactly(
            "release-semantic-id",
            "release-semantic-id.namespace",
            "release-semantic-id.namespace.svc",
            "release-semantic-id.namespace.svc.cluster.local",
            "release-semantic-id-management",
            "release-semantic-id-management.namespace",
            "release-semantic-id-management.namespace.svc",
            "release-semantic-id-management.namespace.svc.cluster.local",
            "ids.example");
    assertThat(at(object(Chart.render(AUTOSCALING), "ConfigMap"), "data"))
        .doesNotContainKeys(
            "SEMANTIC_ID_SECURITY_ALLOWED_HOSTS", "SEMANTIC_ID_SECURITY_REQUIRE_AUDIENCE");
    assertThat(
            at(
                object(
                    Chart.render(
                        AUTOSCALING,
                        "security.oauth2.audiences",
                        "null",
                        "security.oauth2.requireAudience",
                        "false"),
                    "ConfigMap"),
                "data"))
        .containsEntry("SEMANTIC_ID_SECURITY_REQUIRE_AUDIENCE", "false");
  }

  @Test
  void management_isAPortOfItsOwn_forProbesAndMetrics() {
    List<Map<String, Object>> objects = Chart.render(AUTOSCALING);
    assertThat(at(object(objects, "ConfigMap"), "data"))
        .containsEntry("MANAGEMENT_SERVER_PORT", "8081")
        .containsEntry("MANAGEMENT_SERVER_SSL_ENABLED", "false");
    for (String probe : List.of("startupProbe", "livenessProbe", "readinessProbe")) {
      assertThat(at(container(objects), probe, "httpGet")).containsEntry("port", "management");
    }
    assertThat(list(at(object(objects, "ServiceMonitor"), "spec"), "endpoints").toString())
        .contains("port=management");
    List<Map<String, Object>> services =
        Chart.render(values("embedded")).stream()
            .filter(object -> "Service".equals(object.get("kind")))
            .toList();
    assertThat(services).hasSize(2);
    // Whatever the service's own type is, operators' addresses stay inside.
    assertThat(at(services.getFirst(), "spec"))
        .containsEntry("type", "LoadBalancer")
        .extractingByKey("ports")
        .asString()
        .doesNotContain("management");
    assertThat(at(services.getLast(), "spec")).containsEntry("type", "ClusterIP");
    assertThat(
            list(
                    at(object(Chart.render(values("locked-down")), "NetworkPolicy"), "spec"),
                    "ingress")
                .get(1)
                .toString())
        .contains("port=management", "monitoring")
        .doesNotContain("recommender");
  }

  private static Map<String, Object> keysVolume(List<Map<String, Object>> objects) {
    Map<String, Object> pod = at(object(objects, "Deployment"), "spec", "template", "spec");
    return list(pod, "volumes").stream()
        .map(Chart::map)
        .filter(volume -> "api-keys".equals(volume.get("name")))
        .map(volume -> at(volume, "secret"))
        .findFirst()
        .orElseThrow(() -> new AssertionError("no keys among the volumes of " + pod));
  }

  @Test
  void gracePeriod_holdsPreStopAndDrain() {
    Map<String, Object> pod =
        at(object(Chart.render(DEFAULT), "Deployment"), "spec", "template", "spec");
    int grace = Integer.parseInt(text(pod, "terminationGracePeriodSeconds"));
    List<?> sleep =
        list(at(container(Chart.render(DEFAULT)), "lifecycle", "preStop", "exec"), "command");
    int preStop = Integer.parseInt(String.valueOf(sleep.getLast()));
    // Requests are one shutdown phase of spring.lifecycle.timeout-per-shutdown-phase, jobs another.
    assertThat(grace).isGreaterThan(preStop + 2 * 20);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "replicaCount|2|2 replicas need a database that they share",
        "autoscaling.enabled|true|6 replicas need a database that they share",
        "database.url|jdbc:postgresql://db/x|database.url needs database.existingSecret",
        "database.url|jdbc:mysql://db/x|/database/url",
        "database.trial.enabled|true|needs database.trial.password",
        "database.trial.size|much|/database/trial/size",
        "replicaCount|-1|/replicaCount",
        "replicaCount|many|/replicaCount",
        "gpu.count|0|/gpu/count",
        "gpu.backend|auto|/gpu/backend",
        "image.digest|latest|/image/digest",
        "resources.limits.memory|lots|/resources/limits/memory",
        "persistence.accessMode|ReadOnlyMany|/persistence/accessMode",
        "shutdown.terminationGracePeriodSeconds|10|must be at least 50",
        "settings.server\\.port|9|settings must not have server.port",
        "replicas|2|replicas",
        "networkPolicy.enable|true|enable",
        "security.mode|auto|nobody would have to authenticate",
        "security.mode|off|/security/mode",
        "security.apiKeys.existingSecret|keys|security.mode=none lets in everybody",
        "security.apiKeys.keys.a.sha256|5d|/security/apiKeys/keys/a",
        "security.oauth2.issuerUri|login|/security/oauth2/issuerUri",
        "security.oauth2.audiences[0]|a|security.oauth2.audiences goes with",
        "security.allowedHosts[0]|http://ids/|/security/allowedHosts/0",
        "settings.semantic-id\\.security\\.allowed-hosts|a|settings must not have",
        "settings.semantic-id\\.security\\.mode|none|settings must not have"
            + " semantic-id.security.mode",
      })
  void wrongValues_areRefusedWithTheReason(String name, String value, String reason) {
    assertThatThrownBy(() -> Chart.render(DEFAULT, name, value)).hasMessageContaining(reason);
  }

  @Test
  void issuer_withoutAudience_isRefused() {
    assertThatThrownBy(() -> Chart.render(AUTOSCALING, "security.oauth2.audiences", "null"))
        .hasMessageContaining("security.oauth2.issuerUri needs security.oauth2.audiences");
    assertThatThrownBy(() -> Chart.render(AUTOSCALING, "security.allowedHosts[0]", "a"))
        .hasMessageContaining("security.allowedHosts goes with security.mode=none");
  }

  @Test
  void values_areAllDescribed() throws IOException {
    String readme = Files.readString(Chart.ROOT.resolve("README.md"));
    Matcher rows = Pattern.compile("(?m)^\\| (`[^|]+`) \\|").matcher(readme);
    var described = new TreeSet<String>();
    for (MatchResult row : rows.results().toList()) {
      // Names of a row share what stands before the last dot of the first.
      String[] names = row.group(1).replace("`", "").split(", ", -1);
      String prefix = names[0].substring(0, names[0].lastIndexOf('.') + 1);
      for (String name : names) {
        described.add(name.startsWith(prefix) ? name : prefix + name);
      }
    }
    assertThat(described).containsExactlyElementsOf(new TreeSet<>(Chart.valueNames()));
  }

  private static String checksum(List<Map<String, Object>> objects) {
    return text(
        at(object(objects, "Deployment"), "spec", "template", "metadata", "annotations"),
        "checksum/config");
  }

  private static Map<String, Object> container(List<Map<String, Object>> objects) {
    Map<String, Object> pod = at(object(objects, "Deployment"), "spec", "template", "spec");
    return Chart.map(list(pod, "containers").getFirst());
  }

  private static List<String> kinds(List<Map<String, Object>> objects) {
    return objects.stream().map(object -> text(object, "kind")).toList();
  }

  private static Map<String, Object> object(List<Map<String, Object>> objects, String kind) {
    return objects.stream()
        .filter(object -> kind.equals(object.get("kind")))
        .filter(object -> !at(object, "metadata").toString().contains("-dashboard"))
        .findFirst()
        .orElseThrow(() -> new AssertionError("no %s in %s".formatted(kind, objects)));
  }

  private static Map<String, Object> at(Map<String, Object> object, String... path) {
    Map<String, Object> map = object;
    for (String name : path) {
      Object value = map.get(name);
      assertThat(value).as("%s of %s", name, map).isInstanceOf(Map.class);
      map = Chart.map(value);
    }
    return map;
  }

  private static List<?> list(Map<String, Object> object, String name) {
    return (List<?>) Objects.requireNonNull(object.get(name), name);
  }

  private static String text(Map<String, Object> object, String name) {
    return String.valueOf(Objects.requireNonNull(object.get(name), name));
  }
}
