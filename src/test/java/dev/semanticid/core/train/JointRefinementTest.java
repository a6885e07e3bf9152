package dev.semanticid.core.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.Provenance;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.JavaBackend;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.encode.ReferenceQuantizer;
import dev.semanticid.core.encode.ResidualQuantizer;
import dev.semanticid.core.report.QuantizationEvaluator;
import dev.semanticid.core.search.Screening;
import dev.semanticid.core.train.IterationStats.Phase;
import dev.semanticid.core.vector.InMemoryVectorSource;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.core.vector.VectorSource;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Joint refinement against the normal equations, solved densely, and what it is good for. */
@TestInstance(Lifecycle.PER_CLASS)
class JointRefinementTest {

  private final ComputeBackend backend = new JavaBackend();
  private final WorkerPool pool = new WorkerPool(2, "test");

  @AfterAll
  void close() {
    pool.close();
    backend.close();
  }

  @ParameterizedTest
  @CsvSource({"true,1", "true,4", "false,1", "false,4"})
  void train_roundAfterRoundOnceSettling_reducesSquaresAndThenTheError(boolean normalize, int beam)
      throws IOException {
    int d = 12;
    float[] rows = TrainingKind.clustered(new SplittableRandom(8), 1200, d, 80);
    var steps = new ArrayList<IterationStats>();
    double greedy = mse(train(d, rows, normalize, beam, 0, steps), rows);
    assertThat(steps).noneMatch(step -> step.phase() == Phase.REFINEMENT);
    double refined = mse(train(d, rows, normalize, beam, 12, steps), rows);
    assertThat(refined).isLessThan(greedy);
    List<IterationStats> rounds =
        steps.stream().filter(step -> step.phase() == Phase.REFINEMENT).toList();
    assertThat(rounds).hasSizeGreaterThan(1);
    for (int i = 0; i < rounds.size(); i++) {
      assertThat(rounds.get(i).step()).isEqualTo(i + 1);
      assertThat(rounds.get(i).steps()).isEqualTo(12);
      assertThat(rounds.get(i).rows()).isEqualTo(1200);
      if (i > JointRefinement.relocatingRounds(12)) {
        assertThat(rounds.get(i).inertia()).isLessThan(rounds.get(i - 1).inertia());
      }
    }
  }

  private Codebook train(
      int d, float[] rows, boolean normalize, int beam, int rounds, List<IterationStats> steps)
      throws IOException {
    var kind = new TrainingKind(Algorithm.LLOYD, 1e-4, rounds, beam, false, normalize, true);
    try (VectorSource source = new InMemoryVectorSource(VectorBatch.of(rows, d))) {
      return new ResidualQuantizerTrainer(
              kind.config(d, List.of(16, 16, 16), 600, 200, 60), backend, pool)
          .train(source, steps::add)
          .codebook();
    }
  }

  private double mse(Codebook codebook, float[] rows) throws IOException {
    try (VectorSource source =
            new InMemoryVectorSource(VectorBatch.of(rows, codebook.dimension()));
        var quantizer = new ResidualQuantizer(codebook, backend, pool, Long.MAX_VALUE)) {
      return new QuantizationEvaluator(quantizer, pool)
          .evaluate(source, done -> {})
          .reconstructionMse();
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void solve_oneLevel_givesTheMeans(boolean normalize) throws IOException {
    int d = 5;
    float[] rows = TrainingKind.clustered(new SplittableRandom(1), 300, d, 9);
    Problem problem = new Problem(d, List.of(7), normalize, rows);
    List<float[]> solved = problem.refinement().solve(problem.centroids(), false);
    for (int k = 0; k < 7; k++) {
      double[] mean = new double[d];
      int count = 0;
      for (int row = 0; row < 300; row++) {
        if (problem.codes[row] == k) {
          count++;
          for (int i = 0; i < d; i++) {
            mean[i] += problem.targets[row][i];
          }
        }
      }
      for (int i = 0; i < d; i++) {
        double expected = count == 0 ? problem.centroids().getFirst()[k * d + i] : mean[i] / count;
        assertThat((double) solved.getFirst()[k * d + i]).isCloseTo(expected, within(1e-6));
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"true,2", "false,2", "true,3", "false,3"})
  void solve_untilNothingChanges_givesTheLeastSquaresSolution(boolean normalize, int levels)
      throws IOException {
    int d = 4;
    float[] rows = TrainingKind.clustered(new SplittableRandom(levels), 400, d, 12);
    Problem problem = new Problem(d, List.of(6, 5, 4).subList(0, levels), normalize, rows);
    JointRefinement refinement = problem.refinement();
    JointRefinement.Fit fit = refinement.fit(problem.centroids());
    double before = problem.squares(problem.doubles(problem.centroids()));
    assertThat(fit.squares()).isCloseTo(before, within(1e-9 * before));
    List<float[]> solved = problem.centroids();
    double previous = before;
    for (int i = 0; i < 300; i++) {
      solved = refinement.solve(solved, false);
      double now = problem.squares(problem.doubles(solved));
      assertThat(now).isLessThanOrEqualTo(previous * (1 + 1e-7));
      previous = now;
    }
    double least = problem.squares(problem.solvedDensely());
    assertThat(least).isLessThan(0.999 * before);
    assertThat(previous).isCloseTo(least, within(1e-6 * least));
  }

  /** Fixed codes, as plainly as they can be written. */
  private final class Problem {

    private final int d;
    private final ResidualQuantizerConfig config;
    private final float[] rows;
    private final Codebook codebook;
    private final int n;
    private final int levels;
    private final int[] codes;
    private final double[][] targets;
    private final double[][] scales;
    private final int[] begins;

    Problem(int d, List<Integer> widths, boolean normalize, float[] rows) {
      this.d = d;
      this.rows = rows;
      this.n = rows.length / d;
      this.levels = widths.size();
      this.config =
          new TrainingKind(Algorithm.LLOYD, 0, 1, 1, false, normalize, true)
              .config(d, widths, 50, 90, 10);
      var random = new SplittableRandom(99);
      var chosen = new ArrayList<float[]>();
      this.begins = new int[levels + 1];
      for (int l = 0; l < levels; l++) {
        chosen.add(TrainingKind.gaussians(random, widths.get(l) * d, l == 0 ? 0.6 : 0.4));
        begins[l + 1] = begins[l] + widths.get(l);
      }
      this.codebook = Codebook.of(config.codebookSettings(), d, chosen, Provenance.UNKNOWN);
      this.codes = new ReferenceQuantizer(codebook).encodeAll(rows, n);
      this.targets = new double[n][d];
      this.scales = new double[n][levels];
      for (int row = 0; row < n; row++) {
        follow(row, normalize);
      }
    }

    private void follow(int row, boolean normalize) {
      double[] r = new double[d];
      for (int i = 0; i < d; i++) {
        r[i] = rows[row * d + i];
      }
      double product = 1;
      for (int l = 0; l < levels; l++) {
        double squares = 0;
        for (double component : r) {
          squares += component * component;
        }
        double norm = normalize ? Math.sqrt(squares) : 1;
        for (int i = 0; i < d; i++) {
          r[i] /= norm;
        }
        product *= l == 0 ? 1 : norm;
        scales[row][l] = product;
        if (l == 0) {
          targets[row] = r.clone();
        }
        for (int i = 0; i < d; i++) {
          r[i] -= codebook.centroids(l).data()[codes[row * levels + l] * d + i];
        }
      }
    }

    /** Has made its pass. */
    JointRefinement refinement() throws IOException {
      var source = new InMemoryVectorSource(VectorBatch.of(rows, d));
      var refinement =
          new JointRefinement(source, config, backend, pool, Screening.AUTO, TrainingListener.NONE);
      refinement.fit(centroids());
      return refinement;
    }

    List<float[]> centroids() {
      var all = new ArrayList<float[]>();
      for (int l = 0; l < levels; l++) {
        all.add(codebook.centroids(l).data());
      }
      return all;
    }

    double[][] doubles(List<float[]> centroids) {
      double[][] all = new double[begins[levels]][d];
      for (int l = 0; l < levels; l++) {
        for (int i = 0; i < centroids.get(l).length; i++) {
          all[begins[l] + i / d][i % d] = centroids.get(l)[i];
        }
      }
      return all;
    }

    /** Σ ‖t − Σ ω_l·C_l[k_l]‖². */
    double squares(double[][] centroids) {
      double sum = 0;
      for (int row = 0; row < n; row++) {
        for (int i = 0; i < d; i++) {
          double difference = targets[row][i];
          for (int l = 0; l < levels; l++) {
            difference -= scales[row][l] * centroids[begins[l] + codes[row * levels + l]][i];
          }
          sum += difference * difference;
        }
      }
      return sum;
    }

    /** By Gaussian elimination with full pivoting; unknowns that are left open are 0. */
    double[][] solvedDensely() {
      int size = begins[levels];
      double[][] matrix = new double[size][size + d];
      for (int row = 0; row < n; row++) {
        for (int l = 0; l < levels; l++) {
          double[] equation = matrix[begins[l] + codes[row * levels + l]];
          for (int j = 0; j < levels; j++) {
            equation[begins[j] + codes[row * levels + j]] += scales[row][l] * scales[row][j];
          }
          for (int i = 0; i < d; i++) {
            equation[size + i] += scales[row][l] * targets[row][i];
          }
        }
      }
      int[] equationOf = new int[size];
      Arrays.fill(equationOf, -1);
      boolean[] used = new boolean[size];
      for (int step = 0; step < size; step++) {
        int pivotRow = -1;
        int pivot = -1;
        double largest = 1e-9 * n;
        for (int a = 0; a < size; a++) {
          for (int b = 0; b < size; b++) {
            if (!used[a] && equationOf[b] < 0 && Math.abs(matrix[a][b]) > largest) {
              largest = Math.abs(matrix[a][b]);
              pivotRow = a;
              pivot = b;
            }
          }
        }
        if (pivotRow < 0) {
          break;
        }
        used[pivotRow] = true;
        equationOf[pivot] = pivotRow;
        for (int a = 0; a < size; a++) {
          double factor = matrix[a][pivot] / matrix[pivotRow][pivot];
          if (a != pivotRow && factor != 0) {
            for (int b = 0; b < size + d; b++) {
              matrix[a][b] -= factor * matrix[pivotRow][b];
            }
          }
        }
      }
      double[][] solution = new double[size][d];
      for (int b = 0; b < size; b++) {
        int a = equationOf[b];
        for (int i = 0; a >= 0 && i < d; i++) {
          solution[b][i] = matrix[a][size + i] / matrix[a][b];
        }
      }
      return solution;
    }
  }
}
