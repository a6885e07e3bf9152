package dev.semanticid.core.quantizer;

import dev.semanticid.core.clustering.Centroids;
import dev.semanticid.core.compute.WorkerPool;
import java.util.Arrays;

/**
 * The tables {@code G_jl[k][m] = C_j[k] · C_l[m]} for all j < l, float64, each sum in index order.
 */
final class GramTables {

  private static final int TILE = 256;

  private final int levels;
  private final double[][] tables;

  /** Bytes that the tables of a codebook take; saturates instead of overflowing. */
  static long bytes(Codebook codebook) {
    double bytes = 0;
    for (int l = 1; l < codebook.levels(); l++) {
      for (int j = 0; j < l; j++) {
        bytes += 8.0 * codebook.width(j) * codebook.width(l);
      }
    }
    return (long) bytes;
  }

  GramTables(Codebook codebook, WorkerPool pool) {
    this.levels = codebook.levels();
    this.tables = new double[levels * levels][];
    for (int l = 1; l < levels; l++) {
      Centroids right = codebook.centroids(l);
      for (int j = 0; j < l; j++) {
        Centroids left = codebook.centroids(j);
        double[] table = new double[Math.multiplyExact(left.width(), right.width())];
        tables[j * levels + l] = table;
        int tiles = (right.width() + TILE - 1) / TILE;
        pool.forEach(tiles, tile -> fill(table, left, right, tile * TILE));
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

  /** G_jl, K_j × K_l, row-major; not a copy. */
  double[] of(int j, int l) {
    return tables[j * levels + l];
  }

  long bytes() {
    long bytes = 0;
    for (double[] table : tables) {
      bytes += table == null ? 0 : 8L * table.length;
    }
    return bytes;
  }
}
