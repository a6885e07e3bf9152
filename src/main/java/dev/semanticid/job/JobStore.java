package dev.semanticid.job;

import dev.semanticid.job.Job.Failure;
import dev.semanticid.job.Job.State;
import dev.semanticid.system.ChunkTable;
import dev.semanticid.system.ProblemCode;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import org.springframework.transaction.support.TransactionTemplate;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.json.JsonMapper;

/** Jobs in the database. A job that has ended never changes again. */
@Component
public class JobStore {

  private static final String UNFINISHED = "state IN ('queued', 'running')";

  private final JdbcClient jdbc;
  private final TransactionTemplate transactions;
  private final JsonMapper json;
  private final ChunkTable checkpoints;

  JobStore(JdbcClient jdbc, TransactionTemplate transactions, JsonMapper json) {
    this.jdbc = jdbc;
    this.transactions = transactions;
    this.json = json;
    this.checkpoints = new ChunkTable(jdbc, "job_checkpoint", "job_id");
  }

  private static String now() {
    return text(Instant.now());
  }

  /** Always with milliseconds, so that the texts sort as the times do. */
  private static String text(Instant instant) {
    String text = instant.truncatedTo(ChronoUnit.MILLIS).toString();
    return text.length() == 20 ? text.substring(0, 19) + ".000Z" : text;
  }

  /**
   * Adds a queued job; false if its idempotency key is taken, or its codebook has an unfinished
   * training and this is another, and then adds nothing.
   */
  boolean insert(String id, JobRequest request) {
    return jdbc.sql(
                "INSERT INTO job (id, kind, codebook, version, state, request, parameters,"
                    + " idempotency_key, request_hash, created_at) VALUES (?, ?, ?, ?, 'queued',"
                    + " ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
            .param(id)
            .param(request.kind())
            .param(request.codebook())
            .param(request.version())
            .param(request.request())
            .param(json.writeValueAsString(request.parameters()))
            .param(request.idempotencyKey())
            .param(request.hash())
            .param(now())
            .update()
        == 1;
  }

  /** What is known of a job whose idempotency key is taken. */
  record Keyed(String id, String hash) {}

  /** The job that an idempotency key stands for. */
  Optional<Keyed> findByKey(String kind, String key) {
    return jdbc.sql("SELECT id, request_hash FROM job WHERE kind = ? AND idempotency_key = ?")
        .params(kind, key)
        .query((row, index) -> new Keyed(row.getString(1), row.getString(2)))
        .optional();
  }

  /** The worker begins, for the first time or again; false if the job has ended meanwhile. */
  boolean start(String id) {
    return jdbc.sql(
                "UPDATE job SET state = 'running', started_at = COALESCE(started_at, ?), attempts ="
                    + " attempts + 1 WHERE id = ? AND "
                    + UNFINISHED)
            .params(now(), id)
            .update()
        == 1;
  }

  /** The service is told to stop while the job runs: that is no failed attempt at it. */
  void pause(String id) {
    jdbc.sql("UPDATE job SET attempts = 0 WHERE id = ?").param(id).update();
  }

  /** Remembers what opening the job's source found, and all settings then in effect. */
  void opened(String id, Map<String, Object> parameters, String source) {
    jdbc.sql("UPDATE job SET parameters = ?, source = ? WHERE id = ?")
        .params(json.writeValueAsString(parameters), source, id)
        .update();
  }

  /**
   * Ends a job that reached its end; where it stored a version, to be called within the same
   * transaction.
   *
   * @param version the version it made, or null to leave what is there
   * @param result what came of it
   */
  public void succeed(
      String id, @Nullable Integer version, @Nullable Boolean activated, Object result) {
    boolean ended =
        end(
            id,
            "state = 'succeeded', version = COALESCE(?, version), activated = ?, result = ?",
            version,
            activated == null ? null : activated ? 1 : 0,
            json.writeValueAsString(result));
    if (!ended) {
      throw new IllegalStateException("job %s has ended already".formatted(id));
    }
  }

  /** Ends a job that could not reach its end; false if it has ended already. */
  boolean fail(String id, ProblemCode code, String detail) {
    return end(id, "state = 'failed', error_code = ?, error_detail = ?", code.name(), detail);
  }

  /** A client asks for the end of a job, which a restart must not forget. */
  void requestCancel(String id) {
    jdbc.sql("UPDATE job SET cancel_requested = 1 WHERE id = ? AND " + UNFINISHED)
        .param(id)
        .update();
  }

  /** Ends a job because a client asked for it; false if it has ended already. */
  boolean cancel(String id) {
    return end(id, "state = 'cancelled'");
  }

  /** Ends an unfinished job, and with it its checkpoint; false if it has ended already. */
  private boolean end(String id, String changes, @Nullable Object... values) {
    return transactions.execute(status -> {
      int changed =
          jdbc.sql(
                  "UPDATE job SET %s, finished_at = ? WHERE id = ? AND ".formatted(changes)
                      + UNFINISHED)
              .params(Arrays.asList(values))
              .params(now(), id)
              .update();
      checkpoints.delete(id);
      return changed == 1;
    });
  }

  /** Writes what a job can be continued from. */
  @FunctionalInterface
  public interface CheckpointWriter {
    /** Writes it, from its first byte to its last. */
    void write(OutputStream out) throws IOException;
  }

  /** Replaces a job's checkpoint, in one transaction. */
  void checkpoint(String id, CheckpointWriter writer) {
    transactions.executeWithoutResult(status -> {
      checkpoints.delete(id);
      try (OutputStream out = checkpoints.write(id)) {
        writer.write(out);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      jdbc.sql("UPDATE job SET attempts = 0 WHERE id = ?").param(id).update();
    });
  }

  /** Reads a job's checkpoint; null if there is none. */
  @Nullable InputStream checkpoint(String id) throws IOException {
    var in = new BufferedInputStream(checkpoints.read(id), 1 << 16);
    in.mark(1);
    if (in.read() < 0) {
      return null;
    }
    in.reset();
    return in;
  }

  /** The unfinished training of a codebook. */
  Optional<String> unfinishedOf(String kind, String codebook) {
    return jdbc.sql("SELECT id FROM job WHERE kind = ? AND codebook = ? AND " + UNFINISHED)
        .params(kind, codebook)
        .query((row, index) -> row.getString(1))
        .optional();
  }

  /** Unfinished jobs, of any kind, that use a version of a codebook. */
  public List<String> using(String codebook, int version) {
    return jdbc.sql("SELECT id FROM job WHERE codebook = ? AND version = ? AND " + UNFINISHED)
        .params(codebook, version)
        .query((row, index) -> String.valueOf(row.getString(1)))
        .list();
  }

  /** What an earlier process left unfinished, in the order in which it shall go on. */
  public List<Job> unfinished(String kind) {
    return jdbc.sql(
            "SELECT * FROM job WHERE kind = ? AND "
                + UNFINISHED
                + " ORDER BY CASE state WHEN 'running' THEN 0 ELSE 1 END, created_at, id")
        .param(kind)
        .query(this::job)
        .list();
  }

  /** One job. */
  Optional<Job> find(String kind, String id) {
    return jdbc.sql("SELECT * FROM job WHERE kind = ? AND id = ?")
        .params(kind, id)
        .query(this::job)
        .optional();
  }

  /**
   * Jobs, newest first.
   *
   * @param before the id of the job behind which to begin, or null to begin with the newest
   */
  List<Job> list(String kind, int limit, @Nullable String before) {
    if (before == null) {
      return jdbc.sql("SELECT * FROM job WHERE kind = ? ORDER BY created_at DESC, id DESC LIMIT ?")
          .params(kind, limit)
          .query(this::job)
          .list();
    }
    return jdbc.sql(
            "SELECT j.* FROM job j, job b WHERE j.kind = ? AND b.id = ? AND (j.created_at <"
                + " b.created_at OR (j.created_at = b.created_at AND j.id < b.id)) ORDER BY"
                + " j.created_at DESC, j.id DESC LIMIT ?")
        .params(kind, before, limit)
        .query(this::job)
        .list();
  }

  /**
   * Forgets jobs that have ended.
   *
   * @param age those that ended longer ago
   * @param most and the oldest of more than so many
   * @return how many were forgotten
   */
  int forget(String kind, Duration age, int most) {
    String ended = "kind = ? AND state NOT IN ('queued', 'running')";
    int old =
        jdbc.sql("DELETE FROM job WHERE %s AND finished_at < ?".formatted(ended))
            .params(kind, text(Instant.now().minus(age)))
            .update();
    return old
        + jdbc.sql(
                "DELETE FROM job WHERE %s AND id NOT IN (SELECT id FROM job WHERE %s ORDER BY"
                        .formatted(ended, ended)
                    + " finished_at DESC, id DESC LIMIT ?)")
            .params(kind, kind, most)
            .update();
  }

  private Job job(ResultSet row, int index) throws SQLException {
    String code = row.getString("error_code");
    int version = row.getInt("version");
    boolean hasVersion = !row.wasNull();
    int activated = row.getInt("activated");
    boolean hasActivated = !row.wasNull();
    String request = row.getString("request");
    return new Job(
        row.getString("id"),
        row.getString("kind"),
        row.getString("codebook"),
        State.ofWireName(row.getString("state")),
        request == null ? "" : request,
        json.readValue(row.getString("parameters"), new TypeReference<Map<String, Object>>() {}),
        row.getString("source"),
        row.getInt("cancel_requested") != 0,
        row.getInt("attempts"),
        code == null ? null : new Failure(code, row.getString("error_detail")),
        hasVersion ? version : null,
        hasActivated ? activated != 0 : null,
        row.getString("result"),
        Instant.parse(row.getString("created_at")),
        instant(row.getString("started_at")),
        instant(row.getString("finished_at")));
  }

  private static @Nullable Instant instant(@Nullable String text) {
    return text == null ? null : Instant.parse(text);
  }
}
