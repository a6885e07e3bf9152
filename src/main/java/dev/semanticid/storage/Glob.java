package dev.semanticid.storage;

import dev.semanticid.problem.ProblemCode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * A name with wildcards, for files and objects alike. It means what {@link
 * java.nio.file.FileSystem#getPathMatcher} reads on Unix: {@code *}, {@code ?}, {@code [a-z]},
 * {@code [!a-z]}, <code>{one,two}</code>, and a backslash before a character that stands for
 * itself. Groups cannot be nested. Case matters.
 *
 * <p>Matching takes time in proportion to the length of the glob times the length of the name,
 * whatever both are: clients choose the glob, so it must not become a backtracking regular
 * expression.
 */
final class Glob {

  /*
   * A nondeterministic automaton, as in K. Thompson, "Regular expression search algorithm", CACM
   * 11(6), 1968. A state is the index of a step. All transitions that take no character lead to
   * higher states, so one pass over the states in rising order follows all of them.
   */

  /** The longest glob that is read, in characters. */
  static final int LONGEST = 512;

  private static final String WILDCARDS = "*?[]{}";

  /** One step of the automaton. */
  private sealed interface Step {

    /** Takes one character and goes on to the next step. */
    record One(CharacterSet set) implements Step {}

    /** Takes any number of characters but '/'. */
    record Star() implements Step {}

    /** Goes on to any of the targets, which are higher; takes no character. */
    record Fork(int[] targets) implements Step {}
  }

  /**
   * Characters, as code points.
   *
   * @param ranges first and last code point by turns, both inclusive
   * @param negated whether it is all others
   * @param slash whether '/' can be one of them
   */
  private record CharacterSet(int[] ranges, boolean negated, boolean slash) {

    static final CharacterSet ANY = new CharacterSet(new int[0], true, false);

    static CharacterSet of(int character) {
      return new CharacterSet(new int[] {character, character}, false, true);
    }

    boolean contains(int character) {
      if (character == '/' && !slash) {
        return false;
      }
      for (int i = 0; i < ranges.length; i += 2) {
        if (ranges[i] <= character && character <= ranges[i + 1]) {
          return !negated;
        }
      }
      return negated;
    }
  }

  private final Step[] steps;

  private Glob(Step[] steps) {
    this.steps = steps;
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
   * Reads a glob.
   *
   * @throws StorageException {@code SOURCE_INVALID} if it is none, or is longer than {@link
   *     #LONGEST}
   */
  static Glob of(String glob) throws StorageException {
    if (glob.length() > LONGEST) {
      throw new StorageException(
          ProblemCode.SOURCE_INVALID,
          String.format(
              Locale.ROOT,
              "the name in a source may have %d characters if it is a glob, this one has %d",
              LONGEST,
              glob.length()));
    }
    return new Glob(new Parser(glob).parse());
  }

  /** Whether a name, which has no slash, matches. */
  boolean matches(String name) {
    var now = new BitSet(steps.length + 1);
    var next = new BitSet(steps.length + 1);
    now.set(0);
    for (int at = 0; at < name.length() && !now.isEmpty(); ) {
      int character = name.codePointAt(at);
      at += Character.charCount(character);
      advance(now, next, character);
      BitSet before = now;
      now = next;
      next = before;
      next.clear();
    }
    advance(now, next, -1);
    return now.get(steps.length);
  }

  /**
   * Follows all transitions from a set of states.
   *
   * @param now completed by the states that are reached without a character
   * @param next receives the states behind the character
   * @param character a code point, or −1 for the end of the name
   */
  private void advance(BitSet now, BitSet next, int character) {
    for (int state = now.nextSetBit(0);
        state >= 0 && state < steps.length;
        state = now.nextSetBit(state + 1)) {
      switch (steps[state]) {
        case Step.One one -> {
          if (character >= 0 && one.set.contains(character)) {
            next.set(state + 1);
          }
        }
        case Step.Star _ -> {
          now.set(state + 1);
          if (character >= 0 && character != '/') {
            next.set(state);
          }
        }
        case Step.Fork fork -> {
          for (int target : fork.targets) {
            now.set(target);
          }
        }
      }
    }
  }

  /** Makes steps of a glob's characters. */
  private static final class Parser {

    private final String glob;
    private final int[] characters;
    private final List<@Nullable Step> steps = new ArrayList<>();
    private int at;

    Parser(String glob) {
      this.glob = glob;
      this.characters = glob.codePoints().toArray();
    }

    Step[] parse() throws StorageException {
      int group = -1;
      // Where the alternatives of the group begin, and the places behind them.
      var begins = new ArrayList<Integer>();
      var ends = new ArrayList<Integer>();
      while (at < characters.length) {
        int c = characters[at++];
        switch (c) {
          case '\\' -> {
            if (at == characters.length) {
              throw invalid("nothing follows the backslash", at - 1);
            }
            steps.add(new Step.One(CharacterSet.of(characters[at++])));
          }
          case '*' -> steps.add(new Step.Star());
          case '?' -> steps.add(new Step.One(CharacterSet.ANY));
          case '[' -> steps.add(new Step.One(bracket()));
          case '{' -> {
            if (group >= 0) {
              throw invalid("groups cannot be nested", at - 1);
            }
            group = steps.size();
            steps.add(null);
            begins.add(steps.size());
          }
          case '}' -> {
            if (group < 0) {
              steps.add(new Step.One(CharacterSet.of(c)));
            } else {
              steps.set(group, fork(begins));
              for (int end : ends) {
                steps.set(end, new Step.Fork(new int[] {steps.size()}));
              }
              group = -1;
              begins.clear();
              ends.clear();
            }
          }
          case ',' -> {
            if (group < 0) {
              steps.add(new Step.One(CharacterSet.of(c)));
            } else {
              ends.add(steps.size());
              steps.add(null);
              begins.add(steps.size());
            }
          }
          default -> steps.add(new Step.One(CharacterSet.of(c)));
        }
      }
      if (group >= 0) {
        throw invalid("missing '}'", characters.length - 1);
      }
      return steps.toArray(Step[]::new);
    }

    private static Step.Fork fork(List<Integer> targets) {
      return new Step.Fork(targets.stream().mapToInt(Integer::intValue).toArray());
    }

    /** Reads what is between brackets, behind the first one. */
    private CharacterSet bracket() throws StorageException {
      var ranges = new int[2 * characters.length];
      int length = 0;
      boolean negated = false;
      boolean rangeMayStart = false;
      if (at < characters.length && characters[at] == '^') {
        // Itself, and not the start of a range.
        ranges[length++] = '^';
        ranges[length++] = '^';
        at++;
      } else {
        if (at < characters.length && characters[at] == '!') {
          negated = true;
          at++;
        }
        if (at < characters.length && characters[at] == '-') {
          ranges[length++] = '-';
          ranges[length++] = '-';
          at++;
        }
      }
      while (at < characters.length) {
        int c = characters[at++];
        if (c == ']') {
          if (length == 0) {
            throw invalid("nothing between the brackets", at - 1);
          }
          return new CharacterSet(Arrays.copyOf(ranges, length), negated, false);
        }
        if (c == '/') {
          throw invalid("'/' between brackets", at - 1);
        }
        if (c != '-') {
          ranges[length++] = c;
          ranges[length++] = c;
          rangeMayStart = true;
          continue;
        }
        if (!rangeMayStart) {
          throw invalid("a range without a start", at - 1);
        }
        if (at == characters.length || characters[at] == ']') {
          ranges[length++] = '-';
          ranges[length++] = '-';
          continue;
        }
        int end = characters[at++];
        if (end < ranges[length - 1]) {
          throw invalid("a range that ends before it starts", at - 3);
        }
        ranges[length - 1] = end;
        rangeMayStart = false;
      }
      throw invalid("missing ']'", characters.length - 1);
    }

    private StorageException invalid(String what, int where) {
      return new StorageException(
          ProblemCode.SOURCE_INVALID,
          String.format(
              Locale.ROOT,
              "the glob %s in a source cannot be read: %s at character %d",
              glob,
              what,
              where));
    }
  }
}
