package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.NPY;
import static dev.semanticid.service.ServiceClient.OCTETS;
import static dev.semanticid.service.ServiceClient.SMALL;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How many codebooks there may be, and that nothing is left of one that is deleted. */
class CodebookNamesIT {

  private static final int D = 8;
  private static final int MOST = 3;
  private static final float[][] ROWS = Embeddings.rows(200, D, 3);
  private static final byte[] FILE = Embeddings.safetensors(Embeddings.codebook(D, 1, 6, 4));
  private static final String ENDLESS = SMALL.replace("max_steps=30", "max_steps=2000000000");

  private Path folder;
  private ServiceProcess service;
  private ServiceClient client;

  @BeforeEach
  void start(@TempDir Path temp) throws IOException {
    folder = temp.toRealPath();
    service =
        ServiceProcess.start(
            folder.resolve("data"),
            "-Xmx921m",
            "-XX:+ExitOnOutOfMemoryError",
            "--semantic-id.data-root=" + folder,
            "--semantic-id.store.poll-interval=200ms",
            "--semantic-id.codebooks.max-names=" + MOST);
    client = service.client();
  }

  @AfterEach
  void stop() {
    service.close();
  }

  private List<String> metrics() {
    return client
        .get("/actuator/prometheus")
        .expect(200)
        .text()
        .lines()
        .filter(line -> line.startsWith("semantic_id_"))
        .map(line -> line.substring(0, line.lastIndexOf(' ')))
        .toList();
  }

  private long metricsOf(String codebook) {
    return metrics().stream()
        .filter(line -> line.contains("codebook=\"%s\"".formatted(codebook)))
        .count();
  }

  /** Uploads one and encodes with it, so that it has all its meters. */
  private void use(String codebook) {
    client.upload(codebook, FILE, true);
    client.encode("codebook=" + codebook, ROWS);
    assertThat(metricsOf(codebook)).isGreaterThan(10);
  }

  @Test
  void codebook_deleted_leavesNoMetersAndMakesRoom() throws IOException {
    use("one");
    use("two");
    List<String> before = metrics();
    use("three");
    tooManyAreRefused();
    // Another version of a codebook is not another codebook.
    client.upload("two", FILE, true);

    client.delete("/codebooks/three").expect(204);
    assertThat(metricsOf("three")).isZero();
    assertThat(metrics()).hasSameElementsAs(before);
    client.get("/codebooks/three").expectProblem(404, "UNKNOWN_CODEBOOK", "one, two");
    client.delete("/codebooks/three").expectProblem(404, "UNKNOWN_CODEBOOK");
    client
        .post("/encode?codebook=three", OCTETS, Embeddings.octets(ROWS))
        .expectProblem(404, "UNKNOWN_CODEBOOK");
    assertThat(client.get("/info").text()).doesNotContain("three");
    assertThat(client.encode("codebook=two", ROWS).version()).isEqualTo(2);

    use("four");
    client.delete("/codebooks/four").expect(204);
    assertThat(client.upload("three", FILE, true).path("version").asInt()).isEqualTo(2);
    assertThat(client.encode("codebook=three", ROWS).version()).isEqualTo(2);
    assertThat(metricsOf("three")).isGreaterThan(10);
  }

  private void tooManyAreRefused() throws IOException {
    for (String call :
        List.of("/codebooks/four/versions", "/train?codebook=four&embedding_dim=" + D)) {
      // No byte of the body is sent.
      try (var connection = new RawConnection(client.port())) {
        connection
            .head(
                "POST " + call,
                "Content-Type: " + OCTETS,
                "Content-Length: 1000000",
                "Expect: 100-continue",
                "Connection: close")
            .receive()
            .expectProblem(409, "TOO_MANY_CODEBOOKS", "semantic-id.codebooks.max-names", MOST);
      }
    }
    Files.write(folder.resolve("rows.npy"), Embeddings.npy(ROWS));
    client
        .post(
            "/train",
            "{\"codebook\": \"four\", \"source\": {\"uri\": \"file://%s/rows.npy\"}}"
                .formatted(folder))
        .expectProblem(409, "TOO_MANY_CODEBOOKS");
    client
        .post("/train?codebook=four&" + SMALL, NPY, Embeddings.npy(ROWS), "Idempotency-Key", "k")
        .expectProblem(409, "TOO_MANY_CODEBOOKS");
    assertThat(service.spooled()).isEmpty();
  }

  @Test
  void training_underWay_keepsRoomForItsCodebook() {
    use("one");
    use("two");
    String[] key = {"Idempotency-Key", "k"};
    String path = "/train?codebook=three&" + ENDLESS;
    String location =
        client.post(path, NPY, Embeddings.npy(ROWS), key).expect(202).header("Location");
    client
        .post("/codebooks/four/versions", OCTETS, FILE)
        .expectProblem(409, "TOO_MANY_CODEBOOKS", "unfinished jobs");
    assertThat(client.post(path, NPY, Embeddings.npy(ROWS), key).expect(202).header("Location"))
        .isEqualTo(location);
    client.upload("three", FILE, true);
    client
        .delete("/codebooks/three")
        .expectProblem(409, "VERSION_IN_USE", location.substring("/train/".length()));
    client.delete(location).expect(202);
    client.awaitJob(location);
    client.delete("/codebooks/three").expect(204);
    client.upload("four", FILE, false);
    // Sent again, the training is the one that was there, though there is no room for its codebook.
    assertThat(client.post(path, NPY, Embeddings.npy(ROWS), key).expect(202).header("Location"))
        .isEqualTo(location);
    client.delete("/codebooks/four/versions/1").expect(204);
    client.train("codebook=three&" + SMALL, ROWS);
  }

  /** As a replica sees that another one has deleted a codebook. */
  @Test
  void codebook_deletedElsewhere_leavesNoMetersHere() throws SQLException {
    use("one");
    List<String> before = metrics();
    use("two");
    try (Connection database = TestStore.connect(folder.resolve("data"));
        var statement = database.createStatement()) {
      statement.execute("DELETE FROM codebook_alias WHERE name = 'two'");
      statement.execute("DELETE FROM codebook_version WHERE name = 'two'");
    }
    Await.until(
        "the meters are gone", () -> metricsOf("two") == 0, () -> String.join("\n", metrics()));
    assertThat(metrics()).hasSameElementsAs(before);
    client
        .post("/encode?codebook=two", OCTETS, Embeddings.octets(ROWS))
        .expectProblem(404, "UNKNOWN_CODEBOOK");
  }
}
