package dev.semanticid.encode;

import dev.semanticid.encode.EncodeQueue.Abandoned;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.web.ClientConnection;
import jakarta.servlet.http.HttpServletRequest;
import java.time.Duration;
import java.util.Locale;
import java.util.function.Consumer;
import org.apache.catalina.connector.ClientAbortException;
import org.jspecify.annotations.Nullable;

/**
 * Tells whether a request's answer is still wanted: its time has not passed, its client is there.
 */
final class Wanted {

  /** The request header with the milliseconds after which the client has no use for an answer. */
  static final String TIMEOUT_HEADER = "X-Request-Timeout-Ms";

  private static final long LONGEST_TIMEOUT_MS = Duration.ofDays(1).toMillis();

  /** Asking for the client takes a system call. */
  private static final long LOOK_NANOS = Duration.ofMillis(20).toNanos();

  private final HttpServletRequest request;
  private final Consumer<Abandoned> count;
  private final long deadline;
  private long lookedAt = System.nanoTime();

  /**
   * Begins with the request.
   *
   * @param count told why the answer is not wanted, once it is not
   * @throws ProblemException if the request states a time that is none
   */
  Wanted(HttpServletRequest request, Consumer<Abandoned> count) {
    this.request = request;
    this.count = count;
    this.deadline = System.nanoTime() + milliseconds(request.getHeader(TIMEOUT_HEADER)) * 1_000_000;
  }

  private static long milliseconds(@Nullable String header) {
    if (header == null) {
      return LONGEST_TIMEOUT_MS;
    }
    long milliseconds;
    try {
      milliseconds = Long.parseLong(header.strip());
    } catch (NumberFormatException e) {
      milliseconds = 0;
    }
    if (milliseconds < 1 || milliseconds > LONGEST_TIMEOUT_MS) {
      throw new ProblemException(
          ProblemCode.INVALID_PARAMETER,
          String.format(
              Locale.ROOT,
              "%s must be 1 to %d milliseconds, got '%s'",
              TIMEOUT_HEADER,
              LONGEST_TIMEOUT_MS,
              header));
    }
    return milliseconds;
  }

  /** When the answer is of no use any more, on the clock of {@link System#nanoTime}. */
  long deadline() {
    return deadline;
  }

  /** Whether the client has gone; to be asked after the body has been read. */
  boolean isClientGone() {
    return ClientConnection.of(request).isGone();
  }

  /**
   * Ends a computation whose result is not wanted any more; to be called again and again while it
   * runs.
   *
   * @param what the request waits for: {@code all rows were encoded}
   * @throws ProblemException {@code DEADLINE_EXCEEDED} if the time has passed
   * @throws ClientAbortException if the client has gone
   */
  void require(String what) throws ClientAbortException {
    long now = System.nanoTime();
    if (now - deadline >= 0) {
      throw exceeded(what);
    }
    if (now - lookedAt >= LOOK_NANOS) {
      lookedAt = now;
      if (isClientGone()) {
        throw gone(what);
      }
    }
  }

  /** The time passed before something happened. */
  ProblemException exceeded(String what) {
    count.accept(Abandoned.DEADLINE);
    return new ProblemException(
        ProblemCode.DEADLINE_EXCEEDED,
        "the %s ms of %s passed before %s"
            .formatted(request.getHeader(TIMEOUT_HEADER), TIMEOUT_HEADER, what));
  }

  /** The client went away before something happened. */
  ClientAbortException gone(String what) {
    count.accept(Abandoned.CLIENT_GONE);
    return new ClientAbortException("the client went away before " + what);
  }
}
