package dev.semanticid.cuda;

import java.util.concurrent.atomic.AtomicLong;

/** The device's memory as far as this process takes it: counted, and bounded. */
final class DeviceMemory {

  private final CudaDriver driver;
  private final long limit;
  private final AtomicLong taken = new AtomicLong();

  DeviceMemory(CudaDriver driver, long limit) {
    this.driver = driver;
    this.limit = limit;
  }

  /**
   * Takes some, not cleared.
   *
   * @throws OutOfMemoryError if the limit or the device has not so much left
   */
  long allocate(long bytes) {
    long before = taken.getAndAdd(bytes);
    try {
      if (before + bytes > limit) {
        throw new OutOfMemoryError(
            "%d bytes on the GPU beside the %d taken are more than the %d that may be"
                .formatted(bytes, before, limit));
      }
      return driver.allocate(bytes);
    } catch (RuntimeException | Error e) {
      taken.addAndGet(-bytes);
      throw e;
    }
  }

  void free(long address, long bytes) {
    if (address != 0) {
      driver.free(address);
      taken.addAndGet(-bytes);
    }
  }

  long taken() {
    return taken.get();
  }
}
