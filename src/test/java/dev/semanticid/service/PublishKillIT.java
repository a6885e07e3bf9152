package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * The whole service killed while it publishes what a job trained: the database holds it up at a
 * statement, where it dies. Afterwards the old version is active, or the new one if the commit was
 * on its way; the restarted service ends the job, and nothing is there twice or in part.
 */
@ExtendWith(PostgresServer.Required.class)
class PublishKillIT {

  /** A moment of publishing, and whether what happens then lasts. */
  private enum Moment {
    NUMBER_GIVEN("AFTER INSERT OR UPDATE ON codebook FOR EACH ROW", false),
    BEFORE_VERSION("BEFORE INSERT ON codebook_version FOR EACH ROW", false),
    TENSORS_WRITTEN("AFTER INSERT ON codebook_chunk FOR EACH ROW", false),
    ALIAS_MOVED("AFTER INSERT OR UPDATE ON codebook_alias FOR EACH ROW", false),
    JOB_ENDS("BEFORE UPDATE ON job FOR EACH ROW WHEN (NEW.state = 'succeeded')", false),
    COMMIT("AFTER INSERT ON codebook_version DEFERRABLE INITIALLY DEFERRED FOR EACH ROW", true);

    private final String event;
    private final boolean lasts;

    Moment(String event, boolean lasts) {
      this.event = event;
      this.lasts = lasts;
    }
  }

  private static final int D = 16;
  private static final float[][] TRAINING = Embeddings.rows(600, D, 1);
  private static final float[][] ROWS = Embeddings.rows(50, D, 2);

  @Test
  void publish_killedAtAnyStatement_isDoneOrNotBegun(@TempDir Path dataDir) throws SQLException {
    PostgresServer.Database database = PostgresServer.get().createDatabase();
    int active = 0;
    String fingerprint = "";
    try (Connection connection = database.connect()) {
      for (Moment moment : Moment.values()) {
        String job;
        try (ServiceProcess service = start(database, dataDir)) {
          ServiceClient client = service.client();
          if (active == 0) {
            client.train(ServiceClient.SMALL + "&seed=5", TRAINING);
            active = 1;
            fingerprint = client.fingerprint("default", 1);
          }
          hold(connection, moment);
          job =
              client
                  .post(
                      "/train?activate=always&seed=5&" + ServiceClient.SMALL,
                      ServiceClient.NPY,
                      Embeddings.npy(TRAINING))
                  .expect(202)
                  .header("Location");
          int backend = awaitHeld(connection);
          assertThat(client.encode("", ROWS).version()).as("while it publishes").isEqualTo(active);
          service.kill();
          release(connection, moment, backend);
        }
        assertThat(number(connection, "SELECT version FROM codebook_alias"))
            .as("active after a kill at %s", moment)
            .isEqualTo(moment.lasts ? active + 1 : active);
        assertThat(number(connection, "SELECT COUNT(*) FROM codebook_version"))
            .isEqualTo(number(connection, "SELECT COUNT(DISTINCT version) FROM codebook_chunk"))
            .isEqualTo(moment.lasts ? active + 1 : active);
        active++;
        try (ServiceProcess service = start(database, dataDir)) {
          ServiceClient client = service.client();
          JsonNode done = client.awaitJob(job);
          assertThat(done.path("state").asString()).as(done.toString()).isEqualTo("succeeded");
          assertThat(done.path("version").asInt()).as("killed at %s", moment).isEqualTo(active);
          assertThat(client.fingerprint("default", active)).isEqualTo(fingerprint);
          assertThat(client.encode("", ROWS).codes())
              .isDeepEqualTo(Embeddings.reference(client.download("default", active), ROWS));
          assertThat(client.state("default")).containsEntry("active", active);
          assertThat(service.spooled()).isEmpty();
        }
        assertThat(number(connection, "SELECT COUNT(*) FROM codebook_version")).isEqualTo(active);
        assertThat(number(connection, "SELECT COUNT(*) FROM job_checkpoint")).isZero();
      }
    }
  }

  private static ServiceProcess start(PostgresServer.Database database, Path dataDir) {
    var arguments = new ArrayList<>(List.of(ServiceProcess.QUICK_START));
    arguments.addAll(database.arguments());
    return ServiceProcess.start(dataDir, arguments.toArray(String[]::new));
  }

  private static void hold(Connection connection, Moment moment) throws SQLException {
    try (var statement = connection.createStatement()) {
      statement.execute(
          """
          CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END $$
          """);
      statement.execute(
          "CREATE %s TRIGGER hold %s EXECUTE FUNCTION hold()"
              .formatted(moment.lasts ? "CONSTRAINT" : "", moment.event));
      statement.execute("SELECT pg_advisory_lock(1)");
    }
  }

  /** Waits until the service is held up; gives the database's process that it speaks to. */
  private static int awaitHeld(Connection connection) {
    String waiting =
        "SELECT COALESCE(MAX(pid), 0) FROM pg_locks WHERE locktype = 'advisory' AND"
            + " NOT granted AND database = (SELECT oid FROM pg_database WHERE datname ="
            + " current_database())";
    Await.until(
        "publishing is held up", () -> quietly(connection, waiting) != 0, () -> "it is not");
    return quietly(connection, waiting);
  }

  private static void release(Connection connection, Moment moment, int backend)
      throws SQLException {
    try (var statement = connection.createStatement()) {
      statement.execute("SELECT pg_advisory_unlock(1)");
      Await.until(
          "the database notices",
          () ->
              quietly(connection, "SELECT COUNT(*) FROM pg_stat_activity WHERE pid = " + backend)
                  == 0,
          () -> "it does not");
      String table = moment.event.replaceFirst(".* ON (\\w+) .*", "$1");
      statement.execute("DROP TRIGGER hold ON " + table);
      statement.execute("DROP FUNCTION hold");
    }
  }

  private static int quietly(Connection connection, String query) {
    try {
      return number(connection, query);
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }

  private static int number(Connection connection, String query) throws SQLException {
    try (var statement = connection.createStatement();
        var rows = statement.executeQuery(query)) {
      assertThat(rows.next()).isTrue();
      return rows.getInt(1);
    }
  }
}
