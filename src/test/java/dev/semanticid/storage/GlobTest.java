package dev.semanticid.storage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.FileSystems;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.util.Random;
import java.util.regex.PatternSyntaxException;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;

class GlobTest {

  private static final String PATTERNS = "aab-]*?[[!{,}\\.$^&z";
  private static final String NAMES = "aabbz-]*?[!{,}.$^&";

  /**
   * The platform's own matcher is the definition, on Unix: on Windows it takes names for paths with
   * other separators, ignores case, and refuses many of these names.
   */
  @Test
  @DisabledOnOs(OS.WINDOWS)
  void matches_randomPatterns_asThePlatformDoes() {
    var random = new Random(7);
    int both = 0;
    int refused = 0;
    for (int i = 0; i < 100_000; i++) {
      String glob = text(random, PATTERNS, 1 + random.nextInt(7));
      if (glob.contains("-[")) {
        // As the end of a range it becomes a regular expression of another meaning there.
        continue;
      }
      PathMatcher expected = platform(glob);
      Glob actual = ours(glob);
      assertThat(actual == null).as("glob '%s' is refused", glob).isEqualTo(expected == null);
      if (expected == null || actual == null) {
        refused++;
        continue;
      }
      for (int j = 0; j < 10; j++) {
        String name = text(random, NAMES, 1 + random.nextInt(4));
        boolean match = expected.matches(Path.of(name));
        assertThat(actual.matches(name)).as("'%s' by glob '%s'", name, glob).isEqualTo(match);
        both += match ? 1 : 0;
      }
    }
    assertThat(both).isGreaterThan(1000);
    assertThat(refused).isGreaterThan(1000);
  }

  @Test
  void matches_namesThatArePaths_neverAcrossSlashes() {
    assertThat(Glob.of("*").matches("größe €.npy")).isTrue();
    assertThat(Glob.of("*").matches("a/b")).isFalse();
    assertThat(Glob.of("a?b").matches("a/b")).isFalse();
    assertThat(Glob.of("a[!x]b").matches("a/b")).isFalse();
    assertThat(Glob.of("a[+-9]b").matches("a/b")).isFalse();
    assertThatThrownBy(() -> Glob.of("a[/]b")).isInstanceOf(PatternSyntaxException.class);
  }

  @Test
  void literalPrefix_endsBeforeTheFirstWildcardOrEscape() {
    assertThat(Glob.literalPrefix("part-*.npy")).isEqualTo("part-");
    assertThat(Glob.literalPrefix("a\\*b*")).isEqualTo("a");
    assertThat(Glob.literalPrefix("*")).isEmpty();
    assertThat(Glob.isGlob("plain.npy")).isFalse();
    assertThat(Glob.isGlob("{a,b}")).isTrue();
  }

  private static String text(Random random, String alphabet, int length) {
    var text = new StringBuilder();
    for (int i = 0; i < length; i++) {
      text.append(alphabet.charAt(random.nextInt(alphabet.length())));
    }
    return text.toString();
  }

  private static @Nullable PathMatcher platform(String glob) {
    try {
      return FileSystems.getDefault().getPathMatcher("glob:" + glob);
    } catch (PatternSyntaxException e) {
      return null;
    }
  }

  private static @Nullable Glob ours(String glob) {
    try {
      return Glob.of(glob);
    } catch (PatternSyntaxException e) {
      return null;
    }
  }
}
