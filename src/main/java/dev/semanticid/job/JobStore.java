package dev.semanticid.job;

import dev.semanticid.job.Job.Failure;
import dev.semanticid.job.Job.State;
import dev.semanticid.problem.Masked;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.store.ChunkTable;
import dev.semanticid.store.Replica;
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
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import org.springframework.transaction.support.TransactionTemplate;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.json.JsonMapper;

/**
 * Jobs in the database. A job that has ended never changes again; one that has not is written by
 * the process alone that holds it: its claim has a number, which grows whenever the job changes
 * hands, and what an earlier holder writes is void (Gray & Cheriton 1989, "Leases"; the number is
 * known as a fencing token).
 */
@Component
public class JobStore {

  private static final String UNFINISHED = "state IN ('queued', 'running')";
  private static final String CLOCK = "(SELECT millis FROM store_clock)";

  /** Takes the holder and the number of its claim. */
  private static final String HELD =
      UNFINISHED
          + " AND owner = ? AND fence = ? AND (lease_until IS NULL OR lease_until >= "
          + CLOCK
          + ")";

  private final JdbcClient jdbc;
  private final TransactionTemplate transactions;
  private final JsonMapper json;
  private final ChunkTable checkpoints;
  private final String owner;
  private final @Nullable Long leaseMillis;

  JobStore(JdbcClient jdbc, TransactionTemplate transactions, JsonMapper json, Replica replica) {
    this.jdbc = jdbc;
    this.transactions = transactions;
    this.json = json;
    this.owner = replica.id();
    this.leaseMillis = replica.lease() == null ? null : replica.lease().toMillis();
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
   *
   * @param withinTransaction is done first
   */
  boolean insert(String id, JobRequest request, Runnable withinTransaction) {
    return transactions.execute(status -> {
      withinTransaction.run();
      return insert(id, request);
    });
  }

  private boolean insert(String id, JobRequest request) {
    return jdbc.sql(
                "INSERT INTO job (id, kind, codebook, version, client, state, request,"
                    + " parameters, idempotency_key, request_hash, created_at, owner, fence,"
                    + " lease_until) VALUES (?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?, 1, "
                    + CLOCK
                    + " + ?) ON CONFLICT DO NOTHING")
            .param(id)
            .param(request.kind())
            .param(request.codebook())
            .param(request.version())
            .param(stored(request.client()))
            .param(request.request())
            .param(json.writeValueAsString(request.parameters()))
            .param(request.idempotencyKey())
            .param(request.hash())
            .param(now())
            .param(owner)
            .param(leaseMillis)
            .update()
        == 1;
  }

  /** Whether other processes may take over jobs whose holder does not renew its claim. */
  boolean leased() {
    return leaseMillis != null;
  }

  /** Whether a job was held by another process than this one when it was read. */
  boolean foreign(Job job) {
    return job.owner() != null && !owner.equals(job.owner());
  }

  /**
   * Unfinished jobs that this process may claim, in the order in which they shall go on: those that
   * it held before, and those whose holder has not renewed its claim in time.
   */
  List<Job> claimable(String kind) {
    return jdbc.sql(
            "SELECT * FROM job WHERE kind = ? AND "
                + UNFINISHED
                + " AND (owner IS NULL OR owner = ? OR lease_until < "
                + CLOCK
                + ") ORDER BY CASE state WHEN 'running' THEN 0 ELSE 1 END, created_at, id")
        .params(kind, owner)
        .query(this::job)
        .list();
  }

  /** Makes a job this process's, as it then is; empty if another process was faster. */
  Optional<Job> claim(Job job) {
    int claimed =
        jdbc.sql(
                "UPDATE job SET owner = ?, fence = fence + 1, lease_until = %s + ? WHERE id = ? AND"
                        .formatted(CLOCK)
                    + " fence = ? AND "
                    + UNFINISHED)
            .param(owner)
            .param(leaseMillis)
            .param(job.id())
            .param(job.fence())
            .update();
    return claimed == 1 ? find(job.kind(), job.id()) : Optional.empty();
  }

  /** What the holder of a job learns when it renews its claim. */
  record Claim(int fence, boolean cancelRequested) {}

  /** Renews this process's claims that have not run out; gives them by the ids of their jobs. */
  Map<String, Claim> renew(String kind) {
    String mine = "kind = ? AND owner = ? AND lease_until >= " + CLOCK + " AND " + UNFINISHED;
    jdbc.sql("UPDATE job SET lease_until = %s + ? WHERE %s".formatted(CLOCK, mine))
        .param(leaseMillis)
        .param(kind)
        .param(owner)
        .update();
    var claims = new HashMap<String, Claim>();
    jdbc.sql("SELECT id, fence, cancel_requested FROM job WHERE " + mine)
        .params(kind, owner)
        .query(row -> {
          claims.put(row.getString(1), new Claim(row.getInt(2), row.getInt(3) != 0));
        });
    return claims;
  }

  /** Tells those who ask another process where a running job is. */
  void tell(Job job, JobProgress progress) {
    write("progress = ?", job, json.writeValueAsString(progress));
  }

  /** Changes a job that this process holds; false if it does not, or the job has ended. */
  private boolean write(String changes, Job job, @Nullable Object... values) {
    return jdbc.sql("UPDATE job SET %s WHERE id = ? AND %s".formatted(changes, HELD))
            .params(Arrays.asList(values))
            .params(job.id(), owner, job.fence())
            .update()
        == 1;
  }

  private void require(boolean written, Job job) {
    if (!written) {
      throw new ClaimLostException(job.id());
    }
  }

  /** A client as it is stored: texts that are null would all count as different in an index. */
  private static String stored(@Nullable String client) {
    return client == null ? "" : client;
  }

  /**
   * A job that has an idempotency key.
   *
   * @param id of the job
   * @param hash of the request
   * @param isOwn whether the client asked for it that asks now
   */
  record Keyed(String id, String hash, boolean isOwn) {}

  /**
   * The jobs that an idempotency key of a client may stand for: its own, then nobody's. Jobs are
   * nobody's if they come from an earlier version of the service, or from a time without security.
   */
  List<Keyed> findByKey(String kind, @Nullable String client, String key) {
    return jdbc.sql(
            "SELECT id, request_hash, client FROM job WHERE kind = ? AND idempotency_key = ?"
                + " AND client IN ('', ?) ORDER BY client DESC")
        .params(kind, key, stored(client))
        .query((row, index) ->
            new Keyed(row.getString(1), row.getString(2), row.getString(3).equals(stored(client))))
        .list();
  }

  /** The worker begins, for the first time or again; false if the job is not its any more. */
  boolean start(Job job) {
    return write(
        "state = 'running', started_at = COALESCE(started_at, ?), attempts = attempts + 1",
        job,
        now());
  }

  /**
   * The service is told to stop while the job runs: that is no failed attempt at it.
   *
   * @param release whether any other process may go on with it at once
   */
  void pause(Job job, boolean release) {
    write("attempts = 0", job);
    if (release && leased()) {
      write("lease_until = 0", job);
    }
  }

  /**
   * Remembers what opening the job's source found, and all settings then in effect.
   *
   * @throws ClaimLostException if this process does not hold the job
   */
  void opened(Job job, Map<String, Object> parameters, String source) {
    require(
        write("parameters = ?, source = ?", job, json.writeValueAsString(parameters), source), job);
  }

  /**
   * Ends a job that reached its end; where it stored a version, to be called within the same
   * transaction.
   *
   * @param version the version it made, or null to leave what is there
   * @param result what came of it
   * @throws ClaimLostException if this process does not hold the job
   */
  public void succeed(
      Job job, @Nullable Integer version, @Nullable Boolean activated, Object result) {
    require(
        end(
            job,
            "state = 'succeeded', version = COALESCE(?, version), activated = ?, result = ?",
            version,
            activated == null ? null : activated ? 1 : 0,
            json.writeValueAsString(result)),
        job);
  }

  /** Ends a job that could not reach its end; false if it is not this process's. */
  boolean fail(Job job, ProblemCode code, String detail) {
    return end(
        job,
        "state = 'failed', error_code = ?, error_detail = ?",
        code.name(),
        Masked.text(detail));
  }

  /** A client asks for the end of a job, which a restart must not forget. */
  void requestCancel(String id) {
    jdbc.sql("UPDATE job SET cancel_requested = 1 WHERE id = ? AND " + UNFINISHED)
        .param(id)
        .update();
  }

  /** Ends a job because a client asked for it; false if it is not this process's. */
  boolean cancel(Job job) {
    return end(job, "state = 'cancelled'");
  }

  /** Ends an unfinished job, and with it its checkpoint. */
  private boolean end(Job job, String changes, @Nullable Object... values) {
    return transactions.execute(status -> {
      var all = new ArrayList<@Nullable Object>(Arrays.asList(values));
      all.add(now());
      boolean ended = write(changes + ", progress = NULL, finished_at = ?", job, all.toArray());
      if (ended) {
        checkpoints.delete(job.id());
      }
      return ended;
    });
  }

  /** Writes what a job can be continued from. */
  @FunctionalInterface
  public interface CheckpointWriter {
    /** Writes it, from its first byte to its last. */
    void write(OutputStream out) throws IOException;
  }

  /**
   * Replaces a job's checkpoint, in one transaction.
   *
   * @throws ClaimLostException if this process does not hold the job
   */
  void checkpoint(Job job, CheckpointWriter writer) {
    transactions.executeWithoutResult(status -> {
      require(write("attempts = 0", job), job);
      checkpoints.delete(job.id());
      try (OutputStream out = checkpoints.write(job.id())) {
        writer.write(out);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
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

  /** Unfinished jobs, of any kind, that are about a codebook. */
  public List<String> about(String codebook) {
    return jdbc.sql("SELECT id FROM job WHERE codebook = ? AND " + UNFINISHED)
        .param(codebook)
        .query((row, index) -> String.valueOf(row.getString(1)))
        .list();
  }

  /** The codebooks that unfinished jobs, of any kind, are about. */
  public List<String> unfinishedCodebooks() {
    return jdbc.sql("SELECT DISTINCT codebook FROM job WHERE " + UNFINISHED)
        .query((row, index) -> String.valueOf(row.getString(1)))
        .list();
  }

  /** All unfinished jobs of a kind, whoever holds them. */
  public List<Job> unfinished(String kind) {
    return jdbc.sql("SELECT * FROM job WHERE kind = ? AND " + UNFINISHED)
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
    String client = row.getString("client");
    String detail = row.getString("error_detail");
    String request = row.getString("request");
    String progress = row.getString("progress");
    return new Job(
        row.getString("id"),
        row.getString("kind"),
        row.getString("codebook"),
        client.isEmpty() ? null : client,
        State.ofWireName(row.getString("state")),
        request == null ? "" : request,
        shown(row.getString("parameters")),
        row.getString("source"),
        row.getInt("cancel_requested") != 0,
        row.getInt("attempts"),
        code == null ? null : new Failure(code, detail == null ? null : Masked.text(detail)),
        hasVersion ? version : null,
        hasActivated ? activated != 0 : null,
        row.getString("result"),
        Instant.parse(row.getString("created_at")),
        instant(row.getString("started_at")),
        instant(row.getString("finished_at")),
        row.getString("owner"),
        row.getInt("fence"),
        progress == null ? null : json.readValue(progress, JobProgress.class));
  }

  /** Settings as clients see them; earlier versions of the service stored secrets in addresses. */
  private Map<String, Object> shown(String parameters) {
    Map<String, Object> shown =
        json.readValue(parameters, new TypeReference<Map<String, Object>>() {});
    shown.replaceAll((name, value) -> Masked.shown(value));
    return shown;
  }

  private static @Nullable Instant instant(@Nullable String text) {
    return text == null ? null : Instant.parse(text);
  }
}
