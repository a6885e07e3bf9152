package dev.semanticid.core.report;

import java.util.Arrays;
import java.util.Locale;

/**
 * The linear assignment problem: pairs n rows with n columns so that the sum of the pairs' costs is
 * as small as it can be.
 *
 * <p>Shortest augmenting paths with column reduction (Jonker & Volgenant 1987, "A shortest
 * augmenting path algorithm for dense and sparse linear assignment problems"). It takes at most n³
 * steps and, beside the costs, memory in proportion to n. Among assignments of equal cost the
 * result depends on nothing but the costs.
 */
public final class LinearAssignment {

  private static final int NONE = -1;

  private final double[][] costs;
  private final int n;
  private final Runnable checkpoint;

  /** The dual variables of the columns. */
  private final double[] prices;

  private final int[] columnOfRow;
  private final int[] rowOfColumn;

  /** Length of the shortest path to each column, and the row that it comes from. */
  private final double[] distances;

  private final int[] previousRows;

  /**
   * Columns: those that are finished, then those that are at the shortest distance, then others.
   */
  private final int[] columns;

  private LinearAssignment(double[][] costs, Runnable checkpoint) {
    this.costs = costs;
    this.n = costs.length;
    this.checkpoint = checkpoint;
    this.prices = new double[n];
    this.columnOfRow = new int[n];
    this.rowOfColumn = new int[n];
    this.distances = new double[n];
    this.previousRows = new int[n];
    this.columns = new int[n];
  }

  /**
   * Solves it.
   *
   * @param costs n × n finite costs, n at least 1; not written
   * @param checkpoint called after every few n steps; what it throws ends the computation
   * @return the column of each row
   * @throws IllegalArgumentException if the costs are not square
   */
  public static int[] solve(double[][] costs, Runnable checkpoint) {
    for (int row = 0; row < costs.length; row++) {
      if (costs[row].length != costs.length) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "expected %d × %d costs, row %d has %d",
                costs.length,
                costs.length,
                row,
                costs[row].length));
      }
    }
    var problem = new LinearAssignment(costs, checkpoint);
    problem.reduceColumns();
    for (int row = 0; row < problem.n; row++) {
      if (problem.columnOfRow[row] == NONE) {
        problem.augment(row);
      }
    }
    return problem.columnOfRow;
  }

  /** Gives each row a column of which it is the cheapest row, as far as there are such. */
  private void reduceColumns() {
    Arrays.fill(columnOfRow, NONE);
    Arrays.fill(rowOfColumn, NONE);
    int[] cheapest = new int[n];
    System.arraycopy(costs[0], 0, prices, 0, n);
    for (int row = 1; row < n; row++) {
      checkpoint.run();
      double[] cost = costs[row];
      for (int column = 0; column < n; column++) {
        if (cost[column] < prices[column]) {
          prices[column] = cost[column];
          cheapest[column] = row;
        }
      }
    }
    for (int column = 0; column < n; column++) {
      int row = cheapest[column];
      if (columnOfRow[row] == NONE) {
        columnOfRow[row] = column;
        rowOfColumn[column] = row;
      }
    }
  }

  /** Gives a free row a column, along the shortest path to a column that no row has (Dijkstra). */
  private void augment(int free) {
    double[] cost = costs[free];
    for (int column = 0; column < n; column++) {
      distances[column] = cost[column] - prices[column];
      previousRows[column] = free;
      columns[column] = column;
    }
    int done = 0;
    int end = 0;
    double shortest = 0;
    while (true) {
      if (done == end) {
        checkpoint.run();
        shortest = distances[columns[done]];
        end = done + 1;
        for (int i = end; i < n; i++) {
          double distance = distances[columns[i]];
          if (distance <= shortest) {
            if (distance < shortest) {
              end = done;
              shortest = distance;
            }
            swap(i, end++);
          }
        }
        for (int i = done; i < end; i++) {
          if (rowOfColumn[columns[i]] == NONE) {
            finish(free, columns[i], done, shortest);
            return;
          }
        }
      }
      int through = columns[done++];
      int row = rowOfColumn[through];
      double[] next = costs[row];
      double base = next[through] - prices[through] - shortest;
      for (int i = end; i < n; i++) {
        int column = columns[i];
        double distance = next[column] - prices[column] - base;
        if (distance < distances[column]) {
          distances[column] = distance;
          previousRows[column] = row;
          if (distance <= shortest) {
            if (rowOfColumn[column] == NONE) {
              finish(free, column, done, shortest);
              return;
            }
            swap(i, end++);
          }
        }
      }
    }
  }

  private void swap(int i, int j) {
    int column = columns[i];
    columns[i] = columns[j];
    columns[j] = column;
  }

  /** Updates the prices of finished columns, then exchanges columns along the path. */
  private void finish(int free, int last, int done, double shortest) {
    for (int i = 0; i < done; i++) {
      int column = columns[i];
      prices[column] += distances[column] - shortest;
    }
    int column = last;
    while (true) {
      int row = previousRows[column];
      rowOfColumn[column] = row;
      int next = columnOfRow[row];
      columnOfRow[row] = column;
      if (row == free) {
        return;
      }
      column = next;
    }
  }
}
