package dev.semanticid.core.compute;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every task runs once, whoever calls from wherever, and a failure reaches the caller. */
@Timeout(value = 120, unit = TimeUnit.SECONDS, threadMode = ThreadMode.SEPARATE_THREAD)
class WorkerPoolTest {

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 8})
  void forEach_anyNumberOfTasks_runsEachOnceBeforeItReturns(int threads) {
    try (var pool = new WorkerPool(threads, "test")) {
      for (int tasks : new int[] {0, 1, 2, 3, 7, 1000}) {
        var runs = new AtomicIntegerArray(tasks);
        pool.forEach(tasks, runs::incrementAndGet);
        assertThat(IntStream.range(0, tasks).map(runs::get)).allMatch(count -> count == 1);
      }
    }
  }

  @Test
  void forEach_poolOfOne_runsInOrderOnTheCaller() {
    var order = new ArrayList<Integer>();
    Set<Thread> threads = ConcurrentHashMap.newKeySet();
    try (var pool = new WorkerPool(1, "test")) {
      assertThat(pool.threads()).isEqualTo(1);
      pool.forEach(
          5,
          task -> {
            order.add(task);
            threads.add(Thread.currentThread());
          });
    }
    assertThat(order).containsExactly(0, 1, 2, 3, 4);
    assertThat(threads).containsExactly(Thread.currentThread());
  }

  @Test
  void forEach_tasksThatWaitForEachOther_runOnAsManyThreadsAsPromised() {
    Set<Thread> threads = ConcurrentHashMap.newKeySet();
    try (var pool = new WorkerPool(3, "busy")) {
      var together = new CountDownLatch(3);
      pool.forEach(
          3,
          task -> {
            threads.add(Thread.currentThread());
            together.countDown();
            await(together);
          });
    }
    assertThat(threads).hasSize(3).contains(Thread.currentThread());
    assertThat(threads)
        .filteredOn(thread -> thread != Thread.currentThread())
        .allMatch(Thread::isDaemon)
        .extracting(Thread::getName)
        .containsExactlyInAnyOrder("busy-1", "busy-2");
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4})
  void forEach_taskThrows_callerGetsItAndThePoolLivesOn(int threads) {
    try (var pool = new WorkerPool(threads, "test")) {
      var thrown = new IllegalStateException("task 3");
      for (int round = 0; round < 50; round++) {
        assertThatThrownBy(() ->
                pool.forEach(
                    10,
                    task -> {
                      if (task == 3) {
                        throw thrown;
                      }
                    }))
            .isSameAs(thrown);
      }
      var error = new AssertionError("an Error too");
      assertThatThrownBy(() ->
              pool.forEach(
                  10,
                  task -> {
                    throw error;
                  }))
          .isSameAs(error);
      var runs = new AtomicInteger();
      pool.forEach(100, task -> runs.incrementAndGet());
      assertThat(runs).hasValue(100);
    }
  }

  @Test
  void forEach_afterAFailure_leavesOutTasksNotYetBegun() {
    var runs = new AtomicInteger();
    try (var pool = new WorkerPool(2, "test")) {
      var bothBusy = new CountDownLatch(2);
      assertThatThrownBy(() ->
              pool.forEach(
                  100_000,
                  task -> {
                    runs.incrementAndGet();
                    if (task < 2) {
                      bothBusy.countDown();
                      await(bothBusy);
                    }
                    throw new IllegalStateException("no more");
                  }))
          .hasMessage("no more");
    }
    assertThat(runs).hasValue(2);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void forEach_nestedThreeDeep_doesNotDeadlock(int threads) {
    try (var pool = new WorkerPool(threads, "test")) {
      var runs = new AtomicInteger();
      pool.forEach(6, a -> pool.forEach(5, b -> pool.forEach(4, c -> runs.incrementAndGet())));
      assertThat(runs).hasValue(120);
    }
  }

  @Test
  void forEach_manyCallersAtOnce_allFinishWithTheirOwnTasks()
      throws InterruptedException, ExecutionException {
    int callers = 16;
    int tasks = 50;
    try (var pool = new WorkerPool(3, "test");
        var executor = Executors.newFixedThreadPool(callers)) {
      var start = new CountDownLatch(callers);
      var results = new ArrayList<Future<int[]>>();
      for (int caller = 0; caller < callers; caller++) {
        results.add(
            executor.submit(() -> {
              start.countDown();
              await(start);
              int[] squares = new int[tasks];
              for (int round = 0; round < 20; round++) {
                Arrays.fill(squares, 0);
                pool.forEach(
                    tasks,
                    i ->
                        pool.forEach(
                            3,
                            j -> {
                              if (j == 1) {
                                squares[i] = i * i;
                              }
                            }));
              }
              return squares;
            }));
      }
      int[] expected = IntStream.range(0, tasks).map(i -> i * i).toArray();
      for (Future<int[]> result : results) {
        assertThat(result.get()).isEqualTo(expected);
      }
    }
  }

  @Test
  void forEach_helpersBusyElsewhere_callerFinishesAlone()
      throws InterruptedException, ExecutionException {
    try (var pool = new WorkerPool(2, "test");
        var executor = Executors.newSingleThreadExecutor()) {
      var blocked = new CountDownLatch(2);
      var release = new CountDownLatch(1);
      Future<?> other =
          executor.submit(() ->
              pool.forEach(
                  2,
                  task -> {
                    blocked.countDown();
                    await(release);
                  }));
      await(blocked);
      var threads = new ArrayList<Thread>();
      pool.forEach(10, task -> threads.add(Thread.currentThread()));
      assertThat(threads).hasSize(10).containsOnly(Thread.currentThread());
      release.countDown();
      assertThat(other.get()).isNull();
    }
  }

  @Test
  void forEach_callerInterrupted_stillFinishesAndStaysInterrupted() {
    try (var pool = new WorkerPool(2, "test")) {
      var runs = new AtomicInteger();
      Thread.currentThread().interrupt();
      pool.forEach(1000, task -> runs.incrementAndGet());
      assertThat(Thread.interrupted()).isTrue();
      assertThat(runs).hasValue(1000);
    }
  }

  @Test
  void newPool_ofNoThreads_isRefused() {
    for (int threads : List.of(0, -1)) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new WorkerPool(threads, "test").close())
          .withMessageContaining("got " + threads);
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      assertThat(latch.await(20, TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }
}
