package dev.semanticid.core.vector;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.ShortBuffer;
import java.util.Locale;
import java.util.Optional;

/**
 * The element types in which embeddings arrive, all little-endian; each widens or rounds to
 * float32.
 */
public enum ElementType {
  /** IEEE 754 binary16. */
  F2(2),
  /** The upper half of a binary32. */
  BF16(2),
  /** IEEE 754 binary32. */
  F4(4),
  /** IEEE 754 binary64, rounded to nearest; magnitudes beyond float32 become infinite. */
  F8(8);

  private static final int PIECE = 2048;

  private final int bytes;

  ElementType(int bytes) {
    this.bytes = bytes;
  }

  /** Bytes of one element. */
  public int bytes() {
    return bytes;
  }

  /** The name on the wire: {@code f4}, {@code f2}, {@code bf16}, {@code f8}. */
  public String wireName() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** The type of a raw stream: {@code f4}, {@code f2} or {@code bf16}. */
  public static Optional<ElementType> ofWireName(String name) {
    return switch (name) {
      case "f4" -> Optional.of(F4);
      case "f2" -> Optional.of(F2);
      case "bf16" -> Optional.of(BF16);
      default -> Optional.empty();
    };
  }

  /**
   * Decodes {@code count} little-endian elements from the buffer's position on, and moves the
   * position behind them.
   *
   * @param source holds at least {@code count · bytes()} bytes; its byte order is ignored
   * @param target receives {@code count} components from {@code offset} on
   */
  public void decode(ByteBuffer source, int count, float[] target, int offset) {
    ByteBuffer view = source.slice(source.position(), count * bytes).order(ByteOrder.LITTLE_ENDIAN);
    switch (this) {
      case F4 -> view.asFloatBuffer().get(target, offset, count);
      case F2, BF16 -> widen(view.asShortBuffer(), target, offset);
      case F8 -> {
        for (int i = 0; i < count; i++) {
          target[offset + i] = (float) view.getDouble(8 * i);
        }
      }
    }
    source.position(source.position() + count * bytes);
  }

  /** By pieces in arrays of their own, because only loops over plain arrays are vectorised. */
  private void widen(ShortBuffer source, float[] target, int offset) {
    short[] halves = new short[Math.min(PIECE, source.remaining())];
    int[] bits = new int[this == BF16 ? halves.length : 0];
    int at = offset;
    while (source.hasRemaining()) {
      int count = Math.min(halves.length, source.remaining());
      source.get(halves, 0, count);
      if (this == F2) {
        widenHalves(halves, count, target, at);
      } else {
        for (int i = 0; i < count; i++) {
          bits[i] = halves[i] << 16;
        }
        MemorySegment.copy(
            MemorySegment.ofArray(bits),
            ValueLayout.JAVA_INT,
            0,
            MemorySegment.ofArray(target),
            ValueLayout.JAVA_INT_UNALIGNED,
            4L * at,
            count);
      }
      at += count;
    }
  }

  private static void widenHalves(short[] halves, int count, float[] target, int at) {
    for (int i = 0; i < count; i++) {
      target[at + i] = Float.float16ToFloat(halves[i]);
    }
  }
}
