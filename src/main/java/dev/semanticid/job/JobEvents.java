package dev.semanticid.job;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.HashSet;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.SmartLifecycle;
import org.springframework.stereotype.Component;
import org.springframework.web.servlet.mvc.method.annotation.SseEmitter;
import tools.jackson.databind.json.JsonMapper;

/**
 * Jobs as server-sent events: what {@code GET} of the job would answer, whenever that changes,
 * until the job has ended. Every listener has a virtual thread of its own, so a slow one delays
 * nobody.
 *
 * <p>A closed connection shows only when something is written to it: the first write provokes the
 * reset, the second fails. So a comment is written whenever nothing else was for a while.
 */
@Component
public class JobEvents implements SmartLifecycle {

  private static final Logger LOG = LoggerFactory.getLogger(JobEvents.class);

  /** Most listeners of all clients. */
  static final int MOST_LISTENERS = 256;

  /** Most listeners of one client. */
  static final int MOST_OF_A_CLIENT = 16;

  private static final Duration LOOK = Duration.ofMillis(250);

  /** After this time without an event a comment is sent. */
  private static final Duration QUIET = Duration.ofSeconds(2);

  private final JsonMapper json;

  /** Guarded by itself. */
  private final Set<Listener> listeners = new HashSet<>();

  private volatile boolean running;

  JobEvents(JsonMapper json) {
    this.json = json;
  }

  /**
   * What to send.
   *
   * @param body becomes JSON
   * @param isFinal whether nothing will follow
   */
  public record Event(Object body, boolean isFinal) {}

  /**
   * Begins a stream of events.
   *
   * @param client who listens; each client has as many listeners at most
   * @param events what is to be told now; asked again and again
   * @throws ProblemException if too many listen already, or by {@code events}
   */
  public SseEmitter stream(String client, Supplier<Event> events) {
    Event first = events.get();
    var listener = new Listener(client, first, events);
    add(listener);
    listener.emitter.onError(thrown -> listener.gone.countDown());
    listener.emitter.onCompletion(listener.gone::countDown);
    listener.begin();
    listener.thread.start();
    return listener.emitter;
  }

  private void add(Listener listener) {
    synchronized (listeners) {
      if (listeners.size() >= MOST_LISTENERS) {
        throw new ProblemException(
            ProblemCode.TOO_MANY_LISTENERS,
            String.format(
                Locale.ROOT,
                "all clients together listen %d times already, which is as often as they may",
                MOST_LISTENERS));
      }
      long own = listeners.stream().filter(l -> l.client.equals(listener.client)).count();
      if (own >= MOST_OF_A_CLIENT) {
        throw new ProblemException(
            ProblemCode.TOO_MANY_LISTENERS,
            String.format(
                Locale.ROOT,
                "%s listens %d times already, which is as often as one client may",
                listener.client,
                MOST_OF_A_CLIENT));
      }
      listeners.add(listener);
    }
  }

  private void remove(Listener listener) {
    synchronized (listeners) {
      listeners.remove(listener);
    }
  }

  /** One stream of events. */
  private final class Listener {

    private final String client;
    private final Event first;
    private final String firstSent;
    private final Supplier<Event> events;
    private final SseEmitter emitter = new SseEmitter(0L);

    /** Zero once the connection is known to have ended. */
    private final CountDownLatch gone = new CountDownLatch(1);

    private final Thread thread = Thread.ofVirtual().name("job-events").unstarted(this::run);

    Listener(String client, Event first, Supplier<Event> events) {
      this.client = client;
      this.first = first;
      this.firstSent = json.writeValueAsString(first.body());
      this.events = events;
    }

    /**
     * Leaves the first event for the thread of the request. That thread then writes the headers,
     * before any other thread can write: filters still change them while it returns.
     */
    private void begin() {
      try {
        emitter.send(SseEmitter.event().data(firstSent));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    private void run() {
      try {
        tell();
        emitter.complete();
      } catch (InterruptedException e) {
        emitter.complete();
      } catch (IOException | IllegalStateException e) {
        // The client went away, and the server ends the request.
        LOG.debug("a client of job events went away: {}", e.toString());
      } finally {
        remove(this);
      }
    }

    private void tell() throws IOException, InterruptedException {
      String told = firstSent;
      long toldAt = System.nanoTime();
      for (Event event = first; event != null; event = next()) {
        String now = json.writeValueAsString(event.body());
        if (!now.equals(told)) {
          emitter.send(SseEmitter.event().data(now));
          told = now;
          toldAt = System.nanoTime();
        } else if (System.nanoTime() - toldAt >= QUIET.toNanos()) {
          emitter.send(SseEmitter.event().comment("still here"));
          toldAt = System.nanoTime();
        }
        if (event.isFinal() || !running || gone.await(LOOK.toMillis(), TimeUnit.MILLISECONDS)) {
          return;
        }
      }
    }

    /** What is to be told now; null if nobody can say, which ends the stream. */
    private @Nullable Event next() {
      try {
        return events.get();
      } catch (RuntimeException e) {
        // Too late for a problem detail: the answer has begun.
        LOG.warn("a stream of job events ends early: {}", e.toString());
        return null;
      }
    }
  }

  @Override
  public void start() {
    running = true;
  }

  /** Ends all streams, so that the server need not wait for their clients. */
  @Override
  public void stop() {
    running = false;
    synchronized (listeners) {
      listeners.forEach(listener -> listener.thread.interrupt());
    }
  }

  @Override
  public boolean isRunning() {
    return running;
  }
}
