package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Codebook;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** Screening in 8 bits changes how codes are found, what is measured of it, and never a code. */
class ScreeningIT {

  private static final int LEVELS = 3;
  private static final int WIDTH = 40;
  private static final float[][] ROWS = Embeddings.rows(700, 48, 1);
  private static final Codebook CODEBOOK = Embeddings.codebook(48, 2, WIDTH, WIDTH, WIDTH);
  private static final int[][] EXPECTED = Embeddings.reference(CODEBOOK, ROWS);

  @Test
  void always_usesInt8ProductsAndTellsWhatTheyDo(@TempDir Path folder) {
    try (ServiceProcess service =
        ServiceProcess.start(
            folder.resolve("data"), ServiceProcess.QUICK_START, "--semantic-id.screening=always")) {
      ServiceClient client = service.client();
      client.upload("items", Embeddings.safetensors(CODEBOOK), true);
      assertThat(resident(client).path("plan").asString()).isEqualTo("int8");
      assertThat(resident(client).path("screening").isObject())
          .as("screening before the first row")
          .isFalse();

      assertSameCodes(client);

      JsonNode info = client.get("/info").expect(200).json();
      assertThat(info.path("screening_device").asString())
          .matches("oneDNN [0-9.]+, .+, (255|127) steps");
      JsonNode screening = resident(client).path("screening");
      assertThat(screening.path("rows").asLong()).isEqualTo(2L * ROWS.length);
      assertThat(screening.path("survivors_per_row").size()).isEqualTo(LEVELS);
      for (JsonNode survivors : screening.path("survivors_per_row")) {
        assertThat(survivors.asDouble()).isBetween(1.0, WIDTH / 2.0);
      }
      // Norms of two levels need one each.
      double products = screening.path("float64_products_per_row").asDouble();
      assertThat(products).isBetween(2.0, LEVELS * WIDTH / 2.0);

      for (int l = 0; l < LEVELS; l++) {
        assertThat(
                client.metric(
                    String.format(
                        Locale.ROOT,
                        "semantic_id_screening_survivors{codebook=\"items\",level=\"%d\"}",
                        l)))
            .isEqualTo(screening.path("survivors_per_row").get(l).asDouble());
      }
      assertThat(client.metric("semantic_id_screening_float64_products{codebook=\"items\"}"))
          .isEqualTo(products);
      assertThat(client.metric("semantic_id_encode_rescored{codebook=\"items\"}"))
          .isBetween(0.0, 0.01);
    }
  }

  @Test
  void never_usesFloat32AndMeasuresNoScreening(@TempDir Path folder) {
    try (ServiceProcess service =
        ServiceProcess.start(
            folder.resolve("data"), ServiceProcess.QUICK_START, "--semantic-id.screening=never")) {
      ServiceClient client = service.client();
      client.upload("items", Embeddings.safetensors(CODEBOOK), true);
      assertSameCodes(client);
      assertNoScreening(client);
      assertThat(service.log()).contains("8-bit products: none");
      assertThat(service.log()).doesNotContain(" WARN ");
    }
  }

  @Test
  void auto_takesOneOfBothAndSaysWhy(@TempDir Path folder) {
    try (ServiceProcess service =
        ServiceProcess.start(
            folder.resolve("data"), ServiceProcess.QUICK_START, "--semantic-id.screening=auto")) {
      ServiceClient client = service.client();
      client.upload("items", Embeddings.safetensors(CODEBOOK), true);
      assertSameCodes(client);
      JsonNode resident = resident(client);
      assertThat(resident.path("plan").asString()).isIn("int8", "float32");
      assertThat(resident.path("plan_reason").asString())
          .containsPattern("float32 took [0-9.]+ µs a row and int8 [0-9.]+");
      JsonNode info = client.get("/info").expect(200).json();
      assertThat(info.path("screening_device").asString()).startsWith("oneDNN ");
    }
  }

  /** As on a platform that there is no oneDNN for. */
  @Test
  void noLibrary_saysSoOnceAndEncodesWithoutIt(@TempDir Path folder) throws IOException {
    Path jar = folder.resolve("without-library.jar");
    copyWithoutLibrary(ServiceProcess.jar(), jar);
    try (ServiceProcess service =
        ServiceProcess.startJar(
            jar,
            folder.resolve("data"),
            ServiceProcess.QUICK_START,
            "--semantic-id.screening=always")) {
      ServiceClient client = service.client();
      client.upload("items", Embeddings.safetensors(CODEBOOK), true);
      assertSameCodes(client);
      assertNoScreening(client);
      List<String> warnings = service.log().lines().filter(line -> line.contains("8-bit")).toList();
      assertThat(warnings).hasSize(2);
      assertThat(warnings.getFirst())
          .contains(" WARN ", "no screening by 8-bit products, encoding is slower");
      assertThat(warnings.getLast()).contains("computing on nd4j", "8-bit products: none");
      assertThat(service.log()).doesNotContain("\tat ", " ERROR ");
    }
  }

  private static void assertNoScreening(ServiceClient client) {
    assertThat(resident(client).path("plan").asString()).isEqualTo("float32");
    assertThat(resident(client).path("screening").isObject()).isFalse();
    JsonNode info = client.get("/info").expect(200).json();
    assertThat(info.path("backend").asString()).isEqualTo("nd4j");
    assertThat(info.path("screening_device").isString()).isFalse();
    assertThat(client.metric("semantic_id_screening_survivors{codebook=\"items\",level=\"0\"}"))
        .isNaN();
    assertThat(client.metric("semantic_id_screening_float64_products{codebook=\"items\"}")).isNaN();
    assertThat(client.metric("semantic_id_encode_rescored{codebook=\"items\"}"))
        .isBetween(0.0, 0.01);
  }

  private static void assertSameCodes(ServiceClient client) {
    assertThat(client.encode("codebook=items", ROWS).codes()).isDeepEqualTo(EXPECTED);
    assertThat(client.encodeJson("codebook=items", ROWS).codes()).isDeepEqualTo(EXPECTED);
  }

  private static JsonNode resident(ServiceClient client) {
    return client.get("/info").expect(200).json().path("codebooks").get(0);
  }

  private static void copyWithoutLibrary(Path jar, Path copy) throws IOException {
    int left = 0;
    try (var from = new JarFile(jar.toFile());
        var to = new JarOutputStream(Files.newOutputStream(copy))) {
      for (JarEntry entry : (Iterable<JarEntry>) from.stream()::iterator) {
        if (entry.getName().matches("BOOT-INF/lib/dnnl-[^/]*-[a-z]+-[^/]*\\.jar")) {
          left++;
          continue;
        }
        // nested jars must stay as they are, not compressed
        to.putNextEntry(new JarEntry(entry));
        try (var bytes = from.getInputStream(entry)) {
          bytes.transferTo(to);
        }
        to.closeEntry();
      }
    }
    assertThat(left).as("libraries of oneDNN left out").isPositive();
  }
}
