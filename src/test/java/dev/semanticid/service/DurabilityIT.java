package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.quantizer.Codebook;
import java.nio.file.Path;
import java.sql.DriverManager;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * Versions that swap under load, and a service that is killed: every answer is right, and nothing
 * published is lost.
 */
class DurabilityIT {

  private static final int DIMENSION = 16;
  private static final String SMALL =
      "codebook_width=8&init_buffer_size=64&batch_size=128&max_steps=12&seed=";

  /** How often the service is killed; {@code -Psoak} does it a hundred times. */
  private static final int KILLS = Integer.getInteger("soak.kills", 5);

  @TempDir Path temp;

  private static float[][] rows(int n, long seed) {
    return Embeddings.rows(n, DIMENSION, seed);
  }

  @Test
  void encode_throughFiftySwaps_neverFailsAndNamesTheVersionThatGaveTheCodes() throws Exception {
    float[][] data = rows(600, 1);
    float[][] probe = rows(40, 2);
    try (ServiceProcess service = ServiceProcess.start(temp.resolve("data"))) {
      var expected = new ConcurrentHashMap<Integer, int[][]>();
      var fingerprints = new ConcurrentHashMap<Integer, String>();
      for (int v = 1; v <= 5; v++) {
        service.client().train(SMALL + v, data);
        remember(service, v, probe, expected, fingerprints);
      }
      var stop = new AtomicBoolean();
      var answers = new AtomicInteger();
      try (var clients = Executors.newFixedThreadPool(3)) {
        var running = new ArrayList<Future<?>>();
        for (int c = 0; c < 3; c++) {
          running.add(
              clients.submit(() -> {
                while (!stop.get()) {
                  ServiceClient.Encoded answer = service.client().encode("", probe);
                  int version = answer.version();
                  answers.incrementAndGet();
                  if (expected.containsKey(version)) {
                    assertThat(answer.codes()).isEqualTo(expected.get(version));
                    assertThat(answer.fingerprint()).isEqualTo(fingerprints.get(version));
                  } else {
                    assertThat(version).isGreaterThan(5);
                  }
                }
                return null;
              }));
        }
        for (int swap = 0; swap < 50; swap++) {
          if (swap % 10 == 9) {
            JsonNode job = service.client().train(SMALL + (100 + swap), data);
            assertThat(job.get("activated").asBoolean()).isTrue();
          } else {
            int version = 1 + swap % 5;
            service.client().activate("default", version);
          }
        }
        stop.set(true);
        for (Future<?> client : running) {
          client.get();
        }
      }
      assertThat(answers.get()).isGreaterThan(100);
    }
  }

  private static void remember(
      ServiceProcess service,
      int version,
      float[][] probe,
      Map<Integer, int[][]> expected,
      Map<Integer, String> fingerprints)
      throws Exception {
    Codebook codebook = service.client().download("default", version);
    expected.put(version, Embeddings.reference(codebook, probe));
    fingerprints.put(version, codebook.fingerprint());
  }

  @Test
  void killed_atAnyMoment_servesTheLastPublishedVersion() throws Exception {
    Path dataDir = temp.resolve("killed");
    float[][] data = rows(600, 3);
    var random = new SplittableRandom(4);
    int lastSeen = 0;
    for (int round = 0; round < KILLS; round++) {
      ServiceProcess service = ServiceProcess.start(dataDir, ServiceProcess.QUICK_START);
      try {
        if (lastSeen > 0) {
          ServiceClient.Encoded answer = service.client().encode("", rows(4, 5));
          int version = answer.version();
          assertThat(version)
              .as("what was seen published is served")
              .isGreaterThanOrEqualTo(lastSeen);
          Codebook codebook = service.client().download("default", version);
          assertThat(answer.fingerprint()).isEqualTo(codebook.fingerprint());
          assertThat(answer.codes()).isEqualTo(Embeddings.reference(codebook, rows(4, 5)));
          lastSeen = version;
        }
        for (JsonNode job : service.client().get("/train").json().get("jobs")) {
          assertThat(job.get("state").asString()).isIn("succeeded", "failed");
        }
        assertThat(service.spooled()).isEmpty();
        long until = System.nanoTime() + Duration.ofMillis(300 + random.nextInt(900)).toNanos();
        int number = round * 1000;
        boolean trained = false;
        while (System.nanoTime() < until || !trained) {
          JsonNode job = service.client().train(SMALL + number++, data);
          lastSeen = Math.max(lastSeen, job.get("version").asInt());
          trained = true;
        }
        service
            .client()
            .post("/train?" + SMALL + number, "application/x-npy", Embeddings.npy(data));
        LockSupport.parkNanos(random.nextInt(60_000_000));
      } finally {
        service.kill();
      }
    }
  }

  @Test
  void damagedTensors_areNotServed_andTheServiceSaysSo() throws Exception {
    Path dataDir = temp.resolve("damaged");
    float[][] data = rows(600, 6);
    try (ServiceProcess service = ServiceProcess.start(dataDir, ServiceProcess.QUICK_START)) {
      service.client().train(SMALL + 1, data);
      service.client().train("codebook=other&" + SMALL + 2, data);
    }
    try (var database =
            DriverManager.getConnection("jdbc:sqlite:" + dataDir.resolve("semantic-id.db"));
        var damage =
            database.prepareStatement(
                "UPDATE codebook_chunk SET bytes = ? WHERE name = 'default'");
        var read =
            database.prepareStatement("SELECT bytes FROM codebook_chunk WHERE name = 'default'")) {
      byte[] bytes;
      try (var row = read.executeQuery()) {
        row.next();
        bytes = row.getBytes(1);
      }
      bytes[bytes.length - 3] ^= 0x40;
      damage.setBytes(1, bytes);
      damage.executeUpdate();
    }
    try (ServiceProcess service = ServiceProcess.startAlive(dataDir, ServiceProcess.QUICK_START)) {
      assertThat(service.client().get("/actuator/health/readiness").status()).isEqualTo(503);
      assertThat(service.client().get("/actuator/health/liveness").status()).isEqualTo(200);
      service
          .client()
          .post("/encode", "application/octet-stream", Embeddings.octets(rows(1, 1)))
          .expectProblem(503, "CODEBOOK_UNAVAILABLE");
      assertThat(service.client().encode("codebook=other", rows(1, 1)).version()).isEqualTo(1);
      service.client().train(SMALL + 3, data);
      assertThat(service.client().encode("", rows(1, 1)).version()).isEqualTo(2);
      assertThat(service.client().get("/actuator/health/readiness").status()).isEqualTo(200);
    }
  }

  @Test
  void secondProcess_onTheSameDataDirectory_refusesToStart() throws Exception {
    Path dataDir = temp.resolve("shared");
    try (ServiceProcess first = ServiceProcess.start(dataDir, ServiceProcess.QUICK_START)) {
      ServiceProcess second = ServiceProcess.launch(dataDir, ServiceProcess.QUICK_START);
      assertThat(second.awaitExit()).isNotZero();
      assertThat(second.log()).contains("another process works in");
      assertThat(first.client().get("/actuator/health/readiness").status()).isEqualTo(200);
    }
  }
}
