package dev.semanticid.core.encode;

import dev.semanticid.backend.nd4j.Nd4jBackend;
import dev.semanticid.backend.onednn.OneDnnBackend;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.search.Screening;
import dev.semanticid.core.search.ScreeningStatistics;
import dev.semanticid.core.train.CentroidInitializer;
import dev.semanticid.core.train.ResidualQuantizerConfig;
import dev.semanticid.core.train.ResidualQuantizerTrainer;
import dev.semanticid.core.train.TrainingListener;
import dev.semanticid.core.vector.InMemoryVectorSource;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.core.vector.VectorSource;
import dev.semanticid.storage.FileVectorSource;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
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
 * The engine on real embeddings, with and without screening by 8-bit products, in rows per second
 * ({@code :rows}). Trains a codebook on all but the last {@code n} rows, and encodes those.
 *
 * <pre>
 * /usr/bin/python3 src/bench/lift.py catalog-minilm.npy lifted.npy
 * ./mvnw -q -Pbench test -Djmh.args="ScreeningBenchmark -p rows=$PWD/lifted.npy -p k=256,1024"
 * </pre>
 */
@BenchmarkMode(Mode.Throughput)
@Fork(1)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 9, time = 1)
public class ScreeningBenchmark {

  private static final int LEVELS = 3;
  private static final long TABLE_BUDGET = 1L << 30;

  /** Counts rows beside calls. */
  @State(Scope.Thread)
  @AuxCounters
  public static class Counter {

    public long rows;
  }

  /** A trained codebook and rows that it was not trained on. */
  @State(Scope.Benchmark)
  public static class Workload {

    @Param({"lifted.npy"})
    public String rows = "";

    @Param({"256"})
    public int k;

    @Param({"8192"})
    public int n;

    @Param({"90"})
    public int steps;

    @Param({"NEVER", "ALWAYS", "AUTO"})
    public Screening screening = Screening.AUTO;

    VectorBatch batch;
    int[] codes;
    private WorkerPool pool;
    private Nd4jBackend backend;
    private ResidualQuantizer quantizer;

    @Setup
    public void setUp() throws IOException {
      pool = new WorkerPool(Runtime.getRuntime().availableProcessors(), "encode");
      backend = new Nd4jBackend(new OneDnnBackend());
      try (VectorSource source = FileVectorSource.openNpy(Path.of(rows))) {
        int d = source.dimension();
        int trained = Math.toIntExact(source.rows() - n);
        var training = new VectorBatch(read(source, 0, trained), trained, d);
        batch = new VectorBatch(read(source, trained, n), n, d);
        codes = new int[n * LEVELS];
        var config =
            new ResidualQuantizerConfig(
                d,
                Collections.nCopies(LEVELS, k),
                Math.max(3072, k),
                2048,
                steps,
                0.5,
                true,
                true,
                false,
                true,
                CentroidInitializer.KMEANS_PLUS_PLUS,
                1);
        Codebook codebook =
            new ResidualQuantizerTrainer(config, backend, pool)
                .train(new InMemoryVectorSource(training), TrainingListener.NONE)
                .codebook();
        quantizer = new ResidualQuantizer(codebook, backend, pool, TABLE_BUDGET, screening);
        quantizer.selfTest();
      }
    }

    private static float[] read(VectorSource source, int first, int count) throws IOException {
      float[] rows = new float[Math.multiplyExact(count, source.dimension())];
      source.read(first, count, rows, 0);
      return rows;
    }

    /** Also tells how many centroids screening left, and what plan was used. */
    @TearDown
    public void tearDown() {
      System.out.println(quantizer.planReason());
      ScreeningStatistics done = quantizer.screening();
      if (done != null) {
        System.out.printf(
            "survivors %s, float64 products %.2f a row, %d of %d decisions by the loop%n",
            done.survivorsPerRow(),
            done.summedPerRow(),
            quantizer.rescoredDecisions(),
            quantizer.encodedRows() * LEVELS);
      }
      quantizer.close();
      pool.close();
      backend.close();
    }
  }

  @Benchmark
  public int[] encode(Workload workload, Counter counter) {
    workload.quantizer.encode(workload.batch, workload.codes);
    counter.rows += workload.n;
    return workload.codes;
  }
}
