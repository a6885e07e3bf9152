package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.service.ServiceClient.Encoded;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Somebody damages the database of a running service and moves aliases there: what cannot be served
 * is refused, what was served still is, and health and metrics say so.
 */
class DamagedStoreIT {

  private static final int D = 16;
  private static final float[][] ROWS = Embeddings.rows(20, D, 2);

  /** What is done to the bytes of a stored version. */
  private interface Damage {
    byte[] of(byte[] file);
  }

  @Test
  void activeVersion_thatCannotBeServed_isRefusedAndTheOneBeforeItStays(@TempDir Path dataDir)
      throws SQLException {
    try (ServiceProcess service =
        ServiceProcess.start(
            dataDir, ServiceProcess.QUICK_START, "--semantic-id.store.poll-interval=100ms")) {
      ServiceClient client = service.client();
      for (int version = 1; version <= 6; version++) {
        client.upload(
            "default", Embeddings.safetensors(Embeddings.codebook(D, version, 8, 8)), version == 1);
      }
      Encoded before = client.encode("", ROWS);
      try (Connection database = TestStore.connect(dataDir)) {
        damage(database, 2, file -> flipped(file, file.length - 10));
        refused(service, database, 2, "fingerprint", before);
        damage(database, 3, file -> Arrays.copyOf(file, file.length - 100));
        refused(service, database, 3, "", before);
        damage(database, 4, DamagedStoreIT::withNan);
        refused(service, database, 4, "NaN", before);
        damage(database, 5, file -> new byte[0]);
        refused(service, database, 5, "", before);
        activate(database, 6);
        awaitVersion(client, 6);
        assertThat(client.metric("semantic_id_codebook_degraded{codebook=\"default\"}")).isZero();
        withoutForeignKeys(database);
        refused(service, database, 77, "no version", client.encode("", ROWS));
        client.activate("default", 1);
        assertThat(client.encode("", ROWS).codes()).isDeepEqualTo(before.codes());
        assertThat(client.metric("semantic_id_codebook_degraded{codebook=\"default\"}")).isZero();
      }
    }
  }

  private static void refused(
      ServiceProcess service, Connection database, int version, String reason, Encoded before)
      throws SQLException {
    ServiceClient client = service.client();
    activate(database, version);
    Await.until(
        String.format(Locale.ROOT, "version %d is refused", version),
        () -> health(client).contains(String.format(Locale.ROOT, "version %d: ", version)),
        () -> health(client));
    assertThat(health(client)).contains("degraded", reason);
    client.get("/actuator/health/readiness").expect(200);
    assertThat(client.metric("semantic_id_codebook_degraded{codebook=\"default\"}")).isEqualTo(1);
    Encoded now = client.encode("", ROWS);
    assertThat(now.version()).isEqualTo(before.version());
    assertThat(now.codes()).isDeepEqualTo(before.codes());
    assertThat(service.log())
        .contains(String.format(Locale.ROOT, "version %d cannot be served", version));
  }

  private static String health(ServiceClient client) {
    return client.get("/actuator/health").text();
  }

  private static void awaitVersion(ServiceClient client, int version) {
    Await.until(
        String.format(Locale.ROOT, "version %d is served", version),
        () -> client.encode("", ROWS).version() == version,
        () -> health(client));
  }

  private static void activate(Connection database, int version) throws SQLException {
    try (var update =
        database.prepareStatement(
            "UPDATE codebook_alias SET version = ? WHERE name = 'default' AND alias = 'active'")) {
      update.setInt(1, version);
      assertThat(update.executeUpdate()).isEqualTo(1);
    }
  }

  /** SQLite does not check them unless told to; PostgreSQL always does. */
  private static void withoutForeignKeys(Connection database) throws SQLException {
    if (database.getMetaData().getURL().startsWith("jdbc:postgresql")) {
      try (var statement = database.createStatement()) {
        statement.execute(
            "ALTER TABLE codebook_alias DROP CONSTRAINT codebook_alias_name_version_fkey");
      }
    }
  }

  private static void damage(Connection database, int version, Damage damage) throws SQLException {
    byte[] bytes;
    try (var select =
        database.prepareStatement("SELECT bytes FROM codebook_chunk WHERE version = ?")) {
      select.setInt(1, version);
      try (var rows = select.executeQuery()) {
        assertThat(rows.next()).isTrue();
        bytes = rows.getBytes(1);
      }
    }
    try (var update =
        database.prepareStatement("UPDATE codebook_chunk SET bytes = ? WHERE version = ?")) {
      update.setBytes(1, damage.of(bytes));
      update.setInt(2, version);
      assertThat(update.executeUpdate()).isEqualTo(1);
    }
  }

  private static byte[] flipped(byte[] file, int at) {
    byte[] damaged = file.clone();
    damaged[at] ^= 1;
    return damaged;
  }

  private static byte[] withNan(byte[] file) {
    byte[] damaged = file.clone();
    ByteBuffer.wrap(damaged)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putFloat(damaged.length - Float.BYTES, Float.NaN);
    return damaged;
  }
}
