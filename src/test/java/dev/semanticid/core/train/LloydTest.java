package dev.semanticid.core.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.CodebookSettings;
import dev.semanticid.core.codebook.Provenance;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.JavaBackend;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.encode.ReferenceQuantizer;
import dev.semanticid.core.train.IterationStats.Phase;
import dev.semanticid.core.vector.InMemoryVectorSource;
import dev.semanticid.core.vector.VectorBatch;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Training by Lloyd's algorithm against its definition, as plainly as it can be written. */
@TestInstance(Lifecycle.PER_CLASS)
class LloydTest {

  /** So many passes relocate little-used centroids first, and end nothing. */
  private static final int RELOCATING = 10;

  private final ComputeBackend backend = new JavaBackend();
  private final WorkerPool pool = new WorkerPool(2, "test");

  @AfterAll
  void close() {
    pool.close();
    backend.close();
  }

  private static ResidualQuantizerConfig config(
      int d, List<Integer> widths, int passes, double tolerance, boolean normalize) {
    return new ResidualQuantizerConfig(
            d,
            widths,
            1000,
            70,
            passes * widths.size(),
            0.5,
            normalize,
            true,
            true,
            true,
            CentroidInitializer.KMEANS_PLUS_PLUS,
            7)
        .with(Algorithm.LLOYD, tolerance, 0, 1, false);
  }

  /** A training and what was told of its passes. */
  private record Training(ResidualQuantizerTrainer.Result result, List<IterationStats> passes) {

    List<IterationStats> passes(int level) {
      return passes.stream().filter(pass -> pass.level() == level).toList();
    }

    float[] centroids(int level) {
      return result.codebook().centroids(level).data();
    }
  }

  private Training train(
      ResidualQuantizerConfig config, float[] rows, @Nullable List<float[]> initial)
      throws IOException {
    var steps = new ArrayList<IterationStats>();
    try (var source = new InMemoryVectorSource(VectorBatch.of(rows, config.embeddingDim()))) {
      var result =
          new ResidualQuantizerTrainer(config, backend, pool).train(source, initial, steps::add);
      return new Training(
          result, steps.stream().filter(step -> step.phase() == Phase.UPDATE).toList());
    }
  }

  /** One pass per level, from given centroids; every third row is {@code 0.5·C_0[0]}. */
  @ParameterizedTest
  @CsvSource({"1,true", "1,false", "3,true", "3,false", "17,true", "17,false", "150,true"})
  void train_onePassPerLevel_movesCentroidsToTheMeansOfTheirRows(int d, boolean normalize)
      throws IOException {
    var random = new SplittableRandom(d);
    int n = 331;
    float[] rows = TrainingKind.clustered(random, n, d, 6);
    List<Integer> widths = List.of(4, 3, 2);
    var initial = new ArrayList<float[]>();
    for (int width : widths) {
      initial.add(rowsOf(random, rows, width, d));
    }
    Training training = train(config(d, widths, 1, 0, normalize), rows, initial);
    for (int l = 0; l < widths.size(); l++) {
      Outcome expected = pass(training.result().codebook(), initial.get(l), l, rows, normalize);
      assertThat(Arrays.stream(training.result().counts().get(l)).sum())
          .isEqualTo(Arrays.stream(expected.counts()).sum());
      if (!expected.anyEmpty()) {
        assertThat(training.result().counts().get(l)).isEqualTo(expected.counts());
      }
      assertThat(training.passes(l)).hasSize(1);
      IterationStats told = training.passes(l).getFirst();
      assertThat(told.rows()).isEqualTo(Arrays.stream(expected.counts()).sum());
      assertThat(told.inertia())
          .isCloseTo(expected.inertia(), within(1e-9 * expected.inertia() + 1e-11 * n));
      for (int k = 0; k < widths.get(l); k++) {
        if (expected.counts()[k] > 0 && !expected.anyEmpty()) {
          double length = norm(expected.means()[k]);
          for (int i = 0; i < d; i++) {
            assertThat((double) training.centroids(l)[k * d + i])
                .as("level %d centroid %d component %d", l, k, i)
                .isCloseTo(expected.means()[k][i], within(1e-6 * length));
          }
        }
      }
    }
  }

  /** What a pass over a level finds and makes. */
  private record Outcome(double[][] means, long[] counts, double inertia) {
    boolean anyEmpty() {
      return Arrays.stream(counts).anyMatch(count -> count == 0);
    }
  }

  /** Residuals through a codebook's levels above; nearest of the old centroids; their means. */
  private static Outcome pass(
      Codebook codebook, float[] old, int level, float[] rows, boolean normalize) {
    int d = codebook.dimension();
    int width = old.length / d;
    double[][] means = new double[width][d];
    long[] counts = new long[width];
    double inertia = 0;
    for (int row = 0; row < rows.length / d; row++) {
      double[] u = new double[d];
      for (int i = 0; i < d; i++) {
        u[i] = rows[row * d + i];
      }
      boolean exhausted = false;
      for (int l = 0; l <= level; l++) {
        if (normalize) {
          double norm = norm(u);
          exhausted |= l == 0 ? norm == 0 : norm <= 1e-6;
          for (int i = 0; i < d; i++) {
            u[i] = exhausted ? 0 : u[i] / norm;
          }
        }
        if (l < level) {
          float[] centroids = codebook.centroids(l).data();
          int k = nearest(u, centroids);
          for (int i = 0; i < d; i++) {
            u[i] -= centroids[k * d + i];
          }
        }
      }
      if (exhausted) {
        continue;
      }
      int k = nearest(u, old);
      counts[k]++;
      for (int i = 0; i < d; i++) {
        means[k][i] += u[i];
        inertia += (u[i] - old[k * d + i]) * (u[i] - old[k * d + i]);
      }
    }
    for (int k = 0; k < width; k++) {
      for (int i = 0; i < d; i++) {
        means[k][i] /= counts[k];
      }
    }
    return new Outcome(means, counts, inertia);
  }

  private static int nearest(double[] u, float[] centroids) {
    int best = 0;
    double least = Double.POSITIVE_INFINITY;
    for (int k = 0; k < centroids.length / u.length; k++) {
      double squares = 0;
      for (int i = 0; i < u.length; i++) {
        double difference = u[i] - centroids[k * u.length + i];
        squares += difference * difference;
      }
      if (0.5 * squares < least) {
        least = 0.5 * squares;
        best = k;
      }
    }
    return best;
  }

  private static double norm(double[] u) {
    double squares = 0;
    for (double component : u) {
      squares += component * component;
    }
    return Math.sqrt(squares);
  }

  private static float[] rowsOf(SplittableRandom random, float[] rows, int width, int d) {
    float[] chosen = new float[width * d];
    for (int k = 0; k < width; k++) {
      System.arraycopy(rows, random.nextInt(rows.length / d) * d, chosen, k * d, d);
    }
    return chosen;
  }

  /** Passes of {@link #RELOCATING} may raise it where a relocated centroid took rows badly. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void train_passAfterPass_neverRaisesTheInertiaOfALevel(boolean normalize) throws IOException {
    int d = 8;
    float[] rows = TrainingKind.gaussians(new SplittableRandom(3), 1500 * d, 1);
    Training training = train(config(d, List.of(16, 12, 8), 25, 0, normalize), rows, null);
    for (int l = 0; l < 3; l++) {
      List<IterationStats> passes = training.passes(l);
      assertThat(passes).hasSizeGreaterThan(RELOCATING + 2);
      for (int i = RELOCATING + 1; i < passes.size(); i++) {
        double before = passes.get(i - 1).inertia();
        assertThat(passes.get(i).inertia())
            .as("level %d pass %d", l, i + 1)
            .isLessThanOrEqualTo(before * (1 + 1e-9));
      }
      assertThat(passes.getLast().inertia()).isLessThan(0.95 * passes.getFirst().inertia());
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {0.5, 0.05, 0.01, 1e-3})
  void train_passThatGainsLessThanTheTolerance_isTheLast(double tolerance) throws IOException {
    int d = 8;
    float[] rows = TrainingKind.clustered(new SplittableRandom(3), 1500, d, 40);
    Training training = train(config(d, List.of(16, 12), 60, tolerance, true), rows, null);
    for (int l = 0; l < 2; l++) {
      List<IterationStats> passes = training.passes(l);
      assertThat(passes).as("level %d", l).hasSizeBetween(RELOCATING + 1, 59);
      for (int i = RELOCATING; i < passes.size(); i++) {
        boolean gains = passes.get(i).inertia() < (1 - tolerance) * passes.get(i - 1).inertia();
        assertThat(gains).as("level %d pass %d", l, i + 1).isEqualTo(i + 1 < passes.size());
      }
    }
  }

  /** Most first centroids are far from all rows. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void train_centroidsWithoutRows_areSetAmongTheLargestClusters(boolean normalize)
      throws IOException {
    int d = 6;
    int width = 16;
    float[] rows = TrainingKind.clustered(new SplittableRandom(4), 800, d, 30);
    float[] initial = new float[width * d];
    Arrays.fill(initial, 1e3f);
    System.arraycopy(rows, 0, initial, 0, 2 * d);
    List<float[]> given = List.of(initial);
    Training few = train(config(d, List.of(width), 1, 0, normalize), rows, given);
    Training many = train(config(d, List.of(width), 25, 0, normalize), rows, given);
    assertThat(dead(given.getFirst(), rows, normalize)).isGreaterThanOrEqualTo(14);
    assertThat(dead(few.centroids(0), rows, normalize)).isLessThan(14);
    assertThat(dead(many.centroids(0), rows, normalize)).isZero();
  }

  private static long dead(float[] centroids, float[] rows, boolean normalize) {
    int d = 6;
    Codebook codebook =
        Codebook.of(new CodebookSettings(normalize), d, List.of(centroids), Provenance.UNKNOWN);
    int[] codes = new ReferenceQuantizer(codebook).encodeAll(rows, rows.length / d);
    return codebook.width(0) - Arrays.stream(codes).distinct().count();
  }

  @Test
  void train_widthOne_isTheMeanAndThenOfWhatIsLeft() throws IOException {
    int d = 4;
    float[] rows = TrainingKind.gaussians(new SplittableRandom(5), 301 * d, 2);
    Training training = train(config(d, List.of(1, 1), 3, 0, false), rows, null);
    for (int i = 0; i < d; i++) {
      double sum = 0;
      for (int row = 0; row < 301; row++) {
        sum += rows[row * d + i];
      }
      assertThat((double) training.centroids(0)[i]).isCloseTo(sum / 301, within(1e-6));
      assertThat((double) training.centroids(1)[i]).isCloseTo(0, within(1e-6));
    }
    assertThat(training.result().counts().toArray(long[][]::new))
        .isDeepEqualTo(new long[][] {{301}, {301}});
  }

  @Test
  void train_rowsThatAreTheirCentroids_areLeftOutBelow() throws IOException {
    int d = 3;
    // Three directions as one centroid each, of which no rounding is left; others around (1, 1, 1).
    float[] rows = new float[400 * d];
    var random = new SplittableRandom(6);
    for (int row = 0; row < 400; row++) {
      if (row % 2 == 0) {
        rows[row * d + row / 2 % 3] = -2;
      } else {
        for (int i = 0; i < d; i++) {
          rows[row * d + i] = 1 + (float) (0.1 * random.nextGaussian());
        }
      }
    }
    float[] initial = {-1, 0, 0, 0, -1, 0, 0, 0, -1, 0.5f, 0.5f, 0.5f};
    float[] below = {1, 0, 0, 0, 1, 0};
    Training training = train(config(d, List.of(4, 2), 4, 0, true), rows, List.of(initial, below));
    assertThat(training.result().counts().getFirst()).containsExactly(67, 67, 66, 200);
    assertThat(Arrays.stream(training.result().counts().getLast()).sum()).isEqualTo(200);
    assertThat(training.passes(1)).isNotEmpty().allMatch(pass -> pass.rows() == 200);
  }
}
