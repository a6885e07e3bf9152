package dev.semanticid.encode;

import static dev.semanticid.encode.ProblemAssertions.assertProblem;
import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.settings.SemanticIdProperties;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.util.unit.DataSize;

/** Rows and requests inside never exceed their bounds, and everything taken comes back. */
@Timeout(value = 120, unit = TimeUnit.SECONDS, threadMode = ThreadMode.SEPARATE_THREAD)
class AdmissionTest {

  @Test
  void admit_asManyRowsAsMayBeInside_areLetInAndOneMoreIsNot() {
    var admission = admission(100, 250, 10, 0);
    Admission.Permit first = inside(admission, 100);
    Admission.Permit second = inside(admission, 100);
    assertOverloaded(() -> admission.admit(51));
    Admission.Permit third = inside(admission, 50);
    assertThat(admission.rows()).isEqualTo(250);
    assertThat(admission.requests()).isEqualTo(3);
    assertOverloaded(() -> admission.admit(1));
    assertThat(admission.refused()).isEqualTo(2);

    second.close();
    assertThat(admission.rows()).isEqualTo(150);
    assertThat(admission.requests()).isEqualTo(2);
    admission.admit(100).close();
    first.close();
    third.close();
    assertEmpty(admission);
  }

  @Test
  void admit_asManyRequestsAsMayBeInside_areLetInAndOneMoreIsNot() {
    var admission = admission(100, 250, 2, 0);
    Admission.Permit first = inside(admission, 1);
    Admission.Permit second = inside(admission, 1);
    assertOverloaded(() -> admission.admit(1));
    second.close();
    admission.admit(1).close();
    first.close();
    assertEmpty(admission);
  }

  @Test
  void admit_noRowsExpected_countsAsOne() {
    var admission = admission(100, 250, 10, 0);
    try (Admission.Permit permit = admission.admit(0)) {
      assertThat(admission.rows()).isEqualTo(1);
      permit.ensure(1);
      assertThat(admission.rows()).isEqualTo(1);
    }
    assertEmpty(admission);
  }

  @Test
  void admit_moreThanARequestMayHave_isTooLargeNotOverloaded() {
    var admission = admission(100, 100, 1, 0);
    Admission.Permit only = inside(admission, 100);
    for (long rows : new long[] {101, 1L << 31, 1L << 32, Long.MAX_VALUE}) {
      assertTooLarge(() -> admission.admit(rows), rows);
      assertTooLarge(() -> only.ensure(rows), rows);
      assertTooLarge(() -> admission.requireAllowed(rows), rows);
    }
    admission.requireAllowed(100);
    assertThat(admission.refused()).isZero();
    assertThat(admission.rows()).isEqualTo(100);
    only.close();
    assertEmpty(admission);
  }

  /** Bounds so wide that a sum of rows does not fit an int. */
  @Test
  void admit_boundOfAllIntegers_isKeptToo() {
    var admission = admission(Integer.MAX_VALUE, Integer.MAX_VALUE, 10, 0);
    Admission.Permit first = inside(admission, 2_000_000_000);
    assertOverloaded(() -> admission.admit(2_000_000_000));
    Admission.Permit second = inside(admission, 1);
    assertOverloaded(() -> second.ensure(2_000_000_000));
    assertThat(admission.rows()).isEqualTo(2_000_000_001);
    second.close();
    first.close();
    assertEmpty(admission);
  }

  @ParameterizedTest
  @CsvSource({
    "0, 1",
    "1e9, 1",
    "250, 1",
    "249, 2",
    "100, 3",
    "10, 25",
    "4.2, 60",
    "4, 60",
    "1e-300, 60"
  })
  void admit_overloaded_saysWhenTheRowsInsideWillBeDone(double perSecond, long seconds) {
    var admission = admission(250, 250, 10, perSecond);
    try (Admission.Permit permit = admission.admit(250)) {
      permit.ensure(250);
      ProblemException problem = assertOverloaded(() -> admission.admit(1));
      assertThat(problem.properties()).containsEntry(ProblemException.RETRY_AFTER, seconds);
      assertThat(problem.detail())
          .isEqualTo(
              String.format(
                  Locale.ROOT,
                  "1 requests with 250 rows are under way, 10 and 250 may be; try again in %d s",
                  seconds));
    }
  }

  @Test
  void ensure_moreThanHeld_takesTheDifferenceOnce() {
    var admission = admission(100, 150, 10, 0);
    Admission.Permit permit = inside(admission, 10);
    permit.ensure(60);
    permit.ensure(60);
    permit.ensure(5);
    assertThat(admission.rows()).isEqualTo(60);
    Admission.Permit other = inside(admission, 80);
    other.ensure(90);
    assertOverloaded(() -> permit.ensure(61));
    assertThat(admission.rows()).isEqualTo(150);
    other.close();
    permit.ensure(61);
    assertThat(admission.rows()).isEqualTo(61);
    permit.close();
    assertEmpty(admission);
  }

  /** Clients that announce rows and send none leave half of the room to others. */
  @Test
  void admit_rowsThatDoNotArrive_holdHalfAtMost() {
    var admission = admission(100, 200, 10, 0);
    Admission.Permit first = admission.admit(80);
    Admission.Permit second = admission.admit(80);
    assertThat(admission.rows()).isEqualTo(100);
    Admission.Permit third = admission.admit(100);
    assertThat(admission.rows()).isEqualTo(100);
    third.ensure(100);
    assertThat(admission.rows()).isEqualTo(200);
    assertOverloaded(() -> second.ensure(21));
    assertOverloaded(() -> second.announce(90));
    third.close();
    // What arrives is no longer announced, so others may announce as much.
    first.ensure(50);
    second.announce(100);
    assertThat(admission.rows()).isEqualTo(150);
    second.settle(10);
    first.close();
    second.close();
    assertEmpty(admission);
    Admission.Permit again = admission.admit(100);
    assertThat(admission.rows()).isEqualTo(100);
    again.close();
    assertEmpty(admission);
  }

  @Test
  void settle_lessOrMoreThanHeld_holdsExactlyThat() {
    var admission = admission(100, 150, 10, 0);
    Admission.Permit permit = inside(admission, 80);
    permit.settle(30);
    assertThat(admission.rows()).isEqualTo(30);
    permit.settle(30);
    assertThat(admission.rows()).isEqualTo(30);
    permit.settle(40);
    assertThat(admission.rows()).isEqualTo(40);
    assertThat(admission.requests()).isEqualTo(1);
    assertTooLarge(() -> permit.settle(101), 101);
    permit.settle(0);
    assertThat(admission.rows()).isZero();
    assertThat(admission.requests()).isEqualTo(1);
    permit.close();
    assertEmpty(admission);
  }

  @Test
  void close_twice_givesBackOnce() {
    var admission = admission(100, 150, 10, 0);
    Admission.Permit other = inside(admission, 20);
    Admission.Permit permit = inside(admission, 30);
    permit.close();
    permit.close();
    assertThat(admission.rows()).isEqualTo(20);
    assertThat(admission.requests()).isEqualTo(1);
    other.close();
    assertEmpty(admission);
  }

  @Test
  void everything_byManyThreads_staysWithinTheBoundsAndComesBack()
      throws InterruptedException, ExecutionException {
    int threads = 12;
    int mostRows = 300;
    int mostRequests = 6;
    var admission = admission(100, mostRows, mostRequests, 0);
    var heldRows = new AtomicInteger();
    var heldRequests = new AtomicInteger();
    var start = new CountDownLatch(threads);
    try (var executor = Executors.newFixedThreadPool(threads)) {
      var results = new ArrayList<Future<int[]>>();
      for (int thread = 0; thread < threads; thread++) {
        var random = new SplittableRandom(thread);
        results.add(
            executor.submit(() -> {
              start.countDown();
              start.await();
              int[] outcomes = new int[2];
              for (int round = 0; round < 20_000; round++) {
                int held = 1 + random.nextInt(60);
                try (Admission.Permit permit = admission.admit(held)) {
                  permit.ensure(held);
                  assertThat(heldRequests.incrementAndGet()).isLessThanOrEqualTo(mostRequests);
                  assertThat(heldRows.addAndGet(held)).isLessThanOrEqualTo(mostRows);
                  try {
                    int more = held + random.nextInt(40);
                    permit.ensure(more);
                    assertThat(heldRows.addAndGet(more - held)).isLessThanOrEqualTo(mostRows);
                    held = more;
                    int less = random.nextInt(held + 1);
                    heldRows.addAndGet(less - held);
                    held = less;
                    permit.settle(less);
                    outcomes[0]++;
                  } finally {
                    heldRows.addAndGet(-held);
                    heldRequests.decrementAndGet();
                  }
                } catch (ProblemException e) {
                  assertThat(e.code()).isEqualTo(ProblemCode.OVERLOADED);
                  outcomes[1]++;
                }
                assertThat(admission.rows()).isBetween(0, mostRows);
                assertThat(admission.requests()).isBetween(0, mostRequests);
              }
              return outcomes;
            }));
      }
      long refused = 0;
      long admitted = 0;
      for (Future<int[]> result : results) {
        admitted += result.get()[0];
        refused += result.get()[1];
      }
      assertThat(admitted).isPositive();
      assertThat(refused).isPositive().isEqualTo(admission.refused());
    }
    assertEmpty(admission);
  }

  private static Admission admission(
      int maxRows, int maxQueuedRows, int maxQueuedRequests, double rate) {
    return new Admission(
        new SemanticIdProperties.Encoding(
            maxRows,
            DataSize.ofMegabytes(1),
            maxQueuedRows,
            maxQueuedRequests,
            Duration.ofSeconds(30)),
        () -> rate);
  }

  /** Lets a request in all of whose rows arrive. */
  private static Admission.Permit inside(Admission admission, int rows) {
    Admission.Permit permit = admission.admit(rows);
    permit.ensure(rows);
    return permit;
  }

  private static ProblemException assertOverloaded(Runnable call) {
    return assertProblem(ProblemCode.OVERLOADED, call::run);
  }

  private static void assertTooLarge(Runnable call, long rows) {
    ProblemException problem = assertProblem(ProblemCode.PAYLOAD_TOO_LARGE, call::run);
    assertThat(problem.detail())
        .contains(String.format(Locale.ROOT, "this one has %d or more", rows));
    assertThat(problem.properties())
        .containsKey("limit")
        .doesNotContainKey(ProblemException.RETRY_AFTER);
  }

  private static void assertEmpty(Admission admission) {
    assertThat(admission.rows()).isZero();
    assertThat(admission.requests()).isZero();
  }
}
