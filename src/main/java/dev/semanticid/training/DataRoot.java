package dev.semanticid.training;

import dev.semanticid.system.ProblemCode;
import dev.semanticid.system.ProblemException;
import dev.semanticid.system.SemanticIdProperties;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.regex.PatternSyntaxException;
import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;

/**
 * The one folder below which {@code file:} sources may be read. Every file is resolved to its real
 * path, links and {@code ..} included, before it is compared with the folder's own.
 */
@Component
class DataRoot {

  private final @Nullable Path configured;

  DataRoot(SemanticIdProperties properties) {
    this.configured = properties.dataRoot();
  }

  /**
   * Resolves a source.
   *
   * @param uri {@code file:///folder/name.npy}; the name may be a glob
   * @return real paths of the files, in the order of their names
   * @throws ProblemException if the scheme is another one, nothing is there, or it lies elsewhere
   */
  List<Path> resolve(String uri) {
    Path named = path(uri);
    Path root = root();
    try {
      Path fileName = named.getFileName();
      Path parent = named.getParent();
      if (fileName == null || parent == null) {
        throw forbidden(uri);
      }
      if (!isGlob(fileName.toString())) {
        return List.of(require(root, named, uri));
      }
      Path folder = parent.toRealPath();
      if (!folder.startsWith(root)) {
        throw forbidden(uri);
      }
      var files = new ArrayList<Path>();
      try (DirectoryStream<Path> matches = Files.newDirectoryStream(folder, fileName.toString())) {
        for (Path match : matches) {
          files.add(require(root, match, uri));
        }
      }
      if (files.isEmpty()) {
        throw new ProblemException(
            ProblemCode.SOURCE_NOT_FOUND, "no file matches the source %s".formatted(uri));
      }
      Collections.sort(files);
      return files;
    } catch (NoSuchFileException e) {
      // Not told apart from a forbidden one unless it would be allowed.
      if (named.normalize().startsWith(root)) {
        throw new ProblemException(
            ProblemCode.SOURCE_NOT_FOUND, "the source %s does not exist".formatted(uri));
      }
      throw forbidden(uri);
    } catch (IOException | DirectoryIteratorException | PatternSyntaxException e) {
      throw new ProblemException(
          ProblemCode.SOURCE_INVALID,
          "the source %s cannot be read: %s".formatted(uri, e.getMessage()));
    }
  }

  private static Path path(String uri) {
    try {
      // A glob's brackets and stars are no characters of a URI; everything else is as the standard
      // has it.
      URI parsed = uri.startsWith("file:") ? null : new URI(uri);
      if (parsed != null) {
        throw new ProblemException(
            ProblemCode.UNSUPPORTED_SOURCE,
            "sources are file:///folder/name.npy, got scheme '%s'".formatted(parsed.getScheme()));
      }
      String rest = uri.substring("file:".length());
      if (rest.startsWith("//")) {
        if (!rest.startsWith("///")) {
          throw new ProblemException(
              ProblemCode.UNSUPPORTED_SOURCE,
              "a file: source has no host; expected file:///folder/name.npy, got " + uri);
        }
        rest = rest.substring(2);
      }
      if (!rest.startsWith("/")) {
        throw new ProblemException(
            ProblemCode.UNSUPPORTED_SOURCE,
            "a file: source is absolute; expected file:///folder/name.npy, got " + uri);
      }
      return Path.of(decode(rest));
    } catch (URISyntaxException | InvalidPathException e) {
      throw new ProblemException(
          ProblemCode.UNSUPPORTED_SOURCE,
          "the source is not a URI like file:///folder/name.npy: " + e.getMessage());
    }
  }

  private static String decode(String path) {
    try {
      return path.contains("%")
          ? URLDecoder.decode(path.replace("+", "%2B"), StandardCharsets.UTF_8)
          : path;
    } catch (IllegalArgumentException e) {
      throw new ProblemException(
          ProblemCode.UNSUPPORTED_SOURCE, "the source has a bad escape: " + e.getMessage());
    }
  }

  private static boolean isGlob(String name) {
    return name.chars().anyMatch(c -> "*?[]{}".indexOf(c) >= 0);
  }

  private Path root() {
    if (configured == null) {
      throw new ProblemException(
          ProblemCode.SOURCE_FORBIDDEN,
          "file: sources are off; set semantic-id.data-root to the folder they may be read from");
    }
    try {
      return configured.toRealPath();
    } catch (IOException e) {
      throw new ProblemException(
          ProblemCode.SOURCE_FORBIDDEN, "semantic-id.data-root does not exist on this machine");
    }
  }

  private static Path require(Path root, Path file, String uri) throws IOException {
    Path real = file.toRealPath();
    if (!real.startsWith(root)) {
      throw forbidden(uri);
    }
    if (!Files.isRegularFile(real)) {
      throw new ProblemException(
          ProblemCode.SOURCE_INVALID, "the source %s is not a regular file".formatted(uri));
    }
    return real;
  }

  private static ProblemException forbidden(String uri) {
    return new ProblemException(
        ProblemCode.SOURCE_FORBIDDEN,
        "the source %s is not below semantic-id.data-root".formatted(uri));
  }
}
