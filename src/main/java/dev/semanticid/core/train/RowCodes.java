package dev.semanticid.core.train;

/** A level's code of every row, in as few bytes as its width allows. */
final class RowCodes {

  private final byte[] bytes;
  private final char[] chars;
  private final int[] ints;

  RowCodes(long rows, int width) {
    int n = Math.toIntExact(rows);
    bytes = new byte[width <= 1 << Byte.SIZE ? n : 0];
    chars = new char[width > 1 << Byte.SIZE && width <= 1 << Character.SIZE ? n : 0];
    ints = new int[width > 1 << Character.SIZE ? n : 0];
  }

  /** Bytes that a row's code takes. */
  static int bytesPerRow(int width) {
    return width <= 1 << Byte.SIZE ? 1 : width <= 1 << Character.SIZE ? 2 : 4;
  }

  /** Takes the codes of some rows from the beginning of an array. */
  void put(long first, int[] codes, int count) {
    int begin = (int) first;
    for (int i = 0; i < count; i++) {
      if (bytes.length > 0) {
        bytes[begin + i] = (byte) codes[i];
      } else if (chars.length > 0) {
        chars[begin + i] = (char) codes[i];
      } else {
        ints[begin + i] = codes[i];
      }
    }
  }

  /** Gives the codes of some rows to the beginning of an array. */
  void get(long first, int[] codes, int count) {
    int begin = (int) first;
    for (int i = 0; i < count; i++) {
      codes[i] =
          bytes.length > 0
              ? bytes[begin + i] & 0xFF
              : chars.length > 0 ? chars[begin + i] : ints[begin + i];
    }
  }
}
