package dev.semanticid.core.encode;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.DeviceEncoder;
import dev.semanticid.core.compute.Int8Backend;
import dev.semanticid.core.compute.RandomStream;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.encode.loop.BeamLoop;
import dev.semanticid.core.encode.loop.ResidualLoop;
import dev.semanticid.core.encode.plan.AdaptivePlan;
import dev.semanticid.core.encode.plan.DevicePlan;
import dev.semanticid.core.encode.plan.EncodingPlan;
import dev.semanticid.core.encode.plan.Float32Plan;
import dev.semanticid.core.encode.plan.GramTables;
import dev.semanticid.core.encode.plan.Int8Plan;
import dev.semanticid.core.encode.plan.ResidualPlan;
import dev.semanticid.core.encode.plan.StackedCodebook;
import dev.semanticid.core.search.Screening;
import dev.semanticid.core.search.ScreeningStatistics;
import dev.semanticid.core.vector.VectorBatch;
import java.util.Arrays;
import java.util.Locale;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Encodes vectors with a codebook that is resident on a {@link ComputeBackend}, exactly: every code
 * is what the contract's float64 loop gives ({@link Codebook}), whatever the batch, the threads,
 * the plan and the backend.
 *
 * <p>A float32 GEMM proposes, a rigorous error bound proves, and what it cannot prove is decided by
 * the loop itself. Safe for use by several threads; {@link #close()} frees the device memory, after
 * the last call has returned.
 */
public final class ResidualQuantizer implements AutoCloseable {

  /** Fewer rows than this per thread are not worth handing over. */
  private static final int FEWEST_ROWS_PER_THREAD = 16;

  private static final int SELF_TEST_ROWS = 32;

  /** Made as those of the self-test are; the largest blocks that are timed. */
  private static final int WARM_UP_ROWS = 128;

  private final Codebook codebook;
  private final EncodingPlan plan;
  private final String planReason;
  private final WorkerPool pool;
  private final Queue<EncodingPlan.Worker> idle = new ConcurrentLinkedQueue<>();
  private final LongAdder encodedRows = new LongAdder();
  private final LongAdder rescoredDecisions = new LongAdder();

  /** As the other constructor, with {@link Screening#AUTO}. */
  public ResidualQuantizer(
      Codebook codebook, ComputeBackend backend, WorkerPool pool, long tableBudget) {
    this(codebook, backend, pool, tableBudget, Screening.AUTO);
  }

  /**
   * Makes the codebook resident, with a plan that needs one GEMM for all levels if its tables fit
   * the budget.
   *
   * @param codebook what to encode with
   * @param backend where its centroids shall live; not closed with this object
   * @param pool the threads that large batches are shared among; not closed with this object
   * @param tableBudget bytes that tables may take; 0 always chooses the plan that forms residuals
   * @param screening whether to use the backend's 8-bit products, if it has any
   */
  public ResidualQuantizer(
      Codebook codebook,
      ComputeBackend backend,
      WorkerPool pool,
      long tableBudget,
      Screening screening) {
    this(codebook, backend, pool, tableBudget, screening, System::nanoTime);
  }

  /** As the public one, with a clock of nanoseconds that plans are timed by. */
  ResidualQuantizer(
      Codebook codebook,
      ComputeBackend backend,
      WorkerPool pool,
      long tableBudget,
      Screening screening,
      LongSupplier clock) {
    this.codebook = codebook;
    this.pool = pool;
    long tableBytes = GramTables.bytes(codebook);
    boolean stacked =
        tableBudget > 0 && tableBytes <= tableBudget && StackedCodebook.fitsArrays(codebook);
    this.plan =
        stacked
            ? stackedPlan(codebook, backend, pool, screening, clock)
            : new ResidualPlan(codebook, backend, screening);
    this.planReason =
        String.format(
            Locale.ROOT,
            "tables need %d bytes, the budget is %d: %s",
            tableBytes,
            tableBudget,
            stacked ? "one GEMM for all levels" : "one GEMM per level, on formed residuals");
  }

  private static EncodingPlan stackedPlan(
      Codebook codebook,
      ComputeBackend backend,
      WorkerPool pool,
      Screening screening,
      LongSupplier clock) {
    var stacked = new StackedCodebook(codebook, pool);
    if (codebook.settings().beamSize() == 1) {
      DeviceEncoder encoder = backend.encoder(stacked.deviceModel());
      if (encoder != null) {
        return new DevicePlan(stacked, encoder, backend);
      }
    }
    Int8Backend int8 = screening.int8(backend, codebook.dimension());
    if (int8 == null) {
      return new Float32Plan(stacked, backend);
    }
    var screened = new Int8Plan(stacked, int8);
    if (screening == Screening.ALWAYS) {
      return screened;
    }
    try {
      return new AdaptivePlan(codebook, new Float32Plan(stacked, backend), screened, clock);
    } catch (RuntimeException | Error e) {
      screened.close();
      throw e;
    }
  }

  /** The codebook it encodes with. */
  public Codebook codebook() {
    return codebook;
  }

  /** Name of the plan in use. */
  public String plan() {
    return plan.name();
  }

  /** Why that plan. */
  public String planReason() {
    String reason = plan.reason();
    return reason.isEmpty() ? planReason : planReason + "; " + reason;
  }

  /** What screening in 8 bits has done so far, or null if it never does with this codebook. */
  public @Nullable ScreeningStatistics screening() {
    return plan.screening();
  }

  /** Memory held on the device and in tables, in bytes. */
  public long residentBytes() {
    return plan.bytes();
  }

  /** Heap that a codebook takes when it is resident: its centroids and tables, in bytes. */
  public static long heapBytes(Codebook codebook, long tableBudget) {
    long centroids = codebook.widths().stream().mapToLong(Integer::longValue).sum();
    long tables = GramTables.bytes(codebook);
    return Float.BYTES * centroids * codebook.dimension() + (tables <= tableBudget ? tables : 0);
  }

  /** Rows encoded so far. */
  public long encodedRows() {
    return encodedRows.sum();
  }

  /** Decisions (row and level) so far that the bound could not prove and the float64 loop made. */
  public long rescoredDecisions() {
    return rescoredDecisions.sum();
  }

  /**
   * Encodes a batch.
   *
   * @param batch n × d finite vectors
   * @return n × L codes, row-major
   * @throws IllegalArgumentException if the dimension differs from the codebook's
   */
  public int[] encode(VectorBatch batch) {
    int[] codes = new int[Math.multiplyExact(batch.rows(), codebook.levels())];
    encode(batch, codes);
    return codes;
  }

  /**
   * Encodes a batch into a given array.
   *
   * @param batch n × d finite vectors
   * @param codes receives n × L codes, row-major
   * @throws IllegalArgumentException if the dimension differs from the codebook's, or the array is
   *     too short
   */
  public void encode(VectorBatch batch, int[] codes) {
    encode(batch, codes, pool);
  }

  /**
   * Encodes a batch on other threads than its own.
   *
   * @param batch n × d finite vectors
   * @param codes receives n × L codes, row-major
   * @param threads the threads that it is shared among
   * @throws IllegalArgumentException if the dimension differs from the codebook's, or the array is
   *     too short
   */
  public void encode(VectorBatch batch, int[] codes, WorkerPool threads) {
    int d = codebook.dimension();
    int levels = codebook.levels();
    int n = batch.rows();
    if (batch.dimension() != d) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "the codebook has dimension %d, the batch %d", d, batch.dimension()));
    }
    if (codes.length < (long) n * levels) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "%d rows of %d codes do not fit %d places", n, levels, codes.length));
    }
    int share = Math.max(FEWEST_ROWS_PER_THREAD, (n + threads.threads() - 1) / threads.threads());
    int block = Math.min(plan.blockRows(), share);
    threads.forEach(
        (n + block - 1) / block,
        index -> {
          int begin = index * block;
          encodeBlock(batch.data(), begin, Math.min(block, n - begin), codes, begin);
        });
  }

  /** Most rows that {@link #encodeBlock} takes, and as many as suit it best. */
  public int blockRows() {
    return plan.blockRows();
  }

  /**
   * Encodes some rows on the calling thread alone.
   *
   * @param vectors rows of d finite components, row-major
   * @param row the first one to encode
   * @param count how many, at most {@link #blockRows()}
   * @param codes receives count × L codes, row-major
   * @param codesRow which row of codes comes first
   */
  public void encodeBlock(float[] vectors, int row, int count, int[] codes, int codesRow) {
    EncodingPlan.Worker worker = idle.poll();
    if (worker == null) {
      worker = plan.newWorker();
    }
    rescoredDecisions.add(
        worker.encode(
            vectors, row * codebook.dimension(), count, codes, codesRow * codebook.levels()));
    encodedRows.add(count);
    idle.add(worker);
  }

  /**
   * Encodes rows made from the codebook (sums of its centroids, with and without noise) by every
   * plan it may use, and by loop. Afterwards plans are chosen by the time that they take for such
   * rows.
   *
   * @throws IllegalStateException if they differ, because then backend or memory is at fault
   */
  public void selfTest() {
    int levels = codebook.levels();
    float[] rows = rowsOfCentroids(WARM_UP_ROWS);
    int[] expected = byLoop(rows, SELF_TEST_ROWS);
    int[] codes = new int[expected.length];
    for (EncodingPlan alternative : plan.alternatives()) {
      int block = Math.min(SELF_TEST_ROWS, alternative.blockRows());
      EncodingPlan.Worker worker = alternative.newWorker();
      for (int row = 0; row < SELF_TEST_ROWS; row += block) {
        int count = Math.min(block, SELF_TEST_ROWS - row);
        worker.encode(rows, row * codebook.dimension(), count, codes, row * levels);
      }
      int differs = Arrays.mismatch(codes, expected);
      if (differs >= 0) {
        throw new IllegalStateException(
            String.format(
                Locale.ROOT,
                "self-test failed on plan %s: row %d level %d has code %d instead of %d",
                alternative.name(),
                differs / levels,
                differs % levels,
                codes[differs],
                expected[differs]));
      }
    }
    plan.warmUp(rows, WARM_UP_ROWS, new int[WARM_UP_ROWS * levels]);
  }

  private int[] byLoop(float[] rows, int n) {
    int d = codebook.dimension();
    int levels = codebook.levels();
    int[] codes = new int[n * levels];
    if (codebook.settings().beamSize() > 1) {
      var loop = new BeamLoop(codebook);
      for (int row = 0; row < n; row++) {
        loop.encode(rows, row * d, codes, row * levels);
      }
      return codes;
    }
    var loop = new ResidualLoop(d, codebook.settings());
    loop.begin(rows, 0, n);
    for (int l = 0; l < levels; l++) {
      loop.enter(l);
      for (int row = 0; row < n; row++) {
        codes[row * levels + l] = codebook.centroids(l).nearest(loop.residuals(), row * d);
      }
      loop.leave(codebook.centroids(l).data(), codes, l, levels);
    }
    return codes;
  }

  private float[] rowsOfCentroids(int n) {
    int d = codebook.dimension();
    int levels = codebook.levels();
    var random = RandomStream.of(d, RandomStream.Purpose.SELF_TEST, levels);
    float[] rows = new float[n * d];
    for (int row = 0; row < n; row++) {
      for (int l = 0; l < levels; l++) {
        int k = RandomStream.below(random, codebook.width(l));
        for (int i = 0; i < d; i++) {
          rows[row * d + i] += codebook.centroids(l).data()[k * d + i];
        }
      }
      if (row % 2 == 1) {
        for (int i = 0; i < d; i++) {
          rows[row * d + i] *= 0.5f + RandomStream.below(random, 1024) / 1024f;
        }
      }
    }
    return rows;
  }

  @Override
  public void close() {
    plan.close();
  }
}
