package dev.semanticid.parquet;

import java.util.Arrays;

/**
 * Decodes Parquet's hybrid of run lengths and packed bits, in which levels and dictionary indices
 * are stored. Asking for more than there is raises {@link IndexOutOfBoundsException}.
 */
final class RunLengthDecoder {

  private byte[] bytes = {};
  private int at;
  private int end;
  private int width;
  private int mask;

  private int repeated;
  private int repeatedValue;
  private int packed;
  private int packedEnd;
  private long bits;
  private int haveBits;

  /**
   * Begins anew.
   *
   * @param bytes not copied
   * @param begin of the first run
   * @param end behind the last run
   * @param width bits of a value, 0 to 32
   */
  void reset(byte[] bytes, int begin, int end, int width) {
    if (width < 0 || width > 32) {
      throw new IndexOutOfBoundsException("expected a width of 0 to 32 bits, got " + width);
    }
    this.bytes = bytes;
    this.at = begin;
    this.end = end;
    this.width = width;
    this.mask = width == 32 ? -1 : (1 << width) - 1;
    this.repeated = 0;
    this.packed = 0;
    this.packedEnd = begin;
  }

  /** Decodes {@code count} values of at most 8 bits. */
  void read(byte[] target, int offset, int count) {
    int done = 0;
    while (done < count) {
      if (repeated > 0) {
        int n = Math.min(repeated, count - done);
        Arrays.fill(target, offset + done, offset + done + n, (byte) repeatedValue);
        repeated -= n;
        done += n;
      } else if (packed > 0) {
        int n = Math.min(packed, count - done);
        if (width == 1) {
          unpackBits(target, offset + done, n);
        } else {
          for (int i = 0; i < n; i++) {
            target[offset + done + i] = (byte) unpack();
          }
        }
        packed -= n;
        done += n;
      } else {
        nextRun();
      }
    }
  }

  /** Decodes {@code count} values. */
  void read(int[] target, int offset, int count) {
    int done = 0;
    while (done < count) {
      if (repeated > 0) {
        int n = Math.min(repeated, count - done);
        Arrays.fill(target, offset + done, offset + done + n, repeatedValue);
        repeated -= n;
        done += n;
      } else if (packed > 0) {
        int n = Math.min(packed, count - done);
        for (int i = 0; i < n; i++) {
          target[offset + done + i] = unpack();
        }
        packed -= n;
        done += n;
      } else {
        nextRun();
      }
    }
  }

  private void nextRun() {
    if (width == 0) {
      repeated = Integer.MAX_VALUE;
      repeatedValue = 0;
      return;
    }
    at = Math.min(packedEnd, end) > at ? Math.min(packedEnd, end) : at;
    int header = varint();
    if ((header & 1) == 0) {
      repeated = header >>> 1;
      repeatedValue = 0;
      for (int i = 0; i < (width + 7) / 8; i++) {
        repeatedValue |= (next() & 0xff) << (8 * i);
      }
      return;
    }
    int groups = header >>> 1;
    if ((long) groups * width > end - at + 7L * width) {
      throw new IndexOutOfBoundsException("a run of packed values is longer than its page");
    }
    packed = groups * 8;
    packedEnd = at + groups * width;
    bits = 0;
    haveBits = 0;
  }

  /** Single bits, whole bytes of them where possible. */
  private void unpackBits(byte[] target, int offset, int count) {
    int i = 0;
    while (i < count) {
      if (haveBits == 0 && count - i >= 8) {
        int eight = next();
        for (int bit = 0; bit < 8; bit++) {
          target[offset + i + bit] = (byte) (eight >> bit & 1);
        }
        i += 8;
      } else {
        target[offset + i++] = (byte) unpack();
      }
    }
  }

  private int unpack() {
    while (haveBits < width) {
      bits |= (next() & 0xffL) << haveBits;
      haveBits += 8;
    }
    int value = (int) bits & mask;
    bits >>>= width;
    haveBits -= width;
    return value;
  }

  private int varint() {
    int value = 0;
    for (int shift = 0; shift < 35; shift += 7) {
      byte b = next();
      value |= (b & 0x7f) << shift;
      if (b >= 0) {
        return value;
      }
    }
    throw new IndexOutOfBoundsException("a run length of more than 32 bits");
  }

  private byte next() {
    if (at >= end) {
      throw new IndexOutOfBoundsException("fewer values than announced");
    }
    return bytes[at++];
  }
}
