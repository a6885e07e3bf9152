package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.service.ServiceClient.Encoded;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SortedMap;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * What a stopped or killed service finds when it starts again: every published version, unchanged;
 * unfinished jobs, which go on; the uploads that they need.
 */
class RestartIT {

  /** How often the service is killed; {@code -Psoak} does it a hundred times. */
  private static final int KILLS = Integer.getInteger("soak.kills", 1);

  private static final int D = 16;
  private static final float[][] TRAINING = Embeddings.rows(600, D, 1);
  private static final float[][] ROWS = Embeddings.rows(20, D, 2);
  private static final String ENDLESS =
      ServiceClient.SMALL.replace("max_steps=30", "max_steps=2000000000");

  private static ServiceProcess start(Path dataDir) {
    return ServiceProcess.start(dataDir, ServiceProcess.QUICK_START);
  }

  @Test
  void stopAndKill_withJobsUnderWay_continueThemAndKeepEverythingElse(@TempDir Path dataDir) {
    List<String> jobs;
    Encoded before;
    byte[] file;
    try (ServiceProcess service = start(dataDir)) {
      before = trainTwice(service.client());
      file = service.client().safetensors("default", 2);
      jobs = begin(service.client());
      long began = System.nanoTime();
      service.stop();
      Soak.judge("seconds to stop with jobs under way", Soak.secondsSince(began), 20);
      assertThat(service.spooled()).as("uploads of jobs that will go on").hasSize(2);
    }
    try (ServiceProcess service = start(dataDir)) {
      verify(service, jobs, before, file);
      refusesASecondProcess(service, dataDir, jobs.getFirst());
      service.kill();
      Files.writeString(dataDir.resolve("spool").resolve("of-nobody"), "half an upload");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    try (ServiceProcess service = start(dataDir)) {
      verify(service, jobs, before, file);
      ServiceClient client = service.client();
      assertThat(service.spooled()).as("without what no job needs").hasSize(2);
      for (String location : jobs.reversed()) {
        client.delete(location).expect(202);
        JsonNode ended = client.awaitJob(location);
        assertThat(ended.path("state").asString()).isEqualTo("cancelled");
      }
      assertThat(service.spooled()).isEmpty();
      JsonNode next = client.train(ServiceClient.SMALL + "&seed=3", TRAINING);
      assertThat(next.path("version").asInt()).as("jobs of the past block nobody").isEqualTo(3);
    }
  }

  /** Which must not take the first one's jobs for dead either. */
  private static void refusesASecondProcess(ServiceProcess first, Path dataDir, String running) {
    try (ServiceProcess second = ServiceProcess.launch(dataDir, ServiceProcess.QUICK_START)) {
      assertThat(second.awaitExit()).isNotZero();
      assertThat(second.log()).contains("another process works in", "data-dir");
    }
    assertThat(first.client().get(running).json().path("state").asString()).isEqualTo("running");
    assertThat(first.spooled()).hasSize(2);
    first.client().get("/actuator/health/readiness").expect(200);
  }

  /** Version 1 served by an alias of its own, version 2 active. */
  private static Encoded trainTwice(ServiceClient client) {
    client.train(ServiceClient.SMALL + "&seed=1", TRAINING);
    client.put("/codebooks/default/aliases/previous", "{\"version\": 1}").expect(200);
    client.train(ServiceClient.SMALL + "&seed=2", TRAINING);
    return client.encode("", ROWS);
  }

  /** A running job and a queued one. */
  private static List<String> begin(ServiceClient client) {
    var jobs = new ArrayList<String>();
    for (String codebook : List.of("default", "other")) {
      jobs.add(
          client
              .post(
                  "/train?codebook=%s&%s".formatted(codebook, ENDLESS),
                  ServiceClient.NPY,
                  Embeddings.npy(TRAINING))
              .expect(202)
              .header("Location"));
    }
    awaitSteps(client, jobs.getFirst());
    return jobs;
  }

  private static void awaitSteps(ServiceClient client, String location) {
    Await.until(
        "the job is running",
        () -> client.get(location).json().path("progress").path("step").asInt() > 1,
        () -> client.get(location).text());
  }

  /** The first job goes on where it was, the second one waits. */
  private static void verify(
      ServiceProcess service, List<String> jobs, Encoded before, byte[] file) {
    ServiceClient client = service.client();
    awaitSteps(client, jobs.getFirst());
    JsonNode first = client.get(jobs.getFirst()).json();
    assertThat(first.path("progress").path("phase").asString()).isEqualTo("update");
    JsonNode second = client.get(jobs.getLast()).json();
    assertThat(second.path("state").asString()).as(second.toString()).isEqualTo("queued");
    Encoded after = client.encode("", ROWS);
    assertThat(after.version()).isEqualTo(before.version()).isEqualTo(2);
    assertThat(after.fingerprint()).isEqualTo(before.fingerprint());
    assertThat(after.codes()).isDeepEqualTo(before.codes());
    assertThat(client.safetensors("default", 2)).isEqualTo(file);
    assertThat(client.encode("version=previous", ROWS).version()).isEqualTo(1);
  }

  /** What a client has been told of, by the time the service is killed. */
  private static final class Publisher implements Runnable {

    private final ServiceClient client;
    private final int round;
    private final Map<Integer, String> told;

    Publisher(ServiceClient client, int round, Map<Integer, String> told) {
      this.client = client;
      this.round = round;
      this.told = told;
    }

    /** Trains and uploads by turns until the service is gone. */
    @Override
    public void run() {
      try {
        for (int i = 0; ; i++) {
          int seed = 1000 * round + i;
          int version;
          if (i % 2 == 0) {
            version =
                client
                    .train(
                        String.format(
                            Locale.ROOT, "activate=always&%s&seed=%d", ServiceClient.SMALL, seed),
                        TRAINING)
                    .path("version")
                    .asInt();
            told.put(version, client.fingerprint("default", version));
          } else {
            Codebook codebook = Embeddings.codebook(D, seed, 40, 30, 20);
            version =
                client
                    .upload("default", Embeddings.safetensors(codebook), true)
                    .path("version")
                    .asInt();
            told.put(version, codebook.fingerprint());
          }
        }
      } catch (UncheckedIOException gone) {
        // killed
      }
    }
  }

  @Test
  void kill_atRandomMoments_losesNothingThatWasTold(@TempDir Path dataDir)
      throws InterruptedException {
    var random = new SplittableRandom(11);
    SortedMap<Integer, String> told = Collections.synchronizedSortedMap(new TreeMap<>());
    ServiceProcess service = start(dataDir);
    try {
      for (int round = 0; round < KILLS; round++) {
        var failure = new Throwable[1];
        Thread publisher =
            Thread.ofPlatform().unstarted(new Publisher(service.client(), round, told));
        publisher.setUncaughtExceptionHandler((thread, thrown) -> failure[0] = thrown);
        publisher.start();
        int known = told.size();
        Await.until("versions that are told of", () -> told.size() >= known + 3, () -> "");
        Await.pass(Duration.ofMillis(random.nextInt(1000)));
        service.kill();
        publisher.join();
        service.close();
        assertThat(failure[0]).isNull();
        service = start(dataDir);
        verify(service, told);
      }
      assertThat(told).hasSizeGreaterThan(2);
    } finally {
      service.close();
    }
  }

  private static void verify(ServiceProcess service, SortedMap<Integer, String> told) {
    ServiceClient client = service.client();
    Await.until(
        "the job of before is done",
        () -> client.get("/train?limit=1").json().path("jobs").path(0).has("finished_at"),
        () -> client.get("/train?limit=1").text());
    JsonNode details = client.get("/codebooks/default").expect(200).json();
    Map<Integer, String> kept = new TreeMap<>();
    for (JsonNode version : details.path("versions")) {
      kept.put(version.path("version").asInt(), version.path("fingerprint").asString());
    }
    assertThat(kept).containsAllEntriesOf(told);
    int active = details.path("active").asInt();
    assertThat(kept.keySet()).contains(active);
    assertThat(active).as("at least the last one told of").isGreaterThanOrEqualTo(told.lastKey());
    Codebook codebook = client.download("default", active);
    assertThat(codebook.fingerprint()).isEqualTo(kept.get(active));
    Encoded encoded = client.encode("", ROWS);
    assertThat(encoded.version()).isEqualTo(active);
    assertThat(encoded.codes()).isDeepEqualTo(Embeddings.reference(codebook, ROWS));
    for (JsonNode job : client.get("/train?limit=200").json().path("jobs")) {
      assertThat(job.path("state").asString()).as(job.toString()).isEqualTo("succeeded");
      assertThat(kept.keySet()).contains(job.path("version").asInt());
    }
    assertThat(service.spooled()).isEmpty();
  }

  @Test
  void start_onDamagedTensors_servesTheRestAndHealsByTraining(@TempDir Path dataDir)
      throws SQLException {
    try (ServiceProcess service = start(dataDir)) {
      for (String name : List.of("default", "gone", "other")) {
        byte[] file = Embeddings.safetensors(Embeddings.codebook(D, 1, 8, 8));
        service.client().upload(name, file, true);
        service.client().upload(name, file, false);
      }
      service.stop();
    }
    damage(dataDir);
    try (ServiceProcess service = ServiceProcess.startAlive(dataDir, ServiceProcess.QUICK_START)) {
      ServiceClient client = service.client();
      client.get("/actuator/health/liveness").expect(200);
      Answer readiness = client.get("/actuator/health/readiness").expect(503);
      assertThat(readiness.json().path("status").asString()).isIn("DOWN", "OUT_OF_SERVICE");
      for (String query : List.of("", "codebook=gone", "version=1")) {
        Answer answer =
            client
                .post("/encode?" + query, ServiceClient.OCTETS, Embeddings.octets(ROWS))
                .expectProblem(503, "CODEBOOK_UNAVAILABLE");
        assertThat(answer.header("Retry-After")).isNotBlank();
      }
      client
          .put("/codebooks/default/aliases/active", "{\"version\": 1}")
          .expectProblem(503, "CODEBOOK_UNAVAILABLE");
      assertThat(client.encode("codebook=other", ROWS).version()).isEqualTo(1);
      assertThat(client.encode("version=2", ROWS).version()).as("the other version").isEqualTo(2);
      client.get("/codebooks/default/versions/1").expect(200);
      client.train(ServiceClient.SMALL, TRAINING);
      assertThat(client.encode("", ROWS).version()).isEqualTo(3);
      client.get("/actuator/health/readiness").expect(503);
      client.activate("gone", 2);
      client.get("/actuator/health/readiness").expect(200);
      assertThat(client.encode("codebook=gone", ROWS).version()).isEqualTo(2);
    }
  }

  /** Flips a bit of one version's tensors, and removes those of another. */
  private static void damage(Path dataDir) throws SQLException {
    try (Connection database = TestStore.connect(dataDir)) {
      byte[] bytes;
      try (var select =
              database.prepareStatement(
                  "SELECT bytes FROM codebook_chunk WHERE name = 'default' AND version = 1");
          var rows = select.executeQuery()) {
        assertThat(rows.next()).isTrue();
        bytes = rows.getBytes(1);
      }
      bytes[bytes.length - 10] ^= 1;
      try (var update =
          database.prepareStatement(
              "UPDATE codebook_chunk SET bytes = ? WHERE name = 'default' AND version = 1")) {
        update.setBytes(1, bytes);
        assertThat(update.executeUpdate()).isEqualTo(1);
      }
      try (var delete =
          database.prepareStatement(
              "DELETE FROM codebook_chunk WHERE name = 'gone' AND version = 1")) {
        assertThat(delete.executeUpdate()).isEqualTo(1);
      }
    }
  }
}
