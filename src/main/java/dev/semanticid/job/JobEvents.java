package dev.semanticid.job;

import dev.semanticid.system.ProblemCode;
import dev.semanticid.system.ProblemException;
import java.io.IOException;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import org.springframework.context.SmartLifecycle;
import org.springframework.stereotype.Component;
import org.springframework.web.servlet.mvc.method.annotation.SseEmitter;
import tools.jackson.databind.json.JsonMapper;

/**
 * Jobs as server-sent events: what {@code GET} of the job would answer, whenever that changes,
 * until the job has ended. Every listener has a virtual thread of its own, so a slow one delays
 * nobody.
 */
@Component
public class JobEvents implements SmartLifecycle {

  private static final int MOST_LISTENERS = 256;
  private static final Duration LOOK = Duration.ofMillis(250);

  /** Looks without a change after which a comment keeps the connection open. */
  private static final int QUIET_LOOKS = 60;

  private final JsonMapper json;
  private final Set<Thread> listeners = ConcurrentHashMap.newKeySet();
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
   * @param events what is to be told now; asked again and again
   * @throws ProblemException if too many listen already, or by {@code events}
   */
  public SseEmitter stream(Supplier<Event> events) {
    Event first = events.get();
    if (listeners.size() >= MOST_LISTENERS) {
      throw new ProblemException(
          ProblemCode.TOO_MANY_LISTENERS,
          "%d clients listen to jobs already, which is as many as may".formatted(MOST_LISTENERS));
    }
    var emitter = new SseEmitter(0L);
    Thread listener =
        Thread.ofVirtual().name("job-events").unstarted(() -> tell(emitter, first, events));
    listeners.add(listener);
    emitter.onError(thrown -> listener.interrupt());
    listener.start();
    return emitter;
  }

  private void tell(SseEmitter emitter, Event first, Supplier<Event> events) {
    try {
      String told = "";
      int quiet = 0;
      for (Event event = first; ; event = events.get()) {
        String now = json.writeValueAsString(event.body());
        if (!now.equals(told)) {
          emitter.send(SseEmitter.event().data(now));
          told = now;
          quiet = 0;
        } else if (++quiet % QUIET_LOOKS == 0) {
          emitter.send(SseEmitter.event().comment("still here"));
        }
        if (event.isFinal() || !running) {
          break;
        }
        Thread.sleep(LOOK);
      }
      emitter.complete();
    } catch (InterruptedException e) {
      emitter.complete();
    } catch (IOException | IllegalStateException e) {
      // The client went away.
    } catch (RuntimeException e) {
      emitter.completeWithError(e);
    } finally {
      listeners.remove(Thread.currentThread());
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
    listeners.forEach(Thread::interrupt);
  }

  @Override
  public boolean isRunning() {
    return running;
  }
}
