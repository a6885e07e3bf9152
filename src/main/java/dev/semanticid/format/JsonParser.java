package dev.semanticid.format;

import static dev.semanticid.format.FormatException.abbreviate;

import dev.semanticid.format.FormatException.Kind;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Strict JSON as RFC 8259 has it, of small documents: no duplicate names, no lone surrogates, no
 * byte order mark, and nesting up to {@link #MAX_DEPTH}. Every refusal is a {@link FormatException}
 * of kind {@code CORRUPT}.
 */
final class JsonParser {

  /** Deepest nesting of objects and arrays; the outermost counts 1. */
  static final int MAX_DEPTH = 16;

  private final String text;
  private int at;

  private JsonParser(String text) {
    this.text = text;
  }

  /** Parses one value with nothing but white space around it, from UTF-8. */
  static JsonValue parse(byte[] utf8) throws FormatException {
    String text;
    try {
      text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(utf8)).toString();
    } catch (CharacterCodingException e) {
      throw new FormatException(
          Kind.CORRUPT,
          String.format(Locale.ROOT, "expected %d bytes of UTF-8 JSON, got %s", utf8.length, e));
    }
    JsonParser parser = new JsonParser(text);
    JsonValue value = parser.value(1);
    parser.skipBlanks();
    if (parser.at < text.length()) {
      throw parser.unexpected("the end");
    }
    return value;
  }

  private JsonValue value(int depth) throws FormatException {
    skipBlanks();
    return switch (peek()) {
      case '{' -> object(depth);
      case '[' -> array(depth);
      case '"' -> new JsonValue.Text(string());
      case 't' -> constant("true", JsonValue.Constant.TRUE);
      case 'f' -> constant("false", JsonValue.Constant.FALSE);
      case 'n' -> constant("null", JsonValue.Constant.NULL);
      case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9' -> number();
      default -> throw unexpected("a value");
    };
  }

  private JsonValue object(int depth) throws FormatException {
    checkDepth(depth);
    Map<String, JsonValue> members = new LinkedHashMap<>();
    at++;
    if (!accept('}')) {
      do {
        skipBlanks();
        int begin = at;
        String name = string();
        expect(':');
        if (members.putIfAbsent(name, value(depth + 1)) != null) {
          throw new FormatException(
              Kind.CORRUPT,
              String.format(
                  Locale.ROOT,
                  "expected each JSON name once, got \"%s\" again at character %d",
                  abbreviate(name),
                  begin));
        }
      } while (accept(','));
      expect('}');
    }
    return new JsonValue.Members(Collections.unmodifiableMap(members));
  }

  private JsonValue array(int depth) throws FormatException {
    checkDepth(depth);
    List<JsonValue> values = new ArrayList<>();
    at++;
    if (!accept(']')) {
      do {
        values.add(value(depth + 1));
      } while (accept(','));
      expect(']');
    }
    return new JsonValue.Items(Collections.unmodifiableList(values));
  }

  private void checkDepth(int depth) throws FormatException {
    if (depth > MAX_DEPTH) {
      throw new FormatException(
          Kind.CORRUPT,
          String.format(
              Locale.ROOT,
              "expected JSON nested at most %d deep, got %d at character %d",
              MAX_DEPTH,
              depth,
              at));
    }
  }

  private JsonValue constant(String word, JsonValue.Constant value) throws FormatException {
    if (!text.startsWith(word, at)) {
      throw unexpected(word);
    }
    at += word.length();
    return value;
  }

  private JsonValue number() throws FormatException {
    int begin = at;
    if (peek() == '-') {
      at++;
    }
    if (peek() == '0') {
      at++;
    } else {
      digits();
    }
    if (peek() == '.') {
      at++;
      digits();
    }
    if (peek() == 'e' || peek() == 'E') {
      at++;
      if (peek() == '+' || peek() == '-') {
        at++;
      }
      digits();
    }
    return new JsonValue.Digits(text.substring(begin, at));
  }

  private void digits() throws FormatException {
    int begin = at;
    while (peek() >= '0' && peek() <= '9') {
      at++;
    }
    if (at == begin) {
      throw unexpected("a digit");
    }
  }

  private String string() throws FormatException {
    if (peek() != '"') {
      throw unexpected("a string");
    }
    StringBuilder value = new StringBuilder();
    for (at++; peek() != '"'; ) {
      char c = peek();
      if (c < ' ') {
        throw unexpected("a string without control characters");
      }
      at++;
      value.append(c == '\\' ? escape() : c);
    }
    at++;
    for (int i = 0; i < value.length(); i += Character.charCount(value.codePointAt(i))) {
      int codePoint = value.codePointAt(i);
      if (codePoint >= Character.MIN_SURROGATE && codePoint <= Character.MAX_SURROGATE) {
        throw new FormatException(
            Kind.CORRUPT,
            String.format(
                Locale.ROOT,
                "expected surrogates in pairs before character %d of the JSON, got \\u%04x alone",
                at,
                codePoint));
      }
    }
    return value.toString();
  }

  private char escape() throws FormatException {
    char kind = peek();
    char value =
        switch (kind) {
          case '"', '\\', '/' -> kind;
          case 'b' -> '\b';
          case 'f' -> '\f';
          case 'n' -> '\n';
          case 'r' -> '\r';
          case 't' -> '\t';
          case 'u' -> 'u';
          default -> throw unexpected("an escape");
        };
    at++;
    if (kind != 'u') {
      return value;
    }
    int unit = 0;
    for (int i = 0; i < 4; i++, at++) {
      char c = peek();
      // Character.digit() alone would take digits of other scripts.
      int digit = c < 128 ? Character.digit(c, 16) : -1;
      if (digit < 0) {
        throw unexpected("a hexadecimal digit");
      }
      unit = unit << 4 | digit;
    }
    return (char) unit;
  }

  private void expect(char wanted) throws FormatException {
    if (!accept(wanted)) {
      throw unexpected("'" + wanted + "'");
    }
  }

  private boolean accept(char wanted) {
    skipBlanks();
    if (peek() == wanted) {
      at++;
      return true;
    }
    return false;
  }

  private void skipBlanks() {
    while (peek() == ' ' || peek() == '\t' || peek() == '\r' || peek() == '\n') {
      at++;
    }
  }

  /** The next character, or at the end U+0000, which no JSON text may hold unescaped. */
  private char peek() {
    return at < text.length() ? text.charAt(at) : '\0';
  }

  private FormatException unexpected(String wanted) {
    String got = at < text.length() ? "'" + text.charAt(at) + "'" : "the end";
    return new FormatException(
        Kind.CORRUPT,
        String.format(
            Locale.ROOT, "expected %s at character %d of the JSON, got %s", wanted, at, got));
  }
}
