package dev.semanticid.backend.cuda;

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
import java.util.Locale;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The backend on the NVIDIA driver and cuBLAS. Float32 products are cuBLAS's, without TF32; whole
 * rows are encoded on the device by a kernel of ours. Several batches are in flight, each on a
 * stream of its own with pinned memory, so that copies overlap with what is computed.
 */
public final class CudaBackend implements ComputeBackend {

  /** Batches in flight. */
  private static final int LANES = 16;

  /** The kernels are compiled for this compute capability and later ones. */
  private static final int OLDEST_MAJOR = 8;

  private static final int OLDEST_CUBLAS = 12;
  private static final int NEWEST_CUBLAS = 13;

  private final CudaDevice device;
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
    this(CudaDevice.driverLibrary(), null, memoryLimit);
  }

  /**
   * As the other one, with libraries of the caller's.
   *
   * @param library the driver
   * @param cublas null for the machine's
   */
  CudaBackend(NativeLibrary library, @Nullable NativeLibrary cublas, long memoryLimit) {
    this.device = CudaDevice.first(library);
    if (device.major() < OLDEST_MAJOR) {
      throw new CudaException(
          String.format(
              Locale.ROOT,
              "%s: the kernels need compute capability %d.0 or later",
              device,
              OLDEST_MAJOR));
    }
    this.blas = new Cublas(cublas == null ? cublas(device.driver() / 1000) : cublas);
    this.driver = new CudaDriver(library, device.ordinal(), ptx());
    this.memory = new DeviceMemory(driver, memoryLimit, LANES * CudaEncoder.LANE_BYTES);
    this.quantize = driver.kernel("quantize");
    idle.add(new Lane(driver, blas, memory));
  }

  /**
   * The newest cuBLAS that the driver is new enough for: where LD_LIBRARY_PATH leads to it, or
   * where installers put it.
   */
  private static NativeLibrary cublas(int driver) {
    return NativeLibrary.open(
        "cuBLAS",
        IntStream.rangeClosed(OLDEST_CUBLAS, NEWEST_CUBLAS)
            .map(i -> OLDEST_CUBLAS + NEWEST_CUBLAS - i)
            .filter(version -> version <= Math.max(driver, OLDEST_CUBLAS))
            .mapToObj(version -> "libcublas.so." + version)
            .flatMap(name -> Stream.of(name, "/usr/local/cuda/lib64/" + name))
            .toList());
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
    return "%s, %s".formatted(device, blas.name());
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

  @Override
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
        long there = lane.send(vectors, offset, n * dimension, bytes);
        long result = lane.products(bytes);
        lane.multiply(there, n, matrix, rows, dimension, result);
        MemorySegment host = lane.host(bytes);
        driver.copyToHost(host, result, bytes, lane.stream());
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
