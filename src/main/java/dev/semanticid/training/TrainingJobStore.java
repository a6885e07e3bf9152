package dev.semanticid.training;

import dev.semanticid.core.evaluation.QuantizationReport;
import dev.semanticid.system.ProblemCode;
import dev.semanticid.training.TrainingJob.Failure;
import dev.semanticid.training.TrainingJob.State;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.json.JsonMapper;

/** Training jobs in the database. A job that has ended never changes again. */
@Component
class TrainingJobStore {

  private static final String UNFINISHED = "state IN ('queued', 'running')";

  private final JdbcClient jdbc;
  private final JsonMapper json;

  TrainingJobStore(JdbcClient jdbc, JsonMapper json) {
    this.jdbc = jdbc;
    this.json = json;
  }

  private static String now() {
    return Instant.now().truncatedTo(ChronoUnit.MILLIS).toString();
  }

  /** Adds a queued job; false if its codebook has an unfinished one, and then adds nothing. */
  boolean insert(String id, String codebook, Map<String, Object> parameters) {
    return jdbc.sql(
                "INSERT INTO training_job (id, codebook, state, parameters, created_at) VALUES"
                    + " (?, ?, 'queued', ?, ?) ON CONFLICT DO NOTHING")
            .params(id, codebook, json.writeValueAsString(parameters), now())
            .update()
        == 1;
  }

  /** Takes back a job that could not be queued. */
  void remove(String id) {
    jdbc.sql("DELETE FROM training_job WHERE id = ?").param(id).update();
  }

  /** The worker begins; false if the job was cancelled meanwhile. */
  boolean start(String id) {
    return jdbc.sql(
                "UPDATE training_job SET state = 'running', started_at = ? WHERE id = ? AND state ="
                    + " 'queued'")
            .params(now(), id)
            .update()
        == 1;
  }

  /** Ends a job with a version; to be called within the transaction that stores the version. */
  void succeed(String id, int version, boolean activated, QuantizationReport report) {
    int changed =
        jdbc.sql(
                "UPDATE training_job SET state = 'succeeded', version = ?, activated = ?, report ="
                    + " ?, finished_at = ? WHERE id = ? AND "
                    + UNFINISHED)
            .params(version, activated ? 1 : 0, json.writeValueAsString(report), now(), id)
            .update();
    if (changed != 1) {
      throw new IllegalStateException("job %s has ended already".formatted(id));
    }
  }

  /** Ends a job without a version. */
  void fail(String id, ProblemCode code, String detail) {
    jdbc.sql(
            "UPDATE training_job SET state = 'failed', error_code = ?, error_detail = ?,"
                + " finished_at = ? WHERE id = ? AND "
                + UNFINISHED)
        .params(code.name(), detail, now(), id)
        .update();
  }

  /** Ends a job because a client asked for it. */
  void cancel(String id) {
    jdbc.sql(
            "UPDATE training_job SET state = 'cancelled', finished_at = ? WHERE id = ? AND "
                + UNFINISHED)
        .params(now(), id)
        .update();
  }

  /** Fails what an earlier process left unfinished; returns how many jobs that were. */
  int failUnfinished(String detail) {
    return jdbc.sql(
            "UPDATE training_job SET state = 'failed', error_code = ?, error_detail = ?,"
                + " finished_at = ? WHERE "
                + UNFINISHED)
        .params(ProblemCode.INTERRUPTED.name(), detail, now())
        .update();
  }

  /** The unfinished job of a codebook. */
  Optional<String> unfinished(String codebook) {
    return jdbc.sql("SELECT id FROM training_job WHERE codebook = ? AND " + UNFINISHED)
        .param(codebook)
        .query((row, index) -> row.getString(1))
        .optional();
  }

  /** One job. */
  Optional<TrainingJob> find(String id) {
    return jdbc.sql("SELECT * FROM training_job WHERE id = ?")
        .param(id)
        .query(this::job)
        .optional();
  }

  /**
   * Jobs, newest first.
   *
   * @param before the id of the job behind which to begin, or null to begin with the newest
   */
  List<TrainingJob> list(int limit, @Nullable String before) {
    if (before == null) {
      return jdbc.sql("SELECT * FROM training_job ORDER BY created_at DESC, id DESC LIMIT ?")
          .param(limit)
          .query(this::job)
          .list();
    }
    return jdbc.sql(
            "SELECT j.* FROM training_job j, training_job b WHERE b.id = ? AND (j.created_at <"
                + " b.created_at OR (j.created_at = b.created_at AND j.id < b.id)) ORDER BY"
                + " j.created_at DESC, j.id DESC LIMIT ?")
        .params(before, limit)
        .query(this::job)
        .list();
  }

  private TrainingJob job(ResultSet row, int index) throws SQLException {
    String code = row.getString("error_code");
    String report = row.getString("report");
    int version = row.getInt("version");
    boolean hasVersion = !row.wasNull();
    return new TrainingJob(
        row.getString("id"),
        row.getString("codebook"),
        row.getString("state"),
        null,
        code == null ? null : new Failure(code, row.getString("error_detail")),
        hasVersion ? version : null,
        hasVersion ? row.getInt("activated") != 0 : null,
        report == null ? null : json.readValue(report, QuantizationReport.class),
        json.readValue(row.getString("parameters"), new TypeReference<Map<String, Object>>() {}),
        Instant.parse(row.getString("created_at")),
        instant(row.getString("started_at")),
        instant(row.getString("finished_at")));
  }

  private static @Nullable Instant instant(@Nullable String text) {
    return text == null ? null : Instant.parse(text);
  }

  /** Whether a state as stored is final. */
  static boolean isDone(TrainingJob job) {
    return State.valueOf(job.state().toUpperCase(Locale.ROOT)).isDone();
  }
}
