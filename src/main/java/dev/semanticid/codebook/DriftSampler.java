package dev.semanticid.codebook;

import dev.semanticid.backend.BackgroundThreads;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.encode.QuantizationDetails;
import dev.semanticid.core.vector.VectorBatch;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.springframework.beans.factory.DisposableBean;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.stereotype.Component;

/**
 * Tells how well codebooks still fit what is encoded with them, by a row now and then: its margins,
 * and how much of it its code leaves over. One row at a time, on a thread that yields to all
 * others, and never for more than a small share of one core, however large the codebook.
 */
@Component
public final class DriftSampler implements DisposableBean {

  private static final long SHORTEST_PAUSE_NANOS = Duration.ofMillis(100).toNanos();

  /** The pause after a row as a multiple of the time that it took. */
  private static final int PAUSE_FACTOR = 200;

  private final CodebookRegistry registry;
  private final WorkerPool pool;
  private final AtomicBoolean busy = new AtomicBoolean();
  private volatile long next = System.nanoTime();
  private final ThreadPoolExecutor thread =
      new ThreadPoolExecutor(
          1,
          1,
          0,
          TimeUnit.SECONDS,
          new ArrayBlockingQueue<>(1),
          new BackgroundThreads("drift"),
          new ThreadPoolExecutor.DiscardPolicy());

  DriftSampler(CodebookRegistry registry, @Qualifier("jobs") WorkerPool pool) {
    this.registry = registry;
    this.pool = pool;
  }

  /**
   * Takes a row of a batch if it is time for one.
   *
   * @param batch n × d vectors; one of them is copied, if any
   * @param codes n × L, theirs
   */
  public void offer(ServedCodebook served, VectorBatch batch, int[] codes) {
    if (System.nanoTime() - next < 0 || !busy.compareAndSet(false, true)) {
      return;
    }
    Codebook codebook = served.quantizer().codebook();
    int d = batch.dimension();
    int levels = codebook.levels();
    int row = ThreadLocalRandom.current().nextInt(batch.rows());
    var vector = new VectorBatch(Arrays.copyOfRange(batch.data(), row * d, (row + 1) * d), 1, d);
    int[] code = Arrays.copyOfRange(codes, row * levels, (row + 1) * levels);
    thread.execute(() -> measure(served.name(), codebook, vector, code));
  }

  private void measure(String name, Codebook codebook, VectorBatch vector, int[] code) {
    long began = System.nanoTime();
    try {
      var details = QuantizationDetails.of(codebook, vector, code, true, pool);
      registry.sampled(name, details.margins(), residual(codebook, details));
    } finally {
      long now = System.nanoTime();
      next = now + Math.max(SHORTEST_PAUSE_NANOS, PAUSE_FACTOR * (now - began));
      busy.set(false);
    }
  }

  /** ‖x − x̂‖ / ‖x‖ of the row, x̂ from its own norms. */
  private static double residual(Codebook codebook, QuantizationDetails details) {
    int levels = codebook.levels();
    double last = Math.sqrt(details.distances()[levels - 1]);
    if (!codebook.settings().normalizeResiduals()) {
      return last / details.norms()[0];
    }
    for (int level = 1; level < levels; level++) {
      last *= details.norms()[level];
    }
    return last;
  }

  @Override
  public void destroy() {
    thread.shutdownNow();
  }
}
