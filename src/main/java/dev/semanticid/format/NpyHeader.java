package dev.semanticid.format;

import static dev.semanticid.format.FormatException.abbreviate;

import dev.semanticid.core.vector.ElementType;
import dev.semanticid.format.FormatException.Kind;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The header of a NumPy {@code .npy} file of vectors: versions 1.0, 2.0 and 3.0, little-endian
 * {@code <f2}, {@code <f4} or {@code <f8}, C order.
 *
 * @param elementType F2, F4 or F8; the format has no name for BF16
 * @param shape (d) for one vector or (n, d) for n of them; n is 0 or more, d is 1 or more and fits
 *     an int
 * @param headerBytes bytes from the start of the file to the first element
 * @see <a href="https://numpy.org/neps/nep-0001-npy-format.html">the format</a>
 */
public record NpyHeader(ElementType elementType, List<Long> shape, int headerBytes) {

  /** Longest header dictionary that is read, in bytes, padding included. */
  public static final int MAX_DICTIONARY_BYTES = 64 << 10;

  static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};

  /**
   * @throws IllegalArgumentException if the shape is none of those above, or the bytes of header
   *     and data overflow a long
   */
  public NpyHeader {
    Objects.requireNonNull(elementType, "elementType");
    shape = List.copyOf(shape);
    try {
      check(elementType, shape, headerBytes);
    } catch (FormatException e) {
      throw new IllegalArgumentException(e.getMessage(), e);
    }
  }

  /**
   * Reads a header and leaves the stream at the first element.
   *
   * @throws FormatException {@code TRUNCATED} if the stream ends within the header; {@code CORRUPT}
   *     if it is no npy header, or its shape overflows; {@code UNSUPPORTED} for another version,
   *     element type, order or number of axes; {@code TOO_LARGE} if the dictionary is longer than
   *     {@link #MAX_DICTIONARY_BYTES} or the dimension beyond an int
   * @throws IOException if the stream fails
   */
  public static NpyHeader read(InputStream in) throws IOException {
    byte[] start = readExactly(in, MAGIC.length + 2, "npy magic and version");
    if (!Arrays.equals(start, 0, MAGIC.length, MAGIC, 0, MAGIC.length)) {
      throw new FormatException(
          Kind.CORRUPT, "expected the npy magic \\x93NUMPY, got " + hex(start, MAGIC.length));
    }
    int major = start[MAGIC.length] & 0xff;
    int minor = start[MAGIC.length + 1] & 0xff;
    if (major < 1 || major > 3 || minor != 0) {
      throw new FormatException(
          Kind.UNSUPPORTED,
          String.format(
              Locale.ROOT, "expected npy version 1.0, 2.0 or 3.0, got %d.%d", major, minor));
    }
    int lengthBytes = major == 1 ? 2 : 4;
    ByteBuffer lengthField =
        ByteBuffer.wrap(readExactly(in, lengthBytes, "npy header length"))
            .order(ByteOrder.LITTLE_ENDIAN);
    long length =
        major == 1
            ? Short.toUnsignedLong(lengthField.getShort(0))
            : Integer.toUnsignedLong(lengthField.getInt(0));
    if (length > MAX_DICTIONARY_BYTES) {
      throw new FormatException(
          Kind.TOO_LARGE,
          String.format(
              Locale.ROOT,
              "expected an npy header of at most %d bytes, got %d",
              MAX_DICTIONARY_BYTES,
              length));
    }
    byte[] dictionary = readExactly(in, (int) length, "npy header");
    Dictionary parsed = new DictionaryParser(decode(dictionary, major)).parse();
    ElementType elementType =
        switch (parsed.descr) {
          case "<f2" -> ElementType.F2;
          case "<f4" -> ElementType.F4;
          case "<f8" -> ElementType.F8;
          default -> throw unsupportedDescr("'" + parsed.descr + "'");
        };
    if (parsed.fortranOrder) {
      throw new FormatException(
          Kind.UNSUPPORTED,
          "expected fortran_order False, got True: save numpy.ascontiguousarray(array) instead");
    }
    int headerBytes = start.length + lengthBytes + dictionary.length;
    check(elementType, parsed.shape, headerBytes);
    return new NpyHeader(elementType, parsed.shape, headerBytes);
  }

  /** Number of vectors; 1 for shape (d). */
  public long rows() {
    return shape.size() == 1 ? 1 : shape.getFirst();
  }

  /** Components of each vector. */
  public int dimension() {
    return Math.toIntExact(shape.getLast());
  }

  /** Bytes of all elements. */
  public long dataBytes() {
    return rows() * dimension() * elementType.bytes();
  }

  /** Bytes of the whole file: header and elements. */
  public long fileBytes() {
    return headerBytes + dataBytes();
  }

  private static void check(ElementType elementType, List<Long> shape, int headerBytes)
      throws FormatException {
    if (shape.isEmpty() || shape.size() > 2) {
      throw new FormatException(
          Kind.UNSUPPORTED,
          String.format(
              Locale.ROOT,
              "expected shape (d,) or (n, d), got %d axes: %s",
              shape.size(),
              abbreviate(python(shape))));
    }
    long rows = shape.size() == 1 ? 1 : shape.getFirst();
    long dimension = shape.getLast();
    if (rows < 0 || dimension < 0 || headerBytes < 0) {
      throw new FormatException(
          Kind.CORRUPT,
          String.format(
              Locale.ROOT,
              "expected no negative size, got shape %s behind %d bytes",
              python(shape),
              headerBytes));
    }
    if (dimension < 1) {
      throw new FormatException(
          Kind.UNSUPPORTED, "expected a dimension of at least 1, got shape " + python(shape));
    }
    try {
      long elements = Math.multiplyExact(rows, dimension);
      long _ = Math.addExact(headerBytes, Math.multiplyExact(elements, (long) elementType.bytes()));
    } catch (ArithmeticException e) {
      throw new FormatException(
          Kind.CORRUPT,
          String.format(
              Locale.ROOT,
              "expected at most %d bytes, got shape %s of %d-byte elements",
              Long.MAX_VALUE,
              python(shape),
              elementType.bytes()));
    }
    if (dimension > Integer.MAX_VALUE) {
      throw new FormatException(
          Kind.TOO_LARGE,
          String.format(
              Locale.ROOT,
              "expected a dimension of at most %d, got shape %s",
              Integer.MAX_VALUE,
              python(shape)));
    }
  }

  /** The shape as Python prints a tuple. */
  static String python(List<Long> shape) {
    String inner = shape.stream().map(String::valueOf).collect(Collectors.joining(", "));
    return "(" + inner + (shape.size() == 1 ? ",)" : ")");
  }

  private static FormatException unsupportedDescr(String descr) {
    return new FormatException(
        Kind.UNSUPPORTED, "expected descr '<f4', '<f2' or '<f8', got " + abbreviate(descr));
  }

  private static byte[] readExactly(InputStream in, int count, String what) throws IOException {
    byte[] bytes = in.readNBytes(count);
    if (bytes.length < count) {
      throw new FormatException(
          Kind.TRUNCATED,
          String.format(Locale.ROOT, "%s: expected %d bytes, got %d", what, count, bytes.length));
    }
    return bytes;
  }

  private static String decode(byte[] dictionary, int major) throws FormatException {
    if (major < 3) {
      return new String(dictionary, StandardCharsets.ISO_8859_1);
    }
    try {
      CharBuffer text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(dictionary));
      return text.toString();
    } catch (CharacterCodingException e) {
      throw new FormatException(
          Kind.CORRUPT,
          String.format(
              Locale.ROOT,
              "expected an npy header of %d bytes of UTF-8, got %s",
              dictionary.length,
              e));
    }
  }

  private static String hex(byte[] bytes, int count) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < count; i++) {
      text.append(String.format(Locale.ROOT, "\\x%02x", bytes[i]));
    }
    return text.toString();
  }

  private record Dictionary(String descr, boolean fortranOrder, List<Long> shape) {}

  /**
   * The Python dictionary literal with exactly the keys descr, fortran_order and shape, in any
   * order.
   */
  private static final class DictionaryParser {

    private final String text;
    private int at;

    DictionaryParser(String text) {
      this.text = text;
    }

    Dictionary parse() throws FormatException {
      @Nullable String descr = null;
      @Nullable Boolean fortranOrder = null;
      @Nullable List<Long> shape = null;
      expect('{');
      while (!accept('}')) {
        String key = string();
        expect(':');
        boolean repeated =
            switch (key) {
              case "descr" -> {
                boolean seen = descr != null;
                descr = descr();
                yield seen;
              }
              case "fortran_order" -> {
                boolean seen = fortranOrder != null;
                fortranOrder = bool();
                yield seen;
              }
              case "shape" -> {
                boolean seen = shape != null;
                shape = tuple();
                yield seen;
              }
              default ->
                  throw new FormatException(
                      Kind.CORRUPT,
                      "expected the npy header keys descr, fortran_order and shape, got '%s'"
                          .formatted(abbreviate(key)));
            };
        if (repeated) {
          throw new FormatException(
              Kind.CORRUPT, "expected the npy header key '%s' once, got it twice".formatted(key));
        }
        if (!accept(',')) {
          expect('}');
          break;
        }
      }
      skipBlanks();
      if (at < text.length()) {
        throw unexpected("the end of the header");
      }
      if (descr == null || fortranOrder == null || shape == null) {
        throw new FormatException(
            Kind.CORRUPT,
            "expected the npy header keys descr, fortran_order and shape, got "
                + abbreviate(text.strip()));
      }
      return new Dictionary(descr, fortranOrder, shape);
    }

    private String descr() throws FormatException {
      skipBlanks();
      if (at < text.length() && text.charAt(at) == '[') {
        throw unsupportedDescr("the structured type " + text.substring(at).strip());
      }
      return string();
    }

    private String string() throws FormatException {
      skipBlanks();
      char quote = at < text.length() ? text.charAt(at) : ' ';
      if (quote != '\'' && quote != '"') {
        throw unexpected("a string");
      }
      int begin = ++at;
      while (at < text.length() && text.charAt(at) != quote) {
        if (text.charAt(at) == '\\' || text.charAt(at) < ' ') {
          throw unexpected("a string without escapes");
        }
        at++;
      }
      if (at == text.length()) {
        throw unexpected("the end of a string");
      }
      return text.substring(begin, at++);
    }

    private boolean bool() throws FormatException {
      skipBlanks();
      if (text.startsWith("False", at)) {
        at += 5;
        return false;
      }
      if (text.startsWith("True", at)) {
        at += 4;
        return true;
      }
      throw unexpected("True or False");
    }

    private List<Long> tuple() throws FormatException {
      List<Long> values = new ArrayList<>();
      expect('(');
      while (!accept(')')) {
        values.add(integer());
        if (!accept(',')) {
          if (values.size() == 1) {
            throw unexpected("','");
          }
          expect(')');
          break;
        }
      }
      return values;
    }

    private long integer() throws FormatException {
      skipBlanks();
      int begin = at;
      while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
        at++;
      }
      if (at == begin || (text.charAt(begin) == '0' && at > begin + 1)) {
        throw unexpected("a size");
      }
      String digits = text.substring(begin, at);
      try {
        return Long.parseLong(digits);
      } catch (NumberFormatException e) {
        throw new FormatException(
            Kind.CORRUPT,
            String.format(
                Locale.ROOT,
                "expected a size of at most %d, got %s",
                Long.MAX_VALUE,
                abbreviate(digits)));
      }
    }

    private void expect(char wanted) throws FormatException {
      if (!accept(wanted)) {
        throw unexpected("'" + wanted + "'");
      }
    }

    private boolean accept(char wanted) {
      skipBlanks();
      if (at < text.length() && text.charAt(at) == wanted) {
        at++;
        return true;
      }
      return false;
    }

    private void skipBlanks() {
      while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
        at++;
      }
    }

    private FormatException unexpected(String wanted) {
      String got = at < text.length() ? "'" + text.charAt(at) + "'" : "its end";
      return new FormatException(
          Kind.CORRUPT,
          String.format(
              Locale.ROOT,
              "expected %s at character %d of the npy header, got %s",
              wanted,
              at,
              got));
    }
  }
}
