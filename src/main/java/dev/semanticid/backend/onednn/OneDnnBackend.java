package dev.semanticid.backend.onednn;

import dev.semanticid.core.compute.Int8Backend;
import dev.semanticid.core.compute.ResidentInt8;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Locale;
import java.util.Queue;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.bytedeco.dnnl.dnnl_version_t;
import org.bytedeco.dnnl.global.dnnl;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.IntPointer;

/**
 * 8-bit products by oneDNN's {@code gemm_u8s8s32}, which uses what the CPU has: AMX, VNNI, or the
 * multiply-add of AVX2 and AVX-512.
 *
 * <p>The last one adds two products in int16 and saturates there: 254·127 + 254·127 is too much,
 * 126·127 + 126·127 is not. So whether the range of 8 bits or only that of 7 gives exact sums is
 * tried out at the start, with the values that would show it; a CPU or library on which neither
 * does is refused.
 *
 * <p>oneDNN runs one thread per call, as the callers are already as many as there are cores.
 */
public final class OneDnnBackend implements Int8Backend {

  private static final int[] RANGES = {254, 126};

  /** Vectors, centroids and components of products tried out: those that choose other kernels. */
  private static final int[][] TRIALS = {
    {1, 1, 64}, {1, 40, 68}, {2, 40, 128}, {19, 40, 68}, {64, 48, 256}, {130, 33, 200}
  };

  private final String device;
  private final int largest;
  private final MethodHandle setThreads;
  private final Queue<Staging> idle = new ConcurrentLinkedQueue<>();
  private final IntPointer noOffset = new IntPointer(new int[1]);

  /**
   * Loads oneDNN and tries out which range it multiplies exactly.
   *
   * @throws IllegalStateException if it multiplies none exactly
   * @throws LinkageError if there is no oneDNN for this platform
   */
  public OneDnnBackend() {
    dnnl_version_t version = dnnl.dnnl_version();
    this.setThreads = openMpSetThreads();
    this.largest = largestExact();
    this.device =
        String.format(
            Locale.ROOT,
            "oneDNN %d.%d.%d, %s, %d steps",
            version.major(),
            version.minor(),
            version.patch(),
            instructions(),
            largest + 1);
  }

  private int largestExact() {
    for (int range : RANGES) {
      if (isExact(range)) {
        return range;
      }
    }
    throw new IllegalStateException("oneDNN's 8-bit products are not exact on this CPU");
  }

  private boolean isExact(int range) {
    var random = new SplittableRandom(range);
    for (int[] shape : TRIALS) {
      int n = shape[0];
      int rows = shape[1];
      int d = shape[2];
      byte[] vectors = new byte[n * d];
      for (int i = 0; i < vectors.length; i++) {
        // The first vector has only the largest value, others have it often.
        boolean extreme = i < d || random.nextInt(4) > 0;
        vectors[i] = (byte) (extreme ? range : random.nextInt(range + 1));
      }
      int[] packed = new int[n * d / 4];
      ByteBuffer.wrap(vectors).order(ByteOrder.LITTLE_ENDIAN).asIntBuffer().get(packed);
      byte[] matrix = new byte[rows * d];
      for (int i = 0; i < matrix.length; i++) {
        int sign = i / d % 2 == 0 ? 1 : -1;
        boolean extreme = i < 2 * d || random.nextInt(4) > 0;
        matrix[i] = (byte) (extreme ? sign * LARGEST_SIGNED : random.nextInt(-LARGEST_SIGNED, 128));
      }
      int[] products = new int[n * rows];
      try (ResidentInt8 resident = makeResident(matrix, rows, d)) {
        resident.multiply(packed, n, products);
      }
      for (int i = 0; i < products.length; i++) {
        if (products[i] != product(vectors, i / rows * d, matrix, i % rows * d, d)) {
          return false;
        }
      }
    }
    return true;
  }

  private static int product(byte[] vectors, int begin, byte[] matrix, int row, int d) {
    int sum = 0;
    for (int i = 0; i < d; i++) {
      sum += (vectors[begin + i] & 0xff) * matrix[row + i];
    }
    return sum;
  }

  private static String instructions() {
    int isa = dnnl.dnnl_get_effective_cpu_isa();
    if (includes(isa, dnnl.dnnl_cpu_isa_avx512_core_amx)) {
      return "AMX";
    }
    if (includes(isa, dnnl.dnnl_cpu_isa_avx512_core_vnni)) {
      return "AVX-512 VNNI";
    }
    if (includes(isa, dnnl.dnnl_cpu_isa_avx2_vnni)) {
      return "AVX2 VNNI";
    }
    if (includes(isa, dnnl.dnnl_cpu_isa_avx512_core)) {
      return "AVX-512";
    }
    return includes(isa, dnnl.dnnl_cpu_isa_avx2) ? "AVX2" : "no AVX2";
  }

  private static boolean includes(int isa, int instructions) {
    return (isa & instructions) == instructions;
  }

  /** Of the OpenMP library that oneDNN runs on; it speaks for the calling thread alone. */
  @SuppressWarnings("restricted")
  private static MethodHandle openMpSetThreads() {
    // oneDNN is loaded by now, and its OpenMP with it, so the loader has it under this name.
    var address =
        SymbolLookup.libraryLookup("libgomp.so.1", Arena.global())
            .find("omp_set_num_threads")
            .orElseThrow(() -> new UnsatisfiedLinkError("OpenMP has no omp_set_num_threads"));
    return Linker.nativeLinker()
        .downcallHandle(address, FunctionDescriptor.ofVoid(ValueLayout.JAVA_INT));
  }

  /** Asked before every product, because ND4J sets it for its own ones in the same OpenMP. */
  private void useOneThread() {
    try {
      setThreads.invokeExact(1);
    } catch (Throwable e) {
      throw new IllegalStateException("omp_set_num_threads failed", e);
    }
  }

  @Override
  public String device() {
    return device;
  }

  @Override
  public int largest() {
    return largest;
  }

  @Override
  public ResidentInt8 makeResident(byte[] matrix, int rows, int dimension) {
    if (rows < 1
        || dimension < 1
        || dimension > MOST_DIMENSIONS
        || dimension % 4 != 0
        || (long) rows * dimension > matrix.length) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "expected 1 or more rows of 4, 8, … or %d components, got %d of %d in an array of %d",
              MOST_DIMENSIONS,
              rows,
              dimension,
              matrix.length));
    }
    BytePointer resident = new BytePointer((long) rows * dimension);
    resident.put(matrix, 0, rows * dimension);
    return new Resident(resident, rows, dimension);
  }

  /** Frees the buffers between calls. */
  @Override
  public void close() {
    for (Staging staging = idle.poll(); staging != null; staging = idle.poll()) {
      staging.close();
    }
    noOffset.close();
  }

  /** Native memory for one call at a time: n × dimension bytes of vectors and n × rows products. */
  private static final class Staging {

    private IntPointer vectors = new IntPointer(1);
    private BytePointer vectorBytes = new BytePointer(vectors);
    private IntPointer products = new IntPointer(1);

    void grow(long ofVectors, long ofProducts) {
      if (vectors.capacity() < ofVectors) {
        vectors.close();
        vectors = new IntPointer(ofVectors);
        vectorBytes = new BytePointer(vectors);
      }
      if (products.capacity() < ofProducts) {
        products.close();
        products = new IntPointer(ofProducts);
      }
    }

    void close() {
      vectors.close();
      products.close();
    }
  }

  private final class Resident implements ResidentInt8 {

    private final BytePointer matrix;
    private final int rows;
    private final int dimension;

    Resident(BytePointer matrix, int rows, int dimension) {
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
      return (long) rows * dimension;
    }

    @Override
    public void multiply(int[] vectors, int n, int[] products) {
      useOneThread();
      Staging staging = idle.poll();
      if (staging == null) {
        staging = new Staging();
      }
      try {
        multiply(staging, vectors, n, products);
      } finally {
        idle.add(staging);
      }
    }

    private void multiply(Staging staging, int[] vectors, int n, int[] products) {
      staging.grow((long) n * dimension / 4, (long) n * rows);
      staging.vectors.put(vectors, 0, n * dimension / 4);
      int status =
          dnnl.dnnl_gemm_u8s8s32(
              (byte) 'N',
              (byte) 'T',
              (byte) 'F',
              n,
              rows,
              dimension,
              1f,
              staging.vectorBytes,
              dimension,
              (byte) 0,
              matrix,
              dimension,
              (byte) 0,
              0f,
              staging.products,
              rows,
              noOffset);
      if (status != dnnl.dnnl_success) {
        throw new IllegalStateException("gemm_u8s8s32 failed with status " + status);
      }
      staging.products.get(products, 0, n * rows);
    }

    @Override
    public void close() {
      matrix.close();
    }
  }
}
