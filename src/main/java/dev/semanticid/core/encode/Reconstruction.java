package dev.semanticid.core.encode;

import dev.semanticid.core.codebook.Codebook;
import java.util.Arrays;

/**
 * The vector that a semantic ID stands for: {@code x̂ = ν_0·(C_0[k_0] + ν_1·(C_1[k_1] + …))} with
 * the residuals' norms ν, or the plain sum of centroids where residuals are not normalised. In
 * float64, rounded to float32 at the end.
 */
public final class Reconstruction {

  private final Codebook codebook;
  private final double[] sum;

  /** Working memory of one thread. */
  public Reconstruction(Codebook codebook) {
    this.codebook = codebook;
    this.sum = new double[codebook.dimension()];
  }

  /**
   * Reconstructs one row.
   *
   * @param codes L codes from {@code codesBegin} on, each within its level
   * @param norms ν_0 … ν_{L−1} from {@code normsBegin} on; not read for raw residuals
   * @param target receives d components from {@code targetBegin} on
   */
  public void reconstruct(
      int[] codes, int codesBegin, float[] norms, int normsBegin, float[] target, int targetBegin) {
    int d = codebook.dimension();
    boolean normalized = codebook.normalizeResiduals();
    Arrays.fill(sum, 0);
    for (int l = codebook.levels() - 1; l >= 0; l--) {
      float[] centroids = codebook.centroids(l).data();
      int begin = codes[codesBegin + l] * d;
      double norm = normalized ? norms[normsBegin + l] : 1;
      for (int i = 0; i < d; i++) {
        sum[i] = norm * (sum[i] + centroids[begin + i]);
      }
    }
    for (int i = 0; i < d; i++) {
      target[targetBegin + i] = (float) sum[i];
    }
  }
}
