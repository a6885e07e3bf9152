package dev.semanticid.core.quantizer;

/**
 * How many rows to work on at a time, so that a block stays in a core's cache and a GEMM still
 * pays.
 */
final class BlockSize {

  private static final long TARGET_BYTES = 4 << 20;
  private static final long MOST_BYTES = 64 << 20;
  private static final int FEWEST = 16;
  private static final int MOST = 512;

  private BlockSize() {}

  static int rows(long bytesPerRow) {
    return bytesPerRow * FEWEST > MOST_BYTES
        ? 1
        : Math.clamp(TARGET_BYTES / bytesPerRow, FEWEST, MOST);
  }
}
