package dev.semanticid.storage;

import static dev.semanticid.storage.Refusals.assertFails;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.Trials;
import dev.semanticid.problem.ProblemCode;
import java.nio.file.FileSystems;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.util.List;
import java.util.Random;
import java.util.regex.PatternSyntaxException;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
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
    compareWithThePlatform(new Random(7), PATTERNS, 7, NAMES, 4);
  }

  /** Few characters, so that much is matched by wildcards in several ways. */
  @Test
  @DisabledOnOs(OS.WINDOWS)
  void matches_longRandomPatternsOfFewCharacters_asThePlatformDoes() {
    compareWithThePlatform(new Random(8), "ab*?{,}{,}*", 16, "ab", 8);
    compareWithThePlatform(new Random(9), "ab[]!-*?\\", 12, "ab-", 6);
    compareWithThePlatform(new Random(10), "abc.{*,*}?[a-b][!a]", 20, "abc.", 7);
  }

  private static void compareWithThePlatform(
      Random random, String patterns, int longestPattern, String names, int longestName) {
    int both = 0;
    int refused = 0;
    for (int i = 0; i < Trials.of(100_000); i++) {
      String glob = text(random, patterns, 1 + random.nextInt(longestPattern));
      if (Stream.of("-[", "-\\", "[]", "[!]").anyMatch(glob::contains)) {
        // The platform makes a regular expression of another meaning of these ends of a range, and
        // of brackets with nothing in them, which are refused here.
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
        String name = text(random, names, 1 + random.nextInt(longestName));
        boolean match = expected.matches(Path.of(name));
        assertThat(actual.matches(name)).as("'%s' by glob '%s'", name, glob).isEqualTo(match);
        both += match ? 1 : 0;
      }
    }
    assertThat(both).isGreaterThan(Trials.of(1000));
    assertThat(refused).isGreaterThan(Trials.of(1000));
  }

  @Test
  void matches_namesThatArePaths_neverAcrossSlashes() throws StorageException {
    assertThat(Glob.of("*").matches("größe €.npy")).isTrue();
    assertThat(Glob.of("*").matches("a/b")).isFalse();
    assertThat(Glob.of("a?b").matches("a/b")).isFalse();
    assertThat(Glob.of("a[!x]b").matches("a/b")).isFalse();
    assertThat(Glob.of("a[+-9]b").matches("a/b")).isFalse();
    assertThatThrownBy(() -> Glob.of("a[/]b")).isInstanceOf(StorageException.class);
  }

  @Test
  void matches_charactersBeyond16Bits_areOneCharacter() throws StorageException {
    String smile = "\uD83D\uDE00";
    assertThat(Glob.of("?").matches(smile)).isTrue();
    assertThat(Glob.of("??").matches(smile)).isFalse();
    assertThat(Glob.of("[x" + smile + "]").matches(smile)).isTrue();
    assertThat(Glob.of("[\uD83D\uDE00-\uD83D\uDE05]").matches("\uD83D\uDE03")).isTrue();
    assertThat(Glob.of("[!x]").matches(smile)).isTrue();
  }

  @Test
  void matches_case_isExact() throws StorageException {
    assertThat(Glob.of("A*").matches("ab")).isFalse();
    assertThat(Glob.of("[A-Z]b").matches("ab")).isFalse();
  }

  /** Each would keep a backtracking matcher busy for longer than anybody waits. */
  @Test
  @Timeout(120)
  void matches_hostilePatterns_comeToAnEnd() throws StorageException {
    String name = "a".repeat(255);
    for (String glob :
        List.of(
            "*".repeat(200) + "b",
            "*a".repeat(12) + "b",
            "*a".repeat(255) + "b",
            "*?".repeat(255) + "b",
            "*[a-z]".repeat(84) + "b",
            "{*,*a,a*,?*}".repeat(42) + "b",
            "*{a,aa,aaa}".repeat(46) + "b",
            "{" + "*,".repeat(254) + "b}b",
            "[" + "a-z".repeat(169) + "]*b")) {
      assertThat(glob.length()).isLessThanOrEqualTo(Glob.LONGEST);
      assertThat(Glob.of(glob).matches(name + "c")).as(glob).isFalse();
    }
    assertThat(Glob.of("*".repeat(200) + "b").matches(name + "b")).isTrue();
    assertThat(Glob.of("*a".repeat(12) + "b").matches(name + "b")).isTrue();
  }

  @Test
  void of_tooLongPattern_namesBothLengths() throws StorageException {
    assertThat(Glob.of("*".repeat(512)).matches("x")).isTrue();
    assertFails(ProblemCode.SOURCE_INVALID, () -> Glob.of("*".repeat(513)), 512, 513);
  }

  @Test
  void of_emptyBrackets_areRefused() {
    for (String glob : List.of("[]", "[!]", "[]a]", "x[!]y]")) {
      assertFails(ProblemCode.SOURCE_INVALID, () -> Glob.of(glob), glob, "brackets");
    }
  }

  @Test
  void of_deepNesting_isRefusedWithoutRecursion() {
    assertFails(ProblemCode.SOURCE_INVALID, () -> Glob.of("{".repeat(512)), "nested");
    assertFails(ProblemCode.SOURCE_INVALID, () -> Glob.of("[".repeat(512)), "']'");
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
    } catch (StorageException e) {
      return null;
    }
  }
}
