package dev.semanticid.storage;

import static dev.semanticid.storage.Refusals.assertFails;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.core.vector.ByteSource;
import dev.semanticid.problem.ProblemCode;
import java.io.IOException;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class ReadAheadTest {

  private static final int BLOCK = 64;
  private static final int BLOCKS = 4;
  private static final byte[] CONTENT = Settings.bytes(4001, 5);

  /** Bytes in memory that count what is asked of them. */
  private static class Memory implements ByteSource {

    final AtomicInteger reads = new AtomicInteger();
    volatile int failAt = -1;
    volatile boolean closed;

    @Override
    public String name() {
      return "memory";
    }

    @Override
    public long size() {
      return CONTENT.length;
    }

    @Override
    public void read(long position, byte[] target, int offset, int length) throws IOException {
      reads.incrementAndGet();
      if (failAt >= position && failAt < position + length) {
        throw new StorageException(ProblemCode.SOURCE_UNAVAILABLE, "no byte " + failAt);
      }
      System.arraycopy(CONTENT, (int) position, target, offset, length);
    }

    @Override
    public void close() {
      closed = true;
    }
  }

  private static void check(ByteSource source, int from, int length) throws IOException {
    byte[] target = new byte[length + 2];
    source.read(from, target, 1, length);
    assertThat(Arrays.equals(target, 1, length + 1, CONTENT, from, from + length)).isTrue();
    assertThat(target[0] | target[length + 1]).isZero();
  }

  @Test
  void read_consecutiveRangesOfAnySize_areTheBytes() throws IOException {
    for (int length : new int[] {1, 7, 63, 64, 65, 128, 1000, 4000, 4001}) {
      try (var source = new ReadAhead(new Memory(), BLOCK, BLOCKS)) {
        for (int from = 0; from < CONTENT.length; from += length) {
          check(source, from, Math.min(length, CONTENT.length - from));
        }
      }
    }
  }

  @Test
  void read_anyOrderByOneThread_areTheBytes() throws IOException {
    var random = new Random(6);
    try (var source = new ReadAhead(new Memory(), BLOCK, BLOCKS)) {
      int at = 0;
      for (int i = 0; i < 5000; i++) {
        int from = random.nextInt(4) == 0 ? random.nextInt(CONTENT.length + 1) : at;
        int length = Math.min(random.nextInt(200), CONTENT.length - from);
        check(source, from, length);
        at = from + length;
      }
    }
  }

  @Test
  void read_severalThreads_areTheBytes() throws Exception {
    try (var source = new ReadAhead(new Memory(), BLOCK, BLOCKS);
        var threads = Executors.newFixedThreadPool(4)) {
      var readers =
          IntStream.range(0, 4)
              .mapToObj(seed ->
                  (Callable<Boolean>)
                      () -> {
                        var random = new Random(seed);
                        for (int round = 0; round < 50; round++) {
                          int length = 1 + random.nextInt(150);
                          for (int from = 0; from < CONTENT.length; from += length) {
                            check(source, from, Math.min(length, CONTENT.length - from));
                          }
                        }
                        return true;
                      })
              .toList();
      for (Future<Boolean> reader : threads.invokeAll(readers)) {
        assertThat(reader.get()).isTrue();
      }
    }
  }

  @Test
  void read_firstAndScatteredRanges_fetchNothingElse() throws IOException {
    var memory = new Memory();
    try (var source = new ReadAhead(memory, BLOCK, BLOCKS)) {
      check(source, 3000, 8);
      check(source, 0, 100);
      check(source, 2000, 300);
      assertThat(memory.reads.get()).isEqualTo(3);
    }
    assertThat(memory.closed).isTrue();
  }

  @Test
  void read_consecutiveRanges_fetchesAtTheSameTimeAndNoMoreThanTheLimit() throws Exception {
    var atOnce = new CountDownLatch(BLOCKS - 1);
    var most = new AtomicInteger();
    var now = new AtomicInteger();
    var memory =
        new Memory() {
          @Override
          public void read(long position, byte[] target, int offset, int length)
              throws IOException {
            most.accumulateAndGet(now.incrementAndGet(), Math::max);
            if (position >= 10 * BLOCK) {
              // Nobody has asked for these yet, and none of them ends alone.
              atOnce.countDown();
              try {
                assertThat(atOnce.await(30, TimeUnit.SECONDS)).isTrue();
              } catch (InterruptedException e) {
                throw new IOException(e);
              }
            }
            super.read(position, target, offset, length);
            now.decrementAndGet();
          }
        };
    try (var source = new ReadAhead(memory, BLOCK, BLOCKS)) {
      for (int from = 0; from < CONTENT.length; from += BLOCK) {
        check(source, from, Math.min(BLOCK, CONTENT.length - from));
      }
    }
    assertThat(most.get()).isBetween(BLOCKS - 1, BLOCKS);
    assertThat(memory.reads.get()).isEqualTo(Math.ceilDiv(CONTENT.length, BLOCK));
  }

  @Test
  void read_failureAhead_isSeenWhereItIsAndNotForever() throws IOException {
    var memory = new Memory();
    try (var source = new ReadAhead(memory, BLOCK, BLOCKS)) {
      memory.failAt = 500;
      check(source, 0, 100);
      for (int from = 100; from < 400; from += 10) {
        check(source, from, 10);
      }
      assertFails(ProblemCode.SOURCE_UNAVAILABLE, () -> check(source, 400, 200), "no byte 500");
      memory.failAt = -1;
      check(source, 400, 200);
      check(source, 600, 200);
    }
  }

  @Test
  void read_closedOrOutside_isRefused() throws IOException {
    var source = new ReadAhead(new Memory(), BLOCK, BLOCKS);
    assertThatThrownBy(() -> source.read(CONTENT.length, new byte[1], 0, 1))
        .isInstanceOf(IndexOutOfBoundsException.class);
    source.close();
    assertThatThrownBy(() -> source.read(0, new byte[1], 0, 1))
        .isInstanceOf(IllegalStateException.class);
  }
}
