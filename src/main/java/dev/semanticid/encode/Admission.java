package dev.semanticid.encode;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.settings.SemanticIdProperties;
import java.util.Locale;
import java.util.function.DoubleSupplier;

/**
 * Lets requests in by rows, before their bodies are read: those that are read, wait or are encoded
 * hold memory and time in proportion to their rows, and all together have a bound. What does not
 * fit is told when to come again.
 *
 * <p>Rows that a request has announced are held before they arrive, but only half of the bound is
 * held in this way. So clients that announce rows and do not send them leave the other half to
 * those that do.
 */
final class Admission {

  private final SemanticIdProperties.Encoding limits;

  /** Rows per second that are encoded at present, or 0. */
  private final DoubleSupplier rate;

  private int rows;

  /** Rows among them that have been announced and have not arrived. */
  private int announced;

  private int requests;
  private long refused;

  Admission(SemanticIdProperties.Encoding limits, DoubleSupplier rate) {
    this.limits = limits;
    this.rate = rate;
  }

  /**
   * Lets a request in, or refuses it.
   *
   * @param expectedRows as many rows as its announced length suggests, or 1 if it announces none
   * @throws ProblemException {@code PAYLOAD_TOO_LARGE} if it can never fit, {@code OVERLOADED} if
   *     it does not fit now
   */
  Permit admit(long expectedRows) {
    requireAllowed(expectedRows);
    int expected = (int) Math.max(1, expectedRows);
    synchronized (this) {
      if (requests < limits.maxQueuedRequests()
          && (long) rows + expected <= limits.maxQueuedRows()) {
        requests++;
        return new Permit(announce(expected));
      }
    }
    throw overloaded();
  }

  /** Refuses more rows than one request may have. */
  void requireAllowed(long requestRows) {
    if (requestRows > limits.maxRows()) {
      throw new ProblemException(
              ProblemCode.PAYLOAD_TOO_LARGE,
              String.format(
                  Locale.ROOT,
                  "a request may have %d rows, this one has %d or more",
                  limits.maxRows(),
                  requestRows))
          .with("limit", limits.maxRows());
    }
  }

  /** Holds rows that have not arrived; returns how many. */
  private int announce(int more) {
    int held = Math.clamp(limits.maxQueuedRows() / 2 - announced, 0, more);
    announced += held;
    rows += held;
    return held;
  }

  private synchronized void arrive(int arrived) {
    announced -= arrived;
  }

  private synchronized boolean tryTake(int more) {
    if ((long) rows + more > limits.maxQueuedRows()) {
      return false;
    }
    rows += more;
    return true;
  }

  private synchronized void give(int returnedRows, int returnedRequests) {
    rows -= returnedRows;
    requests -= returnedRequests;
  }

  private synchronized ProblemException overloaded() {
    refused++;
    double perSecond = rate.getAsDouble();
    long seconds = perSecond > 0 ? Math.clamp((long) Math.ceil(rows / perSecond), 1, 60) : 1;
    return ProblemException.overloaded(
        String.format(
            Locale.ROOT,
            "%d requests with %d rows are under way, %d and %d may be",
            requests,
            rows,
            limits.maxQueuedRequests(),
            limits.maxQueuedRows()),
        seconds);
  }

  /** Rows of all requests inside. */
  synchronized int rows() {
    return rows;
  }

  /** Requests inside. */
  synchronized int requests() {
    return requests;
  }

  /** Requests refused so far because there was no room. */
  synchronized long refused() {
    return refused;
  }

  /** A request's place, held until its codes are known; one thread's at a time. */
  final class Permit implements AutoCloseable {

    private int held;

    /** Rows among them that have not arrived. */
    private int awaited;

    private boolean closed;

    private Permit(int held) {
      this.held = held;
      this.awaited = held;
    }

    /**
     * The request announces rows; some of them are held from now on.
     *
     * @throws ProblemException {@code PAYLOAD_TOO_LARGE} if one request may not have as many,
     *     {@code OVERLOADED} if there is no room now
     */
    void announce(long expected) {
      requireAllowed(expected);
      int more = (int) Math.max(0, expected - held);
      synchronized (Admission.this) {
        if ((long) rows + more > limits.maxQueuedRows()) {
          throw overloaded();
        }
        int announcedMore = Admission.this.announce(more);
        held += announcedMore;
        awaited += announcedMore;
      }
    }

    /**
     * So many rows of the request have arrived in all, and are held.
     *
     * @throws ProblemException {@code PAYLOAD_TOO_LARGE} if one request may not have as many,
     *     {@code OVERLOADED} if there is no room now
     */
    void ensure(long arrived) {
      requireAllowed(arrived);
      if (arrived > held) {
        if (!tryTake((int) arrived - held)) {
          throw overloaded();
        }
        held = (int) arrived;
      }
      int stillAwaited = Math.min(awaited, held - (int) arrived);
      if (stillAwaited < awaited) {
        arrive(awaited - stillAwaited);
        awaited = stillAwaited;
      }
    }

    /** Gives back what the request turned out not to need. */
    void settle(int actual) {
      ensure(actual);
      arrive(awaited);
      awaited = 0;
      give(held - actual, 0);
      held = actual;
    }

    @Override
    public void close() {
      if (!closed) {
        closed = true;
        arrive(awaited);
        give(held, 1);
      }
    }
  }
}
