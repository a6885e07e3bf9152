package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** Chromium without a screen, each time with a profile of its own, for which names lead here. */
final class Chromium {

  private static final long LIMIT_SECONDS = 180;

  /** Names that pages of other sites have, all on this machine. */
  private static final String RULES = "MAP *.example 127.0.0.1";

  private final Path folder;

  Chromium(Path folder) {
    this.folder = folder;
  }

  /**
   * A page after its scripts have run.
   *
   * @param dom the document, serialised
   * @param log what the browser logged, messages of the console among it
   */
  record Page(String dom, String log) {}

  private static Optional<Path> program() {
    return Arrays.stream(System.getenv("PATH").split(File.pathSeparator))
        .map(directory -> Path.of(directory, "chromium"))
        .filter(Files::isExecutable)
        .findFirst();
  }

  /** Whether it is installed. */
  static boolean isPossible() {
    return program().isPresent();
  }

  /** Loads a page, and waits until nothing happens on it any more. */
  Page open(String address) {
    try {
      Path dom = Files.createTempFile(folder, "page", ".html");
      Path log = Files.createTempFile(folder, "chromium", ".log");
      Process process =
          new ProcessBuilder(
                  program().orElseThrow().toString(),
                  "--headless",
                  "--no-sandbox",
                  "--disable-gpu",
                  "--disable-dev-shm-usage",
                  "--no-first-run",
                  "--disable-background-networking",
                  "--disable-component-update",
                  "--disable-sync",
                  "--user-data-dir=" + Files.createTempDirectory(folder, "profile"),
                  "--host-resolver-rules=" + RULES,
                  "--enable-logging=stderr",
                  "--virtual-time-budget=30000",
                  "--dump-dom",
                  address)
              .redirectOutput(dom.toFile())
              .redirectError(log.toFile())
              .start();
      boolean ended = process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS);
      if (!ended) {
        process.descendants().forEach(ProcessHandle::destroyForcibly);
        process.destroyForcibly().waitFor();
      }
      String logged = Files.readString(log, StandardCharsets.UTF_8);
      assertThat(ended).as("the end of Chromium at %s: %s", address, logged).isTrue();
      return new Page(Files.readString(dom, StandardCharsets.UTF_8), logged);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted", e);
    }
  }
}
