package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.service.ServiceClient.Encoded;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** Two processes of the packaged service on one PostgreSQL. */
@ExtendWith(PostgresServer.Required.class)
class ReplicasIT {

  /** How often an alias moves under load; {@code -Psoak} does it a thousand times. */
  private static final int MOVES = Integer.getInteger("soak.moves", 30);

  /** How long the database is away; {@code -Psoak} takes a minute. */
  private static final int OUTAGE_SECONDS = Integer.getInteger("soak.outage.seconds", 2);

  /** Steps of a training that takes a few seconds. */
  private static final int STEPS = 2_000;

  private static final int D = 16;
  private static final float[][] TRAINING = Embeddings.rows(600, D, 1);
  private static final float[][] ROWS = Embeddings.rows(50, D, 2);

  /** So long that only a notification can be faster. */
  private static final String NO_POLLING = "--semantic-id.store.poll-interval=1h";

  private static final String LEASE = "--semantic-id.store.lease=4s";

  private static ServiceProcess start(
      PostgresServer.Database database, Path dataDir, String... more) {
    var arguments = new ArrayList<>(List.of(ServiceProcess.QUICK_START));
    arguments.addAll(database.arguments());
    arguments.addAll(List.of(more));
    return ServiceProcess.start(dataDir, arguments.toArray(String[]::new));
  }

  private static void awaitVersion(ServiceProcess replica, int version) {
    Await.until(
        String.format(Locale.ROOT, "version %d is served", version),
        () -> served(replica) == version,
        () -> "it is " + served(replica));
  }

  private static int served(ServiceProcess replica) {
    for (JsonNode resident : replica.client().get("/info").json().path("codebooks")) {
      if (resident.path("codebook").asString().equals("default")) {
        return resident.path("version").asInt();
      }
    }
    return 0;
  }

  @Test
  void train_onOne_isServedByBoth_atOnceByNotificationAndElseByPolling(@TempDir Path folder)
      throws SQLException {
    PostgresServer.Database database = PostgresServer.get().createDatabase();
    try (ServiceProcess one = start(database, folder.resolve("1"), NO_POLLING);
        ServiceProcess two = start(database, folder.resolve("2"), NO_POLLING);
        ServiceProcess polling =
            start(database, folder.resolve("3"), "--semantic-id.store.poll-interval=500ms")) {
      JsonNode job = one.client().train(ServiceClient.SMALL, TRAINING);
      assertThat(job.path("version").asInt()).isEqualTo(1);
      awaitVersion(two, 1);
      Encoded expected = one.client().encode("", ROWS);
      assertThat(two.client().encode("", ROWS).codes()).isDeepEqualTo(expected.codes());
      assertThat(two.client().get("/train/" + job.path("id").asString()).json().path("state"))
          .hasToString("\"succeeded\"");
      try (Connection connection = database.connect();
          var statement = connection.createStatement()) {
        statement.execute("DROP TRIGGER codebook_alias_moved ON codebook_alias");
      }
      two.client().train(ServiceClient.SMALL + "&seed=9", TRAINING);
      awaitVersion(polling, 2);
      assertThat(served(one)).as("nobody told it, and it does not ask").isEqualTo(1);
      assertThat(one.client().encode("version=2", ROWS).codes())
          .as("asked for, it is there")
          .isDeepEqualTo(polling.client().encode("", ROWS).codes());
    }
  }

  @Test
  void moveAlias_underLoadOnBoth_neverFailsAndNeverMixes(@TempDir Path folder)
      throws ExecutionException, InterruptedException {
    PostgresServer.Database database = PostgresServer.get().createDatabase();
    try (ServiceProcess one = start(database, folder.resolve("1"));
        ServiceProcess two = start(database, folder.resolve("2"));
        var threads = Executors.newFixedThreadPool(4)) {
      var expected = new ArrayList<int[][]>();
      for (int seed = 1; seed <= 3; seed++) {
        Codebook codebook = Embeddings.codebook(D, seed, 8, 8, 8);
        one.client().upload("default", Embeddings.safetensors(codebook), seed == 1);
        expected.add(Embeddings.reference(codebook, ROWS));
      }
      awaitVersion(two, 1);
      var over = new AtomicBoolean();
      var seen = new AtomicInteger();
      var answers = new AtomicInteger();
      var encoders = new ArrayList<Future<?>>();
      for (int i = 0; i < 4; i++) {
        ServiceClient client = (i % 2 == 0 ? one : two).client();
        encoders.add(
            threads.submit(() -> {
              while (!over.get()) {
                Encoded got = client.encode("", ROWS);
                assertThat(got.codes()).isDeepEqualTo(expected.get(got.version() - 1));
                seen.getAndUpdate(before -> before | 1 << got.version());
                answers.incrementAndGet();
              }
            }));
      }
      try {
        for (int move = 0; move < MOVES; move++) {
          int before = answers.get();
          (move % 2 == 0 ? one : two).client().activate("default", 1 + move % 3);
          if (move < 6) {
            // However slow the machine is, the clients meet each version.
            Await.until("answers to the clients", () -> answers.get() > before + 8, () -> "");
          }
        }
      } finally {
        over.set(true);
      }
      for (Future<?> encoder : encoders) {
        encoder.get();
      }
      assertThat(seen).as("versions served").hasValue(0b1110);
      int last = 1 + (MOVES - 1) % 3;
      awaitVersion(one, last);
      awaitVersion(two, last);
    }
  }

  private static String training(Path rows, String codebook, int steps) {
    return String.format(
        Locale.ROOT,
        """
        {"codebook": "%s", "source": {"uri": "file://%s"}, "codebook_width": 16, "num_hierarchies": 3,
         "init_buffer_size": 256, "batch_size": 256, "max_steps": %d}
        """,
        codebook,
        rows,
        steps);
  }

  private static void awaitProgress(ServiceProcess replica, String job) {
    Await.until(
        "the job has a checkpoint behind it",
        () -> replica.client().get(job).json().path("progress").path("step").asInt() > 100,
        () -> replica.client().get(job).text());
  }

  /** The first one's trainer dies, then the second one's is paused beyond its lease. */
  @Test
  void trainer_killedOrPausedBeyondItsLease_losesItsJobsToTheOther(@TempDir Path temp)
      throws IOException, InterruptedException {
    Path folder = temp.toRealPath();
    PostgresServer.Database database = PostgresServer.get().createDatabase();
    Path rows = Files.write(folder.resolve("rows.npy"), Embeddings.npy(TRAINING));
    String[] settings = {
      LEASE, "--semantic-id.data-root=" + folder, "--semantic-id.jobs.checkpoint-interval=20ms"
    };
    try (ServiceProcess two = start(database, folder.resolve("2"), settings)) {
      String undisturbed;
      String job;
      String upload;
      try (ServiceProcess one = start(database, folder.resolve("1"), settings)) {
        JsonNode done = one.client().trainFrom(training(rows, "undisturbed", STEPS));
        assertThat(done.path("state").asString()).as(done.toString()).isEqualTo("succeeded");
        undisturbed = one.client().fingerprint("undisturbed", 1);
        job =
            one.client()
                .post("/train", training(rows, "default", STEPS))
                .expect(202)
                .header("Location");
        upload =
            one.client()
                .post(
                    "/train?codebook=uploaded&" + ServiceClient.SMALL,
                    ServiceClient.NPY,
                    Embeddings.npy(TRAINING))
                .expect(202)
                .header("Location");
        awaitProgress(one, job);
        two.client()
            .post("/train", training(rows, "default", 20))
            .expectProblem(409, "TRAINING_IN_PROGRESS");
        one.kill();
      }
      JsonNode done = two.client().awaitJob(job);
      assertThat(done.path("state").asString()).as(done.toString()).isEqualTo("succeeded");
      assertThat(two.client().fingerprint("default", 1)).isEqualTo(undisturbed);
      JsonNode failed = two.client().awaitJob(upload);
      assertThat(failed.path("error").path("code").asString()).isEqualTo("INTERRUPTED");
      assertThat(two.log()).contains("goes on here instead of on a replica that is gone");

      try (ServiceProcess one = start(database, folder.resolve("1"), settings)) {
        String paused =
            two.client()
                .post("/train", training(rows, "paused", STEPS))
                .expect(202)
                .header("Location");
        awaitProgress(two, paused);
        signal(two, "STOP");
        try {
          done = one.client().awaitJob(paused);
        } finally {
          signal(two, "CONT");
        }
        assertThat(done.path("state").asString()).as(done.toString()).isEqualTo("succeeded");
        assertThat(one.client().fingerprint("paused", 1)).isEqualTo(undisturbed);
        Await.until(
            "the one that was paused gives up",
            () -> two.log().contains("this process does not hold job"),
            two::log);
        assertThat(one.client().get("/codebooks/paused").json().path("versions").size())
            .isEqualTo(1);
        assertThat(two.client().get(paused).json()).isEqualTo(one.client().get(paused).json());
        cancelFromAfar(one, two, rows);
      }
    }
  }

  private static void cancelFromAfar(ServiceProcess one, ServiceProcess two, Path rows) {
    String job =
        one.client()
            .post("/train", training(rows, "endless", 1_000_000_000))
            .expect(202)
            .header("Location");
    awaitProgress(two, job);
    two.client().delete(job).expect(202);
    assertThat(one.client().awaitJob(job).path("state").asString()).isEqualTo("cancelled");
  }

  private static void signal(ServiceProcess process, String signal)
      throws IOException, InterruptedException {
    int status =
        new ProcessBuilder("kill", "-" + signal, Long.toString(process.pid())).start().waitFor();
    assertThat(status).isZero();
  }

  @Test
  void database_gone_isNotNoticedByEncodersAndForgottenAfterwards(@TempDir Path temp)
      throws IOException, InterruptedException, ExecutionException {
    Path folder = temp.toRealPath();
    Path rows = Files.write(folder.resolve("rows.npy"), Embeddings.npy(TRAINING));
    try (PostgresServer server = PostgresServer.start()) {
      PostgresServer.Database database = server.createDatabase();
      try (ServiceProcess replica =
              start(
                  database,
                  folder.resolve("1"),
                  LEASE,
                  "--semantic-id.data-root=" + folder,
                  "--semantic-id.jobs.checkpoint-interval=20ms");
          var threads = Executors.newSingleThreadExecutor()) {
        ServiceClient client = replica.client();
        client.train(ServiceClient.SMALL, TRAINING);
        String undisturbed =
            client.trainFrom(training(rows, "undisturbed", STEPS)).path("state").asString();
        assertThat(undisturbed).isEqualTo("succeeded");
        Encoded expected = client.encode("", ROWS);
        var over = new AtomicBoolean();
        Future<Integer> encoder =
            threads.submit(() -> {
              int answers = 0;
              while (!over.get()) {
                Encoded got = client.encode("", ROWS);
                assertThat(Arrays.deepEquals(got.codes(), expected.codes())).isTrue();
                answers++;
              }
              return answers;
            });
        try {
          String job =
              client.post("/train", training(rows, "other", STEPS)).expect(202).header("Location");
          awaitProgress(replica, job);
          try {
            server.stop();
            for (int i = 0; i < 3; i++) {
              Answer refused =
                  client
                      .post(
                          "/train?codebook=new&" + ServiceClient.SMALL,
                          ServiceClient.NPY,
                          Embeddings.npy(TRAINING))
                      .expectProblem(503, "STORE_UNAVAILABLE");
              assertThat(refused.header("Retry-After")).isNotBlank();
              client
                  .put("/codebooks/default/aliases/active", "{\"version\": 1}")
                  .expectProblem(503, "STORE_UNAVAILABLE");
              client.get("/codebooks").expectProblem(503, "STORE_UNAVAILABLE");
              client.get("/actuator/health/readiness").expect(200);
            }
            TimeUnit.SECONDS.sleep(OUTAGE_SECONDS);
          } finally {
            server.startAgain();
          }
          Await.until(
              "the database answers", () -> client.get("/codebooks").status() == 200, replica::log);
          JsonNode done = client.awaitJob(job);
          assertThat(done.path("state").asString()).as(done.toString()).isEqualTo("succeeded");
          assertThat(client.fingerprint("other", 1))
              .isEqualTo(client.fingerprint("undisturbed", 1));
        } finally {
          over.set(true);
        }
        assertThat(encoder.get()).isPositive();
        client.train(ServiceClient.SMALL + "&seed=5", TRAINING);
        assertThat(client.encode("", ROWS).version()).isEqualTo(2);
      }
    }
  }
}
