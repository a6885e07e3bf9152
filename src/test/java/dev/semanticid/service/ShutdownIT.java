package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.OCTETS;
import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Codebook;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** How the service ends, when it is told to and when its heap is full, and what comes after. */
class ShutdownIT {

  private static final int D = 16;
  private static final float[][] ROWS = Embeddings.rows(200, D, 4);
  private static final byte[] BODY = Embeddings.octets(ROWS);
  private static final Codebook CODEBOOK = Embeddings.codebook(D, 5, 40, 30, 20);
  private static final int[][] CODES = Embeddings.reference(CODEBOOK, ROWS);

  /** Of the JVM that {@code -XX:+ExitOnOutOfMemoryError} ends. */
  private static final int OUT_OF_MEMORY = 3;

  private static final int TERMINATED = 143;

  @Test
  void sigterm_withRequestsAndAJobUnderWay_finishesTheOnesAndKeepsTheOther(@TempDir Path data) {
    String job;
    int step;
    try (ServiceProcess service = ServiceProcess.start(data, ServiceProcess.QUICK_START)) {
      ServiceClient client = service.client();
      client.upload("default", Embeddings.safetensors(CODEBOOK), true);
      job =
          client
              .post(
                  "/train?codebook=other&"
                      + ServiceClient.SMALL.replace("max_steps=30", "max_steps=2000000000"),
                  ServiceClient.NPY,
                  Embeddings.npy(Embeddings.rows(600, D, 1)))
              .expect(202)
              .header("Location");
      step = awaitStep(client, job, 1);
      List<RawConnection> accepted =
          IntStream.range(0, 20)
              .mapToObj(i ->
                  new RawConnection(client.port())
                      .head(
                          "POST /encode",
                          "Content-Type: " + OCTETS,
                          "Accept: " + OCTETS,
                          "Content-Length: " + BODY.length)
                      .send(Arrays.copyOf(BODY, 100)))
              .toList();
      Await.until(
          "20 requests that are read",
          () -> client.metric("semantic_id_encode_admitted_requests") == 20,
          service::log);
      long began = System.nanoTime();
      service.terminate();
      Await.until("no more requests", () -> refuses(client), service::log);
      for (RawConnection connection : accepted) {
        Answer answer =
            connection.send(Arrays.copyOfRange(BODY, 100, BODY.length)).receive().expect(200);
        assertThat(ServiceClient.codes(answer.body(), ROWS.length)).isDeepEqualTo(CODES);
        connection.close();
      }
      assertThat(service.awaitExit()).isEqualTo(TERMINATED);
      Soak.judge("seconds to end with requests under way", Soak.secondsSince(began), 40);
      assertThat(service.log()).doesNotContain(" ERROR ");
    }
    try (ServiceProcess service = ServiceProcess.start(data, ServiceProcess.QUICK_START)) {
      assertThat(service.client().encode("", ROWS).codes()).isDeepEqualTo(CODES);
      assertThat(awaitStep(service.client(), job, 1)).as("not from the start").isGreaterThan(step);
    }
  }

  private static boolean refuses(ServiceClient client) {
    try (var connection = new RawConnection(client.port())) {
      connection.head("GET /actuator/health/liveness", "Connection: close").receive();
      return false;
    } catch (UncheckedIOException e) {
      return true;
    }
  }

  private static int awaitStep(ServiceClient client, String job, int least) {
    var step = new int[1];
    Await.until(
        "step " + least,
        () -> {
          step[0] = client.get(job).json().path("progress").path("step").asInt();
          return step[0] > least;
        },
        () -> client.get(job).text());
    return step[0];
  }

  @Test
  void job_thatFillsTheHeap_endsTheProcessAndNotTheNext(@TempDir Path data) {
    String job;
    String[] arguments = {
      ServiceProcess.QUICK_START,
      "-Xmx112m",
      "-XX:+ExitOnOutOfMemoryError",
      "--semantic-id.backend=cpu",
      "--semantic-id.jobs.memory-budget=1GB",
      "--semantic-id.jobs.max-attempts=1"
    };
    try (ServiceProcess service = ServiceProcess.start(data, arguments)) {
      ServiceClient client = service.client();
      client.upload("default", Embeddings.safetensors(CODEBOOK), true);
      job =
          client
              .post(
                  "/train?codebook=other&embedding_dim=2048&dtype=f2&codebook_width=8"
                      + "&init_buffer_size=16000&batch_size=2048&max_steps=30",
                  OCTETS,
                  halves(16_000 * 2048))
              .expect(202)
              .header("Location");
      while (encodesIfReady(client)) {
        Await.pass(Duration.ofMillis(5));
      }
      assertThat(service.awaitExit()).as(service.log()).isEqualTo(OUT_OF_MEMORY);
    }
    try (ServiceProcess service = ServiceProcess.start(data, arguments)) {
      ServiceClient client = service.client();
      assertThat(client.encode("", ROWS).codes()).isDeepEqualTo(CODES);
      JsonNode ended = client.awaitJob(job);
      assertThat(ended.path("state").asString()).isEqualTo("failed");
      assertThat(ended.path("error").path("code").asString()).isEqualTo("INTERRUPTED");
      assertThat(service.spooled()).isEmpty();
      client.train(ServiceClient.SMALL + "&codebook=other", Embeddings.rows(600, D, 1));
      client.get("/actuator/health/readiness").expect(200);
    }
  }

  /** False once nobody answers; as long as it is ready before and after, it must encode. */
  private static boolean encodesIfReady(ServiceClient client) {
    try {
      int before = client.get("/actuator/health/readiness").status();
      Answer answer = client.post("/encode", OCTETS, BODY, "Accept", OCTETS);
      if (before == 200 && client.get("/actuator/health/readiness").status() == 200) {
        assertThat(ServiceClient.codes(answer.expect(200).body(), ROWS.length))
            .isDeepEqualTo(CODES);
      }
      return true;
    } catch (UncheckedIOException e) {
      return false;
    }
  }

  /** Finite float16 values. */
  private static byte[] halves(int count) {
    byte[] bytes = new byte[2 * count];
    new Random(3).nextBytes(bytes);
    for (int i = 1; i < bytes.length; i += 2) {
      bytes[i] &= (byte) 0xBB;
    }
    return bytes;
  }
}
