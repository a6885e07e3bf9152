package dev.semanticid.core.encode.loop;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.CodebookSettings;
import dev.semanticid.core.codebook.ExactDistance;

/**
 * The contract's loop over levels for a block of rows, operation by operation in float64: the
 * residuals it holds are the ones that define codes.
 *
 * <pre>
 *   r = x;  per level:  u = r/‖r‖ (normalised; all zero once exhausted) or r;   k = argmin ½‖u − C[k]‖²;   r = u − C[k]
 * </pre>
 *
 * Working memory of one thread.
 */
public final class ResidualLoop {

  private final int dimension;
  private final boolean normalizeResiduals;
  private double[] residuals = {};
  private double[] norms = {};
  private double[] unitNorms = {};
  private boolean[] exhausted = {};
  private int rows;

  /**
   * @param dimension components of a row
   * @param settings whether residuals are normalised
   */
  public ResidualLoop(int dimension, CodebookSettings settings) {
    this.dimension = dimension;
    this.normalizeResiduals = settings.normalizeResiduals();
  }

  /** Begins with r = x for {@code n} rows of {@code vectors} from {@code offset} on. */
  public void begin(float[] vectors, int offset, int n) {
    rows = n;
    int length = n * dimension;
    if (residuals.length < length) {
      residuals = new double[length];
    }
    if (norms.length < n) {
      norms = new double[n];
      unitNorms = new double[n];
      exhausted = new boolean[n];
    }
    for (int i = 0; i < length; i++) {
      residuals[i] = vectors[offset + i];
    }
    for (int row = 0; row < n; row++) {
      exhausted[row] = false;
    }
  }

  /**
   * Turns r into u at the entry of {@code level}; afterwards {@link #norms} holds ‖r‖ and {@link
   * #unitNorms} ‖u‖.
   */
  public void enter(int level) {
    ExactDistance.norms(residuals, rows, dimension, norms);
    if (!normalizeResiduals) {
      System.arraycopy(norms, 0, unitNorms, 0, rows);
      return;
    }
    for (int row = 0; row < rows; row++) {
      int begin = row * dimension;
      double norm = norms[row];
      boolean gone = level == 0 ? norm == 0 : norm <= Codebook.EXHAUSTED_NORM;
      if (exhausted[row] || gone) {
        exhausted[row] = true;
        norms[row] = 0;
        unitNorms[row] = 0;
        for (int i = begin; i < begin + dimension; i++) {
          residuals[i] = 0;
        }
      } else {
        unitNorms[row] = 1;
        for (int i = begin; i < begin + dimension; i++) {
          residuals[i] /= norm;
        }
      }
    }
  }

  /**
   * Leaves a level: r = u − C[k] with k = {@code codes[begin + row · stride]}; centroids are K × d,
   * row-major.
   */
  public void leave(float[] centroids, int[] codes, int begin, int stride) {
    for (int row = 0; row < rows; row++) {
      int u = row * dimension;
      int c = codes[begin + row * stride] * dimension;
      for (int i = 0; i < dimension; i++) {
        residuals[u + i] -= centroids[c + i];
      }
    }
  }

  /** Rows of the current block. */
  public int rows() {
    return rows;
  }

  /** Rows × d, row-major: u between {@link #enter} and {@link #leave}, r after. */
  public double[] residuals() {
    return residuals;
  }

  /** ‖r‖ of each row as {@link #enter} found it; 0 for an exhausted row. */
  public double[] norms() {
    return norms;
  }

  /** ‖u‖ of each row: 1 or 0 when normalised (within rounding), else ‖r‖. */
  public double[] unitNorms() {
    return unitNorms;
  }

  /** Whether the row's residual was exhausted at the last level entered or above it. */
  public boolean exhausted(int row) {
    return exhausted[row];
  }
}
