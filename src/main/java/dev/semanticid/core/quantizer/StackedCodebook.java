package dev.semanticid.core.quantizer;

import dev.semanticid.core.clustering.Centroids;
import dev.semanticid.core.compute.WorkerPool;

/** What the plans without residuals share about a codebook. */
final class StackedCodebook {

  final Codebook codebook;
  final GramTables tables;

  /** The largest norm of any centroid. */
  final double maxNorm;

  /** Centroids of all levels together. */
  final int totalWidth;

  /** The codes of a row whose u is zero at every level, as the loop gives them. */
  final int[] zeroCodes;

  StackedCodebook(Codebook codebook, WorkerPool pool) {
    this.codebook = codebook;
    this.totalWidth = codebook.widths().stream().mapToInt(Integer::intValue).sum();
    this.zeroCodes = new int[codebook.levels()];
    double[] zero = new double[codebook.dimension()];
    double max = 0;
    for (int l = 0; l < codebook.levels(); l++) {
      Centroids level = codebook.centroids(l);
      max = Math.max(max, level.maxNorm());
      zeroCodes[l] = level.nearest(zero, 0);
    }
    this.maxNorm = max;
    this.tables = new GramTables(codebook, pool);
  }

  /** Whether the stacked centroids and each table fit an array. */
  static boolean fitsArrays(Codebook codebook) {
    long total = 0;
    long widest = 0;
    for (int width : codebook.widths()) {
      total += width;
      widest = Math.max(widest, width);
    }
    int most = Integer.MAX_VALUE - 8;
    return total * codebook.dimension() <= most && widest * widest <= most;
  }
}
