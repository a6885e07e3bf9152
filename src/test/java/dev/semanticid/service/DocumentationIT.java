package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * Runs every bash, python and java block of the documents, one after the other as a reader would,
 * against the packaged jar. Needs Python with NumPy, so it belongs to profile {@code docs}.
 */
class DocumentationIT {

  private static final Pattern BLOCK =
      Pattern.compile("^```(bash|python|java)\\n(.*?)^```", Pattern.MULTILINE | Pattern.DOTALL);

  @TempDir Path temp;

  @TestFactory
  Stream<DynamicTest> documents() {
    return Stream.of("README.md", "docs/training.md", "docs/inference.md", "docs/jobs.md")
        .map(name -> DynamicTest.dynamicTest(name, () -> runDocument(Path.of(name))));
  }

  private void runDocument(Path document) throws Exception {
    Path project = Path.of("").toAbsolutePath();
    Path folder = Files.createDirectories(temp.resolve(document.getFileName() + ".d"));
    Files.createSymbolicLink(folder.resolve("src"), project.resolve("src"));
    List<Block> blocks = blocks(document);
    assertThat(blocks).as("examples of %s", document).isNotEmpty();
    try (ServiceProcess service =
        ServiceProcess.start(
            temp.resolve(document.getFileName() + ".data"), "--semantic-id.data-root=" + project)) {
      for (int i = 0; i < blocks.size(); i++) {
        run(
            folder,
            blocks.get(i),
            service.client().port(),
            String.format(Locale.ROOT, "%s, block %d", document, i + 1));
      }
    }
  }

  private record Block(String language, String code) {}

  private static List<Block> blocks(Path document) throws IOException {
    var blocks = new ArrayList<Block>();
    Matcher matcher = BLOCK.matcher(Files.readString(document));
    while (matcher.find()) {
      blocks.add(new Block(matcher.group(1), matcher.group(2)));
    }
    return blocks;
  }

  private static void run(Path folder, Block block, int port, String what) throws Exception {
    String code = block.code().replace("localhost:8080", "localhost:" + port);
    Path source = Files.writeString(folder.resolve("Example." + block.language()), code);
    String java = ProcessHandle.current().info().command().orElseThrow();
    List<String> command =
        switch (block.language()) {
          case "bash" -> List.of("bash", "-euo", "pipefail", source.toString());
          case "python" -> List.of("python3", source.toString());
          default -> List.of(java, source.toString());
        };
    Path output = folder.resolve("output.txt");
    Process process =
        new ProcessBuilder(command)
            .directory(folder.toFile())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    boolean ended = process.waitFor(120, TimeUnit.SECONDS);
    process.destroyForcibly();
    assertThat(ended).as("%s ends; so far:%n%s", what, Files.readString(output)).isTrue();
    assertThat(process.exitValue())
        .as("%s:%n%s%n%s", what, code, Files.readString(output))
        .isZero();
  }
}
