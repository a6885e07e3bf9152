package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Passwords and signatures in addresses are refused, and neither stored, shown nor logged. */
class AddressSecretsIT {

  private static final String SECRET = "hush";
  private static final String SOURCE = "s3://AKIA:hush@bucket/key.npy";
  private static final String PRESIGNED =
      "s3://bucket/key.npy?X-Amz-Credential=hush%2F20260101&X-Amz-Security-Token=hush&X-Amz-Signature=hush";

  private static ServiceProcess service;
  private static ServiceClient client;
  private static Path dataDir;

  @BeforeAll
  static void start(@TempDir Path folder) {
    dataDir = folder.resolve("data");
    service =
        ServiceProcess.start(
            dataDir,
            "-Xmx921m",
            "-XX:+ExitOnOutOfMemoryError",
            "--semantic-id.data-root=" + folder,
            "--semantic-id.s3.allowed=s3://bucket/");
    client = service.client();
    client.upload("default", Embeddings.safetensors(Embeddings.codebook(8, 1, 6, 4)), true);
  }

  @AfterAll
  static void stop() {
    assertThat(service.log()).doesNotContain(SECRET);
    service.close();
  }

  private static Answer encode(String source, String destination) {
    return client.post(
        "/encode/jobs",
        "{\"source\": {\"uri\": \"%s\"}, \"destination\": {\"uri\": \"%s\"}}"
            .formatted(source, destination));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        SOURCE,
        PRESIGNED,
        "s3://AKIA:x/hush@bucket/key.npy",
        "s3://AKIA%3Ahush%40bucket/key.npy",
        "https://bucket.s3.amazonaws.com/key.npy?X-Amz-Signature=hush",
        "file://user:hush@host/key.npy"
      })
  void submit_addressWithASecret_isRefusedAndNotRepeated(String address) {
    for (Answer refused :
        new Answer[] {
          client
              .post("/train", "{\"source\": {\"uri\": \"%s\"}}".formatted(address))
              .expectProblem(422, "UNSUPPORTED_SOURCE", "credentials", "AWS tools"),
          encode(address, "s3://bucket/out.npy")
              .expectProblem(422, "UNSUPPORTED_SOURCE", "credentials", "AWS tools"),
          encode("s3://bucket/key.npy", address)
              .expectProblem(422, "DESTINATION_INVALID", "credentials", "AWS tools")
        }) {
      assertThat(refused.text()).doesNotContain(SECRET);
    }
    assertThat(client.get("/train").text() + client.get("/encode/jobs").text())
        .doesNotContain(SECRET);
  }

  /** What an earlier version of the service stored stays, and is shown without its secrets. */
  @Test
  void view_ofWhatWasStoredWithSecrets_isWithoutThem() throws SQLException {
    try (Connection database = TestStore.connect(dataDir);
        var jobs =
            database.prepareStatement(
                "INSERT INTO job (id, kind, codebook, version, state, request, parameters,"
                    + " error_code, error_detail, result, created_at, finished_at) VALUES (?, ?,"
                    + " 'default', 1, ?, '{}', ?, ?, ?, ?, '2026-11-22T10:00:00.000Z',"
                    + " '2026-11-26T10:00:00.000Z')");
        var versions =
            database.prepareStatement(
                "UPDATE codebook_version SET provenance = ? WHERE name = 'default'")) {
      String parameters = "{\"source\": \"%s\", \"destination\": \"%s\"}";
      Object[][] rows = {
        {
          "failed",
          "training",
          "failed",
          parameters.formatted(SOURCE, ""),
          "SOURCE_NOT_FOUND",
          PRESIGNED + ": there is no such object",
          null
        },
        {
          "done",
          "encoding",
          "succeeded",
          parameters.formatted(PRESIGNED, SOURCE),
          null,
          null,
          "{\"destination\": \"%s\", \"fingerprint\": \"f\", \"rows\": 1, \"skipped_rows\": 0,"
                  .formatted(SOURCE)
              + " \"size_bytes\": 1}"
        }
      };
      for (Object[] row : rows) {
        for (int i = 0; i < row.length; i++) {
          jobs.setObject(i + 1, row[i]);
        }
        jobs.executeUpdate();
      }
      versions.setString(1, "{\"source\": \"%s\", \"seed\": \"42\"}".formatted(PRESIGNED));
      versions.executeUpdate();
    }
    for (String path :
        new String[] {
          "/train/failed",
          "/train/failed/events",
          "/train",
          "/encode/jobs/done",
          "/encode/jobs/done/events",
          "/encode/jobs",
          "/codebooks/default",
          "/codebooks/default/versions/1"
        }) {
      String text = client.get(path).expect(200).text();
      assertThat(text).as(path).contains("***", "key.npy").doesNotContain(SECRET);
    }
    assertThat(client.get("/train/failed").json().path("error").path("detail").asString())
        .endsWith("X-Amz-Signature=*** there is no such object");
  }

  @Test
  void upload_withASecretInItsProvenance_isStoredWithoutIt() {
    var codebook = Embeddings.codebook(8, 2, 6, 4);
    byte[] file =
        Embeddings.safetensors(
            codebook.withProvenance(codebook.provenance().with("source", SOURCE)));
    client.upload("uploaded", file, false);
    assertThat(client.get("/codebooks/uploaded/versions/1").text())
        .contains("s3://***@bucket/key.npy")
        .doesNotContain(SECRET);
    assertThat(new String(client.safetensors("uploaded", 1), StandardCharsets.ISO_8859_1))
        .doesNotContain(SECRET);
  }
}
