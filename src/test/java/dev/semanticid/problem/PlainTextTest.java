package dev.semanticid.problem;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class PlainTextTest {

  @Test
  void oneLine_controlCharactersAndLineBreaks_areWrittenOut() {
    assertThat(PlainText.oneLine("a\r\nb\u0000c\u0085d\u2028e\u2029f\u007f"))
        .isEqualTo("a\\u000d\\u000ab\\u0000c\\u0085d\\u2028e\\u2029f\\u007f");
    assertThat(PlainText.isOneLine("a\tb")).isFalse();
  }

  @Test
  void oneLine_otherText_isLeft() {
    String text = "größe € \uD83D\uDE00 \\u000a";
    assertThat(PlainText.isOneLine(text)).isTrue();
    assertThat(PlainText.oneLine(text)).isSameAs(text);
  }
}
