package dev.semanticid.core.encode;

import dev.semanticid.backend.nd4j.Nd4jBackend;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.ForwardingBackend;
import dev.semanticid.core.compute.Int8Backend;
import dev.semanticid.core.compute.ResidentCodebook;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.vector.VectorBatch;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * The engine on all cores, and its GEMMs alone, in rows per second ({@code :rows}) and calls per
 * second.
 *
 * <pre>
 * ./mvnw -q -Pbench test -Djmh.args="EncodeBenchmark -p d=384,2048 -p k=256 -p n=1,256,4096"
 * ./mvnw -q -Pbench test -Djmh.args="EncodeBenchmark.encode -p d=2048 -p k=256 -prof gc"
 * </pre>
 *
 * The second gives the bytes that a call allocates, all threads together: {@code
 * gc.alloc.rate.norm}, to be divided by n.
 */
@BenchmarkMode(Mode.Throughput)
@Fork(1)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class EncodeBenchmark {

  private static final int LEVELS = 3;
  private static final long TABLE_BUDGET = 256 << 20;

  /** Counts rows beside calls. */
  @State(Scope.Thread)
  @AuxCounters
  public static class Counter {

    public long rows;
  }

  /** Codebook and rows of one size, and what they are encoded on. */
  @State(Scope.Benchmark)
  public static class Workload {

    @Param({"128", "384", "768", "2048"})
    public int d;

    @Param({"256", "1024", "8192"})
    public int k;

    @Param({"1", "32", "256", "4096"})
    public int n;

    Codebook codebook;
    VectorBatch batch;
    int[] codes;
    WorkerPool pool;
    Nd4jBackend backend;

    @Setup
    public void setUp() {
      codebook = Gaussian.codebook(1, LEVELS, k, d);
      batch = Gaussian.rows(1000, n, d);
      codes = new int[n * LEVELS];
      pool = new WorkerPool(Runtime.getRuntime().availableProcessors(), "encode");
      backend = new Nd4jBackend();
    }

    ResidualQuantizer quantizer(ComputeBackend on) {
      return new ResidualQuantizer(codebook, on, pool, TABLE_BUDGET);
    }

    @TearDown
    public void tearDown() {
      pool.close();
      backend.close();
    }
  }

  /** The engine. */
  @State(Scope.Benchmark)
  public static class Engine {

    ResidualQuantizer quantizer;

    @Setup
    public void setUp(Workload workload) {
      quantizer = workload.quantizer(workload.backend);
    }

    @TearDown
    public void tearDown() {
      quantizer.close();
    }
  }

  /** What the engine has its backend multiply, whatever its plan, to be done without the engine. */
  @State(Scope.Benchmark)
  public static class Gemms {

    List<Product> products;
    ThreadLocal<float[]> results;
    private ResidualQuantizer quantizer;

    @Setup
    public void setUp(Workload workload) {
      var recorder = new Recorder(workload.backend);
      quantizer = workload.quantizer(recorder);
      quantizer.encode(workload.batch, workload.codes);
      products = List.copyOf(recorder.products);
      int longest = products.stream().mapToInt(Product::length).max().orElseThrow();
      results = ThreadLocal.withInitial(() -> new float[longest]);
    }

    @TearDown
    public void tearDown() {
      quantizer.close();
    }
  }

  /** Arguments of {@link ResidentCodebook#multiply}. */
  record Product(ResidentCodebook centroids, float[] vectors, int offset, int n) {

    int length() {
      return n * centroids.rows();
    }

    void multiply(float[] result) {
      centroids.multiply(vectors, offset, n, result);
    }
  }

  @Benchmark
  public int[] encode(Engine engine, Workload workload, Counter counter) {
    engine.quantizer.encode(workload.batch, workload.codes);
    counter.rows += workload.n;
    return workload.codes;
  }

  @Benchmark
  public void bareGemm(Gemms gemms, Workload workload, Counter counter) {
    workload.pool.forEach(
        gemms.products.size(), i -> gemms.products.get(i).multiply(gemms.results.get()));
    counter.rows += workload.n;
  }

  /** Notes what is multiplied on a backend, in float32 alone. */
  private static final class Recorder extends ForwardingBackend {

    private final Queue<Product> products = new ConcurrentLinkedQueue<>();

    Recorder(ComputeBackend backend) {
      super(backend);
    }

    @Override
    public ResidentCodebook makeResident(float[] matrix, int rows, int dimension) {
      return new Recorded(super.makeResident(matrix, rows, dimension), products);
    }

    @Override
    public @Nullable Int8Backend int8() {
      return null;
    }
  }

  private static final class Recorded extends ForwardingBackend.Resident {

    private final ResidentCodebook centroids;
    private final Queue<Product> products;

    Recorded(ResidentCodebook centroids, Queue<Product> products) {
      super(centroids);
      this.centroids = centroids;
      this.products = products;
    }

    @Override
    public void multiply(float[] vectors, int offset, int n, float[] result) {
      products.add(new Product(centroids, vectors, offset, n));
      super.multiply(vectors, offset, n, result);
    }
  }
}
