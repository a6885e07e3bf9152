package dev.semanticid.core.compute;

import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Where dot products are computed: a CPU library or a GPU. A backend is asked per batch, not per
 * pair, and may round as float32 does in any order of summation: what it returns only narrows the
 * choice, and the exact decision is made in plain Java above it. So two backends never give
 * different codes.
 *
 * <p>Implementations are safe for use by several threads.
 */
public interface ComputeBackend extends AutoCloseable {

  /** Short stable name, as configuration uses it. */
  String name();

  /** The device and library in words. */
  String device();

  /**
   * Copies a matrix to the device, where it stays until closed.
   *
   * @param matrix rows × dimension, row-major; not kept
   * @throws IllegalArgumentException if the array is shorter than the shape says
   */
  ResidentCodebook makeResident(float[] matrix, int rows, int dimension);

  /**
   * Checks the arguments of {@link #makeResident}.
   *
   * @throws IllegalArgumentException if the array is shorter than the shape says
   */
  static void requireShape(float[] matrix, int rows, int dimension) {
    if (rows < 1 || dimension < 1 || (long) rows * dimension > matrix.length) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%d centroids of dimension %d need %d components, the array has %d",
              rows,
              dimension,
              (long) rows * dimension,
              matrix.length));
    }
  }

  /**
   * Relative error bound γ of one dot product of this many components: {@code |computed − x·c| ≤
   * γ·‖x‖·‖c‖}, underflow apart. The default is that of float32 in any order of summation, with or
   * without fused multiply-add (Higham, Accuracy and Stability of Numerical Algorithms, §3.1).
   */
  default double gamma(int dimension) {
    double nu = (dimension + 2) * 0x1p-24;
    if (nu >= 0.5) {
      throw new IllegalArgumentException(
          String.format(Locale.ROOT, "dimension %d is too large for float32", dimension));
    }
    return nu / (1 - nu);
  }

  /** Exact 8-bit products beside the float32 ones, or null where there are none. */
  default @Nullable Int8Backend int8() {
    return null;
  }

  /**
   * Takes a codebook to the device, to encode whole rows there, or gives null where it cannot.
   *
   * @param model the codebook; its arrays are not kept
   */
  default @Nullable DeviceEncoder encoder(DeviceModel model) {
    return null;
  }

  /** Memory taken on a device that has its own, in bytes. */
  default long deviceBytes() {
    return 0;
  }

  /** Why the device computes no more, or null as long as it does. */
  default @Nullable String failure() {
    return null;
  }

  /** Whether products are still computed: by the device, or since its failure by another one. */
  default boolean available() {
    return failure() == null;
  }

  @Override
  void close();
}
