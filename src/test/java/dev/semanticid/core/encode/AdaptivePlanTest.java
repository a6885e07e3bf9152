package dev.semanticid.core.encode;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.compute.ExactInt8;
import dev.semanticid.core.compute.ForwardingBackend;
import dev.semanticid.core.compute.Int8Backend;
import dev.semanticid.core.compute.JavaBackend;
import dev.semanticid.core.compute.ResidentCodebook;
import dev.semanticid.core.compute.ResidentInt8;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.search.Screening;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which of two plans gets the rows, by a clock that only their products move. */
class AdaptivePlanTest {

  private static final int D = 8;
  private static final long SLOW = 10_000_000;

  private final AtomicLong clock = new AtomicLong();
  private final WorkerPool pool = new WorkerPool(1, "test");
  private boolean wrong;
  private final Pace float32 = new Pace();
  private final Pace int8 = new Pace();
  private final Codebook codebook =
      ResidualQuantizerExactnessTest.randomCodebook(
          new ResidualQuantizerExactnessTest.Shape(D, List.of(7, 5), true, 0.7),
          new SplittableRandom(1));
  private final float[] rows = new AdversarialRows(codebook, new SplittableRandom(2)).make(256);
  private final int[] expected = new ReferenceQuantizer(codebook).encodeAll(rows, 256);

  /** What a product adds to the clock, and how many rows were multiplied. */
  private final class Pace {

    private volatile long nanos;
    private final AtomicLong rows = new AtomicLong();

    void multiplied(int n) {
      rows.addAndGet(n);
      clock.addAndGet(1000 + nanos);
    }

    long takeRows() {
      return rows.getAndSet(0);
    }
  }

  @AfterEach
  void close() {
    pool.close();
  }

  @ParameterizedTest
  @CsvSource({"true, int8", "false, float32"})
  void encode_onePlanIsFaster_thatOneGetsTheRows(boolean int8IsFaster, String name) {
    Pace slow = int8IsFaster ? float32 : int8;
    Pace fast = int8IsFaster ? int8 : float32;
    slow.nanos = SLOW;
    try (var quantizer = quantizer(new ExactInt8(254))) {
      quantizer.selfTest();
      assertThat(quantizer.plan()).isEqualTo(name);
      assertThat(quantizer.planReason())
          .containsPattern(
              "float32 took [0-9.]+ µs a row and int8 [0-9.]+ in blocks of 64 and more");
      for (int count : new int[] {1, 3, 15, 40, 256}) {
        fast.takeRows();
        slow.takeRows();
        for (int round = 0; round < 20; round++) {
          assertSameCodes(quantizer, count);
        }
        assertThat(fast.takeRows()).as("blocks of %d", count).isEqualTo(20L * count);
        assertThat(slow.takeRows()).as("blocks of %d", count).isZero();
      }
    }
  }

  @Test
  void encode_speedsSwap_changesItsMind() {
    int8.nanos = SLOW;
    try (var quantizer = quantizer(new ExactInt8(254))) {
      quantizer.selfTest();
      assertThat(quantizer.plan()).isEqualTo("float32");
      for (int swap = 0; swap < 2; swap++) {
        Pace slow = swap == 0 ? float32 : int8;
        Pace fast = swap == 0 ? int8 : float32;
        fast.nanos = 0;
        // Slower than the other one is remembered to be.
        slow.nanos = 4 * SLOW * (swap + 1);
        for (int round = 0; round < 25; round++) {
          assertSameCodes(quantizer, 100);
        }
        assertThat(quantizer.plan()).isEqualTo(swap == 0 ? "int8" : "float32");
        fast.takeRows();
        slow.takeRows();
        for (int round = 0; round < 20; round++) {
          assertSameCodes(quantizer, 100);
        }
        assertThat(fast.takeRows()).isEqualTo(2000);
        assertThat(slow.takeRows()).isZero();
      }
    }
  }

  /** It notices although the plan in use is as fast as ever. */
  @Test
  void encode_otherPlanBecomesFaster_isNoticedByTrials() {
    float32.nanos = 2_000_000;
    int8.nanos = 6_000_000;
    try (var quantizer = quantizer(new ExactInt8(254))) {
      quantizer.selfTest();
      assertThat(quantizer.plan()).isEqualTo("float32");
      int8.nanos = 0;
      int rounds = 0;
      while (quantizer.plan().equals("float32")) {
        assertSameCodes(quantizer, 100);
        assertThat(++rounds).as("blocks without a trial of the faster plan").isLessThan(1000);
      }
      // A trial is due after a hundred times its own time.
      assertThat(rounds).isGreaterThan(10);
    }
  }

  @Test
  void encode_manyBlocks_slowerPlanGetsASmallShare() {
    float32.nanos = 100_000;
    int8.nanos = 5_000_000;
    try (var quantizer = quantizer(new ExactInt8(254))) {
      quantizer.selfTest();
      float32.takeRows();
      int8.takeRows();
      // A trial is due after half a second, and the warm-up may count for the first one.
      int blocks = 12_000;
      for (int block = 0; block < blocks; block++) {
        assertSameCodes(quantizer, 1);
      }
      long trials = int8.takeRows();
      assertThat(trials).isBetween(2L, 3L);
      assertThat(float32.takeRows()).isEqualTo(blocks - trials);
    }
  }

  @Test
  void encode_fromSeveralThreadsWhileSpeedsChange_givesTheSameCodes() {
    try (var four = new WorkerPool(4, "four");
        var quantizer = quantizer(new ExactInt8(30))) {
      quantizer.selfTest();
      var random = new SplittableRandom(3);
      for (int round = 0; round < 20; round++) {
        float32.nanos = random.nextInt(1_000_000);
        int8.nanos = random.nextInt(1_000_000);
        int[] counts = new int[16];
        for (int i = 0; i < counts.length; i++) {
          counts[i] = 1 + random.nextInt(256);
        }
        four.forEach(counts.length, index -> assertSameCodes(quantizer, counts[index]));
      }
    }
  }

  @Test
  void screening_countsTheRowsOfThePlanInUseOnly() {
    float32.nanos = SLOW;
    try (var quantizer = quantizer(new ExactInt8(254))) {
      quantizer.selfTest();
      assertThat(quantizer.screening()).isNotNull();
      assertThat(quantizer.screening().rows()).isZero();
      assertSameCodes(quantizer, 200);
      assertThat(quantizer.screening().rows()).isEqualTo(200);
    }
  }

  @Test
  void selfTest_wrongInt8Products_namesThePlan() {
    try (var quantizer = quantizer(new WrongInt8())) {
      assertThatIllegalStateException()
          .isThrownBy(quantizer::selfTest)
          .withMessageContaining("self-test failed on plan int8");
    }
  }

  @Test
  void selfTest_wrongFloat32Products_namesThePlan() {
    wrong = true;
    try (var quantizer = quantizer(new ExactInt8(254))) {
      assertThatIllegalStateException()
          .isThrownBy(quantizer::selfTest)
          .withMessageContaining("self-test failed on plan float32");
    }
  }

  private void assertSameCodes(ResidualQuantizer quantizer, int count) {
    int[] codes = new int[count * codebook.levels()];
    quantizer.encodeBlock(rows, 0, count, codes, 0);
    for (int i = 0; i < codes.length; i++) {
      if (codes[i] != expected[i]) {
        throw new AssertionError(
            String.format(
                Locale.ROOT,
                "code %d of %d rows is %d instead of %d",
                i,
                count,
                codes[i],
                expected[i]));
      }
    }
  }

  private ResidualQuantizer quantizer(Int8Backend products) {
    return new ResidualQuantizer(
        codebook, new PacedBackend(products), pool, Long.MAX_VALUE, Screening.AUTO, clock::get);
  }

  /** Plain Java beside 8-bit products, both at the test's pace. */
  private final class PacedBackend extends ForwardingBackend {

    private final Int8Backend products;

    PacedBackend(Int8Backend products) {
      super(new JavaBackend());
      this.products = products;
    }

    @Override
    public ResidentCodebook makeResident(float[] matrix, int rows, int dimension) {
      return new Resident(super.makeResident(matrix, rows, dimension)) {
        @Override
        public void multiply(float[] vectors, int offset, int n, float[] products) {
          super.multiply(vectors, offset, n, products);
          if (wrong) {
            for (int i = 0; i < products.length; i++) {
              products[i] = -products[i];
            }
          }
          float32.multiplied(n);
        }
      };
    }

    @Override
    public @Nullable Int8Backend int8() {
      return new PacedInt8(products);
    }
  }

  private final class PacedInt8 implements Int8Backend {

    private final Int8Backend products;

    PacedInt8(Int8Backend products) {
      this.products = products;
    }

    @Override
    public String device() {
      return products.device();
    }

    @Override
    public int largest() {
      return products.largest();
    }

    @Override
    public ResidentInt8 makeResident(byte[] matrix, int rows, int dimension) {
      return watched(products.makeResident(matrix, rows, dimension), (n, of) -> int8.multiplied(n));
    }

    @Override
    public void close() {
      products.close();
    }
  }

  /** All products have the wrong sign. */
  private static final class WrongInt8 implements Int8Backend {

    private final Int8Backend right = new ExactInt8(254);

    @Override
    public String device() {
      return "wrong";
    }

    @Override
    public int largest() {
      return right.largest();
    }

    @Override
    public ResidentInt8 makeResident(byte[] matrix, int rows, int dimension) {
      return watched(
          right.makeResident(matrix, rows, dimension),
          (n, products) -> {
            for (int i = 0; i < n * rows; i++) {
              products[i] = -products[i];
            }
          });
    }

    @Override
    public void close() {
      right.close();
    }
  }

  @FunctionalInterface
  private interface Watcher {
    void multiplied(int n, int[] products);
  }

  private static ResidentInt8 watched(ResidentInt8 resident, Watcher watcher) {
    return new ResidentInt8() {
      @Override
      public int rows() {
        return resident.rows();
      }

      @Override
      public int dimension() {
        return resident.dimension();
      }

      @Override
      public long bytes() {
        return resident.bytes();
      }

      @Override
      public void multiply(int[] vectors, int n, int[] products) {
        resident.multiply(vectors, n, products);
        watcher.multiplied(n, products);
      }

      @Override
      public void close() {
        resident.close();
      }
    };
  }
}
