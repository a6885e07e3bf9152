package dev.semanticid.architecture;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.googlejavaformat.java.Formatter;
import com.google.googlejavaformat.java.FormatterException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Every Java file is as google-java-format writes it; {@code -Dformat.write=true} writes it so
 * instead of failing.
 */
class FormattingTest {

  @Test
  void sources_formattedAgain_doNotChange() throws IOException {
    boolean write = Boolean.getBoolean("format.write");
    List<Path> files = javaFiles(Path.of("src"));
    assertThat(files).hasSizeGreaterThan(10);
    List<Path> differing =
        files.parallelStream().filter(file -> differs(file, write)).sorted().toList();
    if (!write) {
      assertThat(differing)
          .as("files that google-java-format would change; -Dformat.write=true changes them")
          .isEmpty();
    }
  }

  @Test
  void format_untidySource_isTidied() throws FormatterException {
    String untidy =
        """
        package p;
        import java.util.Map;
        import java.util.List;
        class A{List<String> a ;}
        """;
    assertThat(format(untidy))
        .isEqualTo(
            """
            package p;

            import java.util.List;

            class A {
              List<String> a;
            }
            """);
  }

  private static List<Path> javaFiles(Path root) throws IOException {
    try (Stream<Path> paths = Files.walk(root)) {
      return paths.filter(path -> path.toString().endsWith(".java")).toList();
    }
  }

  private static boolean differs(Path file, boolean write) {
    try {
      String source = Files.readString(file);
      String formatted = format(source);
      if (formatted.equals(source)) {
        return false;
      }
      if (write) {
        Files.writeString(file, formatted);
      }
      return true;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (FormatterException e) {
      throw new IllegalStateException(file + " cannot be formatted", e);
    }
  }

  /** What the command-line tool does with no options: style, imports, long strings. */
  private static String format(String source) throws FormatterException {
    return new Formatter().formatSourceAndFixImports(source);
  }
}
