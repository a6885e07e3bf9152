package dev.semanticid.cuda;

import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.DeviceEncoder;
import dev.semanticid.core.compute.DeviceModel;
import dev.semanticid.core.compute.ResidentCodebook;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The backend on the NVIDIA driver and cuBLAS. Float32 products are cuBLAS's, without TF32; whole
 * rows are encoded on the device by a kernel of ours. Several batches are in flight, each on a
 * stream of its own with pinned memory, so that copies overlap with what is computed.
 */
public final class CudaBackend implements ComputeBackend {

  /** Batches in flight. */
  private static final int LANES = 8;

  static final List<String> DRIVER = List.of("libcuda.so.1");

  /** The newest first; where LD_LIBRARY_PATH does not lead to it, where installers put it. */
  static final List<String> BLAS =
      List.of(
          "libcublas.so.13",
          "libcublas.so.12",
          "/usr/local/cuda/lib64/libcublas.so.13",
          "/usr/local/cuda/lib64/libcublas.so.12");

  private final CudaDriver driver;
  private final Cublas blas;
  private final DeviceMemory memory;
  private final MemorySegment quantize;
  private final Semaphore free = new Semaphore(LANES);
  private final Queue<Lane> idle = new ConcurrentLinkedQueue<>();
  private volatile @Nullable CudaException failure;

  /**
   * Takes the first GPU.
   *
   * @param memoryLimit most bytes to take there
   * @throws CudaException if there is none that the kernels run on, or no cuBLAS, with the reason
   */
  public CudaBackend(long memoryLimit) {
    this(DRIVER, BLAS, memoryLimit);
  }

  CudaBackend(List<String> driver, List<String> blas, long memoryLimit) {
    this.driver = new CudaDriver(driver, ptx());
    this.blas = new Cublas(blas);
    this.memory = new DeviceMemory(this.driver, memoryLimit);
    this.quantize = this.driver.kernel("quantize");
    idle.add(new Lane(this.driver, this.blas, memory));
  }

  private static String ptx() {
    try (InputStream in = CudaBackend.class.getResourceAsStream("quantizer.ptx")) {
      return new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.US_ASCII);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public String name() {
    return "cuda";
  }

  @Override
  public String device() {
    return "%s, %s".formatted(driver.description(), blas.name());
  }

  @Override
  public ResidentCodebook makeResident(float[] matrix, int rows, int dimension) {
    ComputeBackend.requireShape(matrix, rows, dimension);
    var data = new DeviceData(this);
    try {
      return new Resident(data, data.add(matrix, rows * dimension), rows, dimension);
    } catch (RuntimeException | Error e) {
      data.close();
      throw e;
    }
  }

  @Override
  public @Nullable DeviceEncoder encoder(DeviceModel model) {
    return model.levels().size() > CudaEncoder.MOST_LEVELS
        ? null
        : new CudaEncoder(this, model, gamma(model.dimension()));
  }

  /** Does something with a lane of its own, which it has synchronized with by its end. */
  <T> T onLane(Function<Lane, T> work) {
    CudaException before = failure;
    if (before != null) {
      throw before;
    }
    free.acquireUninterruptibly();
    Lane lane = null;
    try {
      driver.makeCurrent();
      lane = idle.poll();
      if (lane == null) {
        lane = new Lane(driver, blas, memory);
      }
      return work.apply(lane);
    } catch (CudaException e) {
      // Errors of the device stay with its context: nothing works any more.
      failure = e;
      throw e;
    } finally {
      if (lane != null) {
        idle.add(lane);
      }
      free.release();
    }
  }

  /** As the other one, without a result. */
  void runOnLane(Consumer<Lane> work) {
    onLane(lane -> {
      work.accept(lane);
      return true;
    });
  }

  CudaDriver driver() {
    return driver;
  }

  DeviceMemory memory() {
    return memory;
  }

  MemorySegment quantize() {
    return quantize;
  }

  @Override
  public @Nullable String failure() {
    CudaException e = failure;
    return e == null ? null : e.getMessage();
  }

  /** Memory that is taken on the device, in bytes. */
  public long deviceBytes() {
    return memory.taken();
  }

  @Override
  public void close() {
    if (failure != null) {
      return; // and nothing can be freed, until the process ends
    }
    driver.makeCurrent();
    for (Lane lane = idle.poll(); lane != null; lane = idle.poll()) {
      lane.close();
    }
    driver.close();
  }

  private final class Resident implements ResidentCodebook {

    private final DeviceData data;
    private final long matrix;
    private final int rows;
    private final int dimension;

    Resident(DeviceData data, long matrix, int rows, int dimension) {
      this.data = data;
      this.matrix = matrix;
      this.rows = rows;
      this.dimension = dimension;
    }

    @Override
    public int rows() {
      return rows;
    }

    @Override
    public int dimension() {
      return dimension;
    }

    @Override
    public long bytes() {
      return data.bytes();
    }

    @Override
    public void multiply(float[] vectors, int offset, int n, float[] products) {
      runOnLane(lane -> {
        long bytes = 4L * n * rows;
        lane.multiply(vectors, offset, n, dimension, matrix, rows, bytes);
        MemorySegment host = lane.host(bytes);
        driver.copyToHost(host, lane.products(), bytes, lane.stream());
        driver.synchronize(lane.stream());
        MemorySegment.copy(host, ValueLayout.JAVA_FLOAT, 0, products, 0, n * rows);
      });
    }

    @Override
    public void close() {
      data.close();
    }
  }
}
