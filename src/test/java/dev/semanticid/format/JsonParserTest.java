package dev.semanticid.format;

import static dev.semanticid.format.FormatAssertions.assertRefused;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.format.FormatException.Kind;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class JsonParserTest {

  @Test
  void parse_everyKindOfValue_isUnderstood() throws FormatException {
    assertThat(parse(" {\"a\" : [1, -2.5e+10, true, false, null, {}, [] ], \"b\":\"x\"}\r\n\t"))
        .isEqualTo(
            new JsonValue.Members(
                Map.of(
                    "a",
                    new JsonValue.Items(
                        List.of(
                            new JsonValue.Digits("1"),
                            new JsonValue.Digits("-2.5e+10"),
                            JsonValue.Constant.TRUE,
                            JsonValue.Constant.FALSE,
                            JsonValue.Constant.NULL,
                            new JsonValue.Members(Map.of()),
                            new JsonValue.Items(List.of()))),
                    "b",
                    new JsonValue.Text("x"))));
  }

  @Test
  void parse_escapes_areResolved() throws FormatException {
    assertThat(parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\ude00é😀\""))
        .isEqualTo(new JsonValue.Text("\"\\/\b\f\n\r\té😀é😀"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"0", "-0", "10", "0.5", "1e5", "1E-05", "123456789012345678901234567890"})
  void parse_number_keepsItsText(String number) throws FormatException {
    assertThat(parse(number)).isEqualTo(new JsonValue.Digits(number));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        " ",
        "{",
        "[",
        "\"",
        "\"\\",
        "\"\\u12",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "[1",
        "[1,",
        "{,}",
        "[,]",
        "{\"a\":1,}",
        "[1,]",
        "{a:1}",
        "{'a':1}",
        "{1:1}",
        "[1 2]",
        "1 2",
        "{}{}",
        "tru",
        "nul",
        "True",
        "NaN",
        "Infinity",
        "+1",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x1",
        "\"\\x\"",
        "\"\\u00g0\"",
        "\"\\u٠٠٠٠\"",
        "\"\n\"",
        "\"\0\"",
        "\0",
        "//\n1",
        "[1]]",
        "\uFEFF1",
        "\u00a01"
      })
  void parse_notJson_isCorrupt(String text) {
    assertRefused(Kind.CORRUPT, () -> parse(text)).contains("expected", "got");
  }

  @ParameterizedTest
  @ValueSource(strings = {"\"\\ud800\"", "\"\\udc00\"", "\"\\udc00\\ud800\"", "\"\\ud800x\""})
  void parse_loneSurrogate_isCorrupt(String text) {
    assertRefused(Kind.CORRUPT, () -> parse(text)).contains("surrogates");
  }

  @Test
  void parse_malformedUtf8_isCorrupt() {
    assertRefused(
            Kind.CORRUPT, () -> JsonParser.parse(new byte[] {'"', (byte) 0xc3, (byte) 0x28, '"'}))
        .contains("UTF-8");
    assertRefused(
            Kind.CORRUPT,
            () -> JsonParser.parse(new byte[] {'"', (byte) 0xed, (byte) 0xa0, (byte) 0x80, '"'}))
        .contains("UTF-8");
  }

  @Test
  void parse_repeatedName_isCorruptEvenIfEscaped() {
    assertRefused(Kind.CORRUPT, () -> parse("{\"a\":1,\"b\":2,\"\\u0061\":null}"))
        .contains("\"a\" again at character 13");
  }

  @ParameterizedTest
  @CsvSource({"[,]", "{\"a\":,}"})
  void parse_nesting_isBounded(String open, String close) throws FormatException {
    int most = JsonParser.MAX_DEPTH;
    assertThat(parse(open.repeat(most - 1) + "[]" + close.repeat(most - 1))).isNotNull();
    assertRefused(Kind.CORRUPT, () -> parse(open.repeat(most) + "[]" + close.repeat(most)))
        .contains("at most 16", "got 17");
    assertRefused(Kind.CORRUPT, () -> parse(open.repeat(200_000))).contains("got 17");
  }

  private static JsonValue parse(String text) throws FormatException {
    return JsonParser.parse(text.getBytes(UTF_8));
  }
}
