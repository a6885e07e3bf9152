package dev.semanticid.core.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Random;
import java.util.stream.IntStream;
import org.jgrapht.alg.matching.KuhnMunkresMinimalWeightBipartitePerfectMatching;
import org.jgrapht.graph.DefaultWeightedEdge;
import org.jgrapht.graph.SimpleWeightedGraph;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Assignments are permutations, of a cost that no other one is below. */
class LinearAssignmentTest {

  private static void nothing() {}

  private static double cost(double[][] costs, int[] assignment) {
    return IntStream.range(0, costs.length).mapToDouble(row -> costs[row][assignment[row]]).sum();
  }

  private static void requirePermutation(int[] assignment) {
    int[] sorted = assignment.clone();
    Arrays.sort(sorted);
    assertThat(sorted).isEqualTo(IntStream.range(0, assignment.length).toArray());
  }

  private static double costByJGraphT(double[][] costs) {
    int n = costs.length;
    var graph = new SimpleWeightedGraph<Integer, DefaultWeightedEdge>(DefaultWeightedEdge.class);
    var rows = new HashSet<Integer>();
    var columns = new HashSet<Integer>();
    for (int i = 0; i < n; i++) {
      graph.addVertex(i);
      graph.addVertex(n + i);
      rows.add(i);
      columns.add(n + i);
    }
    for (int row = 0; row < n; row++) {
      for (int column = 0; column < n; column++) {
        graph.setEdgeWeight(graph.addEdge(row, n + column), costs[row][column]);
      }
    }
    return new KuhnMunkresMinimalWeightBipartitePerfectMatching<>(graph, rows, columns)
        .getMatching()
        .getWeight();
  }

  /** All permutations of a few. */
  private static double leastCost(double[][] costs, int row, boolean[] taken) {
    if (row == costs.length) {
      return 0;
    }
    double least = Double.POSITIVE_INFINITY;
    for (int column = 0; column < costs.length; column++) {
      if (!taken[column]) {
        taken[column] = true;
        least = Math.min(least, costs[row][column] + leastCost(costs, row + 1, taken));
        taken[column] = false;
      }
    }
    return least;
  }

  @Test
  void solve_fewRows_isTheLeastOfAllPermutations() {
    var random = new Random(1);
    for (int round = 0; round < 500; round++) {
      int n = 1 + random.nextInt(7);
      // Small whole numbers make many ties.
      int bound = round % 2 == 0 ? 3 : 1000;
      double[][] costs = new double[n][n];
      for (double[] row : costs) {
        Arrays.setAll(row, i -> random.nextInt(bound) - (bound == 3 ? 1 : 0));
      }
      int[] assignment = LinearAssignment.solve(costs, LinearAssignmentTest::nothing);
      requirePermutation(assignment);
      assertThat(cost(costs, assignment)).isEqualTo(leastCost(costs, 0, new boolean[n]));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 31, 64, 150})
  void solve_distances_costsWhatJGraphTFinds(int n) {
    var random = new Random(n);
    for (int d : new int[] {1, 2, 16}) {
      double[][] from = new double[n][d];
      double[][] to = new double[n][d];
      for (int i = 0; i < n; i++) {
        Arrays.setAll(from[i], c -> random.nextGaussian());
        Arrays.setAll(to[i], c -> random.nextGaussian());
      }
      double[][] costs = new double[n][n];
      for (int row = 0; row < n; row++) {
        for (int column = 0; column < n; column++) {
          for (int c = 0; c < d; c++) {
            double difference = from[row][c] - to[column][c];
            costs[row][column] += difference * difference;
          }
        }
      }
      int[] assignment = LinearAssignment.solve(costs, LinearAssignmentTest::nothing);
      requirePermutation(assignment);
      assertThat(cost(costs, assignment)).isCloseTo(costByJGraphT(costs), within(1e-9 * n));
    }
  }

  /** Products of row and column numbers make paths as long as they get. */
  @ParameterizedTest
  @ValueSource(ints = {50, 200})
  void solve_productsOfNumbers_pairsTheLargestWithTheSmallest(int n) {
    double[][] costs = new double[n][n];
    for (int row = 0; row < n; row++) {
      for (int column = 0; column < n; column++) {
        costs[row][column] = (row + 1.0) * (column + 1.0);
      }
    }
    int[] assignment = LinearAssignment.solve(costs, LinearAssignmentTest::nothing);
    for (int row = 0; row < n; row++) {
      assertThat(assignment[row]).isEqualTo(n - 1 - row);
    }
  }

  @Test
  void solve_equalCosts_isAPermutation() {
    requirePermutation(LinearAssignment.solve(new double[40][40], LinearAssignmentTest::nothing));
  }

  @Test
  void solve_checkpointThrows_ends() {
    double[][] costs = new double[30][30];
    int[] calls = new int[1];
    assertThatThrownBy(() ->
            LinearAssignment.solve(
                costs,
                () -> {
                  if (++calls[0] == 10) {
                    throw new IllegalStateException("enough");
                  }
                }))
        .hasMessage("enough");
    assertThat(calls[0]).isEqualTo(10);
  }

  @Test
  void solve_notSquare_isRefused() {
    assertThatThrownBy(() ->
            LinearAssignment.solve(new double[][] {{1, 2}, {3}}, LinearAssignmentTest::nothing))
        .hasMessage("expected 2 × 2 costs, row 1 has 1");
  }
}
