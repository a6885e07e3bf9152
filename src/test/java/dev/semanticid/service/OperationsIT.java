package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.OCTETS;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** What operators and explorers see: probes, metrics, the log, the description of the API. */
class OperationsIT {

  private static final float[][] ROWS = Embeddings.rows(600, 16, 1);
  private static final Set<String> METHODS = Set.of("get", "put", "post", "delete", "patch");

  /** A service whose store stays empty. */
  private static ServiceProcess empty;

  @BeforeAll
  static void start(@TempDir Path folder) {
    empty = ServiceProcess.start(folder.resolve("data"));
  }

  @AfterAll
  static void stop() {
    empty.close();
  }

  @Test
  void emptyStore_isReadyAndSaysWhatToDo() {
    ServiceClient client = empty.client();
    assertThat(
            client.get("/actuator/health/readiness").expect(200).json().path("status").asString())
        .isEqualTo("UP");
    assertThat(client.get("/actuator/health/liveness").expect(200).json().path("status").asString())
        .isEqualTo("UP");
    Answer answer =
        client
            .post("/encode", OCTETS, Embeddings.octets(ROWS))
            .expectProblem(503, "NO_CODEBOOK", "/train");
    assertThat(Integer.parseInt(answer.header("Retry-After"))).isPositive();
    client
        .post("/encode?codebook=x", OCTETS, Embeddings.octets(ROWS))
        .expectProblem(503, "NO_CODEBOOK");
    assertThat(client.get("/codebooks").expect(200).text()).isEqualTo("{\"codebooks\":[]}");
    assertThat(client.get("/train").expect(200).text()).isEqualTo("{\"jobs\":[]}");
  }

  @Test
  void requireCodebook_isReadyWithTheFirstTraining(@TempDir Path folder) {
    try (ServiceProcess service =
        ServiceProcess.startAlive(
            folder.resolve("data"),
            ServiceProcess.QUICK_START,
            "--semantic-id.readiness.require-codebook=true")) {
      ServiceClient client = service.client();
      client.get("/actuator/health/readiness").expect(503);
      client.get("/actuator/health/liveness").expect(200);
      client.train(ServiceClient.SMALL, ROWS);
      client.get("/actuator/health/readiness").expect(200);
      client.encode("", ROWS);
      client.encodeJson("", ROWS);
      String metrics = client.get("/actuator/prometheus").expect(200).text();
      assertThat(metrics)
          .containsPattern("(?m)^semantic_id_encoded_rows_total(\\{.*})? 1200(\\.0)?$")
          .contains("jvm_memory_used_bytes", "http_server_requests_seconds_count");
      String health = client.get("/actuator/health/readiness").text();
      assertThat(health).contains(client.fingerprint("default", 1));
      JsonNode resident = client.get("/info").json().path("codebooks").get(0);
      assertThat(resident.path("codebook").asString()).isEqualTo("default");
      assertThat(resident.path("version").asInt()).isEqualTo(1);
      assertThat(resident.path("plan").asString()).isNotBlank();
      assertThat(resident.path("plan_reason").asString()).isNotBlank();
    }
  }

  @Test
  void info_namesBuildBackendAndLimits() {
    JsonNode info = empty.client().get("/info").expect(200).json();
    assertThat(info.path("version").asString()).matches("[0-9]+\\.[0-9]+\\.[0-9]+.*");
    assertThat(info.path("backend").asString()).isNotBlank();
    assertThat(info.path("device").asString()).isNotBlank();
    assertThat(info.path("codebooks").size()).isZero();
    for (String limit :
        List.of(
            "encode_max_rows",
            "encode_max_body_bytes",
            "train_max_upload_bytes",
            "job_queue_size",
            "codebook_max_upload_bytes",
            "codebook_max_names",
            "max_uploads",
            "request_memory_bytes")) {
      assertThat(info.path("limits").path(limit).asLong(0)).as(limit).isPositive();
    }
  }

  @Test
  void log_ofAStart_hasNoWarningOfTheVirtualMachine() {
    assertThat(empty.log()).contains("Started SemanticIdApplication", "computing on");
    assertThat(empty.log()).doesNotContain("WARNING:", " ERROR ");
  }

  /** Each jar that is shipped, with its version and licence. */
  @Test
  void sbom_namesWhatIsInTheJar() throws IOException {
    JsonNode sbom = empty.client().get("/actuator/sbom/application").expect(200).json();
    assertThat(sbom.path("bomFormat").asString()).isEqualTo("CycloneDX");
    Set<String> named =
        sbom.path("components")
            .valueStream()
            .map(component ->
                "%s-%s"
                    .formatted(
                        component.path("name").asString(), component.path("version").asString()))
            .collect(Collectors.toSet());
    assertThat(named)
        .as("ND4J's old libraries, which the service does without")
        .noneMatch(name -> name.matches("(commons-(io|net|compress)|protobuf|jackson-1|oshi).*"));
    try (var jar = new JarFile(ServiceProcess.jar().toFile())) {
      assertThat(jar.getEntry("META-INF/sbom/application.cdx.json")).isNotNull();
      List<String> shipped =
          jar.stream()
              .map(JarEntry::getName)
              .filter(name -> name.startsWith("BOOT-INF/lib/") && name.endsWith(".jar"))
              .map(name -> name.replaceFirst("BOOT-INF/lib/(.*)\\.jar", "$1"))
              // Packing adds it, which is no dependency.
              .filter(name -> !name.startsWith("spring-boot-jarmode-tools-"))
              .toList();
      assertThat(shipped).hasSizeGreaterThan(100);
      assertThat(shipped)
          .allMatch(file -> named.stream().anyMatch(file::startsWith), "is in the SBOM");
    }
  }

  @Test
  void swaggerUi_isAPage() {
    ServiceClient client = empty.client();
    Answer redirect = client.get("/swagger-ui.html").expect(302);
    String location = redirect.header("Location").replaceFirst("^http://[^/]+", "");
    Answer page = client.get(location).expect(200);
    assertThat(page.header("Content-Type")).startsWith("text/html");
    assertThat(page.text()).contains("Swagger UI");
    String config = client.get("/v3/api-docs/swagger-config").expect(200).text();
    assertThat(config).contains("/v3/api-docs");
  }

  /** An operation of the API's description. */
  private record Operation(String method, String path, JsonNode json) {

    JsonNode response(String status) {
      return json.path("responses").path(status);
    }

    @Override
    public String toString() {
      return method + " " + path;
    }
  }

  private static List<Operation> operations() {
    var operations = new ArrayList<Operation>();
    JsonNode paths = empty.client().get("/v3/api-docs").expect(200).json().path("paths");
    for (Map.Entry<String, JsonNode> path : paths.properties()) {
      for (Map.Entry<String, JsonNode> operation : path.getValue().properties()) {
        if (METHODS.contains(operation.getKey())) {
          operations.add(new Operation(operation.getKey(), path.getKey(), operation.getValue()));
        }
      }
    }
    return operations;
  }

  private static Operation operation(String method, String path) {
    return operations().stream()
        .filter(operation -> operation.toString().equals(method + " " + path))
        .findFirst()
        .orElseThrow(() -> new AssertionError("there is no " + method + " " + path));
  }

  @Test
  void apiDescription_hasEveryOperation() {
    assertThat(operations().stream().map(Operation::toString))
        .contains(
            "post /encode",
            "get /info",
            "post /train",
            "get /train",
            "get /train/{id}",
            "delete /train/{id}",
            "get /codebooks",
            "get /codebooks/{name}",
            "post /codebooks/{name}/versions",
            "get /codebooks/{name}/versions/{version}",
            "get /codebooks/{name}/versions/{version}.safetensors",
            "delete /codebooks/{name}/versions/{version}",
            "put /codebooks/{name}/aliases/{alias}");
  }

  @Test
  void apiDescription_everyOperation_saysWhatItDoesAndHowItFails() {
    Set<String> cannotFail = Set.of("get /info", "get /v2", "get /v2/health/live");
    for (Operation operation : operations()) {
      assertThat(operation.json().path("summary").asString(""))
          .as(operation.toString())
          .isNotBlank();
      assertThat(operation.json().path("tags").size()).as(operation.toString()).isPositive();
      JsonNode responses = operation.json().path("responses");
      assertThat(responses.propertyNames())
          .as(operation.toString())
          .anyMatch(status -> status.startsWith("2"));
      var errors = new ArrayList<String>();
      for (String status : responses.propertyNames()) {
        if (status.startsWith("4") || status.startsWith("5")) {
          errors.add(status);
          // The Open Inference Protocol has sentences in place of codes.
          if (operation.toString().contains(" /v2")) {
            assertThat(responses.path(status).path("description").asString("")).isNotBlank();
            continue;
          }
          JsonNode problem =
              responses.path(status).path("content").path("application/problem+json");
          assertThat(problem.path("schema").path("properties").path("code").path("enum").size())
              .as("%s %s names its codes", operation, status)
              .isPositive();
        }
      }
      if (operation.toString().matches("\\w+ /(codebooks|train|encode/jobs).*")) {
        assertThat(responses.path("503").toString())
            .as("%s without its database", operation)
            .contains("STORE_UNAVAILABLE");
      }
      if (!cannotFail.contains(operation.toString())) {
        assertThat(errors).as(operation.toString()).isNotEmpty();
      }
      for (JsonNode parameter : operation.json().path("parameters")) {
        assertThat(parameter.path("in").asString()).isIn("query", "path", "header");
        if (parameter.path("in").asString().equals("query")) {
          // Two versions to compare have no default.
          assertThat(parameter.path("required").asBoolean(false))
              .as("%s %s", operation, parameter)
              .isEqualTo(
                  operation.toString().matches(".*/(reports|compare)")
                      && !parameter.path("name").asString().equals("dtype"));
        }
      }
    }
  }

  @Test
  void apiDescription_statusesOfSuccess_areThoseSent() {
    assertThat(operation("post", "/train").response("202").isMissingNode()).isFalse();
    assertThat(operation("post", "/train").response("200").isMissingNode()).isTrue();
    assertThat(operation("delete", "/train/{id}").response("202").isMissingNode()).isFalse();
    assertThat(operation("delete", "/train/{id}").response("200").isMissingNode()).isTrue();
    Operation upload = operation("post", "/codebooks/{name}/versions");
    assertThat(upload.response("201").isMissingNode()).isFalse();
    assertThat(upload.response("200").isMissingNode()).isTrue();
    Operation delete = operation("delete", "/codebooks/{name}/versions/{version}");
    assertThat(delete.response("204").isMissingNode()).isFalse();
    assertThat(delete.response("200").isMissingNode()).isTrue();
    JsonNode download =
        operation("get", "/codebooks/{name}/versions/{version}.safetensors").response("200");
    assertThat(download.path("content").has("application/octet-stream")).isTrue();
  }

  @Test
  void apiDescription_bodies_haveTypesAndExamples() {
    for (String[] call :
        new String[][] {
          {"post", "/encode"}, {"post", "/train"}, {"put", "/codebooks/{name}/aliases/{alias}"}
        }) {
      JsonNode json =
          operation(call[0], call[1])
              .json()
              .path("requestBody")
              .path("content")
              .path("application/json");
      assertThat(json.has("example") || json.path("examples").size() > 0)
          .as("%s %s has an example: %s", call[0], call[1], json)
          .isTrue();
    }
    for (String path : List.of("/encode", "/train")) {
      JsonNode content = operation("post", path).json().path("requestBody").path("content");
      assertThat(content.propertyNames())
          .containsExactlyInAnyOrder(
              "application/json", "application/octet-stream", "application/x-npy");
    }
    JsonNode answers = operation("post", "/encode").response("200").path("content");
    assertThat(answers.propertyNames())
        .containsExactlyInAnyOrder(
            "application/json", "application/octet-stream", "application/x-npy");
  }

  /** What Swagger UI sends when someone presses the button must not be refused for its form. */
  @Test
  void apiDescription_schemas_areNamedAsTheJsonIs() {
    JsonNode schemas = empty.client().get("/v3/api-docs").json().path("components").path("schemas");
    for (Map.Entry<String, JsonNode> schema : schemas.properties()) {
      for (String name : schema.getValue().path("properties").propertyNames()) {
        assertThat(name).as(schema.getKey()).matches("[a-z0-9_]+");
      }
    }
    assertThat(schemas.size()).isGreaterThan(5);
  }
}
