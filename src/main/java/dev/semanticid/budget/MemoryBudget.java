package dev.semanticid.budget;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.settings.SemanticIdProperties;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.Locale;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.stereotype.Component;

/**
 * The heap that all requests may take together: for vectors that are read and encoded, for answers
 * that are written, for uploaded codebooks, and for versions that are loaded because a request asks
 * for them. Each takes its share before it allocates. A request that finds no room is refused, so
 * that no number of requests ends the process.
 */
@Component
public class MemoryBudget {

  private static final int RETRY_SECONDS = 1;

  private final long total;
  private long taken;

  @Autowired
  MemoryBudget(SemanticIdProperties properties, MeterRegistry meters) {
    this(properties.effectiveRequestMemory());
    Gauge.builder("semantic_id.request.memory", this, MemoryBudget::taken)
        .description("Heap that requests have reserved")
        .baseUnit("bytes")
        .register(meters);
    Gauge.builder("semantic_id.request.memory.limit", () -> total)
        .description("Heap that requests may reserve together")
        .baseUnit("bytes")
        .register(meters);
  }

  /**
   * @param total bytes
   */
  public MemoryBudget(long total) {
    this.total = total;
  }

  /** Bytes that all requests may take together. */
  public long total() {
    return total;
  }

  /** Bytes that are taken now. */
  public synchronized long taken() {
    return taken;
  }

  /**
   * Takes a share.
   *
   * @param what is to be kept there, for a message: {@code the rows}
   * @param bytes 0 or more
   * @throws ProblemException {@code PAYLOAD_TOO_LARGE} if it is more than there is in all, {@code
   *     OVERLOADED} if it is more than there is now
   */
  public Share reserve(String what, long bytes) {
    take(what, bytes);
    return new Share(what, bytes);
  }

  /**
   * Does some work that takes a share as long as it runs.
   *
   * @throws ProblemException as {@link #reserve}, and then the work is not begun
   */
  public <T extends @Nullable Object> T with(String what, long bytes, Supplier<T> work) {
    Share share = reserve(what, bytes);
    try {
      return work.get();
    } finally {
      share.close();
    }
  }

  private synchronized void take(String what, long bytes) {
    if (bytes > total) {
      throw new ProblemException(
              ProblemCode.PAYLOAD_TOO_LARGE,
              String.format(
                  Locale.ROOT,
                  "%s would take %d bytes of memory, all requests together may take %d; send less"
                      + " at once, or raise semantic-id.request-memory",
                  what,
                  bytes,
                  total))
          .with("limit", total);
    }
    if (bytes > total - taken) {
      throw ProblemException.overloaded(
          String.format(
              Locale.ROOT,
              "%s would take %d bytes of memory, other requests have taken %d of %d",
              what,
              bytes,
              taken,
              total),
          RETRY_SECONDS);
    }
    taken += bytes;
  }

  private synchronized void give(long bytes) {
    taken -= bytes;
  }

  /** Part of the budget, held until it is closed; one thread's at a time. */
  public final class Share implements AutoCloseable {

    private final String what;
    private long held;

    private Share(String what, long held) {
      this.what = what;
      this.held = held;
    }

    /**
     * Makes it larger or smaller.
     *
     * @param bytes that it shall have, 0 or more
     * @throws ProblemException as {@link #reserve}; then it stays as it was
     */
    public void resize(long bytes) {
      if (bytes > held) {
        take(what, bytes - held);
      } else {
        give(held - bytes);
      }
      held = bytes;
    }

    @Override
    public void close() {
      give(held);
      held = 0;
    }
  }
}
