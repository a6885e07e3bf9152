package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.SMALL;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import tools.jackson.databind.JsonNode;

/** {@code GET /codebooks/{name}/reports}: two versions side by side. */
@ExtendWith(SharedService.Provider.class)
class ReportsIT {

  private static final int D = 16;
  private static final float[][] ROWS = Embeddings.rows(600, D, 1);

  private static ServiceClient client;

  /** Versions: two trained ones with rows held out, one of another shape, one uploaded. */
  @BeforeAll
  static void start(SharedService shared) {
    client = shared.client();
    client.train("codebook=side&holdout_fraction=0.1&" + SMALL, ROWS);
    client.train("codebook=side&holdout_fraction=0.2&seed=9&" + SMALL, ROWS);
    client.train("codebook=side&codebook_width=4,16", ROWS);
    client.upload("side", Embeddings.safetensors(Embeddings.codebook(D, 1, 8, 8)), false);
  }

  private static JsonNode reports(String from, String to) {
    return client
        .get("/codebooks/side/reports?from=%s&to=%s".formatted(from, to))
        .expect(200)
        .json();
  }

  private static JsonNode report(int version) {
    return client.get("/codebooks/side/versions/" + version).expect(200).json().path("report");
  }

  private static void assertDifference(JsonNode from, JsonNode to, JsonNode change) {
    for (String name :
        List.of(
            "rows", "mse", "reconstruction_mse", "unique_ratio", "colliding_share", "max_group")) {
      assertDifference(name, from, to, change);
    }
    for (JsonNode level : change.path("levels")) {
      int l = level.path("level").asInt();
      for (String name :
          List.of(
              "inertia",
              "residual_norm_ratio",
              "coverage",
              "dead_codes",
              "entropy",
              "perplexity")) {
        assertDifference(name, from.path("levels").get(l), to.path("levels").get(l), level);
      }
    }
  }

  private static void assertDifference(String name, JsonNode from, JsonNode to, JsonNode change) {
    assertThat(change.path(name).asDouble())
        .as(name)
        .isEqualTo(to.path(name).asDouble() - from.path(name).asDouble());
    assertThat(change.path(name).isNumber()).as(name).isTrue();
  }

  @Test
  void reports_ofTwoVersions_standSideBySideWithTheirDifference() {
    JsonNode both = reports("1", "2");
    assertThat(both.path("codebook").asString()).isEqualTo("side");
    for (int version : new int[] {1, 2}) {
      JsonNode side = both.path(version == 1 ? "from" : "to");
      assertThat(side.path("version").asInt()).isEqualTo(version);
      assertThat(side.path("fingerprint").asString())
          .isEqualTo(client.fingerprint("side", version));
      assertThat(side.path("report")).isEqualTo(report(version));
    }
    JsonNode change = both.path("change");
    assertThat(change.path("levels").size()).isEqualTo(3);
    assertDifference(report(1), report(2), change);
    assertThat(change.path("rows").asInt()).isNegative();
    JsonNode holdout = change.path("holdout");
    assertThat(holdout.path("rows").asInt()).isPositive();
    assertDifference(report(1).path("holdout"), report(2).path("holdout"), holdout);
    assertThat(reports("2", "2").path("change").path("mse").asDouble(1)).isZero();
  }

  @Test
  void reports_ofAnAliasOrAnotherShape_compareWhatBothHave() {
    JsonNode both = reports("1", "active");
    assertThat(both.path("to").path("version").asInt()).isEqualTo(3);
    JsonNode change = both.path("change");
    assertThat(change.path("levels").size()).isEqualTo(2);
    assertThat(change.has("holdout")).isFalse();
    assertDifference(report(1), report(3), change);
  }

  @Test
  void reports_ofAnUploadedVersion_areNull() {
    for (String[] sides : new String[][] {{"1", "4"}, {"4", "1"}, {"4", "4"}}) {
      JsonNode both = reports(sides[0], sides[1]);
      var without = new ArrayList<String>();
      for (String side : List.of("from", "to")) {
        assertThat(both.path(side).has("report")).isTrue();
        if (both.path(side).path("report").isNull()) {
          without.add(both.path(side).path("version").asString());
        }
      }
      assertThat(without).containsOnly("4");
      assertThat(both.has("change")).isTrue();
      assertThat(both.path("change").isNull()).isTrue();
    }
  }

  @Test
  void reports_ofWhatIsNotThere_areRefused() {
    String path = "/codebooks/side/reports?";
    client.get(path + "from=1").expectProblem(400, "INVALID_PARAMETER", "to");
    client.get(path + "to=1").expectProblem(400, "INVALID_PARAMETER", "from");
    client
        .get(path + "from=1&to=2&unit=x")
        .expectProblem(400, "UNKNOWN_PARAMETER", "unit", "from", "to");
    client
        .get(path + "from=1&to=9")
        .expectProblem(404, "UNKNOWN_VERSION", "9", "[4, 3, 2, 1]", "active");
    client.get(path + "from=best&to=1").expectProblem(404, "UNKNOWN_VERSION", "best");
    client
        .get("/codebooks/none/reports?from=1&to=2")
        .expectProblem(404, "UNKNOWN_CODEBOOK", "none", "side");
    String description = client.get("/v3/api-docs").expect(200).text();
    assertThat(description).contains("/codebooks/{name}/reports", "init_from", "holdout_fraction");
  }
}
