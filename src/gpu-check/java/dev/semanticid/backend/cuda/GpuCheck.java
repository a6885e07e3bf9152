package dev.semanticid.backend.cuda;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.CodebookSettings;
import dev.semanticid.core.codebook.Provenance;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.DeviceEncoder;
import dev.semanticid.core.compute.DeviceModel;
import dev.semanticid.core.compute.ForwardingBackend;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.encode.AdversarialRows;
import dev.semanticid.core.encode.ReferenceQuantizer;
import dev.semanticid.core.encode.ResidualQuantizer;
import dev.semanticid.core.train.Algorithm;
import dev.semanticid.core.train.CentroidInitializer;
import dev.semanticid.core.train.ResidualQuantizerConfig;
import dev.semanticid.core.train.ResidualQuantizerTrainer;
import dev.semanticid.core.train.TrainingListener;
import dev.semanticid.core.vector.InMemoryVectorSource;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.core.vector.VectorSource;
import dev.semanticid.storage.ConcatenatedVectorSource;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import org.junit.platform.launcher.listeners.TestExecutionSummary;

/**
 * What the backend "cuda" promises and how fast it is, on the GPU of this machine: one line of a
 * table each, and status 1 if something failed. See {@code src/gpu-check/run}.
 */
public final class GpuCheck {

  /** The same that the build runs, here on the GPU alone. */
  private static final List<String> SUITES =
      List.of(
          "dev.semanticid.core.compute.ComputeBackendContractTest",
          "dev.semanticid.core.encode.ResidualQuantizerExactnessTest",
          "dev.semanticid.core.train.TrainingBytesTest");

  private static final int RUNS = 7;
  private static final int WIDTH = 256;
  private static final int LEVELS = 3;
  private static final int BATCH = 2048;
  private static final long DEVICE_BYTES = 32L << 30;

  private final CudaBackend backend;
  private final WorkerPool pool;
  private boolean failed;

  private GpuCheck(CudaBackend backend, WorkerPool pool) {
    this.backend = backend;
    this.pool = pool;
  }

  public static void main(String[] arguments) throws IOException {
    int rows = 65_536;
    int dimension = 2048;
    int trainingRows = 1_000_000;
    int threads = Runtime.getRuntime().availableProcessors();
    boolean suitesOnly = false;
    for (String argument : arguments) {
      String[] parts = argument.split("=", 2);
      switch (parts[0]) {
        case "--rows" -> rows = Integer.parseInt(parts[1]);
        case "--dimension" -> dimension = Integer.parseInt(parts[1]);
        case "--training-rows" -> trainingRows = Integer.parseInt(parts[1]);
        case "--threads" -> threads = Integer.parseInt(parts[1]);
        case "--suites-only" -> suitesOnly = true;
        default -> throw new IllegalArgumentException("unknown argument " + argument);
      }
    }
    try (var backend = new CudaBackend(DEVICE_BYTES);
        var pool = new WorkerPool(threads, "check")) {
      System.out.printf("%s, %d threads%n%n", backend.device(), threads);
      System.out.println("| check | result |\n|---|---|");
      var check = new GpuCheck(backend, pool);
      SUITES.forEach(check::suite);
      if (!suitesOnly) {
        check.exactness(dimension);
        check.rates(rows, dimension);
        if (trainingRows > 0) {
          check.training(trainingRows, dimension);
        }
      }
      if (check.failed) {
        System.exit(1);
      }
    }
  }

  private void tell(String what, boolean holds, String result) {
    failed |= !holds;
    System.out.printf("| %s | %s%s |%n", what, holds ? "" : "FAILED: ", result);
  }

  private void suite(String name) {
    var listener = new SummaryGeneratingListener();
    LauncherFactory.create()
        .execute(
            LauncherDiscoveryRequestBuilder.request().selectors(selectClass(name)).build(),
            listener);
    TestExecutionSummary summary = listener.getSummary();
    tell(
        name.substring(name.lastIndexOf('.') + 1),
        summary.getTotalFailureCount() == 0 && summary.getTestsSucceededCount() > 0,
        String.format(
            Locale.ROOT,
            "%d of %d tests passed",
            summary.getTestsSucceededCount(),
            summary.getTestsFoundCount()));
    summary
        .getFailures()
        .forEach(failure ->
            System.err.printf(
                "%s: %s%n", failure.getTestIdentifier().getDisplayName(), failure.getException()));
  }

  private static float[] gaussians(SplittableRandom random, int count, double size) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) (random.nextGaussian() * size);
    }
    return values;
  }

  private static Codebook codebook(int d, boolean normalize) {
    var random = new SplittableRandom(7);
    List<float[]> levels =
        IntStream.range(0, LEVELS)
            .mapToObj(l -> {
              float[] level = gaussians(random, WIDTH * d, 0.7 / Math.sqrt(d));
              // The same one twice, and zero.
              System.arraycopy(level, 0, level, (WIDTH - 1) * d, d);
              Arrays.fill(level, d, 2 * d, 0);
              return level;
            })
            .toList();
    return Codebook.of(new CodebookSettings(normalize), d, levels, Provenance.UNKNOWN);
  }

  /** Codes of adversarial rows of the benchmark's shape, against float64 as plain as can be. */
  private void exactness(int d) {
    int n = 4000;
    for (boolean normalize : new boolean[] {true, false}) {
      Codebook codebook = codebook(d, normalize);
      float[] vectors = new AdversarialRows(codebook, new SplittableRandom(8)).make(n);
      int[] expected = new ReferenceQuantizer(codebook).encodeAll(vectors, n);
      try (var quantizer = new ResidualQuantizer(codebook, backend, pool, Long.MAX_VALUE)) {
        int[] codes = quantizer.encode(VectorBatch.of(vectors, d));
        long differ =
            IntStream.range(0, n)
                .filter(row ->
                    !Arrays.equals(
                        codes,
                        LEVELS * row,
                        LEVELS * (row + 1),
                        expected,
                        LEVELS * row,
                        LEVELS * (row + 1)))
                .count();
        tell(
            String.format(
                Locale.ROOT,
                "%s rows of d=%d, adversarial: that differ from the float64 reference",
                normalize ? "normalised" : "raw",
                d),
            differ == 0 && quantizer.plan().equals("device"),
            String.format(
                Locale.ROOT,
                "%d of %d; %.1f%% of decisions left to the loop",
                differ,
                n,
                100.0 * quantizer.rescoredDecisions() / (LEVELS * n)));
      }
    }
  }

  /** Rows per second by the copies alone, by the products alone, and of the whole. */
  private void rates(int n, int d) {
    float[] vectors = gaussians(new SplittableRandom(3), n * d, 1);
    int[] codes = new int[LEVELS * n];
    double copies = n / copySeconds(4L * n * d);
    tell(
        "pinned copies to the device",
        true,
        String.format(Locale.ROOT, "%.1f GB/s, %,.0f rows/s", copies * 4 * d / 1e9, copies));
    var seen = new Seen(backend);
    try (var quantizer = new ResidualQuantizer(codebook(d, true), seen, pool, Long.MAX_VALUE)) {
      VectorBatch batch = VectorBatch.of(vectors, d);
      quantizer.encode(batch, codes);
      double rate = n / median(() -> quantizer.encode(batch, codes));
      tell(
          String.format(Locale.ROOT, "host to codes, %,d rows of %d, 3 × 256", n, d),
          true,
          String.format(
              Locale.ROOT, "%,.0f rows/s, %.0f%% of the copies' rate", rate, 100 * rate / copies));
      fromDevice((CudaEncoder) Objects.requireNonNull(seen.encoder), vectors, n, d, codes);
    }
  }

  /** Rows that are on the device already: products alone, and products and codes. */
  private void fromDevice(CudaEncoder encoder, float[] vectors, int n, int d, int[] expected) {
    int width = LEVELS * WIDTH;
    try (var data = new DeviceData(backend)) {
      long there = data.add(vectors, n * d);
      long matrix = data.add(gaussians(new SplittableRandom(5), width * d, 1), width * d);
      long products = data.add(new float[n * width], n * width);
      long codes = data.add(new int[LEVELS * n]);
      backend.runOnLane(lane -> {
        CudaDriver driver = backend.driver();
        double multiplied =
            n
                / median(() -> {
                  lane.multiply(there, n, matrix, width, d, products);
                  driver.synchronize(lane.stream());
                });
        tell(
            "float32 products alone",
            true,
            String.format(
                Locale.ROOT,
                "%.1f TFLOP/s, %,.0f rows/s",
                multiplied * 2 * d * width / 1e12,
                multiplied));
        double rate =
            n
                / median(() -> {
                  encoder.encodeThere(lane, there, n, products, codes);
                  driver.synchronize(lane.stream());
                });
        tell(
            String.format(Locale.ROOT, "device to codes, %,d rows of %d, 3 × 256", n, d),
            true,
            String.format(
                Locale.ROOT,
                "%,.0f rows/s, %.0f%% of the products' rate",
                rate,
                100 * rate / multiplied));
        MemorySegment host = lane.host(4L * LEVELS * n);
        driver.copyToHost(host, codes, 4L * LEVELS * n, lane.stream());
        driver.synchronize(lane.stream());
        int open = 0;
        int wrong = 0;
        for (int i = 0; i < LEVELS * n; i++) {
          int code = host.getAtIndex(ValueLayout.JAVA_INT, i);
          open += code == DeviceEncoder.OPEN ? 1 : 0;
          wrong += code != DeviceEncoder.OPEN && code != expected[i] ? 1 : 0;
        }
        tell(
            "codes of these rows, left open by the device or wrong",
            wrong == 0,
            String.format(Locale.ROOT, "%.3f%%, %d", 100.0 * open / (LEVELS * n), wrong));
      });
    }
  }

  private double copySeconds(long bytes) {
    return backend.onLane(lane -> {
      MemorySegment host = lane.host(bytes);
      long device = backend.memory().allocate(bytes);
      try {
        return median(() -> {
          backend.driver().copyToDevice(device, host, bytes, lane.stream());
          backend.driver().synchronize(lane.stream());
        });
      } finally {
        backend.memory().free(device, bytes);
      }
    });
  }

  /** A training with the defaults, on clustered rows in memory. */
  private void training(int n, int d) throws IOException {
    int steps =
        ResidualQuantizerConfig.defaultMaxSteps(
            Algorithm.MINIBATCH_KMEANS, n, BATCH, LEVELS, false);
    var config =
        new ResidualQuantizerConfig(
            d,
            Collections.nCopies(LEVELS, WIDTH),
            3072,
            BATCH,
            steps,
            0.5,
            true,
            true,
            false,
            true,
            CentroidInitializer.KMEANS_PLUS_PLUS,
            42);
    try (VectorSource source = generatedRows(n, d)) {
      var trainer = new ResidualQuantizerTrainer(config, backend, pool);
      long began = System.nanoTime();
      trainer.train(source, TrainingListener.NONE);
      double seconds = (System.nanoTime() - began) / 1e9;
      tell(
          String.format(Locale.ROOT, "training 3 × 256 on %,d rows of %d", n, d),
          true,
          String.format(
              Locale.ROOT,
              "%.1f s, %,d steps of %,d rows, %,.0f rows/s",
              seconds,
              steps,
              BATCH,
              (double) steps * BATCH / seconds));
    }
  }

  private static double median(Runnable work) {
    work.run();
    double[] seconds = new double[RUNS];
    for (int run = 0; run < RUNS; run++) {
      long began = System.nanoTime();
      work.run();
      seconds[run] = (System.nanoTime() - began) / 1e9;
    }
    Arrays.sort(seconds);
    return seconds[RUNS / 2];
  }

  /** Shows which encoder a quantizer got. */
  private static final class Seen extends ForwardingBackend {

    private final ComputeBackend backend;
    private @Nullable DeviceEncoder encoder;

    Seen(ComputeBackend backend) {
      super(backend);
      this.backend = backend;
    }

    @Override
    public @Nullable DeviceEncoder encoder(DeviceModel model) {
      encoder = backend.encoder(model);
      return encoder;
    }
  }

  /** Rows around random centres, made beforehand; in pieces, for an array has its bounds. */
  private static VectorSource generatedRows(int rows, int dimension) throws IOException {
    int centreCount = 4096;
    int piece = 4096;
    float[] centres = gaussians(new SplittableRandom(11), centreCount * dimension, 1);
    List<InMemoryVectorSource> pieces =
        IntStream.range(0, (rows + piece - 1) / piece)
            .parallel()
            .mapToObj(number -> {
              var random = new SplittableRandom(number);
              float[] some = new float[Math.min(piece, rows - number * piece) * dimension];
              for (int begin = 0; begin < some.length; begin += dimension) {
                int centre = random.nextInt(centreCount) * dimension;
                for (int i = 0; i < dimension; i++) {
                  some[begin + i] = (float) (centres[centre + i] + random.nextDouble() - 0.5);
                }
              }
              return new InMemoryVectorSource(VectorBatch.of(some, dimension));
            })
            .toList();
    return ConcatenatedVectorSource.of(pieces);
  }
}
