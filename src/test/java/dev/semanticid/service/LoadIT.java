package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Codebook;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Locale;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A steady load of binary batches: every answer is right. The garbage per row and the growth of the
 * memory are printed; {@code -Psoak} judges them over ten minutes, because seconds show the
 * warm-up.
 */
class LoadIT {

  private static final int SECONDS = Integer.getInteger("load.seconds", 5);
  private static final int CLIENTS = 4;
  private static final int D = 512;
  private static final float[][] ROWS = Embeddings.rows(256, D, 3);
  private static final double MOST_BYTES_PER_ROW = 1024;
  private static final double MOST_GROWTH = 1.05;

  @Test
  void encode_steadyBinaryLoad_isExactAllocatesLittleAndKeepsItsSize(@TempDir Path folder)
      throws ExecutionException, InterruptedException {
    try (ServiceProcess service =
            ServiceProcess.start(folder.resolve("data"), "-Xms256m", "-Xmx256m");
        var threads = Executors.newFixedThreadPool(CLIENTS)) {
      ServiceClient client = service.client();
      Codebook codebook = Embeddings.codebook(D, 1, 64, 64, 64);
      client.upload("default", Embeddings.safetensors(codebook), true);
      int[][] expected = Embeddings.reference(codebook, ROWS);
      load(client, threads, expected, Duration.ofSeconds(Math.max(2, SECONDS / 5)));

      double bytes = client.metric("jvm_gc_memory_allocated_bytes_total");
      double rows = client.metric("semantic_id_encoded_rows_total");
      long resident = service.residentBytes();
      load(client, threads, expected, Duration.ofSeconds(SECONDS));

      double encoded = client.metric("semantic_id_encoded_rows_total") - rows;
      double perRow = (client.metric("jvm_gc_memory_allocated_bytes_total") - bytes) / encoded;
      double growth = (double) service.residentBytes() / resident;
      System.out.printf(
          Locale.ROOT,
          "%,.0f rows in %d s, resident %d MiB%n",
          encoded,
          SECONDS,
          service.residentBytes() >> 20);
      assertThat(encoded).isPositive();
      Soak.judge("bytes of heap per row", perRow, MOST_BYTES_PER_ROW);
      Soak.judge("growth of the resident size", growth, MOST_GROWTH);
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
