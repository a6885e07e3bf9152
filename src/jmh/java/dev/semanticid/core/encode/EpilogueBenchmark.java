package dev.semanticid.core.encode;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.JavaBackend;
import dev.semanticid.core.compute.ResidentCodebook;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.vector.VectorBatch;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What one thread does to a row besides the GEMM: nanoseconds per row with products that are there
 * already. They have to be copied, as from a device; {@code copy} is that part.
 *
 * <pre>./mvnw -q -Pbench test -Djmh.args=EpilogueBenchmark</pre>
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class EpilogueBenchmark {

  private static final int LEVELS = 3;
  private static final int WIDTH = 256;
  private static final int ROWS = 256;
  private static final long TABLE_BUDGET = 256 << 20;

  @Param({"384", "2048"})
  public int d;

  private VectorBatch batch;
  private WorkerPool pool;
  private Remembered remembered;
  private ResidualQuantizer quantizer;
  private final int[] codes = new int[ROWS * LEVELS];
  private final float[] copied = new float[ROWS * LEVELS * WIDTH];

  @Setup
  public void setUp() {
    Codebook codebook = Gaussian.codebook(1, LEVELS, WIDTH, d);
    batch = Gaussian.rows(1000, ROWS, d);
    pool = new WorkerPool(1, "encode");
    remembered = new Remembered(batch);
    quantizer = new ResidualQuantizer(codebook, remembered, pool, TABLE_BUDGET);
    try (var real = new ResidualQuantizer(codebook, new JavaBackend(), pool, TABLE_BUDGET)) {
      if (!Arrays.equals(quantizer.encode(batch), real.encode(batch))) {
        throw new IllegalStateException("the products remembered are not those asked for");
      }
    }
  }

  @TearDown
  public void tearDown() {
    quantizer.close();
    pool.close();
  }

  @Benchmark
  @OperationsPerInvocation(ROWS)
  public int[] encode() {
    quantizer.encode(batch, codes);
    return codes;
  }

  @Benchmark
  @OperationsPerInvocation(ROWS)
  public float[] copy() {
    System.arraycopy(remembered.products, 0, copied, 0, copied.length);
    return copied;
  }

  /** Multiplies a batch once, and then knows its products. */
  private static final class Remembered implements ComputeBackend {

    private final VectorBatch batch;
    private float[] products = {};

    Remembered(VectorBatch batch) {
      this.batch = batch;
    }

    @Override
    public String name() {
      return "remembered";
    }

    @Override
    public String device() {
      return "memory";
    }

    @Override
    public ResidentCodebook makeResident(float[] matrix, int rows, int dimension) {
      products = new float[batch.rows() * rows];
      try (var resident = new JavaBackend().makeResident(matrix, rows, dimension)) {
        resident.multiply(batch.data(), 0, batch.rows(), products);
      }
      return new Known(products, rows, dimension);
    }

    @Override
    public void close() {
      // garbage collected
    }
  }

  private record Known(float[] products, int rows, int dimension) implements ResidentCodebook {

    @Override
    public long bytes() {
      return 0;
    }

    @Override
    public void multiply(float[] vectors, int offset, int n, float[] result) {
      System.arraycopy(products, offset / dimension * rows, result, 0, n * rows);
    }

    @Override
    public void close() {
      // garbage collected
    }
  }
}
