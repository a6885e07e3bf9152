package dev.semanticid.core.encode.plan;

import dev.semanticid.core.encode.loop.BeamLoop;

/**
 * A row's code down to some level, with the coefficients of its residual and their errors, by the
 * names of {@link StackedWorker}.
 */
final class StackedPath {

  final int[] codes;
  final double[] b;
  double a;

  /** P. */
  double terms;

  double epsilon;

  /** ‖u_l‖², within {@link #squaredUError}. */
  double squaredU;

  double squaredUError;

  /** The square of what {@link BeamLoop} multiplies norms up to. */
  double scale;

  /** Relative error of {@link #scale}. */
  double scaleError;

  StackedPath(int levels) {
    this.codes = new int[levels];
    this.b = new double[levels];
  }

  /** Becomes another one, whose first {@code level} codes are known. */
  void set(StackedPath other, int level) {
    System.arraycopy(other.codes, 0, codes, 0, level);
    System.arraycopy(other.b, 0, b, 0, level);
    a = other.a;
    terms = other.terms;
    epsilon = other.epsilon;
    squaredU = other.squaredU;
    squaredUError = other.squaredUError;
    scale = other.scale;
    scaleError = other.scaleError;
  }

  /** Σ b_j over the levels above. */
  double sumOfB(int level) {
    double sum = 0;
    for (int j = 0; j < level; j++) {
      sum += b[j];
    }
    return sum;
  }
}
