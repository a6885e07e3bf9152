package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.OCTETS;
import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Codebook;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import tools.jackson.databind.JsonNode;

/**
 * {@code /codebooks}: versions in and out, aliases, deletion. Every test has codebooks of its own.
 */
@ExtendWith(SharedService.Provider.class)
class CodebooksIT {

  private static final int D = 8;
  private static final float[][] ROWS = Embeddings.rows(30, D, 3);

  private static ServiceClient client;

  @BeforeAll
  static void start(SharedService shared) {
    client = shared.client();
  }

  private static Codebook codebook(long seed) {
    return Embeddings.codebook(D, seed, 6, 4);
  }

  private static void upload(String name, long... seeds) {
    for (long seed : seeds) {
      client.upload(name, Embeddings.safetensors(codebook(seed)), false);
    }
  }

  private static Answer move(String name, String alias, String body) {
    return client.put("/codebooks/%s/aliases/%s".formatted(name, alias), body);
  }

  @Test
  void upload_thenDownload_isTheSameFile() {
    byte[] file = Embeddings.safetensors(codebook(1));
    Answer answer = client.post("/codebooks/loop/versions", OCTETS, file).expect(201);
    assertThat(answer.header("Location")).isEqualTo("/codebooks/loop/versions/1");
    JsonNode stored = answer.json();
    assertThat(stored.path("codebook").asString()).isEqualTo("loop");
    assertThat(stored.path("version").asInt()).isEqualTo(1);
    assertThat(stored.path("fingerprint").asString()).isEqualTo(codebook(1).fingerprint());
    assertThat(stored.path("embedding_dim").asInt()).isEqualTo(D);
    assertThat(stored.path("codebook_widths").toString()).isEqualTo("[6,4]");
    assertThat(stored.path("normalize_residuals").asBoolean()).isTrue();
    assertThat(stored.path("size_bytes").asInt()).isEqualTo(file.length);
    assertThat(stored.path("aliases").size()).isZero();
    assertThat(Instant.parse(stored.path("created_at").asString())).isBefore(Instant.now());
    assertThat(client.get("/codebooks/loop/versions/1").expect(200).json()).isEqualTo(stored);
    Answer download = client.get("/codebooks/loop/versions/1.safetensors").expect(200);
    assertThat(download.body()).isEqualTo(file);
    assertThat(download.header("Content-Type")).isEqualTo(OCTETS);
    assertThat(download.header("Content-Length")).isEqualTo(Integer.toString(file.length));
    assertThat(download.header("Content-Disposition")).contains("loop-1.safetensors");
    assertThat(download.header("X-Codebook-Fingerprint")).isEqualTo(codebook(1).fingerprint());
  }

  @Test
  void trained_movedToAnotherCodebook_keepsEveryByte() {
    client.train(
        "codebook=moving&embedding_model=m&" + ServiceClient.SMALL, Embeddings.rows(600, D, 1));
    byte[] file = client.safetensors("moving", 1);
    JsonNode moved = client.upload("copied", file, true);
    assertThat(client.safetensors("copied", 1)).isEqualTo(file);
    assertThat(moved.path("fingerprint").asString()).isEqualTo(client.fingerprint("moving", 1));
    assertThat(moved.path("embedding_model").asString()).isEqualTo("m");
    assertThat(moved.path("provenance").path("seed").asString()).isEqualTo("42");
    assertThat(client.encode("codebook=copied", ROWS).codes())
        .isDeepEqualTo(client.encode("codebook=moving", ROWS).codes());
  }

  /** As another program would write it: tensors in another order, metadata of its own. */
  @Test
  void upload_foreignFile_isTakenByItsContent() {
    Codebook wanted = codebook(5);
    ByteBuffer data = ByteBuffer.allocate(4 * 10 * D).order(ByteOrder.LITTLE_ENDIAN);
    for (int level : new int[] {1, 0}) {
      for (float component : wanted.centroids(level).data()) {
        data.putFloat(component);
      }
    }
    String header =
        """
        {"level_0": {"dtype": "F32", "shape": [6, 8], "data_offsets": [128, 320]},
         "level_1": {"dtype": "F32", "shape": [4, 8], "data_offsets": [0, 128]},
         "__metadata__": {"normalize_residuals": "true", "framework": "GRID"}}   \
        """;
    JsonNode stored = client.upload("foreign", Embeddings.safetensors(header, data.array()), true);
    assertThat(stored.path("fingerprint").asString()).isEqualTo(wanted.fingerprint());
    assertThat(stored.path("provenance").path("framework").asString()).isEqualTo("GRID");
    assertThat(stored.path("aliases").toString()).isEqualTo("[\"active\"]");
    assertThat(client.encode("codebook=foreign", ROWS).codes())
        .isDeepEqualTo(Embeddings.reference(wanted, ROWS));
  }

  @Test
  void upload_withAnEmbeddingModel_isHeldToIt() {
    byte[] file = Embeddings.safetensors(codebook(1));
    JsonNode stored =
        client
            .post("/codebooks/modelled/versions?activate=true&embedding_model=m1", OCTETS, file)
            .expect(201)
            .json();
    assertThat(stored.path("embedding_model").asString()).isEqualTo("m1");
    client
        .post(
            "/encode?codebook=modelled", OCTETS, Embeddings.octets(ROWS), "X-Embedding-Model", "m2")
        .expectProblem(409, "EMBEDDING_MODEL_MISMATCH", "m1", "m2");
  }

  @Test
  void upload_withoutActivation_isServedOnlyWhenAskedFor() {
    upload("quiet", 1);
    client
        .post("/encode?codebook=quiet", OCTETS, Embeddings.octets(ROWS))
        .expectProblem(404, "UNKNOWN_VERSION", "[1]");
    assertThat(client.encode("codebook=quiet&version=1", ROWS).version()).isEqualTo(1);
    assertThat(client.state("quiet")).isEqualTo(Map.of("active", 0, "versions", List.of(1)));
    client.activate("quiet", 1);
    assertThat(client.encode("codebook=quiet", ROWS).version()).isEqualTo(1);
  }

  @Test
  void list_codebooks_namesActiveAndVersions() {
    upload("list-b", 1, 2);
    upload("list-a", 1);
    client.activate("list-b", 1);
    List<JsonNode> listed =
        client.get("/codebooks").expect(200).json().path("codebooks").valueStream().toList();
    assertThat(listed.stream().map(codebook -> codebook.path("codebook").asString())).isSorted();
    JsonNode b =
        listed.stream()
            .filter(codebook -> codebook.path("codebook").asString().equals("list-b"))
            .findFirst()
            .orElseThrow();
    assertThat(b.path("active").asInt()).isEqualTo(1);
    assertThat(b.path("versions").toString()).isEqualTo("[2,1]");
    JsonNode details = client.get("/codebooks/list-b").expect(200).json();
    assertThat(details.path("active").asInt()).isEqualTo(1);
    assertThat(details.path("versions").get(0))
        .isEqualTo(client.get("/codebooks/list-b/versions/2").json());
    assertThat(details.path("versions").get(1).path("aliases").toString())
        .isEqualTo("[\"active\"]");
  }

  @Test
  void activate_backAndForth_changesWhatIsServedAtOnce() {
    upload("rollback", 1, 2, 3);
    for (int version : new int[] {1, 3, 2, 2, 1, 3}) {
      JsonNode moved =
          move("rollback", "active", String.format(Locale.ROOT, "{\"version\": %d}", version))
              .expect(200)
              .json();
      assertThat(moved.path("codebook").asString()).isEqualTo("rollback");
      assertThat(moved.path("alias").asString()).isEqualTo("active");
      assertThat(moved.path("version").asInt()).isEqualTo(version);
      ServiceClient.Encoded encoded = client.encode("codebook=rollback", ROWS);
      assertThat(encoded.version()).isEqualTo(version);
      assertThat(encoded.fingerprint()).isEqualTo(codebook(version).fingerprint());
      assertThat(encoded.codes()).isDeepEqualTo(Embeddings.reference(codebook(version), ROWS));
    }
  }

  @Test
  void alias_withExpected_isCompareAndSet() {
    upload("cas", 1, 2, 3);
    for (String alias : List.of("active", "canary")) {
      move("cas", alias, "{\"version\": 2, \"expected\": 1}")
          .expectProblem(409, "ALIAS_CONFLICT", "version 1", "no version");
      move("cas", alias, "{\"version\": 1}").expect(200);
      move("cas", alias, "{\"version\": 2, \"expected\": 1}").expect(200);
      Answer conflict =
          move("cas", alias, "{\"version\": 3, \"expected\": 1}")
              .expectProblem(409, "ALIAS_CONFLICT", "version 1", "version 2");
      assertThat(conflict.json().path("expected").asInt()).isEqualTo(1);
      assertThat(conflict.json().path("actual").asInt()).isEqualTo(2);
      // also where the version it would move to is the one it is at
      move("cas", alias, "{\"version\": 2, \"expected\": 3}")
          .expectProblem(409, "ALIAS_CONFLICT", "version 3", "version 2");
      assertThat(client.encode("codebook=cas&version=" + alias, ROWS).version()).isEqualTo(2);
      move("cas", alias, "{\"version\": 2, \"expected\": null}").expect(200);
    }
  }

  @Test
  void delete_aliasedVersion_isRefusedUntilTheAliasMoves() {
    upload("deleted", 1, 2, 3);
    client.activate("deleted", 2);
    move("deleted", "canary", "{\"version\": 2}").expect(200);
    client.encode("codebook=deleted&version=1", ROWS);
    Answer refused =
        client
            .delete("/codebooks/deleted/versions/2")
            .expectProblem(409, "VERSION_IN_USE", "active", "canary");
    assertThat(refused.json().path("aliases").toString()).isEqualTo("[\"active\",\"canary\"]");
    client.activate("deleted", 3);
    client.delete("/codebooks/deleted/versions/2").expectProblem(409, "VERSION_IN_USE", "canary");
    client.delete("/codebooks/deleted/aliases/active").expectProblem(400, "INVALID_PARAMETER");
    client.delete("/codebooks/deleted/aliases/canary").expect(204);
    client
        .delete("/codebooks/deleted/aliases/canary")
        .expectProblem(404, "UNKNOWN_VERSION", "canary", "[active]");
    client
        .post("/encode?codebook=deleted&version=canary", OCTETS, Embeddings.octets(ROWS))
        .expectProblem(404, "UNKNOWN_VERSION", "canary");
    for (int version : new int[] {1, 2}) {
      String path = "/codebooks/deleted/versions/" + version;
      Answer done = client.delete(path).expect(204);
      assertThat(done.body()).isEmpty();
      client.delete(path).expectProblem(404, "UNKNOWN_VERSION", version, "[3");
      client.get(path).expectProblem(404, "UNKNOWN_VERSION");
      client.get(path + ".safetensors").expectProblem(404, "UNKNOWN_VERSION");
      client
          .post("/encode?codebook=deleted&version=" + version, OCTETS, Embeddings.octets(ROWS))
          .expectProblem(404, "UNKNOWN_VERSION", version);
      move("deleted", "active", String.format(Locale.ROOT, "{\"version\": %d}", version))
          .expectProblem(404, "UNKNOWN_VERSION", version);
    }
    assertThat(client.state("deleted")).isEqualTo(Map.of("active", 3, "versions", List.of(3)));
    assertThat(client.encode("codebook=deleted", ROWS).version()).isEqualTo(3);
  }

  @Test
  void version_deleted_isNeverGivenAgain() {
    upload("numbers", 1, 2);
    client.delete("/codebooks/numbers/versions/2").expect(204);
    assertThat(
            client
                .upload("numbers", Embeddings.safetensors(codebook(3)), false)
                .path("version")
                .asInt())
        .isEqualTo(3);
    client.delete("/codebooks/numbers/versions/1").expect(204);
    client.delete("/codebooks/numbers/versions/3").expect(204);
    client.get("/codebooks/numbers").expectProblem(404, "UNKNOWN_CODEBOOK");
    assertThat(client.get("/codebooks").text()).doesNotContain("numbers");
    assertThat(
            client
                .upload("numbers", Embeddings.safetensors(codebook(4)), true)
                .path("version")
                .asInt())
        .isEqualTo(4);
    assertThat(client.encode("codebook=numbers", ROWS).codes())
        .isDeepEqualTo(Embeddings.reference(codebook(4), ROWS));
  }

  @Test
  void versions_moreThanStayResident_areAllServedExactly() {
    upload("many", 1, 2, 3, 4, 5, 6, 7);
    client.activate("many", 7);
    for (int round = 0; round < 3; round++) {
      for (int version = 1; version <= 7; version++) {
        assertThat(client.encode("codebook=many&version=" + version, ROWS).codes())
            .isDeepEqualTo(Embeddings.reference(codebook(version), ROWS));
      }
    }
    JsonNode info = client.get("/info").expect(200).json();
    assertThat(
            info.path("codebooks")
                .valueStream()
                .filter(resident -> resident.path("codebook").asString().equals("many"))
                .count())
        .as("resident versions: the active one and a few others")
        .isBetween(2L, 5L);
  }
}
