package dev.semanticid.core.encode.plan;

/**
 * How many rows to work on at a time: enough that a GEMM's own preparations, which cost as much as
 * some ten rows, hardly count, and no more than memory per thread should hold.
 */
final class BlockSize {

  private static final long TARGET_BYTES = 16 << 20;
  private static final long MOST_BYTES = 64 << 20;
  private static final int FEWEST = 16;
  private static final int MOST = 1024;

  private BlockSize() {}

  static int rows(long bytesPerRow) {
    return bytesPerRow * FEWEST > MOST_BYTES
        ? 1
        : Math.clamp(TARGET_BYTES / bytesPerRow, FEWEST, MOST);
  }
}
