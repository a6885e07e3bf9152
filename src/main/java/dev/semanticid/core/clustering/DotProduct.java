package dev.semanticid.core.clustering;

import java.util.Arrays;

/**
 * x · c of float32 vectors in float64, in many partial sums, so the order differs from the
 * contract's loop: an estimate within τ·‖x‖·‖c‖, not a definition. Working memory of one thread.
 */
public final class DotProduct {

  /** Partial sums; a loop over them has no dependency between iterations, so it vectorises. */
  private static final int LANES = 64;

  private final double[] lanes = new double[LANES];

  /** The dot product of {@code d} components each, from {@code xBegin} and {@code cBegin} on. */
  public double of(float[] x, int xBegin, float[] c, int cBegin, int d) {
    double[] sums = lanes;
    Arrays.fill(sums, 0);
    int whole = d - d % LANES;
    for (int i = 0; i < whole; i += LANES) {
      accumulate(sums, x, xBegin + i, c, cBegin + i);
    }
    double a = 0;
    double b = 0;
    for (int i = 0; i < LANES; i += 2) {
      a += sums[i];
      b += sums[i + 1];
    }
    for (int i = whole; i < d; i++) {
      a += (double) x[xBegin + i] * c[cBegin + i];
    }
    return a + b;
  }

  private static void accumulate(double[] sums, float[] x, int xBegin, float[] c, int cBegin) {
    for (int i = 0; i < LANES; i++) {
      sums[i] += (double) x[xBegin + i] * c[cBegin + i];
    }
  }
}
