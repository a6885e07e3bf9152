package dev.semanticid.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.job.JobEvents.Event;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.json.JsonMapper;

/** How many may listen; that they are let go again is asked for over HTTP. */
class JobEventsTest {

  private final JobEvents events = new JobEvents(new JsonMapper());
  private final AtomicBoolean ended = new AtomicBoolean();

  @BeforeEach
  void start() {
    events.start();
  }

  @AfterEach
  void stop() {
    events.stop();
  }

  private boolean listen(String client) {
    try {
      events.stream(client, () -> new Event("running", ended.get()));
      return true;
    } catch (ProblemException e) {
      assertThat(e.code()).isEqualTo(ProblemCode.TOO_MANY_LISTENERS);
      return false;
    }
  }

  @Test
  void stream_ofOneClient_isRefusedBeyondItsBoundAndOthersAreNot() {
    for (int i = 0; i < JobEvents.MOST_OF_A_CLIENT; i++) {
      assertThat(listen("key:a")).isTrue();
    }
    assertThatThrownBy(() -> events.stream("key:a", () -> new Event("running", false)))
        .hasMessage("key:a listens 16 times already, which is as often as one client may");
    assertThat(listen("key:b")).isTrue();
  }

  @Test
  void stream_ofManyClients_isRefusedBeyondTheBoundOfAll() {
    for (int i = 0; i < JobEvents.MOST_LISTENERS; i++) {
      assertThat(listen("key:" + i / 10)).isTrue();
    }
    assertThatThrownBy(() -> events.stream("key:new", () -> new Event("running", false)))
        .hasMessageContaining("all clients together listen 256 times");
  }

  @Test
  void stream_askedForAtOnce_isNeverBeyondItsBound() throws Exception {
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      var attempts = new ArrayList<Callable<Boolean>>();
      for (int i = 0; i < 200; i++) {
        attempts.add(() -> listen("key:a"));
      }
      int accepted = 0;
      for (Future<Boolean> attempt : threads.invokeAll(attempts)) {
        accepted += attempt.get() ? 1 : 0;
      }
      assertThat(accepted).isEqualTo(JobEvents.MOST_OF_A_CLIENT);
    }
  }

  @Test
  void stream_ended_makesRoom() {
    for (int i = 0; i < JobEvents.MOST_OF_A_CLIENT; i++) {
      assertThat(listen("key:a")).isTrue();
    }
    ended.set(true);
    long deadline = System.nanoTime() + Duration.ofMinutes(2).toNanos();
    while (!listen("key:a")) {
      assertThat(System.nanoTime()).isLessThan(deadline);
      LockSupport.parkNanos(10_000_000);
    }
  }

  @Test
  void stream_ofAJobThatIsGoneMeanwhile_ends() {
    var asked = new AtomicBoolean();
    for (int i = 0; i < JobEvents.MOST_OF_A_CLIENT; i++) {
      var first = new AtomicBoolean(true);
      events.stream(
          "key:a",
          () -> {
            if (!first.getAndSet(false)) {
              asked.set(true);
              throw new IllegalStateException("no more");
            }
            return new Event("running", false);
          });
    }
    long deadline = System.nanoTime() + Duration.ofMinutes(2).toNanos();
    while (!listen("key:a")) {
      assertThat(System.nanoTime()).isLessThan(deadline);
      LockSupport.parkNanos(10_000_000);
    }
    assertThat(asked).isTrue();
  }
}
