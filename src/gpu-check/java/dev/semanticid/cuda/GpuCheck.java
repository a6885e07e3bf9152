package dev.semanticid.cuda;

import dev.semanticid.core.compute.ResidentCodebook;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.quantizer.AdversarialRows;
import dev.semanticid.core.quantizer.Codebook;
import dev.semanticid.core.quantizer.CodebookSettings;
import dev.semanticid.core.quantizer.Provenance;
import dev.semanticid.core.quantizer.ReferenceQuantizer;
import dev.semanticid.core.quantizer.ResidualQuantizer;
import dev.semanticid.core.vector.VectorBatch;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * What the backend "cuda" promises and how fast it is, on the GPU of this machine: one line per
 * check, and status 1 if one failed. See {@code src/gpu-check/run}.
 */
public final class GpuCheck {

  private static final int RUNS = 7;

  private final CudaBackend backend;
  private final WorkerPool pool;
  private boolean failed;

  private GpuCheck(CudaBackend backend, WorkerPool pool) {
    this.backend = backend;
    this.pool = pool;
  }

  public static void main(String[] arguments) {
    int rows = 65_536;
    int dimension = 2048;
    int threads = Runtime.getRuntime().availableProcessors();
    List<String> driver = CudaBackend.DRIVER;
    List<String> blas = CudaBackend.BLAS;
    for (int i = 0; i + 1 < arguments.length; i += 2) {
      switch (arguments[i]) {
        case "--rows" -> rows = Integer.parseInt(arguments[i + 1]);
        case "--dimension" -> dimension = Integer.parseInt(arguments[i + 1]);
        case "--threads" -> threads = Integer.parseInt(arguments[i + 1]);
        case "--driver" -> driver = List.of(arguments[i + 1]);
        case "--blas" -> blas = List.of(arguments[i + 1]);
        default -> throw new IllegalArgumentException("unknown argument " + arguments[i]);
      }
    }
    try (var backend = new CudaBackend(driver, blas, 16L << 30);
        var pool = new WorkerPool(threads, "check")) {
      System.out.printf("%s, %d threads%n%n", backend.device(), threads);
      System.out.println("| check | result |\n|---|---|");
      var check = new GpuCheck(backend, pool);
      check.contract();
      check.exactness();
      check.rates(rows, dimension);
      if (check.failed) {
        System.exit(1);
      }
    }
  }

  private void tell(String what, boolean holds, String result) {
    failed |= !holds;
    System.out.printf("| %s | %s%s |%n", what, holds ? "" : "FAILED: ", result);
  }

  private static float[] gaussians(SplittableRandom random, int count, double size) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) (random.nextGaussian() * size);
    }
    return values;
  }

  /** Products within γ of float64, for awkward shapes. */
  private void contract() {
    double worst = 0;
    var random = new SplittableRandom(1);
    int[] shapes = {1, 4, 6, 13, 207, 702, 2048};
    for (int d : shapes) {
      for (int rows : new int[] {1, 7, 256, 768}) {
        float[] matrix = gaussians(random, rows * d, 1);
        for (int n : new int[] {1, 3, 64, 1000}) {
          float[] vectors = gaussians(random, n * d, 1);
          float[] products = new float[n * rows];
          try (ResidentCodebook resident = backend.makeResident(matrix, rows, d)) {
            resident.multiply(vectors, 0, n, products);
          }
          for (int i = 0; i < n; i += 1 + n / 50) {
            for (int k = 0; k < rows; k += 1 + rows / 50) {
              worst =
                  Math.max(worst, error(vectors, i * d, matrix, k * d, d, products[i * rows + k]));
            }
          }
        }
      }
    }
    tell(
        "products of %d shapes: largest error as a share of the bound"
            .formatted(4 * 4 * shapes.length),
        worst <= 1,
        "%.3f".formatted(worst));
  }

  private double error(float[] x, int xBegin, float[] c, int cBegin, int d, float product) {
    double dot = 0;
    double xx = 0;
    double cc = 0;
    for (int i = 0; i < d; i++) {
      dot += (double) x[xBegin + i] * c[cBegin + i];
      xx += (double) x[xBegin + i] * x[xBegin + i];
      cc += (double) c[cBegin + i] * c[cBegin + i];
    }
    return Math.abs(product - dot) / (backend.gamma(d) * Math.sqrt(xx * cc));
  }

  /** Codes of adversarial rows, against the reference written as plainly as can be. */
  private void exactness() {
    long differ = 0;
    long rows = 0;
    long decisions = 0;
    for (boolean normalize : new boolean[] {true, false}) {
      for (int[] shape :
          new int[][] {{1, 5}, {8, 64}, {64, 256}, {207, 33}, {384, 256}, {2048, 256}}) {
        var random = new SplittableRandom(7);
        int d = shape[0];
        Codebook codebook = codebook(random, d, shape[1], normalize, 0.7);
        int n = d > 1000 ? 2000 : 20_000;
        float[] vectors = new AdversarialRows(codebook, random).make(n);
        int[] expected = new ReferenceQuantizer(codebook).encodeAll(vectors, n);
        try (var quantizer = new ResidualQuantizer(codebook, backend, pool, Long.MAX_VALUE)) {
          int[] codes = quantizer.encode(VectorBatch.of(vectors, d));
          for (int row = 0; row < n; row++) {
            differ +=
                Arrays.equals(codes, 3 * row, 3 * row + 3, expected, 3 * row, 3 * row + 3) ? 0 : 1;
          }
          rows += n;
          decisions += quantizer.rescoredDecisions();
        }
      }
    }
    tell(
        "adversarial rows whose codes differ from the float64 reference",
        differ == 0,
        "%d of %d (%.1f%% of decisions left to the loop)"
            .formatted(differ, rows, 100.0 * decisions / (3 * rows)));
  }

  private static Codebook codebook(
      SplittableRandom random, int d, int width, boolean normalize, double size) {
    List<float[]> levels = new ArrayList<>();
    for (int l = 0; l < 3; l++) {
      float[] level = gaussians(random, width * d, size / Math.sqrt(d));
      // The same one twice, and zero.
      System.arraycopy(level, 0, level, (width - 1) * d, d);
      Arrays.fill(level, d, 2 * d, 0);
      levels.add(level);
    }
    return Codebook.of(new CodebookSettings(normalize), d, levels, Provenance.UNKNOWN);
  }

  /** Rows per second by the copies alone, by the products alone, and of the whole. */
  private void rates(int n, int d) {
    var random = new SplittableRandom(3);
    Codebook codebook = codebook(random, d, 256, true, 0.7);
    float[] vectors = gaussians(random, n * d, 1);
    int[] codes = new int[3 * n];
    double copies = n / copySeconds(4L * n * d);
    double products = n / productSeconds(n, d);
    tell(
        "pinned copies to the device",
        true,
        "%.1f GB/s, %,.0f rows/s".formatted(copies * 4 * d / 1e9, copies));
    tell(
        "float32 products alone",
        true,
        "%.1f TFLOP/s, %,.0f rows/s".formatted(products * 2 * d * 768 / 1e12, products));
    try (var quantizer = new ResidualQuantizer(codebook, backend, pool, Long.MAX_VALUE)) {
      double[] seconds = new double[RUNS];
      VectorBatch batch = VectorBatch.of(vectors, d);
      quantizer.encode(batch, codes);
      for (int run = 0; run < RUNS; run++) {
        long began = System.nanoTime();
        quantizer.encode(batch, codes);
        seconds[run] = (System.nanoTime() - began) / 1e9;
      }
      double rate = n / median(seconds);
      tell(
          "host to codes, %d rows of %d, 3 × 256".formatted(n, d),
          true,
          "%,.0f rows/s, %.0f%% of the copies' rate".formatted(rate, 100 * rate / copies));
    }
  }

  private double copySeconds(long bytes) {
    return backend.onLane(lane -> {
      MemorySegment host = lane.host(bytes);
      long device = backend.memory().allocate(bytes);
      try {
        double[] seconds = new double[RUNS];
        for (int run = 0; run < RUNS; run++) {
          long began = System.nanoTime();
          backend.driver().copyToDevice(device, host, bytes, lane.stream());
          backend.driver().synchronize(lane.stream());
          seconds[run] = (System.nanoTime() - began) / 1e9;
        }
        return median(seconds);
      } finally {
        backend.memory().free(device, bytes);
      }
    });
  }

  private double productSeconds(int n, int d) {
    try (var data = new DeviceData(backend)) {
      var random = new SplittableRandom(5);
      long matrix = data.add(gaussians(random, 768 * d, 1), 768 * d);
      long vectors = data.add(gaussians(random, n * d, 1), n * d);
      long products = data.add(new float[n * 768], n * 768);
      return backend.onLane(lane -> {
        double[] seconds = new double[RUNS];
        for (int run = 0; run < RUNS; run++) {
          long began = System.nanoTime();
          lane.multiplyThere(vectors, n, matrix, 768, d, products);
          backend.driver().synchronize(lane.stream());
          seconds[run] = (System.nanoTime() - began) / 1e9;
        }
        return median(seconds);
      });
    }
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
