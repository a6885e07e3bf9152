package dev.semanticid.encode;

import java.io.InputStream;
import java.util.function.IntSupplier;

/** Bytes that arrive a few at a time, as from a network. */
final class PiecewiseStream extends InputStream {

  private final byte[] bytes;
  private final IntSupplier sizes;
  private int at;

  /**
   * @param sizes most bytes of the next piece, 1 or more
   */
  PiecewiseStream(byte[] bytes, IntSupplier sizes) {
    this.bytes = bytes;
    this.sizes = sizes;
  }

  @Override
  public int read() {
    return at < bytes.length ? bytes[at++] & 0xFF : -1;
  }

  @Override
  public int read(byte[] target, int offset, int length) {
    if (at == bytes.length) {
      return -1;
    }
    int count = Math.min(Math.min(length, sizes.getAsInt()), bytes.length - at);
    System.arraycopy(bytes, at, target, offset, count);
    at += count;
    return count;
  }
}
