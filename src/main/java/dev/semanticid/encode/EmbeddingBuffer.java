package dev.semanticid.encode;

import dev.semanticid.budget.MemoryBudget;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import java.util.Locale;

/**
 * The embeddings of one request while they are read: grows in an array of the pool's, within what
 * the request's permit and the memory of all requests allow.
 */
final class EmbeddingBuffer implements AutoCloseable {

  /** More is not allocated before it comes, whatever the request has announced. */
  private static final int MOST_UNSEEN_FLOATS = 1 << 18;

  private final FloatArrays arrays;
  private final Admission.Permit permit;
  private final MemoryBudget.Share memory;
  private final int dimension;
  private float[] data;
  private int filled;
  private int nonFiniteRow = -1;

  /**
   * @param expectedRows rows that the request has announced, more or less
   */
  EmbeddingBuffer(
      FloatArrays arrays,
      Admission.Permit permit,
      MemoryBudget budget,
      int dimension,
      long expectedRows) {
    this.arrays = arrays;
    this.permit = permit;
    this.dimension = dimension;
    permit.announce(expectedRows);
    int announced = floats(Math.max(1, expectedRows));
    int first = arrays.hasIdle(announced) ? announced : Math.min(announced, MOST_UNSEEN_FLOATS);
    this.memory = budget.reserve("the rows", bytes(first));
    this.data = arrays.take(first);
  }

  private static long bytes(int floats) {
    return Float.BYTES * FloatArrays.lengthOf(floats);
  }

  /** Components d of a row. */
  int dimension() {
    return dimension;
  }

  /**
   * The request has announced rows.
   *
   * @throws ProblemException if the request may not have as many, or there is no room for them now
   */
  void announce(long rows) {
    permit.announce(rows);
  }

  /** Whole rows so far. */
  int rows() {
    return filled / dimension;
  }

  /** Components so far. */
  int filled() {
    return filled;
  }

  /**
   * Makes room for more components after {@link #filled()}.
   *
   * @return the array to write them to
   * @throws ProblemException if the request may not have as many rows
   */
  float[] room(long more) {
    long needed = filled + more;
    permit.ensure((needed + dimension - 1) / dimension);
    if (needed > data.length) {
      int length = Math.max(floats(2L * rows()), Math.toIntExact(needed));
      // For a moment there are both.
      memory.resize(bytes(data.length) + bytes(length));
      float[] larger = arrays.take(length);
      System.arraycopy(data, 0, larger, 0, filled);
      arrays.give(data);
      data = larger;
      memory.resize(bytes(length));
    }
    return data;
  }

  /** Counts components that were written to the room, and checks them while they are in cache. */
  void advance(int count) {
    if (nonFiniteRow < 0 && VectorBatch.firstNonFiniteRow(data, filled, 1, count) == 0) {
      int at = filled;
      while (Float.isFinite(data[at])) {
        at++;
      }
      nonFiniteRow = at / dimension;
    }
    filled += count;
  }

  private int floats(long rows) {
    return (int) Math.min(rows * dimension, Integer.MAX_VALUE - 8);
  }

  /**
   * All that was read, which is whole rows, all finite; the permit is settled.
   *
   * @throws ProblemException if a component is not finite
   */
  VectorBatch finish() {
    if (nonFiniteRow >= 0) {
      throw new ProblemException(
              ProblemCode.NON_FINITE_VALUE,
              String.format(
                  Locale.ROOT, "row %d holds NaN or a value outside float32", nonFiniteRow))
          .with("row", nonFiniteRow);
    }
    var batch = new VectorBatch(data, filled / dimension, dimension);
    permit.settle(batch.rows());
    return batch;
  }

  @Override
  public void close() {
    arrays.give(data);
    data = new float[0];
    filled = 0;
    memory.close();
  }
}
