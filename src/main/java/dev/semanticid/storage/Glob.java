package dev.semanticid.storage;

import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * A name with wildcards, as {@link java.nio.file.FileSystem#getPathMatcher} reads them on Unix, for
 * names that are not a file's: an object's name can have characters that a path of this machine's
 * locale cannot.
 */
final class Glob {

  private static final String WILDCARDS = "*?[]{}";

  private final Pattern pattern;

  private Glob(Pattern pattern) {
    this.pattern = pattern;
  }

  /** Whether a name is meant as a glob. */
  static boolean isGlob(String name) {
    return firstWildcard(name) < name.length();
  }

  /** The characters that every match begins with, as far as they are plain to see. */
  static String literalPrefix(String glob) {
    int escape = glob.indexOf('\\');
    int end = firstWildcard(glob);
    return glob.substring(0, escape >= 0 && escape < end ? escape : end);
  }

  private static int firstWildcard(String name) {
    for (int i = 0; i < name.length(); i++) {
      if (WILDCARDS.indexOf(name.charAt(i)) >= 0) {
        return i;
      }
    }
    return name.length();
  }

  /**
   * Reads a glob: {@code *}, {@code ?}, {@code [a-z]}, {@code [!a-z]}, <code>{one,two}</code>, and
   * a backslash before what is meant as it stands.
   *
   * @throws PatternSyntaxException if it is none
   */
  static Glob of(String glob) {
    var regex = new StringBuilder();
    boolean group = false;
    int at = 0;
    while (at < glob.length()) {
      char c = glob.charAt(at++);
      switch (c) {
        case '\\' -> {
          if (at == glob.length()) {
            throw new PatternSyntaxException("nothing is escaped", glob, at - 1);
          }
          quote(regex, glob.charAt(at++));
        }
        case '*' -> regex.append("[^/]*");
        case '?' -> regex.append("[^/]");
        case '[' -> at = bracket(regex, glob, at);
        case '{' -> {
          if (group) {
            throw new PatternSyntaxException("groups cannot be nested", glob, at - 1);
          }
          regex.append("(?:(?:");
          group = true;
        }
        case '}' -> {
          regex.append(group ? "))" : "\\}");
          group = false;
        }
        case ',' -> regex.append(group ? ")|(?:" : ",");
        default -> quote(regex, c);
      }
    }
    if (group) {
      throw new PatternSyntaxException("missing '}'", glob, glob.length() - 1);
    }
    return new Glob(Pattern.compile(regex.toString(), Pattern.DOTALL));
  }

  /** Whether a name, which has no slash, matches. */
  boolean matches(String name) {
    return pattern.matcher(name).matches();
  }

  /** Translates what is between brackets; returns where it goes on behind them. */
  private static int bracket(StringBuilder regex, String glob, int from) {
    int at = from;
    regex.append("[[^/]&&[");
    if (at < glob.length() && glob.charAt(at) == '^') {
      // Itself, and not the start of a range.
      regex.append("\\^");
      at++;
    } else {
      if (at < glob.length() && glob.charAt(at) == '!') {
        regex.append('^');
        at++;
      }
      if (at < glob.length() && glob.charAt(at) == '-') {
        regex.append("\\-");
        at++;
      }
    }
    char last = 0;
    boolean rangeMayStart = false;
    while (at < glob.length()) {
      char c = glob.charAt(at++);
      if (c == ']') {
        regex.append("]]");
        return at;
      }
      if (c == '/') {
        throw new PatternSyntaxException("'/' between brackets", glob, at - 1);
      }
      if (c != '-') {
        quote(regex, c);
        last = c;
        rangeMayStart = true;
        continue;
      }
      if (!rangeMayStart) {
        throw new PatternSyntaxException("a range without a start", glob, at - 1);
      }
      if (at == glob.length() || glob.charAt(at) == ']') {
        regex.append("\\-");
        continue;
      }
      char end = glob.charAt(at++);
      if (end < last) {
        throw new PatternSyntaxException("a range that ends before it starts", glob, at - 3);
      }
      regex.append('-');
      quote(regex, end);
      rangeMayStart = false;
    }
    throw new PatternSyntaxException("missing ']'", glob, glob.length() - 1);
  }

  private static void quote(StringBuilder regex, char c) {
    if (c < 128 && !Character.isLetterOrDigit(c)) {
      regex.append('\\');
    }
    regex.append(c);
  }
}
