package dev.semanticid.storage;

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
 * The one folder below which {@code file:} sources may be read and results written. Every file is
 * resolved to its real path, links and {@code ..} included, before it is compared with the folder's
 * own.
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
  public List<Path> resolve(String uri) {
    Path named = path(uri, Role.SOURCE);
    Path root = root(Role.SOURCE);
    try {
      Path fileName = named.getFileName();
      Path parent = named.getParent();
      if (fileName == null || parent == null) {
        throw forbidden(uri, Role.SOURCE);
      }
      if (!Glob.isGlob(fileName.toString())) {
        return List.of(require(root, named, uri));
      }
      Path folder = parent.toRealPath();
      if (!folder.startsWith(root)) {
        throw forbidden(uri, Role.SOURCE);
      }
      var files = new ArrayList<Path>();
      try (DirectoryStream<Path> matches = Files.newDirectoryStream(folder, fileName.toString())) {
        for (Path match : matches) {
          if (LocalDestination.isUnfinished(match)) {
            continue;
          }
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
      throw forbidden(uri, Role.SOURCE);
    } catch (IOException | DirectoryIteratorException | PatternSyntaxException e) {
      throw new ProblemException(
          ProblemCode.SOURCE_INVALID,
          "the source %s cannot be read: %s".formatted(uri, e.getMessage()));
    }
  }

  /**
   * Resolves a place for a new file.
   *
   * @param uri {@code file:///folder/name}, whose folder exists
   * @return the name in the real path of the folder, whether or not something has that name
   * @throws ProblemException if it is no such URI, the folder does not exist, or lies elsewhere
   */
  Path resolveDestination(String uri) {
    Path named = path(uri, Role.DESTINATION);
    Path root = root(Role.DESTINATION);
    Path fileName = named.getFileName();
    Path parent = named.getParent();
    if (fileName == null || parent == null) {
      throw forbidden(uri, Role.DESTINATION);
    }
    String name = fileName.toString();
    if (uri.endsWith("/") || name.equals(".") || name.equals("..")) {
      throw new ProblemException(
          ProblemCode.DESTINATION_INVALID,
          "a destination is one file; expected file:///folder/name, got " + uri);
    }
    if (Glob.isGlob(name)) {
      throw new ProblemException(
          ProblemCode.DESTINATION_INVALID,
          "a destination is one file, and the name of %s has one of *?[]{}, as globs do"
              .formatted(uri));
    }
    try {
      Path folder = parent.toRealPath();
      if (!folder.startsWith(root)) {
        throw forbidden(uri, Role.DESTINATION);
      }
      if (!Files.isDirectory(folder)) {
        throw new ProblemException(
            ProblemCode.DESTINATION_INVALID,
            "the destination %s is in something that is not a folder".formatted(uri));
      }
      return folder.resolve(name);
    } catch (NoSuchFileException e) {
      if (named.normalize().startsWith(root)) {
        throw new ProblemException(
            ProblemCode.DESTINATION_INVALID,
            "the folder of the destination %s does not exist".formatted(uri));
      }
      throw forbidden(uri, Role.DESTINATION);
    } catch (IOException e) {
      throw new ProblemException(
          ProblemCode.DESTINATION_INVALID,
          "the folder of the destination %s cannot be used: %s".formatted(uri, e.getMessage()));
    }
  }

  /** What a URI is for: what to call it, and what it is if it makes no sense. */
  private enum Role {
    SOURCE("source", ProblemCode.UNSUPPORTED_SOURCE),
    DESTINATION("destination", ProblemCode.DESTINATION_INVALID);

    private final String word;
    private final ProblemCode unsupported;

    Role(String word, ProblemCode unsupported) {
      this.word = word;
      this.unsupported = unsupported;
    }
  }

  private static Path path(String uri, Role role) {
    try {
      // A glob's brackets and stars are no characters of a URI; everything else is as the standard
      // has it.
      URI parsed = uri.startsWith("file:") ? null : new URI(uri);
      if (parsed != null) {
        throw new ProblemException(
            role.unsupported,
            "%ss are file:///folder/name.npy, got scheme '%s'"
                .formatted(role.word, parsed.getScheme()));
      }
      String rest = uri.substring("file:".length());
      if (rest.startsWith("//")) {
        if (!rest.startsWith("///")) {
          throw new ProblemException(
              role.unsupported,
              "a file: %s has no host; expected file:///folder/name.npy, got %s"
                  .formatted(role.word, uri));
        }
        rest = rest.substring(2);
      }
      if (!rest.startsWith("/")) {
        throw new ProblemException(
            role.unsupported,
            "a file: %s is absolute; expected file:///folder/name.npy, got %s"
                .formatted(role.word, uri));
      }
      return Path.of(decode(rest, role));
    } catch (URISyntaxException | InvalidPathException e) {
      throw new ProblemException(
          role.unsupported,
          "the %s is not a URI like file:///folder/name.npy: %s"
              .formatted(role.word, e.getMessage()));
    }
  }

  private static String decode(String path, Role role) {
    try {
      return path.contains("%")
          ? URLDecoder.decode(path.replace("+", "%2B"), StandardCharsets.UTF_8)
          : path;
    } catch (IllegalArgumentException e) {
      throw new ProblemException(
          role.unsupported, "the %s has a bad escape: %s".formatted(role.word, e.getMessage()));
    }
  }

  private Path root(Role role) {
    if (configured == null) {
      throw new ProblemException(
          ProblemCode.SOURCE_FORBIDDEN,
          role == Role.SOURCE
              ? "file: sources are off; set semantic-id.data-root to the folder they may be read"
                  + " from"
              : "file: destinations are off; set semantic-id.data-root to the folder they may be"
                  + " written to");
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
      throw forbidden(uri, Role.SOURCE);
    }
    if (!Files.isRegularFile(real)) {
      throw new ProblemException(
          ProblemCode.SOURCE_INVALID, "the source %s is not a regular file".formatted(uri));
    }
    return real;
  }

  private static ProblemException forbidden(String uri, Role role) {
    return new ProblemException(
        ProblemCode.SOURCE_FORBIDDEN,
        "the %s %s is not below semantic-id.data-root".formatted(role.word, uri));
  }
}
