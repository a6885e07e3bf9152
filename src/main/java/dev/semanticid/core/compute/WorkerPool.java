package dev.semanticid.core.compute;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * A fixed number of daemon threads that share out independent tasks. The calling thread works too,
 * so a pool of one thread starts none, and a call from inside a task cannot deadlock.
 */
public final class WorkerPool implements AutoCloseable {

  private final int threads;
  private final @Nullable ExecutorService executor;

  /**
   * @param threads how many threads work at a time, the caller included, 1 or more
   * @param name prefix of the thread names
   */
  public WorkerPool(int threads, String name) {
    this(threads, Thread.ofPlatform().daemon().name(name + "-", 1).factory());
  }

  /**
   * @param threads how many threads work at a time, the caller included, 1 or more
   * @param factory makes the others
   */
  public WorkerPool(int threads, ThreadFactory factory) {
    if (threads < 1) {
      throw new IllegalArgumentException("threads must be at least 1, got " + threads);
    }
    this.threads = threads;
    this.executor = threads == 1 ? null : Executors.newFixedThreadPool(threads - 1, factory);
  }

  /** How many threads work at a time, the caller included. */
  public int threads() {
    return threads;
  }

  /**
   * Runs {@code body} for 0 … tasks−1, each once, and returns when all are done. Which thread takes
   * which task is open, so tasks may not depend on each other's order.
   *
   * @throws RuntimeException the first one that a task threw; tasks not yet begun are then left out
   */
  public void forEach(int tasks, IntConsumer body) {
    ExecutorService helpers = executor;
    if (helpers == null || tasks <= 1) {
      for (int i = 0; i < tasks; i++) {
        body.accept(i);
      }
      return;
    }
    var next = new AtomicInteger();
    var failure = new AtomicReference<@Nullable Throwable>();
    // Counts tasks, not helpers: a helper still queued behind other callers' work is not waited
    // for.
    var done = new CountDownLatch(tasks);
    Runnable work =
        () -> {
          int i;
          while ((i = next.getAndIncrement()) < tasks) {
            try {
              if (failure.get() == null) {
                body.accept(i);
              }
            } catch (RuntimeException | Error e) {
              failure.compareAndSet(null, e);
            } finally {
              done.countDown();
            }
          }
        };
    for (int t = 1; t < Math.min(threads, tasks); t++) {
      helpers.execute(work);
    }
    work.run();
    awaitUninterruptibly(done);
    Throwable thrown = failure.get();
    if (thrown instanceof RuntimeException e) {
      throw e;
    }
    if (thrown instanceof Error e) {
      throw e;
    }
  }

  private static void awaitUninterruptibly(CountDownLatch latch) {
    boolean interrupted = false;
    while (true) {
      try {
        latch.await();
        break;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    if (executor != null) {
      executor.shutdown();
    }
  }
}
