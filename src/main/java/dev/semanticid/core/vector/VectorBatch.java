package dev.semanticid.core.vector;

import java.util.Arrays;
import java.util.BitSet;
import java.util.Locale;
import java.util.Objects;

/**
 * A batch of {@code rows} vectors of {@code dimension} float32 components, row-major in the first
 * {@code rows · dimension} places of {@code data}. The array is not copied: whoever makes a batch
 * gives its array away until the call that takes the batch returns.
 *
 * @param data at least {@code rows · dimension} components, row-major
 * @param rows number of vectors, 0 or more
 * @param dimension components of a vector, 1 or more
 */
public record VectorBatch(float[] data, int rows, int dimension) {

  private static final int LANES = 64;

  public VectorBatch {
    Objects.requireNonNull(data, "data");
    if (dimension < 1) {
      throw new IllegalArgumentException("dimension must be at least 1, got " + dimension);
    }
    if (rows < 0) {
      throw new IllegalArgumentException("rows must not be negative, got " + rows);
    }
    if ((long) rows * dimension > data.length) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%d rows of dimension %d need %d components, the array has %d",
              rows,
              dimension,
              (long) rows * dimension,
              data.length));
    }
  }

  /** Wraps {@code data}, whose length must be a multiple of {@code dimension}. */
  public static VectorBatch of(float[] data, int dimension) {
    if (dimension < 1 || data.length % dimension != 0) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%d components are not whole vectors of dimension %d",
              data.length,
              dimension));
    }
    return new VectorBatch(data, data.length / dimension, dimension);
  }

  /** The first row that holds NaN or an infinity, or −1. */
  public int firstNonFiniteRow() {
    return firstNonFiniteRow(data, 0, rows, dimension);
  }

  /**
   * The first of {@code rows} rows, {@code dimension} components each from {@code begin} on, that
   * holds NaN or an infinity; −1 if none does.
   */
  public static int firstNonFiniteRow(float[] data, int begin, int rows, int dimension) {
    double[] lanes = new double[LANES];
    for (int row = 0; row < rows; row++) {
      if (!isFinite(data, begin + row * dimension, dimension, lanes)) {
        return row;
      }
    }
    return -1;
  }

  /** Those of the first {@code rows} rows that hold NaN or an infinity. */
  public static BitSet nonFiniteRows(float[] data, int rows, int dimension) {
    var found = new BitSet(rows);
    double[] lanes = new double[LANES];
    for (int row = 0; row < rows; row++) {
      if (!isFinite(data, row * dimension, dimension, lanes)) {
        found.set(row);
        Arrays.fill(lanes, 0);
      }
    }
    return found;
  }

  /**
   * A sum over {@code 0·x} is NaN exactly when some x is not finite, which leaves one branch per
   * row. Many partial sums, so that no addition waits for the one before.
   *
   * @param lanes the partial sums, all zero; they stay so if all components are finite
   */
  private static boolean isFinite(float[] data, int begin, int dimension, double[] lanes) {
    int whole = dimension - dimension % LANES;
    for (int i = begin; i < begin + whole; i += LANES) {
      probe(lanes, data, i);
    }
    double probe = 0;
    for (double lane : lanes) {
      probe += lane;
    }
    for (int i = begin + whole; i < begin + dimension; i++) {
      probe += 0.0 * data[i];
    }
    return !Double.isNaN(probe);
  }

  private static void probe(double[] lanes, float[] data, int begin) {
    for (int i = 0; i < LANES; i++) {
      lanes[i] += 0.0 * data[begin + i];
    }
  }
}
