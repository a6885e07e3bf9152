package dev.semanticid.backend.nd4j;

import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.Int8Backend;
import dev.semanticid.core.compute.ResidentCodebook;
import java.util.Properties;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.openblas.global.openblas;
import org.jspecify.annotations.Nullable;
import org.nd4j.linalg.api.buffer.DataBuffer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.concurrency.AffinityManager;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * The backend on ND4J: centroids are resident {@link INDArray}s; a batch is copied into a staging
 * buffer on the device and multiplied there. Which device that is depends on the ND4J backend on
 * the class path.
 *
 * <p>On a CPU the product is asked of OpenBLAS directly, on the arrays' own memory, because ND4J's
 * way to the same function costs more than the product of a few vectors does.
 *
 * <p>BLAS runs one thread per call, because the callers are already as many as there are cores:
 * that keeps every core busy through the parts that are not BLAS as well. Staging buffers are as
 * many as there are concurrent calls, grow to the largest block seen, and are reused.
 */
public final class Nd4jBackend implements ComputeBackend {

  /**
   * Below this many vectors, one matrix-vector product for each is faster than a GEMM, which first
   * rearranges the whole codebook.
   */
  private static final int FEWEST_FOR_GEMM = 12;

  private final @Nullable Int8Backend int8;
  private final String device;
  private final boolean onCpu;
  private final Queue<Staging> idle = new ConcurrentLinkedQueue<>();

  /**
   * Starts ND4J without 8-bit products, which takes a second or more the first time in a process.
   */
  public Nd4jBackend() {
    this(null);
  }

  /**
   * Starts ND4J with another library's 8-bit products on the CPU beside it.
   *
   * @param int8 what {@link #int8()} gives, or null; closed with this object
   */
  public Nd4jBackend(@Nullable Int8Backend int8) {
    this.int8 = int8;
    Nd4j.factory();
    // Its threads would otherwise be started by whoever needs them first, with the low priority of
    // a job.
    Nd4j.getDeallocatorService();
    openblas.blas_set_num_threads(1);
    this.onCpu = Nd4j.getBackend().getClass().getSimpleName().equals("CpuBackend");
    Properties environment = Nd4j.getExecutioner().getEnvironmentInformation();
    this.device =
        "%s, %s BLAS, ND4J %s"
            .formatted(
                environment.getProperty("backend"),
                environment.getProperty("blas.vendor"),
                Nd4j.getBackend().getClass().getSimpleName());
  }

  /**
   * Limits the memory that ND4J may take outside the heap. Has an effect only before ND4J or
   * JavaCPP is first used.
   *
   * @param bytes the limit; a request beyond it fails with {@link OutOfMemoryError}
   */
  public static void boundOffHeapMemory(long bytes) {
    System.setProperty("org.bytedeco.javacpp.maxbytes", Long.toString(bytes));
    // The process's resident size counts mapped training files, which the kernel takes back by
    // itself.
    System.setProperty("org.bytedeco.javacpp.maxphysicalbytes", "0");
  }

  @Override
  public String name() {
    return "nd4j";
  }

  @Override
  public String device() {
    return device;
  }

  /** None on a GPU: vectors would go there and products come back for nothing. */
  @Override
  public @Nullable Int8Backend int8() {
    return onCpu ? int8 : null;
  }

  @Override
  public ResidentCodebook makeResident(float[] matrix, int rows, int dimension) {
    ComputeBackend.requireShape(matrix, rows, dimension);
    INDArray centroids = Nd4j.createUninitializedDetached(DataType.FLOAT, 'c', rows, dimension);
    pointer(centroids.data()).put(matrix, 0, rows * dimension);
    Nd4j.getAffinityManager().tagLocation(centroids, AffinityManager.Location.HOST);
    return new Resident(centroids, rows, dimension);
  }

  @Override
  public void close() {
    for (Staging staging = idle.poll(); staging != null; staging = idle.poll()) {
      staging.close();
    }
    if (int8 != null) {
      int8.close();
    }
  }

  private static FloatPointer pointer(DataBuffer buffer) {
    return ((FloatPointer) buffer.pointer()).position(0);
  }

  /** Device memory for one call at a time: n × dimension vectors and n × width products. */
  private static final class Staging {

    private @Nullable DataBuffer vectors;
    private @Nullable DataBuffer products;

    DataBuffer vectors(int length) {
      DataBuffer buffer = grown(vectors, length);
      vectors = buffer;
      return buffer;
    }

    DataBuffer products(int length) {
      DataBuffer buffer = grown(products, length);
      products = buffer;
      return buffer;
    }

    private static DataBuffer grown(@Nullable DataBuffer buffer, long length) {
      if (buffer != null && buffer.length() >= length) {
        return buffer;
      }
      if (buffer != null) {
        buffer.close();
      }
      return Nd4j.createBufferDetached(new long[] {length}, DataType.FLOAT);
    }

    void close() {
      if (vectors != null) {
        vectors.close();
      }
      if (products != null) {
        products.close();
      }
    }
  }

  private final class Resident implements ResidentCodebook {

    private final INDArray centroids;
    private final int rows;
    private final int dimension;

    Resident(INDArray centroids, int rows, int dimension) {
      this.centroids = centroids;
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
      return 4L * rows * dimension;
    }

    @Override
    public void multiply(float[] vectors, int offset, int n, float[] products) {
      Staging staging = idle.poll();
      if (staging == null) {
        staging = new Staging();
      }
      DataBuffer x = staging.vectors(n * dimension);
      DataBuffer s = staging.products(n * rows);
      pointer(x).put(vectors, offset, n * dimension);
      if (onCpu) {
        multiplyOnCpu(pointer(x), n, pointer(s));
      } else {
        multiplyByNd4j(x, n, s);
      }
      pointer(s).get(products, 0, n * rows);
      idle.add(staging);
    }

    private void multiplyOnCpu(FloatPointer x, int n, FloatPointer s) {
      FloatPointer c = pointer(centroids.data());
      if (n >= FEWEST_FOR_GEMM) {
        openblas.cblas_sgemm(
            openblas.CblasRowMajor,
            openblas.CblasNoTrans,
            openblas.CblasTrans,
            n,
            rows,
            dimension,
            1f,
            x,
            dimension,
            c,
            dimension,
            0f,
            s,
            rows);
        return;
      }
      for (int row = 0; row < n; row++) {
        openblas.cblas_sgemv(
            openblas.CblasRowMajor,
            openblas.CblasNoTrans,
            rows,
            dimension,
            1f,
            c,
            dimension,
            x.position((long) row * dimension),
            1,
            0f,
            s.position((long) row * rows),
            1);
      }
    }

    private void multiplyByNd4j(DataBuffer vectors, int n, DataBuffer products) {
      INDArray x =
          Nd4j.create(
              vectors,
              new long[] {n, dimension},
              new long[] {dimension, 1},
              0,
              'c',
              DataType.FLOAT);
      // Column-major rows × n, which is row-major n × rows.
      INDArray s =
          Nd4j.create(products, new long[] {rows, n}, new long[] {1, rows}, 0, 'f', DataType.FLOAT);
      Nd4j.getAffinityManager().tagLocation(x, AffinityManager.Location.HOST);
      Nd4j.gemm(centroids, x, s, false, true, 1.0, 0.0);
      Nd4j.getAffinityManager().ensureLocation(s, AffinityManager.Location.HOST);
    }

    @Override
    public void close() {
      centroids.close();
    }
  }
}
