package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Codebook;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Collections;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** Databases of other versions of the service: earlier ones are migrated, later ones refused. */
class SchemaIT {

  private static final int D = 8;

  @Test
  void start_onTheFirstSchema_servesWhatItHas(@TempDir Path dataDir) throws SQLException {
    TestStore.migrate(dataDir, "1");
    Codebook codebook = Embeddings.codebook(D, 1, 8, 8);
    byte[] file = Embeddings.safetensors(codebook);
    try (Connection database = TestStore.connect(dataDir)) {
      insert(database, "codebook (name, last_version)", "default", 7);
      insert(
          database,
          "codebook_version (name, version, fingerprint, dimension, widths, normalize, provenance,"
              + " size_bytes, created_at)",
          "default",
          7,
          codebook.fingerprint(),
          D,
          "[8,8]",
          codebook.normalizeResiduals() ? 1 : 0,
          "{}",
          file.length,
          "2026-09-01T10:00:00Z");
      insert(database, "codebook_chunk (name, version, position, bytes)", "default", 7, 0, file);
      insert(database, "codebook_alias (name, alias, version)", "default", "active", 7);
      insert(
          database,
          "training_job (id, codebook, state, parameters, version, activated, report, created_at)",
          "first",
          "default",
          "succeeded",
          "{}",
          7,
          1,
          """
          {"rows": 5, "mse": 0.5, "reconstruction_mse": 0.5, "unique_ratio": 1.0,
           "colliding_share": 0.0, "max_group": 1, "levels": [], "notes": []}
          """,
          "2026-09-01T09:00:00.000Z");
    }
    float[][] rows = Embeddings.rows(30, D, 2);
    try (ServiceProcess service = ServiceProcess.start(dataDir, ServiceProcess.QUICK_START)) {
      ServiceClient client = service.client();
      ServiceClient.Encoded encoded = client.encode("", rows);
      assertThat(encoded.version()).isEqualTo(7);
      assertThat(encoded.codes()).isDeepEqualTo(Embeddings.reference(codebook, rows));
      assertThat(client.get("/train/first").expect(200).json().path("version").asInt())
          .isEqualTo(7);
      client.upload("default", file, true);
      assertThat(client.encode("", rows).version()).isEqualTo(8);
    }
  }

  /** Jobs of the schema before clients, and of a replica of that version beside this one. */
  @Test
  void start_onTheFourthSchema_keepsItsJobsForAdmins(@TempDir Path dataDir) throws SQLException {
    TestStore.migrate(dataDir, "4");
    var keys = new TestKeys(dataDir.resolve("keys.yaml"));
    String[] train = {"X-API-Key", keys.add("pipeline", "train")};
    String[] admin = {"X-API-Key", keys.add("boss", "admin")};
    try (Connection database = TestStore.connect(dataDir)) {
      insertJob(database, "before");
      try (ServiceProcess service =
          ServiceProcess.start(
              dataDir,
              ServiceProcess.QUICK_START,
              "--semantic-id.security.api-keys-file=" + keys.write())) {
        ServiceClient client = service.client();
        insertJob(database, "beside");
        for (String id : new String[] {"before", "beside"}) {
          JsonNode job = client.get("/encode/jobs/" + id, train).expect(200).json();
          assertThat(job.path("state").asString()).isEqualTo("succeeded");
          assertThat(job.has("client")).isFalse();
          client
              .send("DELETE", "/encode/jobs/" + id, new byte[0], train)
              .expectProblem(403, "FORBIDDEN", "not known", "admin");
          client
              .send("DELETE", "/encode/jobs/" + id, new byte[0], admin)
              .expectProblem(409, "JOB_FINISHED");
        }
      }
    }
  }

  private static void insertJob(Connection database, String id) throws SQLException {
    insert(
        database,
        "job (id, kind, codebook, version, state, request, parameters, idempotency_key,"
            + " request_hash, created_at, finished_at)",
        id,
        "encoding",
        "default",
        1,
        "succeeded",
        "{}",
        "{}",
        "key of " + id,
        "hash",
        "2026-11-22T10:00:00.000Z",
        "2026-11-26T11:00:00.000Z");
  }

  private static void insert(Connection database, String into, Object... values)
      throws SQLException {
    String places = String.join(", ", Collections.nCopies(values.length, "?"));
    try (var insert =
        database.prepareStatement("INSERT INTO %s VALUES (%s)".formatted(into, places))) {
      for (int i = 0; i < values.length; i++) {
        insert.setObject(i + 1, values[i]);
      }
      insert.executeUpdate();
    }
  }

  @Test
  void start_onANewerSchema_isRefusedWithAMessage(@TempDir Path dataDir) throws SQLException {
    try (ServiceProcess service = ServiceProcess.start(dataDir, ServiceProcess.QUICK_START)) {
      service
          .client()
          .upload("default", Embeddings.safetensors(Embeddings.codebook(4, 1, 4)), true);
      service.stop();
    }
    try (Connection database = TestStore.connect(dataDir);
        var statement = database.createStatement()) {
      boolean postgres = database.getMetaData().getURL().startsWith("jdbc:postgresql");
      statement.execute(
          "INSERT INTO flyway_schema_history (installed_rank, version, description, type, script,"
              + " installed_by, execution_time, success) VALUES (99, '99', 'newer', 'SQL',"
              + " 'V99__newer.sql', 'somebody', 1, %s)".formatted(postgres ? "true" : "1"));
      try (ServiceProcess refused = ServiceProcess.launch(dataDir, ServiceProcess.QUICK_START)) {
        assertThat(refused.awaitExit()).isNotZero();
        assertThat(refused.log())
            .contains("changed by a newer version of the service", "nothing was changed");
      }
      statement.execute("DELETE FROM flyway_schema_history WHERE version = '99'");
    }
    try (ServiceProcess service = ServiceProcess.start(dataDir, ServiceProcess.QUICK_START)) {
      assertThat(service.client().encode("", Embeddings.rows(3, 4, 1)).version()).isEqualTo(1);
    }
  }
}
