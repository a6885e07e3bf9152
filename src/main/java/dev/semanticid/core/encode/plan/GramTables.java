package dev.semanticid.core.encode.plan;

import dev.semanticid.core.codebook.Centroids;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.compute.WorkerPool;
import java.util.Arrays;

/**
 * The tables {@code G_jl[k][m] = C_j[k] · C_l[m]} for all j < l, each sum in index order: whole
 * rows in float32 for scores, single entries in float64 for norms.
 */
public final class GramTables {

  private static final int TILE = 256;

  private final int levels;
  private final double[][] tables;
  private final float[][][] rows;

  /** Bytes that the tables of a codebook take; saturates instead of overflowing. */
  public static long bytes(Codebook codebook) {
    double bytes = 0;
    for (int l = 1; l < codebook.levels(); l++) {
      for (int j = 0; j < l; j++) {
        bytes += 12.0 * codebook.width(j) * codebook.width(l);
      }
    }
    return (long) bytes;
  }

  GramTables(Codebook codebook, WorkerPool pool) {
    this.levels = codebook.levels();
    this.tables = new double[levels * levels][];
    this.rows = new float[levels * levels][][];
    for (int l = 1; l < levels; l++) {
      Centroids right = codebook.centroids(l);
      for (int j = 0; j < l; j++) {
        Centroids left = codebook.centroids(j);
        double[] table = new double[Math.multiplyExact(left.width(), right.width())];
        tables[j * levels + l] = table;
        int tiles = (right.width() + TILE - 1) / TILE;
        pool.forEach(tiles, tile -> fill(table, left, right, tile * TILE));
        rows[j * levels + l] = rounded(table, left.width(), right.width());
      }
    }
  }

  /**
   * Transposes a tile of the right-hand centroids, so that the inner loop runs across them and
   * vectorises.
   */
  private static void fill(double[] table, Centroids left, Centroids right, int from) {
    int d = left.dimension();
    int to = Math.min(right.width(), from + TILE);
    int count = to - from;
    float[] transposed = new float[d * count];
    for (int m = 0; m < count; m++) {
      for (int i = 0; i < d; i++) {
        transposed[i * count + m] = right.data()[(from + m) * d + i];
      }
    }
    double[] sums = new double[count];
    for (int k = 0; k < left.width(); k++) {
      Arrays.fill(sums, 0);
      for (int i = 0; i < d; i++) {
        double c = left.data()[k * d + i];
        int row = i * count;
        for (int m = 0; m < count; m++) {
          sums[m] += c * transposed[row + m];
        }
      }
      System.arraycopy(sums, 0, table, k * right.width() + from, count);
    }
  }

  private static float[][] rounded(double[] table, int count, int width) {
    float[][] rows = new float[count][width];
    for (int k = 0; k < count; k++) {
      for (int m = 0; m < width; m++) {
        rows[k][m] = (float) table[k * width + m];
      }
    }
    return rows;
  }

  /** C_j[k] · C_l[m] for all m, K_l values in float32; not a copy. */
  float[] row(int j, int l, int k) {
    return rows[j * levels + l][k];
  }

  /** C_j[k] · C_l[m]. */
  double entry(int j, int l, int k, int m) {
    return tables[j * levels + l][k * rows[j * levels + l][k].length + m];
  }

  /** The tables at {@code j · L + l}, in float64, row-major; not copies. */
  double[][] all() {
    return tables;
  }
}
