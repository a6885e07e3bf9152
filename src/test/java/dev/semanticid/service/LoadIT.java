package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Codebook;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A steady load of binary batches: every answer right, hardly any garbage per row, and memory that
 * does not grow. How long is a property, because growth shows only in time.
 */
class LoadIT {

  private static final int SECONDS = Integer.getInteger("load.seconds", 15);
  private static final int CLIENTS = 4;
  private static final int D = 512;
  private static final float[][] ROWS = Embeddings.rows(256, D, 3);
  private static final double MOST_BYTES_PER_ROW = 1024;

  /** A short run still sees the compiler's memory come and go. */
  private static final double MOST_GROWTH = SECONDS >= 300 ? 1.05 : 1.25;

  @Test
  void encode_steadyBinaryLoad_allocatesLittleAndKeepsItsSize(@TempDir Path folder)
      throws ExecutionException, InterruptedException {
    try (ServiceProcess service =
            ServiceProcess.start(folder.resolve("data"), "-Xms256m", "-Xmx256m");
        var threads = Executors.newFixedThreadPool(CLIENTS)) {
      ServiceClient client = service.client();
      Codebook codebook = Embeddings.codebook(D, 1, 64, 64, 64);
      client.upload("default", Embeddings.safetensors(codebook), true);
      int[][] expected = Embeddings.reference(codebook, ROWS);
      load(client, threads, expected, Duration.ofSeconds(Math.max(5, SECONDS / 5)));

      double bytes = client.metric("jvm_gc_memory_allocated_bytes_total");
      double rows = client.metric("semantic_id_encoded_rows_total");
      long resident = service.residentBytes();
      load(client, threads, expected, Duration.ofSeconds(SECONDS));

      double encoded = client.metric("semantic_id_encoded_rows_total") - rows;
      double perRow = (client.metric("jvm_gc_memory_allocated_bytes_total") - bytes) / encoded;
      double growth = (double) service.residentBytes() / resident;
      System.out.printf(
          "%,.0f rows in %d s: %.0f bytes of heap per row, resident %d MiB, × %.3f%n",
          encoded, SECONDS, perRow, service.residentBytes() >> 20, growth);
      assertThat(encoded).isPositive();
      assertThat(perRow).isLessThan(MOST_BYTES_PER_ROW);
      assertThat(growth).isLessThan(MOST_GROWTH);
    }
  }

  private static void load(
      ServiceClient client, ExecutorService threads, int[][] expected, Duration time)
      throws ExecutionException, InterruptedException {
    long end = System.nanoTime() + time.toNanos();
    var running = new ArrayList<Future<?>>();
    for (int i = 0; i < CLIENTS; i++) {
      running.add(
          threads.submit(() -> {
            while (System.nanoTime() - end < 0) {
              assertThat(client.encode("", ROWS).codes()).isDeepEqualTo(expected);
            }
          }));
    }
    for (Future<?> each : running) {
      each.get();
    }
  }
}
