package dev.semanticid.core.compute;

/**
 * A matrix of centroids in the memory of a {@link ComputeBackend}'s device. Safe for use by several
 * threads.
 */
public interface ResidentCodebook extends AutoCloseable {

  /** Number of centroids. */
  int rows();

  /** Components of a centroid. */
  int dimension();

  /** Device memory held, in bytes. */
  long bytes();

  /**
   * Dot products of {@code n} vectors with all centroids: {@code products[i · rows() + k] = x_i ·
   * c_k}.
   *
   * @param vectors n × dimension, row-major, from {@code offset} on
   * @param offset place of the first component
   * @param n number of vectors, 1 or more
   * @param products receives n × rows(), row-major
   */
  void multiply(float[] vectors, int offset, int n, float[] products);

  /** Frees the device memory; no other call may be in progress or follow. */
  @Override
  void close();
}
