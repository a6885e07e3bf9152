package dev.semanticid.encode;

import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Arrays for embeddings, used again and again: a batch of 256 rows takes megabytes, which the
 * garbage collector would otherwise see for every request. Arrays have lengths of powers of two;
 * idle ones are kept up to a bound. Contents are whatever the last user left.
 */
final class FloatArrays {

  private static final int SMALLEST = 10;
  private static final int LARGEST = 30;

  private final long mostIdleBytes;
  private final AtomicLong idleBytes = new AtomicLong();
  private final Queue<float[]>[] idle;

  /**
   * @param mostIdleBytes memory that idle arrays may take
   */
  @SuppressWarnings({"unchecked", "rawtypes"})
  FloatArrays(long mostIdleBytes) {
    this.mostIdleBytes = mostIdleBytes;
    this.idle = new Queue[LARGEST + 1];
    for (int i = 0; i <= LARGEST; i++) {
      idle[i] = new ConcurrentLinkedQueue<>();
    }
  }

  /** Floats of the array that {@link #take} gives for a length. */
  static long lengthOf(int length) {
    int size = size(length);
    return size > LARGEST ? length : 1L << size;
  }

  /** Whether {@link #take} would give an array that is there already. */
  boolean hasIdle(int length) {
    int size = size(length);
    return size <= LARGEST && !idle[size].isEmpty();
  }

  /** An array of at least {@code length} floats, which must be {@linkplain #give given back}. */
  float[] take(int length) {
    int size = size(length);
    if (size > LARGEST) {
      return new float[length];
    }
    float[] array = idle[size].poll();
    if (array == null) {
      return new float[1 << size];
    }
    idleBytes.addAndGet(-4L * array.length);
    return array;
  }

  /** Takes back an array of {@link #take}, which the caller may not touch any more. */
  void give(float[] array) {
    int size = size(array.length);
    if (size > LARGEST || array.length != 1 << size) {
      return;
    }
    long bytes = 4L * array.length;
    if (idleBytes.addAndGet(bytes) > mostIdleBytes) {
      idleBytes.addAndGet(-bytes);
      return;
    }
    idle[size].add(array);
  }

  /** Bytes of idle arrays. */
  long idleBytes() {
    return idleBytes.get();
  }

  /** The exponent of the smallest power of two that holds so many floats. */
  private static int size(int length) {
    return Math.max(SMALLEST, 32 - Integer.numberOfLeadingZeros(Math.max(1, length) - 1));
  }
}
