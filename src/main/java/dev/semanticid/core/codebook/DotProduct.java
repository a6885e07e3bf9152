package dev.semanticid.core.codebook;

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
      accumulateMany(sums, x, xBegin + i, c, cBegin + i);
    }
    for (; i + FEW_LANES <= d; i += FEW_LANES) {
      accumulate(sums, x, xBegin + i, c, cBegin + i);
    }
    double rest = 0;
    for (; i < d; i++) {
      rest += (double) x[xBegin + i] * c[cBegin + i];
    }
    return total(sums, used) + rest;
  }

  /** The squared norm of {@code d} components from {@code begin} on. */
  public double squaredNorm(float[] x, int begin, int d) {
    double[] sums = lanes;
    int used = d < LONG ? FEW_LANES : LANES;
    Arrays.fill(sums, 0, used, 0);
    int i = 0;
    for (; used == LANES && i + LANES <= d; i += LANES) {
      accumulateSquares(sums, x, begin + i);
    }
    for (; i + FEW_LANES <= d; i += FEW_LANES) {
      accumulate(sums, x, begin + i, x, begin + i);
    }
    double rest = 0;
    for (; i < d; i++) {
      rest += (double) x[begin + i] * x[begin + i];
    }
    return total(sums, used) + rest;
  }

  /** The sum of the first {@code n} values. */
  public double sum(float[] values, int n) {
    double[] sums = lanes;
    Arrays.fill(sums, 0, FEW_LANES, 0);
    int i = 0;
    for (; i + FEW_LANES <= n; i += FEW_LANES) {
      accumulate(sums, values, i);
    }
    double rest = 0;
    for (; i < n; i++) {
      rest += values[i];
    }
    return total(sums, FEW_LANES) + rest;
  }

  private static double total(double[] sums, int used) {
    double a = 0;
    double b = 0;
    double c = 0;
    double d = 0;
    for (int lane = 0; lane < used; lane += 4) {
      a += sums[lane];
      b += sums[lane + 1];
      c += sums[lane + 2];
      d += sums[lane + 3];
    }
    return a + b + (c + d);
  }

  private static void accumulateMany(double[] sums, float[] x, int xBegin, float[] c, int cBegin) {
    for (int i = 0; i < LANES; i++) {
      sums[i] += (double) x[xBegin + i] * c[cBegin + i];
    }
  }

  private static void accumulateSquares(double[] sums, float[] x, int begin) {
    for (int i = 0; i < LANES; i++) {
      double component = x[begin + i];
      sums[i] += component * component;
    }
  }

  private static void accumulate(double[] sums, float[] x, int xBegin, float[] c, int cBegin) {
    for (int i = 0; i < FEW_LANES; i++) {
      sums[i] += (double) x[xBegin + i] * c[cBegin + i];
    }
  }

  private static void accumulate(double[] sums, float[] values, int begin) {
    for (int i = 0; i < FEW_LANES; i++) {
      sums[i] += values[begin + i];
    }
  }
}
