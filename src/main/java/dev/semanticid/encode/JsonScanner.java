package dev.semanticid.encode;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Reads JSON (RFC 8259, UTF-8) from a stream, as its caller asks for one thing after the other;
 * strict. Made for arrays of numbers, which go straight to floats: no tokens, no strings, no boxes.
 *
 * <p><b>Numbers</b> are rounded once, to the nearest float. Digits are gathered eight at a time
 * into an integer w, so a number is w·10ᵉ; that is computed in float64 with a relative error of at
 * most three roundoffs. Rounding the result to float32 gives the nearest float, unless it lies so
 * near to the middle between two floats that the error could have crossed it; then, as for numbers
 * of more than 18 digits or outside the normal range, the platform's parser decides.
 *
 * <p>What is not JSON, or not what was asked for, is refused with {@code MALFORMED_JSON} and its
 * place in bytes.
 */
final class JsonScanner {

  /** The longest number that the fast way sees whole, eight bytes read ahead included. */
  private static final int LONGEST_NUMBER = 64;

  private static final int MOST_DIGITS = 18;
  private static final int LONGEST_STRING = 64 << 10;
  private static final int LONGEST_SLOW_NUMBER = 4096;
  private static final int DEEPEST = 64;

  /** Twice and more what three roundoffs are in units of the last place of a float64. */
  private static final int UNSURE = 8;

  private static final double SMALLEST_SURE = 0x1p-125;
  private static final Pattern NUMBER =
      Pattern.compile("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?");
  private static final double[] POWERS = new double[61];

  static {
    for (int i = 0; i < POWERS.length; i++) {
      POWERS[i] = Double.parseDouble("1e" + i);
    }
  }

  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private final InputStream in;
  private final byte[] buffer;
  private int at;
  private int end;
  private boolean last;
  private long before;

  /** An array or object was just entered, so no comma comes before what is next. */
  private boolean fresh;

  private boolean arrayEnded;
  private boolean inString;

  /**
   * @param in the bytes; read to where the value ends, and by the buffer's size beyond
   * @param buffer working memory of at least 1 KiB, nobody else's until the last call
   */
  JsonScanner(InputStream in, byte[] buffer) {
    this.in = in;
    this.buffer = buffer;
    fill();
    if (end >= 3
        && buffer[0] == (byte) 0xEF
        && buffer[1] == (byte) 0xBB
        && buffer[2] == (byte) 0xBF) {
      at = 3;
    }
  }

  /** Moves what is left to the front and reads until a longest number is there, or the end. */
  private void fill() {
    System.arraycopy(buffer, at, buffer, 0, end - at);
    before += at;
    end -= at;
    at = 0;
    int most = buffer.length - Long.BYTES;
    try {
      while (!last && end < LONGEST_NUMBER) {
        int count = in.read(buffer, end, most - end);
        if (count < 0) {
          last = true;
        } else {
          end += count;
        }
      }
    } catch (IOException e) {
      throw new ProblemException(
          ProblemCode.MALFORMED_BODY, "the body cannot be read: " + e.getMessage());
    }
    // No digit is found behind the end, so it needs no check.
    LONG.set(buffer, end, 0L);
  }

  private boolean atEnd() {
    if (at == end && !last) {
      fill();
    }
    return at == end;
  }

  /** The next byte that is not white space, which is left in place; −1 at the end. */
  int peek() {
    while (true) {
      while (at < end) {
        byte next = buffer[at];
        if (next > ' ' || next < 0) {
          return next & 0xFF;
        }
        if (next != ' ' && next != '\n' && next != '\r' && next != '\t') {
          return next;
        }
        at++;
      }
      if (atEnd()) {
        return -1;
      }
    }
  }

  /** The same, by the shortest way where nothing is to be skipped. */
  private int nextByte() {
    byte next = buffer[at];
    return next > ' ' ? next : peek();
  }

  private void expect(char wanted, String what) {
    if (peek() != wanted) {
      throw malformed("expected %s, got %s".formatted(what, describeNext()));
    }
    at++;
  }

  /** Enters an array. */
  void beginArray() {
    expect('[', "an array");
    fresh = true;
  }

  /** Enters an object. */
  void beginObject() {
    expect('{', "an object");
    fresh = true;
  }

  /** Whether the array entered last goes on; leaves it if not. */
  boolean hasNext() {
    return !ends(']', "',' or ']'");
  }

  /** The name of the next member of the object entered last, or null: it is left. */
  @Nullable String nextName() {
    if (ends('}', "',' or '}'")) {
      return null;
    }
    if (peek() != '"') {
      throw malformed("expected a member's name, got " + describeNext());
    }
    String name = string();
    expect(':', "':' behind \"%s\"".formatted(abbreviate(name)));
    return name;
  }

  private boolean ends(char close, String expected) {
    int next = peek();
    if (next == close) {
      at++;
      fresh = false;
      return true;
    }
    if (fresh) {
      fresh = false;
      return false;
    }
    if (next != ',') {
      throw malformed("expected %s, got %s".formatted(expected, describeNext()));
    }
    at++;
    if (peek() == close) {
      throw malformed("a ',' comes before the end");
    }
    return false;
  }

  /** Refuses anything but white space behind the value. */
  void expectEnd() {
    if (peek() >= 0) {
      throw malformed("there is something behind the end of the JSON value");
    }
  }

  /**
   * Reads elements of the array entered last as numbers, until {@code most} are there, the array
   * ends, or something else comes. A number beyond float32 becomes an infinity.
   *
   * @param target receives the numbers from {@code from} on
   * @return how many; then {@link #arrayEnded()} tells whether the array was left, and if not and
   *     there are fewer than {@code most}, {@link #describeNext()} what is there instead of a
   *     number
   */
  int numbers(float[] target, int from, int most) {
    arrayEnded = false;
    int count = 0;
    while (true) {
      int next = nextByte();
      if (next == ']') {
        at++;
        fresh = false;
        arrayEnded = true;
        return count;
      }
      if (count == most) {
        return count;
      }
      if (fresh) {
        fresh = false;
      } else if (next == ',') {
        at++;
        next = nextByte();
      } else {
        throw malformed("expected ',' or ']', got " + describeNext());
      }
      if (next == ',' || next == ']') {
        throw malformed("a number is missing");
      }
      if (next != '-' && (next < '0' || next > '9')) {
        return count;
      }
      target[from + count++] = number();
    }
  }

  /** Whether the last {@link #numbers} left the array. */
  boolean arrayEnded() {
    return arrayEnded;
  }

  private float number() {
    if (end - at < LONGEST_NUMBER && !last) {
      fill();
    }
    byte[] b = buffer;
    int p = at;
    int negative = b[p] == '-' ? 1 : 0;
    p += negative;
    int firstDigit = p;
    long w = 0;
    int digit = b[p] - '0';
    while (digit >= 0 && digit <= 9) {
      w = 10 * w + digit;
      digit = b[++p] - '0';
    }
    int integerDigits = p - firstDigit;
    if (integerDigits == 0 || (integerDigits > 1 && b[firstDigit] == '0')) {
      return slowNumber();
    }
    // Of many digits, w may have become 0 by overflow.
    int digits = w == 0 && integerDigits == 1 ? 0 : integerDigits;
    int exponent = 0;
    if (b[p] == '.') {
      int fraction = ++p;
      if (w == 0) {
        while (b[p] == '0') {
          p++;
        }
      }
      int significant = p;
      long eight = (long) LONG.get(b, p);
      while (isDigits(eight)) {
        w = 100_000_000 * w + value(eight);
        p += 8;
        if (p - significant > MOST_DIGITS) {
          return slowNumber();
        }
        eight = (long) LONG.get(b, p);
      }
      digit = b[p] - '0';
      while (digit >= 0 && digit <= 9) {
        w = 10 * w + digit;
        digit = b[++p] - '0';
      }
      if (p == fraction) {
        return slowNumber();
      }
      digits += p - significant;
      exponent = fraction - p;
    }
    if (b[p] == 'e' || b[p] == 'E') {
      p++;
      boolean down = b[p] == '-';
      if (down || b[p] == '+') {
        p++;
      }
      int explicit = 0;
      int first = p;
      digit = b[p] - '0';
      while (digit >= 0 && digit <= 9 && p - first < 4) {
        explicit = 10 * explicit + digit;
        digit = b[++p] - '0';
      }
      if (p == first || (digit >= 0 && digit <= 9)) {
        return slowNumber();
      }
      exponent += down ? -explicit : explicit;
    }
    if (digits > MOST_DIGITS
        || exponent <= -POWERS.length
        || exponent >= POWERS.length
        || (p >= end && !last)) {
      return slowNumber();
    }
    double value = exponent < 0 ? w / POWERS[-exponent] : w * POWERS[exponent];
    int low = (int) (Double.doubleToRawLongBits(value) & 0x1FFF_FFFF);
    boolean sure =
        Math.abs(low - 0x1000_0000) > UNSURE && value >= SMALLEST_SURE && value <= Float.MAX_VALUE;
    if (!sure && w != 0) {
      return slowNumber();
    }
    at = p;
    // Nobody can predict a sign, so there is no branch on it.
    return Float.intBitsToFloat(Float.floatToRawIntBits((float) value) | negative << 31);
  }

  private static boolean isDigits(long eight) {
    return ((eight & 0xF0F0F0F0F0F0F0F0L)
            | (((eight + 0x0606060606060606L) & 0xF0F0F0F0F0F0F0F0L) >>> 4))
        == 0x3333333333333333L;
  }

  /** The value of eight digits, the first in the lowest byte: pairs, then fours, then all. */
  private static long value(long eight) {
    long digits = eight - 0x3030303030303030L;
    long pairs = digits * 10 + (digits >>> 8);
    long low = (pairs & 0x000000FF000000FFL) * 0x000F424000000064L;
    long high = ((pairs >>> 16) & 0x000000FF000000FFL) * 0x0000271000000001L;
    return (low + high) >>> 32;
  }

  /** The number at the present place, of any length, by the platform's parser. */
  private float slowNumber() {
    String text = numberText(LONGEST_SLOW_NUMBER);
    if (atNumberText()) {
      throw malformed(
          String.format(Locale.ROOT, "a number has more than %d characters", LONGEST_SLOW_NUMBER));
    }
    if (!NUMBER.matcher(text).matches()) {
      throw malformed("'%s' is not a number".formatted(abbreviate(text)));
    }
    return Float.parseFloat(text);
  }

  /** What looks like a number at the present place, up to so many characters of it. */
  private String numberText(int most) {
    var text = new StringBuilder();
    while (atNumberText() && text.length() < most) {
      text.append((char) buffer[at++]);
    }
    return text.toString();
  }

  private boolean atNumberText() {
    return !atEnd() && "+-.eE0123456789".indexOf(buffer[at]) >= 0;
  }

  /** An integer between −2⁵³ and 2⁵³. */
  long integer(String what) {
    int next = peek();
    if (next == '-' || (next >= '0' && next <= '9')) {
      String text = numberText(20);
      if (text.length() <= 17 && text.matches("-?(0|[1-9][0-9]*)")) {
        long value = Long.parseLong(text);
        if (Math.abs(value) <= 1L << 53) {
          return value;
        }
      }
      throw malformed("%s must be an integer, got '%s'".formatted(what, text));
    }
    throw malformed("%s must be an integer, got %s".formatted(what, describeNext()));
  }

  /** A boolean. */
  boolean bool(String what) {
    int next = peek();
    if (next == 't') {
      literal("true");
      return true;
    }
    if (next == 'f') {
      literal("false");
      return false;
    }
    throw malformed("%s must be true or false, got %s".formatted(what, describeNext()));
  }

  private void literal(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (atEnd() || buffer[at] != text.charAt(i)) {
        throw malformed("expected '%s'".formatted(text));
      }
      at++;
    }
  }

  /** A string of at most 64 KiB. */
  String string(String what) {
    if (peek() != '"') {
      throw malformed("%s must be a string, got %s".formatted(what, describeNext()));
    }
    return string();
  }

  private String string() {
    beginString();
    var bytes = new ByteArrayOutputStream();
    byte[] piece = new byte[256];
    for (int count = stringBytes(piece, 0); count >= 0; count = stringBytes(piece, 0)) {
      bytes.write(piece, 0, count);
      if (bytes.size() > LONGEST_STRING) {
        throw malformed(
            String.format(Locale.ROOT, "a string has more than %d bytes", LONGEST_STRING));
      }
    }
    try {
      return StandardCharsets.UTF_8
          .newDecoder()
          .decode(ByteBuffer.wrap(bytes.toByteArray()))
          .toString();
    } catch (CharacterCodingException e) {
      throw malformed("a string is not UTF-8");
    }
  }

  /** Enters a string, whose bytes {@link #stringBytes} then gives. */
  void beginString() {
    expect('"', "a string");
    inString = true;
  }

  /**
   * The next bytes of the string entered last, escapes resolved, as UTF-8.
   *
   * @param target receives as many as there are, or as fit with up to three places left over
   * @param from the first place, four or more before the end
   * @return how many, or −1: the string was left before
   */
  int stringBytes(byte[] target, int from) {
    if (!inString) {
      return -1;
    }
    int count = from;
    while (count + 4 <= target.length) {
      if (atEnd()) {
        throw malformed("the body ends within a string");
      }
      byte next = buffer[at];
      if (next == '"') {
        at++;
        inString = false;
        return count - from;
      }
      if (next == '\\') {
        at++;
        count = unescape(target, count);
      } else if (next >= 0 && next < ' ') {
        throw malformed("a string holds a control character");
      } else {
        target[count++] = next;
        at++;
      }
    }
    return count - from;
  }

  private int unescape(byte[] target, int count) {
    if (atEnd()) {
      throw malformed("the body ends within a string");
    }
    byte escaped = buffer[at++];
    int simple = "\"\\/bfnrt".indexOf(escaped);
    if (simple >= 0) {
      target[count] = (byte) "\"\\/\b\f\n\r\t".charAt(simple);
      return count + 1;
    }
    if (escaped != 'u') {
      throw malformed("a string holds the escape '\\%c'".formatted((char) (escaped & 0xFF)));
    }
    int codePoint = hexadecimal();
    if (Character.isHighSurrogate((char) codePoint)) {
      literal("\\u");
      int low = hexadecimal();
      if (!Character.isLowSurrogate((char) low)) {
        throw malformed("a string holds half of a surrogate pair");
      }
      codePoint = Character.toCodePoint((char) codePoint, (char) low);
    } else if (Character.isLowSurrogate((char) codePoint)) {
      throw malformed("a string holds half of a surrogate pair");
    }
    byte[] bytes = Character.toString(codePoint).getBytes(StandardCharsets.UTF_8);
    System.arraycopy(bytes, 0, target, count, bytes.length);
    return count + bytes.length;
  }

  private int hexadecimal() {
    int value = 0;
    for (int i = 0; i < 4; i++) {
      int digit = atEnd() ? -1 : Character.digit(buffer[at], 16);
      if (digit < 0) {
        throw malformed("a string holds '\\u' without four hexadecimal digits");
      }
      at++;
      value = 16 * value + digit;
    }
    return value;
  }

  /** Reads over a value of any kind. */
  void skipValue() {
    skipValue(0);
  }

  private void skipValue(int depth) {
    if (depth == DEEPEST) {
      throw malformed(String.format(Locale.ROOT, "it is nested more than %d deep", DEEPEST));
    }
    int next = peek();
    switch (next) {
      case '{' -> {
        beginObject();
        while (nextName() != null) {
          skipValue(depth + 1);
        }
      }
      case '[' -> {
        beginArray();
        while (hasNext()) {
          skipValue(depth + 1);
        }
      }
      case '"' -> skipString();
      case 't' -> literal("true");
      case 'f' -> literal("false");
      case 'n' -> literal("null");
      default -> {
        if (next != '-' && (next < '0' || next > '9')) {
          throw malformed("expected a value, got " + describeNext());
        }
        slowNumber();
      }
    }
  }

  /** Of any length, but UTF-8 all the same. */
  private void skipString() {
    beginString();
    var decoder = StandardCharsets.UTF_8.newDecoder();
    byte[] piece = new byte[256];
    var ignored = CharBuffer.allocate(piece.length);
    int held = 0;
    int count;
    do {
      count = stringBytes(piece, held);
      ByteBuffer bytes = ByteBuffer.wrap(piece, 0, held + Math.max(0, count));
      if (decoder.decode(bytes, ignored.clear(), count < 0).isError()) {
        throw malformed("a string is not UTF-8");
      }
      held = bytes.remaining();
      bytes.compact();
    } while (count >= 0);
  }

  /** In words what comes next. */
  String describeNext() {
    int next = peek();
    return switch (next) {
      case -1 -> "the end of the body";
      case '{' -> "an object";
      case '[' -> "an array";
      case '"' -> "a string";
      case 't', 'f' -> "a boolean";
      case 'n' -> "null";
      case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9' -> "a number";
      default ->
          next > ' ' && next < 127
              ? "'%c'".formatted(next)
              : String.format(Locale.ROOT, "byte 0x%02X", next);
    };
  }

  private static String abbreviate(String text) {
    return text.length() <= 64 ? text : text.substring(0, 64) + "…";
  }

  /** A problem with the body, at the present place. */
  ProblemException malformed(String detail) {
    return new ProblemException(
        ProblemCode.MALFORMED_JSON,
        String.format(
            Locale.ROOT, "the body is not the JSON expected: %s, at byte %d", detail, before + at));
  }
}
