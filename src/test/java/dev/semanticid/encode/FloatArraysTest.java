package dev.semanticid.encode;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Arrays are used again, by one user at a time, and idle ones have a bound. */
class FloatArraysTest {

  private static final long PLENTY = 1L << 30;

  @ParameterizedTest
  @CsvSource({
    "0, 1024",
    "1, 1024",
    "1023, 1024",
    "1024, 1024",
    "1025, 2048",
    "2048, 2048",
    "2049, 4096",
    "524289, 1048576",
    "1048576, 1048576"
  })
  void take_anyLength_hasTheNextPowerOfTwo(int length, int size) {
    assertThat(new FloatArrays(PLENTY).take(length)).hasSize(size);
  }

  @Test
  void take_afterGive_isTheSameArrayForLengthsOfItsSizeOnly() {
    var arrays = new FloatArrays(PLENTY);
    float[] array = arrays.take(3000);
    arrays.give(array);
    assertThat(arrays.idleBytes()).isEqualTo(4L * 4096);
    assertThat(arrays.take(2048)).hasSize(2048);
    assertThat(arrays.take(4097)).hasSize(8192);
    assertThat(arrays.idleBytes()).isEqualTo(4L * 4096);
    assertThat(arrays.take(2049)).isSameAs(array);
    assertThat(arrays.idleBytes()).isZero();
    assertThat(arrays.take(4096)).isNotSameAs(array).hasSize(4096);
    assertThat(arrays.idleBytes()).isZero();
  }

  @Test
  void give_moreThanMayBeIdle_isLeftToTheGarbageCollector() {
    var arrays = new FloatArrays(4 * 4096);
    float[] first = arrays.take(2048);
    float[] second = arrays.take(2048);
    float[] third = arrays.take(1024);
    arrays.give(first);
    arrays.give(second);
    arrays.give(third);
    assertThat(arrays.idleBytes()).isEqualTo(4 * 4096);
    assertThat(List.of(arrays.take(2048), arrays.take(2048))).containsExactly(first, second);
    assertThat(arrays.take(1024)).isNotSameAs(third);
    arrays.give(third);
    assertThat(arrays.take(1024)).isSameAs(third);
    assertThat(arrays.idleBytes()).isZero();
  }

  @Test
  void give_arrayThatIsNoneOfThePool_isLeftAlone() {
    var arrays = new FloatArrays(PLENTY);
    for (int length : new int[] {0, 1, 512, 1023, 1025, 3000}) {
      arrays.give(new float[length]);
    }
    assertThat(arrays.idleBytes()).isZero();
  }

  @Test
  void takeAndGive_byManyThreads_noArrayHasTwoUsers()
      throws InterruptedException, ExecutionException {
    int threads = 6;
    long most = 4L * 1024 * 12;
    var arrays = new FloatArrays(most);
    Set<Integer> used = ConcurrentHashMap.newKeySet();
    try (var executor = Executors.newFixedThreadPool(threads)) {
      var results = new ArrayList<Future<Boolean>>();
      for (int thread = 0; thread < threads; thread++) {
        var random = new SplittableRandom(thread);
        results.add(
            executor.submit(() -> {
              boolean alone = true;
              for (int round = 0; round < 20_000; round++) {
                float[] array = arrays.take(1 + random.nextInt(4096));
                // Identity codes of different arrays may be equal, so users mark theirs.
                array[0] = round;
                array[1] = Thread.currentThread().threadId();
                used.add(System.identityHashCode(array));
                Thread.onSpinWait();
                alone &= array[0] == round && array[1] == Thread.currentThread().threadId();
                alone &= arrays.idleBytes() <= most + 4L * 4096 * threads;
                arrays.give(array);
              }
              return alone;
            }));
      }
      for (Future<Boolean> result : results) {
        assertThat(result.get()).isTrue();
      }
    }
    assertThat(arrays.idleBytes()).isBetween(4L * 1024, most);
    assertThat(used.size()).as("arrays made").isLessThan(threads * 20_000 / 2);
  }
}
