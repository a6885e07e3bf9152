package dev.semanticid.encode;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.CodebookSettings;
import dev.semanticid.core.codebook.Provenance;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.ForwardingBackend;
import dev.semanticid.core.compute.JavaBackend;
import dev.semanticid.core.compute.ResidentCodebook;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.encode.ReferenceQuantizer;
import dev.semanticid.core.encode.ResidualQuantizer;
import dev.semanticid.encode.EncodeQueue.Abandoned;
import dev.semanticid.encode.EncodeQueue.AbandonedException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Every caller gets the codes of its own rows, whoever else is in the queue; who gave up is not
 * worked for; nobody waits for a large request to end; and a failure hits only those in its block.
 */
@Timeout(value = 120, unit = TimeUnit.SECONDS, threadMode = ThreadMode.SEPARATE_THREAD)
@Isolated("it looks at all threads")
class EncodeQueueTest {

  /** More rows than a caller encodes on its own thread. */
  private static final int QUEUED = 33;

  private static final long SECONDS = 20;

  private final ExecutorService callers =
      Executors.newCachedThreadPool(Thread.ofPlatform().daemon().name("caller-", 0).factory());
  private final WorkerPool pool = new WorkerPool(1, "unused");
  private final Watched backend = new Watched();
  private final Sample one = new Sample(1, 8, 3, 16, Long.MAX_VALUE);
  private final Sample other = new Sample(2, 5, 2, 9, Long.MAX_VALUE);

  @AfterEach
  void release() {
    backend.gate.release(1_000_000);
    callers.shutdownNow();
    one.quantizer.close();
    other.quantizer.close();
    pool.close();
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 5})
  void encode_manyCallersOfTwoCodebooks_eachGetsItsOwnCodesInOrder(int cores)
      throws InterruptedException, ExecutionException {
    backend.open();
    var residual = new Sample(3, 6, 4, 7, 0);
    int threads = 16;
    try (var queue = new EncodeQueue(cores)) {
      var start = new CountDownLatch(threads);
      var results = new ArrayList<Future<Integer>>();
      for (int thread = 0; thread < threads; thread++) {
        var random = new SplittableRandom(100L * cores + thread);
        results.add(
            callers.submit(() -> {
              start.countDown();
              start.await();
              int right = 0;
              for (int round = 0; round < 40; round++) {
                Sample sample = List.of(one, other, residual).get(random.nextInt(3));
                int rows = (int) Math.pow(2000, random.nextDouble());
                right += sample.isEncodedRightBy(queue, random, rows) ? 1 : 0;
              }
              return right;
            }));
      }
      for (Future<Integer> result : results) {
        assertThat(result.get()).isEqualTo(40);
      }
      assertThat(queue.waiting()).isZero();
      assertThat(queue.rowsPerSecond()).isPositive();
    }
    residual.quantizer.close();
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 31, 32, 33, 511, 512, 513, 2000})
  void encode_alone_givesTheReferenceCodesAndLeavesTheRowsAlone(int rows)
      throws AbandonedException {
    backend.open();
    try (var queue = new EncodeQueue(2)) {
      assertThat(one.isEncodedRightBy(queue, new SplittableRandom(rows), rows)).isTrue();
      assertThat(queue.waiting()).isZero();
    }
  }

  @Test
  void encode_fewRowsAndNobodyElse_isDoneByTheCallerAndMoreAreHandedOver()
      throws AbandonedException {
    backend.open();
    try (var queue = new EncodeQueue(2)) {
      one.isEncodedRightBy(queue, new SplittableRandom(1), QUEUED - 1);
      assertThat(backend.threads()).containsExactly(Thread.currentThread());
      one.isEncodedRightBy(queue, new SplittableRandom(1), QUEUED);
      assertThat(backend.threads().getLast()).isNotSameAs(Thread.currentThread());
      assertThat(backend.threads().getLast().isDaemon()).isTrue();
    }
  }

  @Test
  void encode_requestsThatQueuedUpMeanwhile_shareTheNextBlock() throws Exception {
    try (var queue = new EncodeQueue(1)) {
      Future<int[]> first = submit(queue, one, 0, QUEUED);
      backend.awaitBlocks(1);
      var later = new ArrayList<Future<int[]>>();
      for (int i = 1; i <= 20; i++) {
        later.add(submit(queue, one, i, 1 + i % 7));
        awaitWaiting(queue, i);
      }
      backend.open();
      one.assertCodes(get(first), 0, QUEUED);
      for (int i = 1; i <= 20; i++) {
        one.assertCodes(get(later.get(i - 1)), i, 1 + i % 7);
      }
      assertThat(backend.blocks()).hasSize(2);
    }
  }

  @Test
  void encode_blockOfMostRows_isNeverExceeded() throws Exception {
    try (var queue = new EncodeQueue(1)) {
      Future<int[]> first = submit(queue, one, 0, QUEUED);
      backend.awaitBlocks(1);
      var later = new ArrayList<Future<int[]>>();
      for (int i = 1; i <= 5; i++) {
        later.add(submit(queue, one, 100 * i, 300));
        awaitWaiting(queue, i);
      }
      backend.open();
      one.assertCodes(get(first), 0, QUEUED);
      for (int i = 1; i <= 5; i++) {
        one.assertCodes(get(later.get(i - 1)), 100 * i, 300);
      }
      assertThat(backend.blocks().stream().map(List::size).toList())
          .containsExactly(QUEUED, 512, 512, 476);
    }
  }

  @Test
  void encode_deadlineInThePast_isGivenUpWithoutWork() {
    backend.open();
    try (var queue = new EncodeQueue(1)) {
      for (int rows : new int[] {1, QUEUED}) {
        var thrown =
            catchThrowableOfType(
                AbandonedException.class,
                () ->
                    queue.encode(
                        one.quantizer,
                        one.rows(0, rows),
                        rows,
                        System.nanoTime() - 1,
                        () -> false));
        assertThat(thrown).isNotNull();
        assertThat(thrown.why()).isEqualTo(Abandoned.DEADLINE);
      }
      assertThat(backend.blocks()).isEmpty();
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 100})
  void encode_deadlineThatPassesInTheQueue_isGivenUpWithoutWorkAndTheQueueGoesOn(int rows)
      throws Exception {
    try (var queue = new EncodeQueue(1)) {
      Future<int[]> first = submit(queue, one, 0, QUEUED);
      backend.awaitBlocks(1);
      Future<int[]> late = submit(queue, one, 500, rows, in(30_000_000), () -> false);
      assertAbandoned(late, Abandoned.DEADLINE);
      assertThat(queue.waiting()).isZero();
      Future<int[]> later = submit(queue, one, 700, rows);
      awaitWaiting(queue, 1);
      backend.open();
      one.assertCodes(get(first), 0, QUEUED);
      one.assertCodes(get(later), 700, rows);
      one.assertCodes(get(submit(queue, one, 900, rows)), 900, rows);
      assertThat(backend.multiplied(one, 500, rows)).isFalse();
    }
  }

  @Test
  void encode_deadlineThatPassesHalfWay_waitsForWhatHasBegunAndLeavesOutTheRest() throws Exception {
    try (var queue = new EncodeQueue(1)) {
      Future<int[]> large = submit(queue, one, 0, 2000, in(1_000_000_000), () -> false);
      backend.awaitBlocks(1);
      // Abandoned now, and still not returned: a block reads its rows.
      awaitWaiting(queue, 0);
      assertThatThrownBy(() -> large.get(200, TimeUnit.MILLISECONDS))
          .isInstanceOf(TimeoutException.class);
      backend.open();
      assertAbandoned(large, Abandoned.DEADLINE);
      one.assertCodes(get(submit(queue, one, 9, QUEUED)), 9, QUEUED);
      assertThat(backend.blocks()).hasSize(2);
    }
  }

  @Test
  void encode_deadlineThatPassesAfterAllHasBegun_stillGivesTheCodes() throws Exception {
    try (var queue = new EncodeQueue(1)) {
      long deadline = in(1_000_000_000);
      Future<int[]> all = submit(queue, one, 0, QUEUED, deadline, () -> false);
      backend.awaitBlocks(1);
      awaitTrue(() -> System.nanoTime() > deadline);
      assertThatThrownBy(() -> all.get(200, TimeUnit.MILLISECONDS))
          .isInstanceOf(TimeoutException.class);
      backend.open();
      one.assertCodes(get(all), 0, QUEUED);
    }
  }

  @Test
  void encode_clientThatGoesWhileItWaits_leavesTheQueueWithoutWork() throws Exception {
    try (var queue = new EncodeQueue(1)) {
      Future<int[]> first = submit(queue, one, 0, QUEUED);
      backend.awaitBlocks(1);
      var gone = new AtomicBoolean();
      var asked = new CountDownLatch(2);
      Future<int[]> leaving =
          submit(
              queue,
              one,
              500,
              100,
              in(TimeUnit.HOURS.toNanos(1)),
              () -> {
                asked.countDown();
                return gone.get();
              });
      assertThat(asked.await(SECONDS, TimeUnit.SECONDS)).isTrue();
      assertThat(leaving.isDone()).isFalse();
      assertThat(queue.waiting()).isEqualTo(1);
      gone.set(true);
      assertAbandoned(leaving, Abandoned.CLIENT_GONE);
      assertThat(queue.waiting()).isZero();
      backend.open();
      one.assertCodes(get(first), 0, QUEUED);
      one.assertCodes(get(submit(queue, one, 900, QUEUED)), 900, QUEUED);
      assertThat(backend.multiplied(one, 500, 100)).isFalse();
    }
  }

  @Test
  void encode_callerInterrupted_getsItsCodesAndStaysInterrupted() throws Exception {
    try (var queue = new EncodeQueue(1)) {
      var thread = new AtomicReference<Thread>();
      Future<Boolean> interrupted =
          callers.submit(() -> {
            thread.set(Thread.currentThread());
            int[] codes =
                queue.encode(
                    one.quantizer,
                    one.rows(0, QUEUED),
                    QUEUED,
                    in(TimeUnit.HOURS.toNanos(1)),
                    () -> false);
            one.assertCodes(codes, 0, QUEUED);
            return Thread.interrupted();
          });
      backend.awaitBlocks(1);
      thread.get().interrupt();
      backend.open();
      assertThat(interrupted.get(SECONDS, TimeUnit.SECONDS)).isTrue();
    }
  }

  /** One block at a time is let through; the small request must be in the second. */
  @Test
  void encode_oneRowBehindFiftyThousand_isInTheNextBlock() throws Exception {
    try (var queue = new EncodeQueue(1)) {
      int many = 50_000;
      Future<int[]> large = submit(queue, one, 0, many);
      backend.awaitBlocks(1);
      awaitWaiting(queue, 1);
      Future<int[]> small = submit(queue, one, 1234, 1);
      awaitWaiting(queue, 2);
      Future<int[]> ofOther = submit(queue, other, 77, 40);
      awaitWaiting(queue, 3);
      backend.gate.release(2);
      one.assertCodes(get(small), 1234, 1);
      backend.gate.release(1);
      other.assertCodes(get(ofOther), 77, 40);
      assertThat(large.isDone()).isFalse();
      assertThat(backend.blocks()).hasSizeLessThanOrEqualTo(4);
      backend.open();
      one.assertCodes(get(large), 0, many);
      assertThat(backend.blocks()).hasSizeGreaterThan(90);
    }
  }

  /** Two large requests fill a block, then it is the turn of the next two. */
  @Test
  void encode_severalLargeRequests_advanceByTurns() throws Exception {
    try (var queue = new EncodeQueue(1)) {
      Future<int[]> first = submit(queue, one, 0, QUEUED);
      backend.awaitBlocks(1);
      var large = new ArrayList<Future<int[]>>();
      for (int i = 0; i < 4; i++) {
        large.add(submit(queue, one, 2100 * i, 2048));
        awaitWaiting(queue, i + 1);
      }
      backend.open();
      get(first);
      for (int i = 0; i < 4; i++) {
        one.assertCodes(get(large.get(i)), 2100 * i, 2048);
      }
      List<List<List<Float>>> blocks = backend.blocks();
      assertThat(blocks).hasSize(17);
      for (int block = 1; block < 17; block += 2) {
        var turn = new ArrayList<List<Float>>(blocks.get(block));
        turn.addAll(blocks.get(block + 1));
        for (int i = 0; i < 4; i++) {
          Set<List<Float>> rows = one.rowSet(2100 * i, 2048);
          assertThat(turn.stream().filter(rows::contains).count()).isEqualTo(256);
        }
      }
    }
  }

  /** More comes than can be encoded; the large request advances all the same. */
  @Test
  void encode_manyRequestsAheadInEveryBlock_largeOneStillAdvances() throws Exception {
    try (var queue = new EncodeQueue(1)) {
      Future<int[]> large = submit(queue, one, 0, 1500);
      backend.awaitBlocks(1);
      int released = 0;
      var small = new ArrayList<Future<int[]>>();
      while (!large.isDone() && released < 60) {
        for (int i = 0; i < 3; i++) {
          small.add(submit(queue, one, 5000 + 200 * small.size(), 200));
        }
        backend.gate.release(1);
        released++;
        int blocks = released + 1;
        awaitTrue(() -> backend.blocks().size() >= blocks || large.isDone());
      }
      one.assertCodes(get(large), 0, 1500);
      backend.open();
      for (int i = 0; i < small.size(); i++) {
        one.assertCodes(get(small.get(i)), 5000 + 200 * i, 200);
      }
    }
  }

  @Test
  void encode_backendThatThrows_failsThoseInTheBlockAndNobodyElse() throws Exception {
    for (Throwable failure :
        List.of(new IllegalStateException("broken"), new AssertionError("broken"))) {
      var watched = new Watched();
      var sample = new Sample(1, 8, 3, 16, Long.MAX_VALUE, watched);
      var third = new Sample(2, 5, 2, 9, Long.MAX_VALUE, watched);
      try (var queue = new EncodeQueue(1)) {
        Future<int[]> first = submit(queue, sample, 0, QUEUED);
        watched.awaitBlocks(1);
        Future<int[]> hit = submit(queue, sample, 100, QUEUED);
        awaitWaiting(queue, 1);
        Future<int[]> beside = submit(queue, sample, 200, 1);
        awaitWaiting(queue, 2);
        Future<int[]> ofThird = submit(queue, third, 300, 50);
        awaitWaiting(queue, 3);
        watched.failure.set(failure);
        watched.failAt.set(2);
        watched.open();
        sample.assertCodes(get(first), 0, QUEUED);
        for (Future<int[]> failed : List.of(hit, beside)) {
          assertThatThrownBy(() -> get(failed)).hasCause(failure);
        }
        third.assertCodes(get(ofThird), 300, 50);
        sample.assertCodes(get(submit(queue, sample, 100, QUEUED)), 100, QUEUED);
        assertThat(queue.waiting()).isZero();
      }
      sample.quantizer.close();
      third.quantizer.close();
    }
  }

  @Test
  void encode_backendThatThrowsHalfWay_leavesOutTheRestOfTheRequest() throws Exception {
    try (var queue = new EncodeQueue(1)) {
      backend.failure.set(new IllegalStateException("broken"));
      backend.failAt.set(2);
      Future<int[]> large = submit(queue, one, 0, 5000);
      backend.awaitBlocks(1);
      awaitWaiting(queue, 1);
      backend.open();
      assertThatThrownBy(() -> get(large)).hasRootCauseMessage("broken");
      assertThat(queue.waiting()).isZero();
      one.assertCodes(get(submit(queue, one, 0, QUEUED)), 0, QUEUED);
      assertThat(backend.blocks()).hasSize(3);
    }
  }

  @Test
  void encode_backendThatThrowsOnTheCallersThread_freesTheCore() throws Exception {
    backend.open();
    try (var queue = new EncodeQueue(1)) {
      backend.failure.set(new IllegalStateException("broken"));
      for (int i = 1; i <= 3; i++) {
        backend.failAt.set(i);
        assertThatThrownBy(() ->
                queue.encode(one.quantizer, one.rows(0, 1), 1, in(1_000_000_000), () -> false))
            .hasMessage("broken");
      }
      one.assertCodes(get(submit(queue, one, 0, QUEUED)), 0, QUEUED);
      assertThat(backend.threads().subList(0, 3)).containsOnly(Thread.currentThread());
    }
  }

  @Test
  void encode_asManyBlocksAsCores_areUnderWayAndNoMore() throws Exception {
    try (var queue = new EncodeQueue(3)) {
      Future<int[]> large = submit(queue, one, 0, 5000);
      backend.awaitBlocks(3);
      Future<int[]> small = submit(queue, one, 6000, 1);
      awaitWaiting(queue, 2);
      assertThat(backend.blocks()).hasSize(3);
      assertThat(new HashSet<>(backend.threads())).hasSize(3);
      backend.open();
      one.assertCodes(get(large), 0, 5000);
      one.assertCodes(get(small), 6000, 1);
      assertThat(backend.mostAtATime.get()).isEqualTo(3);
    }
  }

  @Test
  void encode_coresFree_eachTakesItsShareButNotTooFewRows() throws Exception {
    try (var queue = new EncodeQueue(4)) {
      Future<int[]> large = submit(queue, one, 0, 400);
      backend.awaitBlocks(4);
      assertThat(backend.blocks().stream().map(List::size).toList())
          .containsExactly(100, 100, 100, 100);
      assertThat(new HashSet<>(backend.threads())).hasSize(4);
      backend.gate.release(4);
      one.assertCodes(get(large), 0, 400);
      Future<int[]> small = submit(queue, one, 0, 40);
      backend.awaitBlocks(7);
      backend.gate.release(3);
      one.assertCodes(get(small), 0, 40);
      assertThat(backend.blocks().stream().map(List::size).toList().subList(4, 7))
          .containsExactlyInAnyOrder(16, 16, 8);
    }
  }

  @Test
  void close_nothingWaiting_endsTheThreads() throws InterruptedException {
    Set<Thread> before = Thread.getAllStackTraces().keySet();
    var queue = new EncodeQueue(4);
    List<Thread> threads = threadsSince(before);
    assertThat(threads).hasSize(4).allMatch(Thread::isDaemon).allMatch(Thread::isAlive);
    queue.close();
    assertEnd(threads);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void close_requestsWaiting_stillGetTheirCodesAndThenTheThreadsEnd(int cores) throws Exception {
    Set<Thread> before = Thread.getAllStackTraces().keySet();
    var queue = new EncodeQueue(cores);
    List<Thread> threads = threadsSince(before);
    Future<int[]> large = submit(queue, one, 0, 4000);
    backend.awaitBlocks(cores);
    Future<int[]> second = submit(queue, other, 0, 700);
    awaitWaiting(queue, 2);
    queue.close();
    backend.open();
    one.assertCodes(get(large), 0, 4000);
    other.assertCodes(get(second), 0, 700);
    assertEnd(threads);
  }

  /** The queue's own threads have nothing to do while callers hold all cores, and stay. */
  @Test
  void close_callersHoldAllCores_whatWaitsStillGetsItsCodesAndThenTheThreadsEnd() throws Exception {
    Set<Thread> before = Thread.getAllStackTraces().keySet();
    var queue = new EncodeQueue(3);
    List<Thread> threads = threadsSince(before);
    var small = new ArrayList<Future<int[]>>();
    for (int i = 0; i < 3; i++) {
      small.add(submit(queue, one, i, 1));
      backend.awaitBlocks(i + 1);
    }
    Future<int[]> waiting = submit(queue, one, 100, QUEUED);
    awaitWaiting(queue, 1);
    queue.close();
    for (Thread thread : threads) {
      thread.join(100);
      assertThat(thread.isAlive()).isTrue();
    }
    backend.open();
    for (int i = 0; i < 3; i++) {
      one.assertCodes(get(small.get(i)), i, 1);
    }
    one.assertCodes(get(waiting), 100, QUEUED);
    assertEnd(threads);
  }

  @Test
  void close_lastOneWaitingGoesAway_endsTheThreads() throws Exception {
    Set<Thread> before = Thread.getAllStackTraces().keySet();
    var queue = new EncodeQueue(2);
    List<Thread> threads = threadsSince(before);
    var gone = new AtomicBoolean();
    Future<int[]> first = submit(queue, one, 0, 1);
    backend.awaitBlocks(1);
    Future<int[]> second = submit(queue, one, 1, 1);
    backend.awaitBlocks(2);
    Future<int[]> waiting =
        submit(queue, one, 100, QUEUED, in(TimeUnit.HOURS.toNanos(1)), gone::get);
    awaitWaiting(queue, 1);
    queue.close();
    for (Thread thread : threads) {
      thread.join(100);
      assertThat(thread.isAlive()).isTrue();
    }
    gone.set(true);
    assertAbandoned(waiting, Abandoned.CLIENT_GONE);
    backend.open();
    one.assertCodes(get(first), 0, 1);
    one.assertCodes(get(second), 1, 1);
    assertEnd(threads);
  }

  /** The queue's threads that have started meanwhile. */
  private static List<Thread> threadsSince(Set<Thread> before) {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(thread -> !before.contains(thread))
        .filter(thread -> thread.getName().startsWith("encode-queue-"))
        .toList();
  }

  private static void assertEnd(List<Thread> threads) throws InterruptedException {
    for (Thread thread : threads) {
      thread.join(SECONDS * 1000);
      assertThat(thread.isAlive()).isFalse();
    }
  }

  private Future<int[]> submit(EncodeQueue queue, Sample sample, int from, int rows) {
    return submit(queue, sample, from, rows, in(TimeUnit.HOURS.toNanos(1)), () -> false);
  }

  private Future<int[]> submit(
      EncodeQueue queue,
      Sample sample,
      int from,
      int rows,
      long deadline,
      BooleanSupplier clientGone) {
    float[] vectors = sample.rows(from, rows);
    return callers.submit(
        () -> queue.encode(sample.quantizer, vectors, rows, deadline, clientGone));
  }

  private static long in(long nanos) {
    return System.nanoTime() + nanos;
  }

  private static int[] get(Future<int[]> result) throws Exception {
    return result.get(SECONDS, TimeUnit.SECONDS);
  }

  private static void assertAbandoned(Future<int[]> result, Abandoned why) {
    var thrown = catchThrowableOfType(ExecutionException.class, () -> get(result));
    assertThat(thrown).isNotNull();
    assertThat(thrown.getCause())
        .isInstanceOfSatisfying(
            AbandonedException.class, cause -> assertThat(cause.why()).isEqualTo(why));
  }

  private static void awaitWaiting(EncodeQueue queue, int requests) {
    awaitTrue(() -> queue.waiting() == requests);
  }

  private static void awaitTrue(BooleanSupplier condition) {
    long deadline = in(TimeUnit.SECONDS.toNanos(SECONDS));
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).as("time to wait").isLessThan(deadline);
      LockSupport.parkNanos(1_000_000);
    }
  }

  /** A codebook with random rows, whose codes are known, cyclically. */
  private final class Sample {

    private static final int ROWS = 9001;

    private final int d;
    private final ResidualQuantizer quantizer;
    private final float[] vectors;
    private final int[] codes;

    Sample(int seed, int d, int levels, int width, long tableBudget) {
      this(seed, d, levels, width, tableBudget, backend);
    }

    Sample(int seed, int d, int levels, int width, long tableBudget, ComputeBackend on) {
      this.d = d;
      var random = new SplittableRandom(seed);
      var centroids = new ArrayList<float[]>();
      for (int l = 0; l < levels; l++) {
        centroids.add(gaussians(random, width * d));
      }
      Codebook codebook = Codebook.of(new CodebookSettings(true), d, centroids, Provenance.UNKNOWN);
      quantizer = new ResidualQuantizer(codebook, on, pool, tableBudget);
      vectors = gaussians(random, ROWS * d);
      codes = new ReferenceQuantizer(codebook).encodeAll(vectors, ROWS);
    }

    float[] rows(int from, int count) {
      float[] rows = new float[count * d];
      for (int i = 0; i < count; i++) {
        System.arraycopy(vectors, (from + i) % ROWS * d, rows, i * d, d);
      }
      return rows;
    }

    Set<List<Float>> rowSet(int from, int count) {
      return new HashSet<>(Watched.rows(rows(from, count), 0, count, d));
    }

    void assertCodes(int[] found, int from, int count) {
      int levels = quantizer.codebook().levels();
      assertThat(found).hasSize(count * levels);
      for (int i = 0; i < count; i++) {
        int at = (from + i) % ROWS * levels;
        if (!Arrays.equals(found, i * levels, (i + 1) * levels, codes, at, at + levels)) {
          assertThat(Arrays.copyOfRange(found, i * levels, (i + 1) * levels))
              .as("row %d of %d from %d", i, count, from)
              .isEqualTo(Arrays.copyOfRange(codes, at, at + levels));
        }
      }
    }

    boolean isEncodedRightBy(EncodeQueue queue, SplittableRandom random, int rows)
        throws AbandonedException {
      int from = random.nextInt(ROWS);
      float[] sent = rows(from, rows);
      assertCodes(
          queue.encode(quantizer, sent, rows, in(TimeUnit.HOURS.toNanos(1)), () -> false),
          from,
          rows);
      return Arrays.equals(sent, rows(from, rows));
    }
  }

  private static float[] gaussians(SplittableRandom random, int length) {
    float[] values = new float[length];
    for (int i = 0; i < length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  /** A backend that keeps what it was asked for, lets blocks through one by one, and may fail. */
  private static final class Watched extends ForwardingBackend {

    private final Semaphore gate = new Semaphore(0);
    private final AtomicReference<Throwable> failure = new AtomicReference<>();

    /** Which block fails, counted from 1; 0: none. */
    private final AtomicInteger failAt = new AtomicInteger();

    private final AtomicInteger atATime = new AtomicInteger();
    private final AtomicInteger mostAtATime = new AtomicInteger();
    private final List<List<List<Float>>> blocks = new ArrayList<>();
    private final List<Thread> threads = new ArrayList<>();

    Watched() {
      super(new JavaBackend());
    }

    /** Lets all blocks through from now on. */
    void open() {
      gate.release(1_000_000);
    }

    synchronized List<List<List<Float>>> blocks() {
      return List.copyOf(blocks);
    }

    synchronized List<Thread> threads() {
      return List.copyOf(threads);
    }

    void awaitBlocks(int count) {
      awaitTrue(() -> blocks().size() >= count);
    }

    boolean multiplied(Sample sample, int from, int count) {
      Set<List<Float>> rows = sample.rowSet(from, count);
      return blocks().stream().flatMap(List::stream).anyMatch(rows::contains);
    }

    static List<List<Float>> rows(float[] vectors, int offset, int n, int d) {
      var rows = new ArrayList<List<Float>>();
      for (int row = 0; row < n; row++) {
        var components = new ArrayList<Float>();
        for (int i = 0; i < d; i++) {
          components.add(vectors[offset + row * d + i]);
        }
        rows.add(components);
      }
      return rows;
    }

    private void began(float[] vectors, int offset, int n, int d) {
      int number;
      synchronized (this) {
        blocks.add(rows(vectors, offset, n, d));
        threads.add(Thread.currentThread());
        number = blocks.size();
      }
      mostAtATime.accumulateAndGet(atATime.incrementAndGet(), Math::max);
      gate.acquireUninterruptibly();
      atATime.decrementAndGet();
      if (number == failAt.get()) {
        switch (failure.get()) {
          case RuntimeException e -> throw e;
          case Error e -> throw e;
          case null, default -> throw new IllegalStateException("no failure was set");
        }
      }
    }

    @Override
    public ResidentCodebook makeResident(float[] matrix, int rows, int dimension) {
      return new Resident(super.makeResident(matrix, rows, dimension)) {
        @Override
        public void multiply(float[] vectors, int offset, int n, float[] products) {
          began(vectors, offset, n, dimension);
          super.multiply(vectors, offset, n, products);
        }
      };
    }
  }
}
