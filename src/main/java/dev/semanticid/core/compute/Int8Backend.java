package dev.semanticid.core.compute;

/**
 * Products of 8-bit integers, summed exactly: a fraction of the cost of float32, and enough to
 * prove most centroids wrong.
 *
 * <p>Vectors are unsigned, from 0 to {@link #largest()}; centroids are signed, from −127 to 127.
 * Sums are int32 and exact for every such input of at most {@link #MOST_DIMENSIONS} components:
 * bounds depend on it, so an implementation whose hardware saturates earlier must lower {@link
 * #largest()} or refuse to start.
 *
 * <p>Implementations are safe for use by several threads.
 */
public interface Int8Backend extends AutoCloseable {

  /** Largest magnitude of a centroid's component. */
  int LARGEST_SIGNED = 127;

  /** With more components a sum could leave int32. */
  int MOST_DIMENSIONS = 65_536;

  /** The library and instructions in words. */
  String device();

  /** Largest component of a vector: even, so that half of it stands for 0. */
  int largest();

  /**
   * Copies a matrix to the device, where it stays until closed.
   *
   * @param matrix rows × dimension, row-major, each from −127 to 127; not kept
   * @param dimension a multiple of 4
   */
  ResidentInt8 makeResident(byte[] matrix, int rows, int dimension);

  @Override
  void close();
}
