package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.semanticid.core.codebook.Codebook;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import tools.jackson.databind.JsonNode;

/** Two versions compared by a sample: what was renumbered, and what drifted. */
@ExtendWith(SharedService.Provider.class)
class CompareIT {

  private static final int D = 16;
  private static final float[][] ROWS = Embeddings.rows(400, D, 2);
  private static ServiceClient client;

  @BeforeAll
  static void start(SharedService shared) {
    client = shared.client();
  }

  private static JsonNode compare(String name, String query) {
    return client
        .post(
            "/codebooks/%s/compare?%s".formatted(name, query),
            ServiceClient.OCTETS,
            Embeddings.octets(ROWS))
        .expect(200)
        .json();
  }

  /** The same centroids, each level's in reverse order. */
  private static Codebook reversed(Codebook codebook) {
    List<float[]> levels = new ArrayList<>();
    for (int l = 0; l < codebook.levels(); l++) {
      float[] data = codebook.centroids(l).data();
      float[] turned = new float[data.length];
      int width = codebook.width(l);
      for (int k = 0; k < width; k++) {
        System.arraycopy(data, k * D, turned, (width - 1 - k) * D, D);
      }
      levels.add(turned);
    }
    return Codebook.of(codebook.settings(), D, levels, codebook.provenance());
  }

  @Test
  void compare_renumberedVersion_changesAllIdsBeforeMatchingAndNoneAfterIt() {
    Codebook first = Embeddings.codebook(D, 1, 8, 6, 10);
    client.upload("renumbered", Embeddings.safetensors(first), true);
    client.upload("renumbered", Embeddings.safetensors(reversed(first)), false);
    JsonNode compared = compare("renumbered", "from=active&to=2");
    assertThat(compared.path("from").asInt()).isEqualTo(1);
    assertThat(compared.path("to").asInt()).isEqualTo(2);
    assertThat(compared.path("rows").asInt()).isEqualTo(ROWS.length);
    assertThat(compared.path("changed").asDouble()).isEqualTo(1);
    assertThat(compared.path("changed_after_matching").asDouble()).isZero();
    for (JsonNode level : compared.path("levels")) {
      assertThat(level.path("changed").asDouble()).isEqualTo(1);
      assertThat(level.path("changed_after_matching").asDouble()).isZero();
      assertThat(level.path("mean_shift").asDouble()).isZero();
    }
    assertThat(compared.path("levels").path(0).path("renumbered").asInt()).isEqualTo(8);
    JsonNode same = compare("renumbered", "from=2&to=2");
    assertThat(same.path("changed").asDouble()).isZero();
  }

  @Test
  void compare_otherCentroids_tellsTheShareOfIdsThatDiffer() {
    Codebook first = Embeddings.codebook(D, 1, 8, 8);
    Codebook second = Embeddings.codebook(D, 2, 8, 8);
    client.upload("other", Embeddings.safetensors(first), true);
    client.upload("other", Embeddings.safetensors(second), false);
    int[][] before = Embeddings.reference(first, ROWS);
    int[][] after = Embeddings.reference(second, ROWS);
    int changed = 0;
    int[] ofLevel = new int[2];
    for (int row = 0; row < ROWS.length; row++) {
      changed += Arrays.equals(before[row], after[row]) ? 0 : 1;
      for (int l = 0; l < 2; l++) {
        ofLevel[l] += before[row][l] == after[row][l] ? 0 : 1;
      }
    }
    JsonNode compared = compare("other", "from=1&to=2");
    assertThat(compared.path("changed").asDouble())
        .isCloseTo((double) changed / ROWS.length, within(1e-12));
    for (int l = 0; l < 2; l++) {
      JsonNode level = compared.path("levels").path(l);
      assertThat(level.path("changed").asDouble())
          .isCloseTo((double) ofLevel[l] / ROWS.length, within(1e-12));
      assertThat(level.path("changed_after_matching").asDouble()).isPositive();
      assertThat(level.path("mean_shift").asDouble()).isPositive();
    }
  }

  @Test
  void compare_whatCannotBe_isRefused() {
    client.upload("odd", Embeddings.safetensors(Embeddings.codebook(D, 1, 8, 8)), true);
    client.upload("odd", Embeddings.safetensors(Embeddings.codebook(D, 1, 8)), false);
    client.upload("odd", Embeddings.safetensors(Embeddings.codebook(D, 1, 8, 9)), false);
    byte[] rows = Embeddings.octets(ROWS);
    client
        .post("/codebooks/odd/compare?from=1&to=2", ServiceClient.OCTETS, rows)
        .expectProblem(422, "CODEBOOK_MISMATCH");
    client
        .post("/codebooks/odd/compare?from=1&to=9", ServiceClient.OCTETS, rows)
        .expectProblem(404, "UNKNOWN_VERSION");
    client
        .post("/codebooks/odd/compare?from=1", ServiceClient.OCTETS, rows)
        .expectProblem(400, "INVALID_PARAMETER");
    JsonNode widths = compare("odd", "from=1&to=3");
    assertThat(widths.has("changed_after_matching")).as("widths differ").isFalse();
    assertThat(widths.path("levels").path(0).has("changed_after_matching")).isTrue();
    assertThat(widths.path("levels").path(1).has("changed_after_matching")).isFalse();
  }
}
