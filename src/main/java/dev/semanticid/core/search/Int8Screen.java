package dev.semanticid.core.search;

import dev.semanticid.core.codebook.Centroids;
import dev.semanticid.core.compute.Int8Backend;
import dev.semanticid.core.compute.ResidentInt8;

/** A level's centroids in 8 bits, with their copy on the device. */
public final class Int8Screen implements AutoCloseable {

  final Int8Centroids centroids;
  final ResidentInt8 resident;
  final int zero;
  final int[] shifts;

  /**
   * Codes centroids and makes them resident.
   *
   * @param centroids the level
   * @param backend where its 8-bit copy shall live
   */
  public Int8Screen(Centroids centroids, Int8Backend backend) {
    this.centroids = new Int8Centroids(centroids);
    this.zero = backend.largest() / 2;
    this.shifts = this.centroids.shifts(zero);
    this.resident =
        backend.makeResident(
            this.centroids.components(),
            centroids.width(),
            4 * Int8Rows.words(centroids.dimension()));
  }

  /** Whether vectors of a dimension can be multiplied exactly. */
  public static boolean suits(int dimension) {
    return 4 * Int8Rows.words(dimension) <= Int8Backend.MOST_DIMENSIONS;
  }

  /** Memory of the copy, in bytes. */
  public long bytes() {
    return resident.bytes();
  }

  @Override
  public void close() {
    resident.close();
  }
}
