package dev.semanticid.core.compute;

/**
 * An 8-bit matrix in the memory of an {@link Int8Backend}'s device. Safe for use by several
 * threads.
 */
public interface ResidentInt8 extends AutoCloseable {

  /** Number of rows of the matrix. */
  int rows();

  /** Components of a row, a multiple of 4. */
  int dimension();

  /** Device memory held, in bytes. */
  long bytes();

  /**
   * Dot products of {@code n} vectors with all rows: {@code products[i · rows() + k] = q_i · w_k}.
   *
   * @param vectors n × dimension/4 ints, row-major, of four components each, little end first, from
   *     0 to {@link Int8Backend#largest()}
   * @param n number of vectors, 1 or more
   * @param products receives n × rows(), row-major
   */
  void multiply(int[] vectors, int n, int[] products);

  /** Frees the device memory; no other call may be in progress or follow. */
  @Override
  void close();
}
