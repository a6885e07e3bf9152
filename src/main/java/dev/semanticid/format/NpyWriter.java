package dev.semanticid.format;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Locale;

/**
 * Writes NumPy {@code .npy} files, version 1.0, little-endian, C order, with the bytes that
 * numpy.save writes.
 */
public final class NpyWriter {

  private static final int ALIGNMENT = 64;

  /** Digits that numpy leaves room for in the first axis, so that a file can grow in place. */
  private static final int GROWTH_DIGITS = 21;

  private static final int CHUNK_ELEMENTS = 16 << 10;

  private NpyWriter() {}

  /**
   * Writes a header of type {@code <i4} and shape (rows, columns), then the data.
   *
   * @param out is neither flushed nor closed
   * @param data rows × columns, row-major, in the first {@code rows · columns} places
   * @throws IllegalArgumentException if a size is negative or the array too short
   * @throws IOException if the stream fails
   */
  public static void writeInts(OutputStream out, int[] data, int rows, int columns)
      throws IOException {
    int count = checkMatrix(data.length, rows, columns);
    out.write(header("<i4", rows, columns));
    byte[] chunk = new byte[Math.min(count, CHUNK_ELEMENTS) * Integer.BYTES];
    ByteBuffer view = ByteBuffer.wrap(chunk).order(ByteOrder.LITTLE_ENDIAN);
    for (int begin = 0; begin < count; begin += CHUNK_ELEMENTS) {
      int length = Math.min(CHUNK_ELEMENTS, count - begin);
      view.asIntBuffer().put(data, begin, length);
      out.write(chunk, 0, length * Integer.BYTES);
    }
  }

  /**
   * Writes a header of type {@code <f4} and shape (rows, columns), then the data, bit for bit.
   *
   * @param out is neither flushed nor closed
   * @param data rows × columns, row-major, in the first {@code rows · columns} places
   * @throws IllegalArgumentException if a size is negative or the array too short
   * @throws IOException if the stream fails
   */
  public static void writeFloats(OutputStream out, float[] data, int rows, int columns)
      throws IOException {
    int count = checkMatrix(data.length, rows, columns);
    out.write(header("<f4", rows, columns));
    byte[] chunk = new byte[Math.min(count, CHUNK_ELEMENTS) * Integer.BYTES];
    ByteBuffer view = ByteBuffer.wrap(chunk).order(ByteOrder.LITTLE_ENDIAN);
    for (int begin = 0; begin < count; begin += CHUNK_ELEMENTS) {
      int length = Math.min(CHUNK_ELEMENTS, count - begin);
      view.asFloatBuffer().put(data, begin, length);
      out.write(chunk, 0, length * Float.BYTES);
    }
  }

  /**
   * A header of version 1.0, padded so that the data begin at a multiple of 64 bytes.
   *
   * @param descr element type as NumPy names it, such as {@code <i8}; letters, digits and {@code
   *     <>|=} only
   * @param shape size of each axis, each 0 or more; at most 32 axes, no axis for a scalar
   * @throws IllegalArgumentException if {@code descr} or {@code shape} is none of those
   */
  public static byte[] header(String descr, long... shape) {
    if (!descr.matches("[<>|=]?[A-Za-z0-9]+")) {
      throw new IllegalArgumentException("descr must look like <f4, got " + descr);
    }
    if (shape.length > 32 || Arrays.stream(shape).anyMatch(size -> size < 0)) {
      throw new IllegalArgumentException(
          "shape must be at most 32 sizes of at least 0, got " + Arrays.toString(shape));
    }
    String dictionary =
        "{'descr': '%s', 'fortran_order': False, 'shape': %s, }"
            .formatted(descr, NpyHeader.python(Arrays.stream(shape).boxed().toList()));
    if (shape.length > 0) {
      dictionary += " ".repeat(GROWTH_DIGITS - Long.toString(shape[0]).length());
    }
    int prefix = NpyHeader.MAGIC.length + 2 + Short.BYTES;
    int unpadded = prefix + dictionary.length() + 1;
    int total = unpadded + ALIGNMENT - unpadded % ALIGNMENT;
    byte[] header = new byte[total];
    Arrays.fill(header, (byte) ' ');
    ByteBuffer.wrap(header)
        .order(ByteOrder.LITTLE_ENDIAN)
        .put(NpyHeader.MAGIC)
        .put((byte) 1)
        .put((byte) 0)
        .putShort((short) (total - prefix))
        .put(dictionary.getBytes(StandardCharsets.ISO_8859_1));
    header[total - 1] = '\n';
    return header;
  }

  private static int checkMatrix(int length, int rows, int columns) {
    if (rows < 0 || columns < 0 || (long) rows * columns > length) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%d rows of %d columns need %d elements, the array has %d",
              rows,
              columns,
              (long) rows * columns,
              length));
    }
    return rows * columns;
  }
}
