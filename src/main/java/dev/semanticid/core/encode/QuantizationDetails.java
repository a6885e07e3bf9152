package dev.semanticid.core.encode;

import dev.semanticid.core.codebook.Centroids;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.ExactDistance;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.encode.loop.ResidualLoop;
import dev.semanticid.core.vector.VectorBatch;

/**
 * What the contract's float64 loop sees along the codes of a batch, rounded to float32; the same
 * whatever plan found the codes.
 *
 * @param distances n × L: ‖u − C_l[k_l]‖²
 * @param margins n × L: what ‖u − C_l[k]‖² + 2·w_l[k] of the runner-up is more; infinite on a level
 *     of one centroid, negative where a beam chose another than the nearest. Empty if not asked
 *     for, because it takes a pass over all centroids
 * @param norms n × L: ‖r_l‖, which {@link Reconstruction} needs for the true one; 0 where the
 *     residual is exhausted
 */
public record QuantizationDetails(float[] distances, float[] margins, float[] norms) {

  private static final int BLOCK = 16;

  /**
   * Follows the loop along codes.
   *
   * @param codes n × L codes of the batch
   * @param withMargins whether margins are wanted
   */
  public static QuantizationDetails of(
      Codebook codebook, VectorBatch batch, int[] codes, boolean withMargins, WorkerPool pool) {
    QuantizationDetails details = empty(batch.rows(), codebook.levels(), withMargins);
    details.fill(codebook, batch, codes, 0, batch.rows(), pool);
    return details;
  }

  /**
   * Room for the details of a batch, which {@link #fill} is to be called for.
   *
   * @param withMargins whether margins are wanted
   */
  public static QuantizationDetails empty(int rows, int levels, boolean withMargins) {
    int length = Math.multiplyExact(rows, levels);
    return new QuantizationDetails(
        new float[length], new float[withMargins ? length : 0], new float[length]);
  }

  /**
   * Follows the loop along the codes of some rows.
   *
   * @param batch n × d, of which all details have a place here
   * @param codes n × L codes of the batch
   * @param begin the first row
   * @param end the row behind the last
   */
  public void fill(
      Codebook codebook, VectorBatch batch, int[] codes, int begin, int end, WorkerPool pool) {
    pool.forEach(
        (end - begin + BLOCK - 1) / BLOCK,
        block -> {
          int from = begin + block * BLOCK;
          fill(codebook, batch, codes, from, Math.min(end, from + BLOCK));
        });
  }

  private void fill(Codebook codebook, VectorBatch batch, int[] codes, int begin, int end) {
    int d = codebook.dimension();
    int levels = codebook.levels();
    var loop = new ResidualLoop(d, codebook.settings());
    loop.begin(batch.data(), begin * d, end - begin);
    for (int l = 0; l < levels; l++) {
      Centroids level = codebook.centroids(l);
      int[] others = new int[level.width()];
      loop.enter(l);
      for (int row = 0; row < end - begin; row++) {
        int at = (begin + row) * levels + l;
        double nearest =
            ExactDistance.halfSquared(loop.residuals(), row * d, level.data(), codes[at] * d, d);
        norms[at] = (float) loop.norms()[row];
        distances[at] = (float) (2 * nearest);
        if (margins.length > 0) {
          double second = runnerUp(loop.residuals(), row * d, level, codes[at], others);
          margins[at] = (float) (2 * (second - (nearest + level.weights()[codes[at]])));
        }
      }
      if (l + 1 < levels) {
        loop.leave(level.data(), codes, begin * levels + l, levels);
      }
    }
  }

  /** The score of the best centroid but one; infinite if there is no other. */
  private static double runnerUp(
      double[] u, int uBegin, Centroids level, int nearest, int[] others) {
    int count = 0;
    for (int k = 0; k < level.width(); k++) {
      if (k != nearest) {
        others[count++] = k;
      }
    }
    if (count == 0) {
      return Double.POSITIVE_INFINITY;
    }
    int d = level.dimension();
    int second = ExactDistance.nearestOf(u, uBegin, level, others, count);
    return ExactDistance.halfSquared(u, uBegin, level.data(), second * d, d)
        + level.weights()[second];
  }
}
