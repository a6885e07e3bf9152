package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.service.ServiceClient.Encoded;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/**
 * Jobs whose service is killed again and again: they end as if nobody had, and meanwhile the
 * service encodes with the version it had.
 */
class ResumeIT {

  /** How often the service is killed during a job; {@code -Psoak} does it fifty times. */
  private static final int KILLS = Math.max(1, Integer.getInteger("soak.kills", 1) / 2);

  private static final int D = 64;
  private static final int N = 20_000;
  private static final float[][] PROBES = Embeddings.rows(20, D, 2);

  private static ServiceProcess start(Path folder, String... more) {
    var arguments =
        new ArrayList<>(List.of(ServiceProcess.QUICK_START, "--semantic-id.data-root=" + folder));
    arguments.addAll(
        more.length > 0 ? List.of(more) : List.of("--semantic-id.jobs.checkpoint-interval=20ms"));
    return ServiceProcess.start(folder.resolve("data"), arguments.toArray(String[]::new));
  }

  private static Path rows(Path folder) throws IOException {
    return Files.write(folder.resolve("rows.npy"), Embeddings.npy(Embeddings.rows(N, D, 1)));
  }

  private static String training(Path rows, boolean layerWise) {
    return """
    {"codebook": "default", "source": {"uri": "file://%s"}, "codebook_width": 64,
     "init_buffer_size": 512, "batch_size": 1024, "max_steps": 900, "train_layer_wise": %s}
    """
        .formatted(rows, layerWise);
  }

  /** Encodes until it is told to stop; a service that is gone is no error. */
  private static final class Prober implements Runnable {

    private final AtomicReference<ServiceClient> client;
    private final Encoded expected;
    private final AtomicBoolean over = new AtomicBoolean();
    private final AtomicInteger answers = new AtomicInteger();
    private volatile @Nullable Throwable failure;

    Prober(AtomicReference<ServiceClient> client, Encoded expected) {
      this.client = client;
      this.expected = expected;
    }

    @Override
    public void run() {
      while (!over.get()) {
        ServiceClient now = client.get();
        try {
          Encoded got = now.encode("", PROBES);
          if (got.version() != 1 || !Arrays.deepEquals(got.codes(), expected.codes())) {
            throw new AssertionError("got version " + got.version());
          }
          answers.incrementAndGet();
          // Encoding comes first: without a pause the job would get nothing.
          Await.pass(Duration.ofMillis(5));
        } catch (UncheckedIOException gone) {
          Await.pass(Duration.ofMillis(20));
        } catch (RuntimeException | Error e) {
          failure = e;
          return;
        }
      }
    }
  }

  private static void awaitSteps(ServiceClient client, String job) {
    Await.until(
        "steps",
        () -> client.get(job).json().path("progress").path("step").asInt() > 3,
        () -> client.get(job).text());
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void training_killedAtRandomMoments_endsAsUndisturbed(boolean layerWise, @TempDir Path temp)
      throws IOException, InterruptedException {
    Path folder = temp.toRealPath();
    Path rows = rows(folder);
    var random = new SplittableRandom(layerWise ? 1 : 2);
    ServiceProcess service = start(folder);
    try {
      ServiceClient client = service.client();
      client.train("activate=always&" + ServiceClient.SMALL, Embeddings.rows(600, D, 3));
      String request = training(rows, layerWise);
      JsonNode undisturbed = client.trainFrom(request.replace("default", "undisturbed"));
      assertThat(undisturbed.path("state").asString()).isEqualTo("succeeded");
      var current = new AtomicReference<>(client);
      var prober = new Prober(current, client.encode("", PROBES));
      Thread thread = Thread.ofPlatform().start(prober);
      String job =
          client
              .post(
                  "/train",
                  request.replace("{\"codebook\"", "{\"activate\": \"never\", \"codebook\""))
              .expect(202)
              .header("Location");
      boolean continued = false;
      for (int kill = 0; kill < KILLS; kill++) {
        if (kill == 0) {
          // At least once in the middle, however fast the machine is.
          awaitSteps(client, job);
        }
        Await.pass(Duration.ofMillis(random.nextInt(kill == 0 ? 100 : 1200)));
        service.kill();
        service.close();
        service = start(folder);
        current.set(service.client());
        continued |= service.log().contains("goes on");
      }
      JsonNode done = service.client().awaitJob(job);
      prober.over.set(true);
      thread.join();
      assertThat(prober.failure).isNull();
      assertThat(prober.answers).hasValueGreaterThan(KILLS);
      assertThat(done.path("state").asString()).as(done.toString()).isEqualTo("succeeded");
      assertThat(service.client().fingerprint("default", 2))
          .isEqualTo(service.client().fingerprint("undisturbed", 1));
      assertThat(done.path("report")).isEqualTo(undisturbed.path("report"));
      assertThat(continued).as("a job goes on").isTrue();
    } finally {
      service.close();
    }
  }

  @Test
  void bulkEncoding_killedAtRandomMoments_writesTheSameFiles(@TempDir Path temp)
      throws IOException, InterruptedException {
    Path folder = temp.toRealPath();
    Path rows = rows(folder);
    for (int copy = 0; copy < 20; copy++) {
      Files.copy(rows, folder.resolve(String.format(Locale.ROOT, "copy-%02d.npy", copy)));
    }
    var random = new SplittableRandom(3);
    ServiceProcess service = start(folder);
    try {
      ServiceClient client = service.client();
      client.train("activate=always&" + ServiceClient.SMALL, Embeddings.rows(600, D, 3));
      for (String ending : List.of("npy", "parquet")) {
        JsonNode undisturbed =
            service.client().awaitJob(encode(service.client(), folder, "undisturbed." + ending));
        assertThat(undisturbed.path("state").asString())
            .as(undisturbed.toString())
            .isEqualTo("succeeded");
        String job = encode(service.client(), folder, "killed." + ending);
        for (int kill = 0; kill < KILLS; kill++) {
          Await.pass(Duration.ofMillis(random.nextInt(400)));
          service.kill();
          service.close();
          assertThat(
                  Files.exists(folder.resolve("killed." + ending))
                      && Files.mismatch(
                              folder.resolve("killed." + ending),
                              folder.resolve("undisturbed." + ending))
                          >= 0)
              .as("a file that is there and not whole")
              .isFalse();
          service = start(folder);
        }
        JsonNode done = service.client().awaitJob(job);
        assertThat(done.path("state").asString()).as(done.toString()).isEqualTo("succeeded");
        assertThat(folder.resolve("killed." + ending))
            .hasSameBinaryContentAs(folder.resolve("undisturbed." + ending));
        try (var left = Files.list(folder.resolve("data").resolve("encoding"))) {
          assertThat(left).isEmpty();
        }
        try (var left = Files.list(folder)) {
          assertThat(left.map(path -> String.valueOf(path.getFileName())))
              .allMatch(name -> !name.startsWith("."));
        }
      }
    } finally {
      service.close();
    }
  }

  private static String encode(ServiceClient client, Path folder, String name) {
    return client
        .post(
            "/encode/jobs",
            """
            {"source": {"uri": "file://%s/copy-*.npy"}, "destination": {"uri": "file://%s/%s"}}
            """
                .formatted(folder, folder, name))
        .expect(202)
        .header("Location");
  }

  @Test
  void cancelled_thenKilled_staysCancelled(@TempDir Path temp) throws IOException {
    Path folder = temp.toRealPath();
    String request = training(rows(folder), true).replace("900", "900000");
    String running;
    String queued;
    try (ServiceProcess service = start(folder)) {
      running = service.client().post("/train", request).expect(202).header("Location");
      queued =
          service
              .client()
              .post("/train", request.replace("default", "other"))
              .expect(202)
              .header("Location");
      service.client().delete(queued).expect(202);
      service.client().delete(running).expect(202);
      service.kill();
    }
    try (ServiceProcess service = start(folder)) {
      for (String job : List.of(running, queued)) {
        assertThat(service.client().awaitJob(job).path("state").asString()).isEqualTo("cancelled");
      }
    }
  }

  @Test
  void sourceReplaced_whileTheServiceWasDown_failsTheJob(@TempDir Path temp) throws IOException {
    Path folder = temp.toRealPath();
    Path rows = rows(folder);
    String job;
    try (ServiceProcess service = start(folder)) {
      job =
          service
              .client()
              .post("/train", training(rows, true).replace("900", "900000"))
              .expect(202)
              .header("Location");
      awaitSteps(service.client(), job);
      service.kill();
    }
    Files.write(rows, Embeddings.npy(Embeddings.rows(N, D, 9)));
    try (ServiceProcess service = start(folder)) {
      JsonNode ended = service.client().awaitJob(job);
      assertThat(ended.path("state").asString()).isEqualTo("failed");
      assertThat(ended.path("error").path("code").asString()).isEqualTo("SOURCE_CHANGED");
    }
  }

  /** A job that takes its service down each time must not do so for ever. */
  @Test
  void killedAgainAndAgainWithoutGettingFurther_failsTheJob(@TempDir Path temp) throws IOException {
    Path folder = temp.toRealPath();
    String request = training(rows(folder), true).replace("900", "900000");
    String[] settings = {
      "--semantic-id.jobs.max-attempts=2", "--semantic-id.jobs.checkpoint-interval=1h"
    };
    String job = "";
    for (int attempt = 0; attempt < 2; attempt++) {
      try (ServiceProcess service = start(folder, settings)) {
        ServiceClient client = service.client();
        if (attempt == 0) {
          job = client.post("/train", request).expect(202).header("Location");
        }
        String location = job;
        Await.until(
            "the job is running",
            () -> client.get(location).json().path("state").asString().equals("running"),
            () -> client.get(location).text());
        service.kill();
      }
    }
    try (ServiceProcess service = start(folder, settings)) {
      JsonNode ended = service.client().get(job).expect(200).json();
      assertThat(ended.path("state").asString()).isEqualTo("failed");
      assertThat(ended.path("error").path("code").asString()).isEqualTo("INTERRUPTED");
      assertThat(ended.path("error").path("detail").asString()).contains("2 times");
    }
  }
}
