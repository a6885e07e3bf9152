package dev.semanticid.problem;

import java.util.Locale;

/**
 * Text that stays on its line: names and messages with a line break could pose as another line of a
 * log, and files with such names as two files in a list.
 */
public final class PlainText {

  private PlainText() {}

  /** Whether a text has neither control characters nor line breaks of any kind. */
  public static boolean isOneLine(String text) {
    return text.chars().noneMatch(PlainText::isControl);
  }

  /** The text with <code>&#92;u000a</code> and the like instead of such characters. */
  public static String oneLine(String text) {
    if (isOneLine(text)) {
      return text;
    }
    var line = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (isControl(c)) {
        line.append(String.format(Locale.ROOT, "\\u%04x", (int) c));
      } else {
        line.append(c);
      }
    }
    return line.toString();
  }

  /** Includes U+0085; U+2028 and U+2029 separate lines and paragraphs. */
  private static boolean isControl(int c) {
    return Character.isISOControl(c) || c == 0x2028 || c == 0x2029;
  }
}
