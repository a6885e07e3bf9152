package dev.semanticid.core.clustering;

import java.util.Arrays;

/**
 * x · c of float32 vectors in float64, in many partial sums, so the order differs from the
 * contract's loop: an estimate within τ·‖x‖·‖c‖, not a definition. Working memory of one thread.
 */
public final class DotProduct {

  /** Partial sums; a loop over them has no dependency between iterations, so it vectorises. */
  private static final int LANES = 256;

  /** The same for what is left, and for short vectors. */
  private static final int FEW_LANES = 64;

  /** Below this, adding up many lanes at the end costs more than they save. */
  private static final int LONG = 1024;

  private final double[] lanes = new double[LANES];

  /** The dot product of {@code d} components each, from {@code xBegin} and {@code cBegin} on. */
  public double of(float[] x, int xBegin, float[] c, int cBegin, int d) {
    double[] sums = lanes;
    int used = d < LONG ? FEW_LANES : LANES;
    Arrays.fill(sums, 0, used, 0);
    int i = 0;
    for (; used == LANES && i + LANES <= d; i += LANES) {
      accumulate(sums, x, xBegin + i, c, cBegin + i);
    }
    for (; i + FEW_LANES <= d; i += FEW_LANES) {
      accumulateFew(sums, x, xBegin + i, c, cBegin + i);
    }
    double even = 0;
    double odd = 0;
    for (int lane = 0; lane < used; lane += 2) {
      even += sums[lane];
      odd += sums[lane + 1];
    }
    for (; i < d; i++) {
      even += (double) x[xBegin + i] * c[cBegin + i];
    }
    return even + odd;
  }

  private static void accumulate(double[] sums, float[] x, int xBegin, float[] c, int cBegin) {
    for (int i = 0; i < LANES; i++) {
      sums[i] += (double) x[xBegin + i] * c[cBegin + i];
    }
  }

  private static void accumulateFew(double[] sums, float[] x, int xBegin, float[] c, int cBegin) {
    for (int i = 0; i < FEW_LANES; i++) {
      sums[i] += (double) x[xBegin + i] * c[cBegin + i];
    }
  }
}
