package dev.semanticid.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.job.Job.State;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.security.Client;
import dev.semanticid.service.Schema;
import dev.semanticid.settings.SemanticIdProperties;
import dev.semanticid.store.Replica;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.jdbc.datasource.DriverManagerDataSource;
import org.springframework.jdbc.support.JdbcTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;
import org.springframework.util.unit.DataSize;
import tools.jackson.databind.json.JsonMapper;

/** What a runner does that no client can time; the rest is asked for over HTTP. */
class JobRunnerTest {

  private static final String KIND = "encoding";

  private JobStore store;
  private JdbcClient database;

  @BeforeEach
  void createDatabase(@TempDir Path folder) {
    String url = "jdbc:sqlite:" + folder.resolve("jobs.db") + "?foreign_keys=true";
    Schema.migrate(url, "", "", "latest");
    var source = new DriverManagerDataSource(url);
    database = JdbcClient.create(source);
    store =
        new JobStore(
            database,
            new TransactionTemplate(new JdbcTransactionManager(source)),
            new JsonMapper(),
            new Replica("this one", null));
  }

  @Test
  void submit_afterStop_staysQueuedForTheNextStart() throws InterruptedException {
    var ran = new LinkedBlockingQueue<String>();
    JobRunner stopped = runner(ran);
    stopped.start();
    stopped.stop();
    String id = stopped.submit(request("late"), () -> {}).id();
    assertThat(stopped.get(id).state()).isEqualTo(State.QUEUED);

    JobRunner next = runner(ran);
    next.start();
    try {
      assertThat(ran.poll(30, TimeUnit.SECONDS)).isEqualTo(id);
    } finally {
      next.stop();
    }
    assertThat(next.get(id).state()).isEqualTo(State.SUCCEEDED);
    assertThat(ran).isEmpty();
  }

  @Test
  void submit_sameKeyOfTwoClients_isTwoJobsAndTellsNothingOfTheOther() {
    JobRunner runner = stopped();
    String first = runner.submit(request("a", "key:one", "again"), () -> {}).id();
    String second = runner.submit(request("a", "key:two", "again"), () -> {}).id();
    assertThat(second).isNotEqualTo(first);
    assertThat(runner.submit(request("a", "key:one", "again"), () -> {}))
        .isEqualTo(new JobRunner.Submission(first, false));
    assertThat(runner.submit(request("a", "key:two", "again"), () -> {}))
        .isEqualTo(new JobRunner.Submission(second, false));
    assertThat(runner.submit(request("b", "key:three", "again"), () -> {}).isNew()).isTrue();
    assertThatThrownBy(() -> runner.submit(request("b", "key:one", "again"), () -> {}))
        .isInstanceOfSatisfying(
            ProblemException.class,
            e -> assertThat(e.code()).isEqualTo(ProblemCode.IDEMPOTENCY_KEY_REUSED))
        .hasMessageContaining(first);
    assertThat(runner.get(first).job().client()).isEqualTo("key:one");
  }

  @Test
  void submit_sameKeyOfNobody_isOneJob() {
    JobRunner runner = stopped();
    JobRunner.Submission first = runner.submit(request("a", null, "again"), () -> {});
    assertThat(runner.submit(request("a", null, "again"), () -> {}))
        .isEqualTo(new JobRunner.Submission(first.id(), false));
    assertThatThrownBy(() -> runner.submit(request("b", null, "again"), () -> {}))
        .hasMessageContaining(first.id());
    assertThat(runner.get(first.id()).job().client()).isNull();
  }

  /** Sent first to an earlier version of the service, which did not ask for clients. */
  @Test
  void submit_keyOfAJobOfNobody_isItsJobIfTheRequestIsTheSame() {
    JobRunner runner = stopped();
    JobRunner.Submission nobodys = runner.submit(request("a", null, "again"), () -> {});
    assertThat(runner.submit(request("a", "key:one", "again"), () -> {}))
        .isEqualTo(new JobRunner.Submission(nobodys.id(), false));
    assertThat(runner.submit(request("b", "key:one", "again"), () -> {}).isNew()).isTrue();
  }

  @Test
  void cancel_jobOfAnotherClient_needsAdmin() {
    JobRunner runner = stopped();
    String owned = runner.submit(request("a", "key:one", null), () -> {}).id();
    String nobodys = runner.submit(request("b", null, null), () -> {}).id();
    for (String id : List.of(owned, nobodys)) {
      assertThatThrownBy(() -> runner.cancel(id, client("key:two", false)))
          .isInstanceOfSatisfying(
              ProblemException.class, e -> assertThat(e.code()).isEqualTo(ProblemCode.FORBIDDEN))
          .hasMessageContaining("needs the scope admin");
    }
    assertThatThrownBy(() -> runner.cancel(owned, client("key:two", false)))
        .hasMessageContaining("was asked for by key:one;");
    assertThatThrownBy(() -> runner.cancel("none", client("key:two", false)))
        .hasMessageContaining("there is no");
    assertThat(runner.cancel(owned, client("key:one", false)).job().cancelRequested()).isTrue();
    assertThat(runner.cancel(nobodys, client("key:boss", true)).job().cancelRequested()).isTrue();
  }

  @Test
  void cancel_withoutSecurity_isForEverybody() {
    JobRunner runner = stopped();
    for (String owner : List.of("key:one", "")) {
      String id = runner.submit(request("a", owner.isEmpty() ? null : owner, null), () -> {}).id();
      assertThat(runner.cancel(id, client(null, false)).job().cancelRequested()).isTrue();
    }
  }

  @Test
  void read_jobOfAnEarlierVersionWithSecrets_isShownWithoutThem() {
    database
        .sql(
            "INSERT INTO job (id, kind, codebook, state, parameters, error_code, error_detail,"
                + " created_at) VALUES ('old', ?, 'a', 'failed', ?, 'SOURCE_NOT_FOUND', ?,"
                + " '2026-11-22T10:00:00.000Z')")
        .params(
            KIND,
            "{\"source\": \"s3://me:hush@b/k.npy\", \"rows\": 5}",
            "s3://b/k.npy?X-Amz-Signature=hush: there is no such object")
        .update();
    Job job = stopped().get("old").job();
    assertThat(job.parameters()).isEqualTo(Map.of("source", "s3://***@b/k.npy", "rows", 5));
    assertThat(String.valueOf(job.error())).contains("X-Amz-Signature=***").doesNotContain("hush");
    assertThat(job.client()).isNull();
  }

  private static Client client(@Nullable String name, boolean isAdmin) {
    return new Client(name, "127.0.0.1", isAdmin);
  }

  /** One whose jobs stay queued. */
  private JobRunner stopped() {
    JobRunner runner = runner(new LinkedBlockingQueue<>());
    runner.start();
    runner.stop();
    return runner;
  }

  private JobRunner runner(BlockingQueue<String> ran) {
    var work =
        new JobWork() {
          @Override
          public void run(JobRun run) {
            ran.add(run.job().id());
            store.succeed(run.job(), null, null, Map.of());
          }

          @Override
          public void discard(Job job) {}

          @Override
          public boolean isLocal(Job job) {
            return false;
          }

          @Override
          public String describe(JobProgress progress) {
            return progress.phase();
          }
        };
    var settings =
        new SemanticIdProperties.Jobs(
            16, DataSize.ofMegabytes(1), Duration.ofSeconds(2), 20, Duration.ofDays(90), 1000);
    return new JobRunner(
        KIND, "/encode/jobs", false, store, work, settings, new SimpleMeterRegistry());
  }

  private static JobRequest request(String codebook) {
    return request(codebook, null, null);
  }

  private static JobRequest request(
      String codebook, @Nullable String client, @Nullable String key) {
    return new JobRequest(
        KIND, codebook, 1, client, "{}", Map.of(), key, JobRequest.hash(codebook));
  }
}
