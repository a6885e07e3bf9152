package dev.semanticid.architecture;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * The Markdown files of the repository: lines are short enough to review, links lead somewhere, the
 * README stays short, and the index of decisions is complete.
 */
class DocumentsTest {

  private static final int MOST_COLUMNS = 120;
  private static final int MOST_README_LINES = 150;
  private static final Path ROOT = Path.of("");
  private static final Path DECISIONS = Path.of("docs/decisions");

  /** Folders whose files are not sources. */
  private static final Set<String> GENERATED = Set.of("target", "data", ".git");

  private static final Pattern LINK = Pattern.compile("]\\(([^()\\s]+)\\)");
  private static final Pattern HEADING = Pattern.compile("(?m)^#+ (.*)$");
  private static final Pattern CODE_BLOCK =
      Pattern.compile("^( *)```.*?^\\1```", Pattern.MULTILINE | Pattern.DOTALL);

  @Test
  void lines_outsideOfTablesAndCode_haveAtMost120Columns() {
    var tooLong = new ArrayList<String>();
    for (Path document : documents()) {
      for (String line : withoutCode(document).lines().toList()) {
        // A row of a table, and a link, cannot be broken.
        boolean breakable = !line.startsWith("|") && line.strip().contains(" ");
        if (breakable && line.codePointCount(0, line.length()) > MOST_COLUMNS) {
          tooLong.add(document + ": " + line);
        }
      }
    }
    assertThat(tooLong).as("lines of more than %d columns", MOST_COLUMNS).isEmpty();
  }

  @Test
  void links_relative_leadToFilesAndHeadings() {
    var broken = new ArrayList<String>();
    int found = 0;
    for (Path document : documents()) {
      Matcher link = LINK.matcher(withoutCode(document));
      while (link.find()) {
        String target = link.group(1);
        if (target.matches("[a-z]+:.*")) {
          continue;
        }
        found++;
        int hash = target.indexOf('#');
        String file = hash < 0 ? target : target.substring(0, hash);
        Path linked = file.isEmpty() ? document : document.resolveSibling(file).normalize();
        if (!Files.exists(linked)
            || (hash >= 0 && !headings(linked).contains(target.substring(hash + 1)))) {
          broken.add(document + ": " + target);
        }
      }
    }
    assertThat(found).as("relative links").isGreaterThan(20);
    assertThat(broken).as("links that lead nowhere").isEmpty();
  }

  @Test
  void readme_isShort() {
    assertThat(read(Path.of("README.md")).lines().count())
        .as("lines of README.md")
        .isLessThan(MOST_README_LINES);
  }

  @Test
  void decisions_areAllInTheIndex() throws IOException {
    var expected = new TreeSet<String>();
    try (Stream<Path> notes = Files.list(DECISIONS)) {
      for (Path note : notes.filter(path -> !path.endsWith("README.md")).toList()) {
        String heading = read(note).lines().findFirst().orElse("");
        Matcher parts = Pattern.compile("# (\\d+)\\. (.+)").matcher(heading);
        assertThat(parts.matches()).as("first line of %s: %s", note, heading).isTrue();
        expected.add(
            "| %s | [%s](%s) |".formatted(parts.group(1), parts.group(2), note.getFileName()));
      }
    }
    assertThat(expected).hasSizeGreaterThan(20);
    List<String> rows =
        read(DECISIONS.resolve("README.md"))
            .lines()
            .filter(line -> line.matches("\\| \\d+ \\|.*"))
            .toList();
    assertThat(rows)
        .as("rows with number, title, status and date")
        .allMatch(
            row -> row.matches(".*\\) \\| (accepted|superseded).* \\| \\d{4}-\\d\\d-\\d\\d \\|"));
    assertThat(rows.stream().map(row -> row.replaceFirst("(\\.md\\) \\|).*", "$1")))
        .containsExactlyInAnyOrderElementsOf(expected);
  }

  /** All Markdown files of the repository. */
  private static List<Path> documents() {
    try (Stream<Path> top = Files.list(ROOT)) {
      return top.filter(path -> !GENERATED.contains(path.getFileName().toString()))
          .flatMap(DocumentsTest::markdown)
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Stream<Path> markdown(Path root) {
    try (Stream<Path> below = Files.walk(root)) {
      return below.filter(path -> path.toString().endsWith(".md")).toList().stream();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String withoutCode(Path document) {
    return CODE_BLOCK.matcher(read(document)).replaceAll("");
  }

  /** The anchors of headings, as GitHub makes them. */
  private static Set<String> headings(Path document) {
    return HEADING
        .matcher(withoutCode(document))
        .results()
        .map(heading ->
            heading
                .group(1)
                .toLowerCase(Locale.ROOT)
                .replaceAll("[^\\p{L}\\p{N} _-]", "")
                .replace(' ', '-'))
        .collect(Collectors.toSet());
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
