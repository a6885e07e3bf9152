package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.NPY;
import static dev.semanticid.service.ServiceClient.SMALL;
import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Codebook;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/**
 * {@code algorithm=lloyd}, {@code refine}, {@code beam_size} and {@code balance} over HTTP. Every
 * test has codebooks of its own.
 */
@ExtendWith(SharedService.Provider.class)
class BetterCodebooksIT {

  private static final int D = 16;
  private static final float[][] ROWS = Embeddings.rows(1000, D, 5);

  private static ServiceClient client;

  @BeforeAll
  static void start(SharedService shared) throws IOException {
    Path root = shared.root();
    Files.write(root.resolve("better.npy"), Embeddings.npy(ROWS));
    client = shared.client();
  }

  private static JsonNode train(String codebook, String more) {
    String query = SMALL.replace("&max_steps=30", "");
    return client.train("codebook=%s&%s%s".formatted(codebook, query, more), ROWS);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "algorithm=lloyd",
        "algorithm=lloyd&refine=5&beam_size=4",
        "algorithm=lloyd&refine=5&beam_size=4&normalize_residuals=false",
        "algorithm=lloyd&balance=true",
        "balance=true&normalize_residuals=false",
        "refine=3&beam_size=16",
      })
  void train_beyondTheReference_encodesByTheContract(String settings) {
    String codebook = settings.replaceAll("[^a-z0-9]", "");
    JsonNode job = train(codebook, "&" + settings);
    Codebook made = client.download(codebook, 1);
    int[][] codes = client.encode("codebook=" + codebook, ROWS).codes();
    assertThat(codes).isDeepEqualTo(Embeddings.reference(made, ROWS));
    boolean beam = settings.contains("beam_size");
    assertThat(made.settings().beamSize() > 1).isEqualTo(beam);
    // Lloyd's passes may even out the loads without weights.
    if (!settings.contains("lloyd") || !settings.contains("balance")) {
      assertThat(made.weighted()).isEqualTo(settings.contains("balance"));
    }
    JsonNode version = client.get("/codebooks/%s/versions/1".formatted(codebook)).json();
    assertThat(version.path("beam_size").asInt()).isEqualTo(made.settings().beamSize());
    assertThat(version.path("weighted").asBoolean()).isEqualTo(made.weighted());
    for (String setting : settings.split("&", -1)) {
      String name = setting.substring(0, setting.indexOf('='));
      String value = setting.substring(setting.indexOf('=') + 1);
      assertThat(version.path("provenance").path(name).asString()).as(name).isEqualTo(value);
      assertThat(job.path("parameters").path(name).asString()).as(name).isEqualTo(value);
    }
  }

  @Test
  void train_sameSeedAgain_givesTheSameVersion() {
    for (String settings :
        new String[] {"&algorithm=lloyd&refine=4&beam_size=3", "&algorithm=lloyd&balance=true"}) {
      String codebook = "again" + settings.length();
      train(codebook, settings);
      train(codebook, settings);
      assertThat(client.fingerprint(codebook, 2)).isEqualTo(client.fingerprint(codebook, 1));
    }
  }

  @Test
  void train_balanced_evensOutLoads() {
    train("loads", "&algorithm=lloyd");
    JsonNode job = train("loads", "&algorithm=lloyd&balance=true");
    for (JsonNode level : job.path("report").path("levels")) {
      assertThat(level.path("perplexity").asDouble())
          .isGreaterThan(0.95 * level.path("width").asInt());
    }
  }

  /** The beam is the codebook's, so a version uploaded again has it too. */
  @Test
  void upload_ofADownloadedVersion_isTheSameVersion() {
    train("file", "&beam_size=5");
    train("file", "&balance=true");
    for (int version = 1; version <= 2; version++) {
      client.upload("copy", client.safetensors("file", version), false);
      assertThat(client.fingerprint("copy", version))
          .isEqualTo(client.fingerprint("file", version));
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "algorithm=elkan | minibatch_kmeans or lloyd",
        "beam_size=0 | 1 to 64, got 0",
        "beam_size=65 | 1 to 64, got 65",
        "refine=-1 | 0 to 1000 rounds, got -1",
        "refine=1001 | 0 to 1000 rounds, got 1001",
        "tolerance=1 | [0, 1), got 1",
        "balance=true&beam_size=2 | got refine 0 and beam_size 2",
        "balance=true&refine=2 | got refine 2 and beam_size 1",
        "algorithm=lloyd&train_layer_wise=false | train_layer_wise must be true",
        "balance=maybe | true or false",
      })
  void train_settingsThatCannotBe_saysWhatCan(String settings, String message) {
    client
        .post("/train?codebook=refused&" + settings, NPY, Embeddings.npy(ROWS))
        .expectProblem(400, "INVALID_PARAMETER", message);
  }

  @Test
  void reports_ofTwoWaysOfTraining_standSideBySide() {
    train("two", "");
    train("two", "&algorithm=lloyd&refine=10");
    JsonNode reports = client.get("/codebooks/two/reports?from=1&to=2").json();
    assertThat(reports.path("change").path("reconstruction_mse").asDouble()).isNegative();
    assertThat(Arrays.asList(1, 2))
        .containsExactly(
            reports.path("from").path("version").asInt(),
            reports.path("to").path("version").asInt());
  }
}
