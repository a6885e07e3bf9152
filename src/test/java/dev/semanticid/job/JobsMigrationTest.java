package dev.semanticid.job;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.service.Schema;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.jdbc.datasource.DriverManagerDataSource;

/** A database of the first schema keeps its jobs. */
class JobsMigrationTest {

  @Test
  void migrate_databaseOfTheFirstSchema_keepsJobsAndEndsThoseUnderWay(@TempDir Path folder) {
    String url = "jdbc:sqlite:" + folder.resolve("old.db") + "?foreign_keys=true";
    Schema.migrate(url, "", "", "1");
    JdbcClient jdbc = JdbcClient.create(new DriverManagerDataSource(url));
    for (String state : List.of("queued", "running", "succeeded", "failed", "cancelled")) {
      boolean done = state.equals("succeeded");
      jdbc.sql(
              "INSERT INTO training_job (id, codebook, state, parameters, error_code, version,"
                  + " activated, report, created_at, finished_at) VALUES (?,?,?,'{}',?,?,?,?,?,?)")
          .param("id-" + state)
          .param("of-" + state)
          .param(state)
          .param(state.equals("failed") ? "NON_FINITE_VALUE" : null)
          .param(done ? 7 : null)
          .param(done ? 1 : null)
          .param(done ? "{\"rows\": 5}" : null)
          .param("2026-11-22T10:00:00.000Z")
          .param(done ? "2026-11-22T11:00:00.000Z" : null)
          .update();
    }
    Schema.migrate(url, "", "", "latest");
    assertThat(column(jdbc, "state"))
        .containsExactlyInAnyOrderEntriesOf(
            Map.of(
                "id-queued", "failed",
                "id-running", "failed",
                "id-succeeded", "succeeded",
                "id-failed", "failed",
                "id-cancelled", "cancelled"));
    assertThat(column(jdbc, "COALESCE(error_code, 'none')"))
        .containsEntry("id-running", "INTERRUPTED")
        .containsEntry("id-queued", "INTERRUPTED")
        .containsEntry("id-failed", "NON_FINITE_VALUE")
        .containsEntry("id-succeeded", "none");
    assertThat(column(jdbc, "kind || version || activated || result"))
        .containsEntry("id-succeeded", "training71{\"rows\": 5}");
    assertThat(column(jdbc, "finished_at"))
        .containsEntry("id-succeeded", "2026-11-22T11:00:00.000Z")
        .containsEntry("id-running", "2026-11-22T10:00:00.000Z");
  }

  /** A replica of the version before goes on beside this one until it is replaced. */
  @Test
  void migrate_databaseOfTheFourthSchema_keepsJobsAndTakesThoseWithoutAClient(
      @TempDir Path folder) {
    String url = "jdbc:sqlite:" + folder.resolve("old.db") + "?foreign_keys=true";
    Schema.migrate(url, "", "", "4");
    JdbcClient jdbc = JdbcClient.create(new DriverManagerDataSource(url));
    assertThat(insert(jdbc, "before", "key-1")).isEqualTo(1);
    assertThat(insert(jdbc, "unnamed-1", null)).isEqualTo(1);
    assertThat(insert(jdbc, "unnamed-2", null)).isEqualTo(1);
    Schema.migrate(url, "", "", "latest");
    assertThat(insert(jdbc, "beside", "key-2")).isEqualTo(1);
    assertThat(insert(jdbc, "twice", "key-1")).as("the key is taken").isZero();
    assertThat(column(jdbc, "client"))
        .isEqualTo(Map.of("before", "", "unnamed-1", "", "unnamed-2", "", "beside", ""));
  }

  /** As the fourth version of the schema had it. */
  private static int insert(JdbcClient jdbc, String id, @Nullable String key) {
    return jdbc.sql(
            "INSERT INTO job (id, kind, codebook, version, state, request, parameters,"
                + " idempotency_key, request_hash, created_at, owner, fence, lease_until)"
                + " VALUES (?, 'encoding', 'a', 1, 'queued', '{}', '{}', ?, 'hash',"
                + " '2026-11-22T10:00:00.000Z', 'me', 1, NULL) ON CONFLICT DO NOTHING")
        .param(id)
        .param(key)
        .update();
  }

  private static Map<String, String> column(JdbcClient jdbc, String expression) {
    var values = new HashMap<String, String>();
    jdbc.sql("SELECT id, %s FROM job".formatted(expression))
        .query(row -> {
          String value = row.getString(2);
          values.put(row.getString(1), value == null ? "" : value);
        });
    return values;
  }
}
