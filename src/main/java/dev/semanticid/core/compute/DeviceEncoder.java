package dev.semanticid.core.compute;

/**
 * Encodes whole rows on a {@link ComputeBackend}'s device, greedily, so that only vectors go there
 * and only codes come back. What the bounds cannot prove there it leaves open. Safe for use by
 * several threads.
 */
public interface DeviceEncoder extends AutoCloseable {

  /** In place of codes that are not proven: those of a row from some level on. */
  int OPEN = -1;

  /** Most rows of a call, and as many as suit the device. */
  int blockRows();

  /** Device memory held, in bytes. */
  long bytes();

  /**
   * Encodes rows.
   *
   * @param vectors n × d, row-major, from {@code offset} on
   * @param n number of rows, 1 to {@link #blockRows()}
   * @param codes receives n × L codes, row-major, from {@code codesBegin} on; of each row a proven
   *     beginning, and {@link #OPEN} from there on
   */
  void encode(float[] vectors, int offset, int n, int[] codes, int codesBegin);

  /** Frees the device memory; no other call may be in progress or follow. */
  @Override
  void close();
}
