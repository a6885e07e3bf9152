package dev.semanticid.backend.cuda;

import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The device's memory as far as this process takes it: counted, and bounded. Codebooks leave some
 * of it to batches in flight.
 */
final class DeviceMemory {

  private final CudaDriver driver;
  private final long limit;
  private final long forBatches;
  private final AtomicLong batches = new AtomicLong();
  private final AtomicLong data = new AtomicLong();

  /**
   * @param limit most bytes to take
   * @param forBatches what codebooks leave of them, a quarter at most
   */
  DeviceMemory(CudaDriver driver, long limit, long forBatches) {
    this.driver = driver;
    this.limit = limit;
    this.forBatches = Math.min(forBatches, limit / 4);
  }

  /**
   * Takes some for a batch, not cleared.
   *
   * @throws CudaException if the device has not so much left: nothing can be computed any more
   */
  long allocate(long bytes) {
    try {
      return allocate(batches, bytes, limit - data.get());
    } catch (OutOfMemoryError e) {
      throw new CudaException("a batch finds no room on the GPU: " + e.getMessage());
    }
  }

  /**
   * Takes some for a codebook, not cleared.
   *
   * @throws OutOfMemoryError if the limit or the device has not so much left
   */
  long allocateData(long bytes) {
    return allocate(data, bytes, limit - forBatches);
  }

  private long allocate(AtomicLong counter, long bytes, long most) {
    long before = counter.getAndAdd(bytes);
    try {
      if (before + bytes > most) {
        throw new OutOfMemoryError(
            String.format(
                Locale.ROOT,
                "%d bytes on the GPU beside the %d taken are more than the %d that may be",
                bytes,
                before,
                most));
      }
      return driver.allocate(bytes);
    } catch (RuntimeException | Error e) {
      counter.addAndGet(-bytes);
      throw e;
    }
  }

  void free(long address, long bytes) {
    free(batches, address, bytes);
  }

  void freeData(long address, long bytes) {
    free(data, address, bytes);
  }

  private void free(AtomicLong counter, long address, long bytes) {
    if (address != 0) {
      driver.free(address);
      counter.addAndGet(-bytes);
    }
  }

  long taken() {
    return batches.get() + data.get();
  }
}
