package dev.semanticid.encode;

import static dev.semanticid.encode.ProblemAssertions.assertProblem;
import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.Trials;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/**
 * The scanner takes what RFC 8259 allows and nothing else, and what it reads does not depend on how
 * the bytes arrive or where its buffer ends.
 */
class JsonScannerTest {

  private static final int SMALLEST_BUFFER = 1024;

  private static final JsonFactory FACTORY = new JsonFactory();

  private static final List<String> TOKENS =
      List.of(
          "{",
          "}",
          "[",
          "]",
          ",",
          ":",
          "\"a\"",
          "\"\\u00e9\"",
          "\"\\x\"",
          "\"",
          "1",
          "-1.5e+3",
          "0",
          "01",
          "1.",
          ".5",
          "2e",
          "+",
          "-",
          "true",
          "null",
          "nul",
          "NaN",
          " ");

  private static final String LONG_NUMBER = "0." + "0".repeat(72) + "123E+72";

  /** Something of everything, each with a name that says how {@link Trace} is to read it. */
  private static final String DOCUMENT =
      """
      {"numbers": [0.1,-2.5e-3 , 12345678,1.40129846e-45,\t-0.0,123456789012345678901234567890,\
      @,1E5,7 ],
       "rows":[[1,2],[-3.25, 4e0 ] ,[ ]], "text" : "é😀€ \\"\\\\\\/\\b\\f\\n\\r\\t\
      \\u00e9\\uD83d\\uDe00\\u20AC\\u0000 and more", "":"",
       "name \\u00fcber \\ud83d\\ude00" : [true , false,null], "integer":-123456789012,
       "bool": true,"bool":false, "skip": {"a":[null,true,{"b":"\\u20ac\\\\"},-1.5e+3,[[]]],"c":0},
       "skip":"\\ud83d\\ude00 long enough to be of interest", "skip" : 1.25e-7 ,"nothing":{} , "bytes"
       :"0123456789\\u00410123456789", "skip":[{ },[ ],"",0]}
      """
          .replace("@", LONG_NUMBER);

  @Test
  void skipValue_everySequenceOfThreeTokens_isAcceptedExactlyIfJacksonAcceptsIt() {
    int n = TOKENS.size();
    int accepted = 0;
    for (String around : List.of("@", "[@]", "[0,@]", "{@}", "{\"x\":@}")) {
      for (int i = 0; i < n * n * n; i += Trials.step()) {
        String tokens = TOKENS.get(i % n) + TOKENS.get(i / n % n) + TOKENS.get(i / n / n);
        accepted += assertAcceptedAsByJackson(around.replace("@", tokens)) ? 1 : 0;
      }
    }
    assertThat(accepted).isGreaterThan(Trials.of(500));
  }

  @Test
  void skipValue_documentWithATokenChanged_isAcceptedExactlyIfJacksonAcceptsIt() {
    var random = new SplittableRandom(3);
    int accepted = 0;
    int rounds = Trials.of(30_000);
    for (int round = 0; round < rounds; round++) {
      var tokens = new ArrayList<String>();
      appendValue(random, 3, tokens);
      for (int changes = random.nextInt(3); changes > 0 && !tokens.isEmpty(); changes--) {
        int at = random.nextInt(tokens.size());
        String token = TOKENS.get(random.nextInt(TOKENS.size()));
        switch (random.nextInt(3)) {
          case 0 -> tokens.set(at, token);
          case 1 -> tokens.add(at, token);
          default -> tokens.remove(at);
        }
      }
      accepted += assertAcceptedAsByJackson(String.join("", tokens)) ? 1 : 0;
    }
    assertThat(accepted).isBetween(rounds / 3, 2 * rounds / 3);
  }

  private static void appendValue(SplittableRandom random, int depth, List<String> tokens) {
    int kind = random.nextInt(depth > 0 ? 4 : 2);
    int count = random.nextInt(4);
    switch (kind) {
      case 0 -> tokens.add("-1.5e+3");
      case 1 -> tokens.add("\"\\u00e9\"");
      default -> {
        tokens.add(kind == 2 ? "[" : "{");
        for (int i = 0; i < count; i++) {
          if (i > 0) {
            tokens.add(",");
          }
          if (kind == 3) {
            tokens.add("\"a\"");
            tokens.add(":");
          }
          appendValue(random, depth - 1, tokens);
        }
        tokens.add(kind == 2 ? "]" : "}");
      }
    }
  }

  private static boolean assertAcceptedAsByJackson(String text) {
    boolean expected = acceptedByJackson(text);
    boolean found = accepted(text);
    if (found != expected) {
      assertThat(found).as(text).isEqualTo(expected);
    }
    return expected;
  }

  @Test
  void numbers_everyTextOfSixCharacters_isAcceptedExactlyIfItIsANumber() {
    String characters = "019.-+eE";
    Pattern number = Pattern.compile("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?");
    int accepted = 0;
    for (int i = 0; i < 1 << 18; i += Trials.step()) {
      var text = new StringBuilder();
      for (int j = 0; j < 6; j++) {
        text.append(characters.charAt((i >> (3 * j)) & 7));
      }
      boolean expected = number.matcher(text).matches();
      boolean found = acceptedAsNumbers("[" + text + "]");
      if (found != expected) {
        assertThat(found).as(text.toString()).isEqualTo(expected);
      }
      accepted += expected ? 1 : 0;
    }
    assertThat(accepted).isGreaterThan(Trials.of(1000));
  }

  @Test
  void numbers_anyByteAmongEightDigits_isADigitExactlyIfItIsOne() {
    for (int place = 0; place < 16; place++) {
      for (int value = 0; value < 256; value++) {
        byte[] body = "[0.1234567812345678]".getBytes(UTF_8);
        body[3 + place] = (byte) value;
        boolean expected =
            (value >= '0' && value <= '9')
                || (place > 0 && place < 15 && (value == 'e' || value == 'E' || value == ','))
                || (place > 0 && " \t\r\n".indexOf(value) >= 0 && place == 15);
        var text = new String(body, ISO_8859_1);
        assertThat(acceptedAsNumbers(body)).as(text).isEqualTo(expected);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        " ",
        "01",
        "-01",
        "00",
        "1.",
        "1.e5",
        ".5",
        "-.5",
        "+1",
        "1e",
        "1e+",
        "1E-",
        "--1",
        "-",
        "-e5",
        "1.5.5",
        "1e5e5",
        "1e5.5",
        "1-1",
        "NaN",
        "-NaN",
        "Infinity",
        "-Infinity",
        "0x1",
        "1f",
        "1d",
        "1_0",
        "1,,2",
        ",1",
        "1,",
        "1 2",
        "1;2",
        "1:2",
        "1}",
        "１",
        "null",
        "\"1\"",
        "[1]",
        "true",
        "1\u000b",
        "\u00a01",
        "1/**/",
        "1,//\n2",
        "12345678901234567890.",
        "012345678901234567890",
        "1234567890123456789012e",
        ".12345678",
        "1.e12345678"
      })
  void numbers_whatIsNoRowOfNumbers_isRefused(String elements) {
    if (elements.isBlank()) {
      assertThat(acceptedAsNumbers("[" + elements + "]")).as("an empty array is one").isTrue();
      assertThat(acceptedAsNumbers("[" + elements)).isFalse();
    } else {
      assertThat(acceptedAsNumbers("[" + elements + "]")).isFalse();
      assertThat(acceptedAsNumbers("[7, " + elements + "]")).isFalse();
    }
    assertThat(acceptedAsNumbers("[0.25 , -1e3" + " ".repeat(80) + "]")).isTrue();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"[", "[1", "[1,", "[1, ", "[-", "[1.", "[1e", "[1e+", "[12345678", "[0.12345678"})
  void numbers_bodyThatEnds_isRefused(String body) {
    var json = scanner(body);
    json.beginArray();
    if (body.strip().endsWith("[") || body.strip().endsWith(",")) {
      // A number may come or not; the caller is told that none does.
      assertThat(json.numbers(new float[8], 0, 8)).isEqualTo(body.length() > 1 ? 1 : 0);
      assertThat(json.arrayEnded()).isFalse();
      assertThat(json.describeNext()).isEqualTo("the end of the body");
    } else {
      assertMalformed(() -> json.numbers(new float[8], 0, 8));
    }
  }

  @Test
  void numbers_readAFewAtATime_areTheSame() {
    for (int most = 1; most <= 9; most++) {
      var json = scanner("[1, 2.5 ,3,-4,5e0,6,7] ");
      json.beginArray();
      float[] found = new float[20];
      Arrays.fill(found, -99);
      int count = 0;
      while (!json.arrayEnded()) {
        count += json.numbers(found, 3 + count, most);
      }
      json.expectEnd();
      assertThat(count).isEqualTo(7);
      assertThat(Arrays.copyOf(found, 12))
          .containsExactly(-99, -99, -99, 1, 2.5f, 3, -4, 5, 6, 7, -99, -99);
    }
  }

  @Test
  void numbers_somethingElseInBetween_endsThereAndSaysWhatItIs() {
    var json = scanner("[1, 2, \"3\"]");
    json.beginArray();
    assertThat(json.numbers(new float[8], 0, 8)).isEqualTo(2);
    assertThat(json.arrayEnded()).isFalse();
    assertThat(json.describeNext()).isEqualTo("a string");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"",
        "\"abc",
        "\"\\",
        "\"\\\"",
        "\"\\x\"",
        "\"\\'\"",
        "\"\\U0041\"",
        "\"\\0\"",
        "\"\\u\"",
        "\"\\u12\"",
        "\"\\u123",
        "\"\\u12g4\"",
        "\"\\u 123\"",
        "\"\\u+123\"",
        "\"\\ud83d\"",
        "\"\\ud83d \"",
        "\"\\ud83d\\n\"",
        "\"\\ud83d\\ud83d\"",
        "\"\\ud83d\\u0041\"",
        "\"\\ude00\"",
        "\"\\ude00\\ud83d\"",
        "\"\\udfff\"",
        "\"\u0000\"",
        "\"\n\"",
        "\"\t\"",
        "\"\u001f\"",
        "'a'",
        "a"
      })
  void string_whatIsNoString_isRefused(String text) {
    assertMalformed(() -> scanner(text).string("it"));
    assertThat(accepted(text)).isFalse();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "80",
        "BF",
        "C0 80",
        "C1 81",
        "C3",
        "C3 28",
        "E2 82",
        "E2 28 A1",
        "E0 80 80",
        "E0 9F BF",
        "ED A0 80",
        "ED BF BF",
        "F0 9F 98",
        "F0 80 80 80",
        "F0 8F BF BF",
        "F4 90 80 80",
        "F5 80 80 80",
        "F8 88 80 80 80",
        "FE",
        "FF",
        "C3 A9 A9"
      })
  void string_bytesThatAreNotUtf8_areRefusedHoweverItIsRead(String hex) throws IOException {
    var body = new ByteArrayOutputStream();
    body.write("\"before ".getBytes(UTF_8));
    body.write(HexFormat.ofDelimiter(" ").parseHex(hex));
    body.write(" behind\"".getBytes(UTF_8));
    assertMalformed(() -> scanner(body.toByteArray()).string("it"));
    assertMalformed(() -> scanner(body.toByteArray()).skipValue());
  }

  @Test
  void string_everythingAllowed_isResolved() {
    assertThat(
            scanner(" \"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u00C9\\ud83d\\uDE00\\u0000é😀€\u007f\"")
                .string("it"))
        .isEqualTo("\"\\/\b\f\n\r\téÉ😀\u0000é😀€\u007f");
    assertThat(scanner("\"\"").string("it")).isEmpty();
  }

  @Test
  void string_everyCharacter_isReadPlainAndEscaped() {
    for (int block = 0; block < 0x11_0000; block += 1000) {
      var expected = new StringBuilder();
      var escaped = new StringBuilder("\"");
      for (int c = block; c < Math.min(block + 1000, 0x11_0000); c++) {
        if (c < Character.MIN_SURROGATE || c > Character.MAX_SURROGATE) {
          expected.appendCodePoint(c);
          for (char unit : Character.toChars(c)) {
            escaped.append(String.format(Locale.ROOT, "\\u%04x", (int) unit));
          }
        }
      }
      escaped.append('"');
      assertThat(scanner(escaped.toString()).string("it")).isEqualTo(expected.toString());
      if (block > 0) {
        assertThat(scanner("\"" + expected + "\"").string("it")).isEqualTo(expected.toString());
      }
    }
  }

  @Test
  void string_longerThanAllowed_isRefused() {
    assertThat(scanner("\"" + "x".repeat(64 << 10) + "\"").string("it")).hasSize(64 << 10);
    assertMalformed(() -> scanner("\"" + "x".repeat((64 << 10) + 1) + "\"").string("it"));
  }

  @Test
  void skipValue_string_mayBeLongerThanOneThatIsKept() {
    var json = scanner("\"" + "é".repeat(100_000) + "\"");
    json.skipValue();
    json.expectEnd();
  }

  @Test
  void stringBytes_anyArray_getsTheSameBytes() {
    String text = "a\\u00e9\\ud83d\\ude00é😀€\\n0123456789";
    byte[] expected = "aé😀é😀€\n0123456789".getBytes(UTF_8);
    for (int from = 0; from < 3; from++) {
      for (int length = from + 4; length < 48; length++) {
        var json = scanner("\"" + text + "\" ");
        json.beginString();
        var all = new ByteArrayOutputStream();
        byte[] piece = new byte[length];
        for (int n = json.stringBytes(piece, from); n >= 0; n = json.stringBytes(piece, from)) {
          all.write(piece, from, n);
        }
        assertThat(json.stringBytes(piece, from)).isEqualTo(-1);
        json.expectEnd();
        assertThat(all.toByteArray()).isEqualTo(expected);
      }
    }
  }

  @Test
  void skipValue_nesting_isBounded() {
    assertThat(accepted("[".repeat(64) + "]".repeat(64))).isTrue();
    assertThat(accepted("[".repeat(65) + "]".repeat(65))).isFalse();
    assertThat(accepted("{\"a\":".repeat(63) + "{}" + "}".repeat(63))).isTrue();
    assertThat(accepted("{\"a\":".repeat(64) + "{}" + "}".repeat(64))).isFalse();
    assertThat(accepted("[".repeat(1_000_000))).isFalse();
  }

  @Test
  void whiteSpace_everywhere_isReadOver() {
    String space = " \t\r\n \n";
    String document = "@{@\"a\"@:@[@1@,@-2.5@]@,@\"b\"@:@{@}@,@\"c\"@:@[@]@,@\"d\"@:@true@}@";
    var json = scanner(document.replace("@", space));
    json.beginObject();
    assertThat(json.nextName()).isEqualTo("a");
    json.beginArray();
    float[] found = new float[2];
    assertThat(json.numbers(found, 0, 2)).isEqualTo(2);
    assertThat(found).containsExactly(1, -2.5f);
    assertThat(json.arrayEnded()).isTrue();
    assertThat(json.nextName()).isEqualTo("b");
    json.beginObject();
    assertThat(json.nextName()).isNull();
    assertThat(json.nextName()).isEqualTo("c");
    json.beginArray();
    assertThat(json.hasNext()).isFalse();
    assertThat(json.nextName()).isEqualTo("d");
    assertThat(json.bool("d")).isTrue();
    assertThat(json.nextName()).isNull();
    json.expectEnd();
    for (String other : List.of("\u000b", "\f", "\u00a0", "\u0000", "\u2028", "\ufeff", "\u0085")) {
      assertThat(accepted("[1" + other + "]")).isFalse();
      assertThat(accepted(" " + other + "[1]")).isFalse();
      assertThat(accepted("[1]" + other)).isFalse();
    }
  }

  @Test
  void byteOrderMark_atTheBeginning_isReadOverOnceAndNowhereElse() {
    assertThat(accepted("\ufeff[1]")).isTrue();
    assertThat(accepted("\ufeff\ufeff[1]")).isFalse();
    assertThat(accepted("[\ufeff1]")).isFalse();
    assertThat(accepted("\ufeff")).isFalse();
    var json =
        new JsonScanner(
            new PiecewiseStream("\ufeff[1]".getBytes(UTF_8), () -> 1), new byte[SMALLEST_BUFFER]);
    json.skipValue();
    json.expectEnd();
    for (byte[] part : List.of(new byte[] {(byte) 0xEF}, new byte[] {(byte) 0xEF, (byte) 0xBB})) {
      assertMalformed(() -> scanner(part).skipValue());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"1", "]", ",", "x", "\u0000", "\u00a0", "{}", "//"})
  void expectEnd_somethingBehind_isRefused(String behind) {
    var json = scanner("[] \n" + behind);
    json.skipValue();
    assertMalformed(json::expectEnd);
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 1, -1, 42, -999_999_999_999_999L, 1L << 53, -(1L << 53), (1L << 53) - 1})
  void integer_withinFloat64Integers_isRead(long value) {
    var json = scanner(" " + value + " ");
    assertThat(json.integer("it")).isEqualTo(value);
    json.expectEnd();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "1.0",
        "1e3",
        "01",
        "-",
        "--1",
        "+1",
        "\"1\"",
        "true",
        "null",
        "[1]",
        "9007199254740993",
        "-9007199254740993",
        "9999999999999999",
        "9223372036854775808",
        "99999999999999999999999999"
      })
  void integer_whatIsNone_isRefused(String text) {
    assertMalformed(() -> scanner(text).integer("it"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"True", "tru", "t", "fals", "falsy", "1", "\"true\"", "null", ""})
  void bool_whatIsNone_isRefused(String text) {
    assertMalformed(() -> scanner(text).bool("it"));
  }

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '`',
      delimiter = '|',
      value = {
        "[1, 2, x]|7",
        "[1, 2 x]|6",
        "  {\"a\" 1}|5",
        "{\"a\":1,}|7",
        "[\"\\q\"]|4",
        "[1] 2|4"
      })
  void malformed_anywhere_saysAtWhichByte(String text, int position) {
    ProblemException problem =
        assertProblem(
            ProblemCode.MALFORMED_JSON,
            () -> {
              var json = scanner(text);
              json.skipValue();
              json.expectEnd();
            });
    assertThat(problem.detail()).endsWith("at byte " + position);
  }

  @Test
  void read_streamThatFails_isAMalformedBody() {
    var failing =
        new InputStream() {
          @Override
          public int read() throws IOException {
            throw new IOException("connection reset");
          }

          @Override
          public int read(byte[] target, int offset, int length) throws IOException {
            throw new IOException("connection reset");
          }
        };
    ProblemException problem =
        assertProblem(
            ProblemCode.MALFORMED_BODY,
            () -> new JsonScanner(failing, new byte[SMALLEST_BUFFER]).skipValue());
    assertThat(problem.detail()).contains("connection reset");
  }

  @Test
  void read_bufferThatEndsWithinEveryToken_seesTheSame() {
    byte[] document = DOCUMENT.getBytes(UTF_8);
    List<String> expected = new Trace(whole(document)).lines;
    assertThat(expected).hasSizeGreaterThan(40).last().isEqualTo("end");
    for (int padding = 0; padding < SMALLEST_BUFFER + document.length; padding++) {
      byte[] padded = (" ".repeat(padding) + DOCUMENT).getBytes(UTF_8);
      var json = new JsonScanner(new ByteArrayInputStream(padded), new byte[SMALLEST_BUFFER]);
      List<String> lines = new Trace(json).lines;
      if (!lines.equals(expected)) {
        assertThat(lines).as("with padding of " + padding).isEqualTo(expected);
      }
    }
  }

  @Test
  void read_bytesThatComeInAnyPieces_areSeenTheSame() {
    var random = new SplittableRandom(1);
    for (int round = 0; round < 400; round += Trials.step()) {
      byte[] document = (" ".repeat(round * 3) + DOCUMENT).getBytes(UTF_8);
      List<String> expected = new Trace(whole(document)).lines;
      for (int most : new int[] {1, 3, 63, 64, 65, 500}) {
        int size = SMALLEST_BUFFER + random.nextInt(200);
        var fixed = new JsonScanner(new PiecewiseStream(document, () -> most), new byte[size]);
        assertThat(new Trace(fixed).lines).isEqualTo(expected);
        var any =
            new JsonScanner(
                new PiecewiseStream(document, () -> 1 + random.nextInt(most)), new byte[size]);
        assertThat(new Trace(any).lines).isEqualTo(expected);
      }
    }
  }

  /** The problem, too, and the place it names; of a long number only that it is wrong. */
  @Test
  void read_documentWithAnError_isRefusedTheSameInAnyPieces() {
    byte[] replacements = ",:[]{}\"\\x0-e.\u00e9\u0000".getBytes(ISO_8859_1);
    byte[] original = DOCUMENT.replace(LONG_NUMBER, "8").getBytes(UTF_8);
    var random = new SplittableRandom(2);
    int refused = 0;
    int rounds = Trials.of(5000);
    for (int round = 0; round < rounds; round++) {
      byte[] document = original.clone();
      document[random.nextInt(document.length)] = replacements[random.nextInt(replacements.length)];
      if (random.nextInt(10) == 0) {
        document = Arrays.copyOf(document, random.nextInt(document.length));
      }
      List<String> expected = new Trace(whole(document)).lines;
      byte[] sent = document;
      int most = 1 + random.nextInt(100);
      var pieces =
          new JsonScanner(
              new PiecewiseStream(sent, () -> 1 + random.nextInt(most)), new byte[SMALLEST_BUFFER]);
      List<String> lines = new Trace(pieces).lines;
      if (!lines.equals(expected)) {
        assertThat(lines).as(new String(sent, UTF_8)).isEqualTo(expected);
      }
      refused += expected.getLast().equals("end") ? 0 : 1;
    }
    assertThat(refused).isGreaterThan(rounds / 2);
  }

  /** Reads a document through all of the scanner's methods and keeps what they gave. */
  private static final class Trace {

    private final List<String> lines = new ArrayList<>();
    private final JsonScanner json;

    Trace(JsonScanner json) {
      this.json = json;
      try {
        value("");
        json.expectEnd();
        lines.add("end");
      } catch (ProblemException e) {
        lines.add(e.code() + " " + e.detail());
      }
    }

    private void value(String name) {
      switch (name) {
        case "skip" -> json.skipValue();
        case "integer" -> lines.add("integer " + json.integer(name));
        case "bool" -> lines.add("bool " + json.bool(name));
        case "bytes" -> bytes();
        default -> {
          switch (json.peek()) {
            case '{' -> object();
            case '[' -> array();
            case '"' -> lines.add("string " + json.string(name));
            default -> {
              lines.add(json.describeNext());
              json.skipValue();
            }
          }
        }
      }
    }

    private void object() {
      json.beginObject();
      for (String name = json.nextName(); name != null; name = json.nextName()) {
        lines.add("name " + name);
        value(name);
      }
      lines.add("}");
    }

    private void array() {
      json.beginArray();
      int first = json.peek();
      if (first == '-' || (first >= '0' && first <= '9')) {
        float[] some = new float[4];
        int count;
        do {
          count = json.numbers(some, 0, some.length);
          for (int i = 0; i < count; i++) {
            lines.add("bits " + Float.floatToRawIntBits(some[i]));
          }
        } while (count == some.length && !json.arrayEnded());
        lines.add("ended " + json.arrayEnded());
      } else {
        while (json.hasNext()) {
          value("");
        }
        lines.add("]");
      }
    }

    private void bytes() {
      json.beginString();
      byte[] piece = new byte[9];
      for (int count = json.stringBytes(piece, 0); count >= 0; count = json.stringBytes(piece, 0)) {
        lines.add("bytes " + new String(piece, 0, count, UTF_8));
      }
    }
  }

  /** With a buffer that never has to be filled again. */
  private static JsonScanner whole(byte[] document) {
    return new JsonScanner(new ByteArrayInputStream(document), new byte[1 << 16]);
  }

  private static JsonScanner scanner(byte[] body) {
    return new JsonScanner(new ByteArrayInputStream(body), new byte[SMALLEST_BUFFER]);
  }

  private static JsonScanner scanner(String body) {
    return scanner(body.getBytes(UTF_8));
  }

  private static void assertMalformed(Runnable call) {
    assertProblem(ProblemCode.MALFORMED_JSON, call::run);
  }

  private static boolean accepted(String text) {
    try {
      var json = scanner(text);
      json.skipValue();
      json.expectEnd();
      return true;
    } catch (ProblemException e) {
      assertThat(e.code()).isEqualTo(ProblemCode.MALFORMED_JSON);
      return false;
    }
  }

  private static boolean acceptedAsNumbers(String text) {
    return acceptedAsNumbers(text.getBytes(UTF_8));
  }

  private static boolean acceptedAsNumbers(byte[] text) {
    try {
      var json = scanner(text);
      json.beginArray();
      json.numbers(new float[8], 0, 8);
      json.expectEnd();
      return json.arrayEnded();
    } catch (ProblemException e) {
      assertThat(e.code()).isEqualTo(ProblemCode.MALFORMED_JSON);
      return false;
    }
  }

  private static boolean acceptedByJackson(String text) {
    try (JsonParser parser = FACTORY.createParser(ObjectReadContext.empty(), text)) {
      if (parser.nextToken() == null) {
        return false;
      }
      parser.skipChildren();
      return parser.nextToken() == null;
    } catch (JacksonException e) {
      return false;
    }
  }
}
