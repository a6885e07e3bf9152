package dev.semanticid.job;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.job.Job.State;
import dev.semanticid.system.Replica;
import dev.semanticid.system.SemanticIdProperties;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.flywaydb.core.Flyway;
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

  @BeforeEach
  void createDatabase(@TempDir Path folder) {
    var database =
        new DriverManagerDataSource(
            "jdbc:sqlite:" + folder.resolve("jobs.db") + "?foreign_keys=true");
    Flyway.configure()
        .dataSource(database)
        .placeholders(
            Map.of("blob", "BLOB", "millis", "CAST(unixepoch('subsec') * 1000 AS INTEGER)"))
        .load()
        .migrate();
    store =
        new JobStore(
            JdbcClient.create(database),
            new TransactionTemplate(new JdbcTransactionManager(database)),
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
    return new JobRequest(KIND, codebook, 1, "{}", Map.of(), null, JobRequest.hash(codebook));
  }
}
