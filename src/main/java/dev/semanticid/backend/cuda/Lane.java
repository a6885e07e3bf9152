package dev.semanticid.backend.cuda;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * One batch in flight: a stream with memory of its own on both sides, which grows to the largest
 * batch seen. Used by one thread at a time.
 */
final class Lane {

  /** What cuBLAS may use for one product; it allocates up to four times as much by itself. */
  static final long WORKSPACE_BYTES = 8 << 20;

  /** Components that are copied to the device at a time: 2 MB. */
  private static final int PIECE = 1 << 19;

  private final CudaDriver driver;
  private final Cublas blas;
  private final DeviceMemory memory;
  private final MemorySegment stream;
  private final MemorySegment handle;
  private final long workspace;
  private MemorySegment host = MemorySegment.NULL;
  private final Room vectors = new Room();
  private final Room products = new Room();
  private final Room codes = new Room();

  Lane(CudaDriver driver, Cublas blas, DeviceMemory memory) {
    this.driver = driver;
    this.blas = blas;
    this.memory = memory;
    this.workspace = memory.allocate(WORKSPACE_BYTES);
    try {
      this.stream = driver.newStream();
      this.handle = blas.newHandle(stream, workspace, WORKSPACE_BYTES);
    } catch (RuntimeException | Error e) {
      memory.free(workspace, WORKSPACE_BYTES);
      throw e;
    }
  }

  MemorySegment stream() {
    return stream;
  }

  /** Room for so many bytes of codes on the device; what was in it is gone. */
  long codes(long bytes) {
    return codes.of(bytes);
  }

  /** Room for so many bytes of products on the device; what was in it is gone. */
  long products(long bytes) {
    return products.of(bytes);
  }

  /** Pinned memory of this machine, of at least so many bytes; what was in it is gone. */
  MemorySegment host(long bytes) {
    if (host.byteSize() < bytes) {
      driver.freeHost(host);
      host = MemorySegment.NULL;
      try {
        host = driver.allocateHost(bytes);
      } catch (OutOfMemoryError e) {
        throw new CudaException("a batch finds no pinned memory: " + e.getMessage());
      }
    }
    return host;
  }

  /**
   * Begins to copy vectors to the device; gives their address there.
   *
   * @param hostBytes what {@link #host} will be asked for before they have arrived
   */
  long send(float[] from, int offset, int length, long hostBytes) {
    long bytes = 4L * length;
    long there = vectors.of(bytes);
    MemorySegment staging = host(Math.max(bytes, hostBytes));
    // In pieces, so that the device reads one while the next is written.
    for (int done = 0; done < length; done += PIECE) {
      int count = Math.min(PIECE, length - done);
      MemorySegment piece = staging.asSlice(4L * done, 4L * count);
      MemorySegment.copy(from, offset + done, piece, ValueLayout.JAVA_FLOAT, 0, count);
      driver.copyToDevice(there + 4L * done, piece, 4L * count, stream);
    }
    return there;
  }

  /** Begins products = vectors · matrixᵀ, all on the device. */
  void multiply(long from, int n, long matrix, int rows, int dimension, long into) {
    blas.multiply(handle, from, n, matrix, rows, dimension, into);
  }

  void close() {
    blas.destroyHandle(handle);
    driver.destroyStream(stream);
    driver.freeHost(host);
    vectors.free();
    products.free();
    codes.free();
    memory.free(workspace, WORKSPACE_BYTES);
  }

  /** Device memory that grows to the most that was asked for. */
  private final class Room {

    private long address;
    private long bytes;

    long of(long wanted) {
      if (bytes < wanted) {
        free();
        address = memory.allocate(wanted);
        bytes = wanted;
      }
      return address;
    }

    void free() {
      memory.free(address, bytes);
      address = 0;
      bytes = 0;
    }
  }
}
