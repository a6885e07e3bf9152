package dev.semanticid.cuda;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * One batch in flight: a stream with memory of its own on both sides, which grows to the largest
 * batch seen. Used by one thread at a time.
 */
final class Lane {

  /** What cuBLAS may use for one product; it allocates up to four times as much by itself. */
  private static final long WORKSPACE_BYTES = 8 << 20;

  private final CudaDriver driver;
  private final Cublas blas;
  private final DeviceMemory memory;
  private final MemorySegment stream;
  private final MemorySegment handle;
  private final long workspace;
  private MemorySegment host = MemorySegment.NULL;
  private long vectors;
  private long vectorBytes;
  private long products;
  private long productBytes;
  private long codes;
  private long codeBytes;

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

  long vectors() {
    return vectors;
  }

  long products() {
    return products;
  }

  /** Room for so many bytes of codes. */
  long codes(long bytes) {
    if (codeBytes < bytes) {
      memory.free(codes, codeBytes);
      codeBytes = 0;
      codes = memory.allocate(bytes);
      codeBytes = bytes;
    }
    return codes;
  }

  /** Pinned memory of this machine, of at least so many bytes; what was in it is gone. */
  MemorySegment host(long bytes) {
    if (host.byteSize() < bytes) {
      driver.freeHost(host);
      host = MemorySegment.NULL;
      host = driver.allocateHost(bytes);
    }
    return host;
  }

  /**
   * Begins {@link #products} = {@link #vectors} · matrixᵀ with vectors of the caller's.
   *
   * @param hostBytes what {@link #host} will be asked for before this is done
   */
  void multiply(
      float[] from, int offset, int n, int dimension, long matrix, int rows, long hostBytes) {
    int length = n * dimension;
    long bytes = 4L * length;
    if (vectorBytes < bytes) {
      memory.free(vectors, vectorBytes);
      vectorBytes = 0;
      vectors = memory.allocate(bytes);
      vectorBytes = bytes;
    }
    long resultBytes = 4L * n * rows;
    if (productBytes < resultBytes) {
      memory.free(products, productBytes);
      productBytes = 0;
      products = memory.allocate(resultBytes);
      productBytes = resultBytes;
    }
    MemorySegment staging = host(Math.max(bytes, hostBytes));
    MemorySegment.copy(from, offset, staging, ValueLayout.JAVA_FLOAT, 0, length);
    driver.copyToDevice(vectors, staging, bytes, stream);
    multiplyThere(vectors, n, matrix, rows, dimension, products);
  }

  /** Begins products = vectors · matrixᵀ, all on the device. */
  void multiplyThere(long from, int n, long matrix, int rows, int dimension, long into) {
    blas.multiply(handle, from, n, matrix, rows, dimension, into);
  }

  void close() {
    blas.destroyHandle(handle);
    driver.destroyStream(stream);
    driver.freeHost(host);
    memory.free(vectors, vectorBytes);
    memory.free(products, productBytes);
    memory.free(codes, codeBytes);
    memory.free(workspace, WORKSPACE_BYTES);
  }
}
