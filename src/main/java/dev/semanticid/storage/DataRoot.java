package dev.semanticid.storage;

import dev.semanticid.problem.PlainText;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.settings.SemanticIdProperties;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;

/**
 * The one folder below which {@code file:} sources may be read and results written. Every file is
 * resolved to its real path, links and {@code ..} included. What leads outside of the folder is
 * refused in the same words whether or not it exists.
 */
@Component
class DataRoot {

  /** As long as Linux takes them. */
  private static final int LONGEST_PATH = 4096;

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
    Walk walk = walk(Role.SOURCE);
    Path fileName = named.getFileName();
    Path parent = named.getParent();
    if (fileName == null || parent == null) {
      throw forbidden(uri, Role.SOURCE);
    }
    try {
      if (!Glob.isGlob(fileName.toString())) {
        return List.of(require(walk.to(named), uri));
      }
      Glob glob = Glob.of(fileName.toString());
      Path folder = walk.to(parent);
      var files = new ArrayList<Path>();
      try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
        for (Path entry : entries) {
          if (glob.matches(String.valueOf(entry.getFileName()))
              && !LocalDestination.isUnfinished(entry)) {
            files.add(require(walk.to(entry), uri));
          }
        }
      }
      if (files.isEmpty()) {
        throw new ProblemException(
            ProblemCode.SOURCE_NOT_FOUND, "no file matches the source %s".formatted(uri));
      }
      Collections.sort(files);
      return files;
    } catch (OutsideException e) {
      throw forbidden(uri, Role.SOURCE);
    } catch (NoSuchFileException e) {
      throw new ProblemException(
          ProblemCode.SOURCE_NOT_FOUND, "the source %s does not exist".formatted(uri));
    } catch (StorageException e) {
      throw e.toProblem();
    } catch (IOException | DirectoryIteratorException e) {
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
    Walk walk = walk(Role.DESTINATION);
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
      Path folder = walk.to(parent);
      if (!Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) {
        throw new ProblemException(
            ProblemCode.DESTINATION_INVALID,
            "the destination %s is in something that is not a folder".formatted(uri));
      }
      return folder.resolve(name);
    } catch (OutsideException e) {
      throw forbidden(uri, Role.DESTINATION);
    } catch (NoSuchFileException e) {
      throw new ProblemException(
          ProblemCode.DESTINATION_INVALID,
          "the folder of the destination %s does not exist".formatted(uri));
    } catch (IOException e) {
      throw new ProblemException(
          ProblemCode.DESTINATION_INVALID,
          "the folder of the destination %s cannot be used: %s".formatted(uri, e.getMessage()));
    }
  }

  /** A path leads outside of the data root. */
  private static final class OutsideException extends IOException {
    private static final long serialVersionUID = 1L;
  }

  /**
   * Resolves links and {@code ..} name by name, so that a missing name below the root is told from
   * everything that is outside. Whatever lies outside gets the same answer, whether it exists or
   * not; only a path that ends below the root all the same, over a link somewhere else, is let in.
   *
   * @param configured the root as it is configured, absolute
   * @param root its real path
   */
  private record Walk(Path configured, Path root) {

    /** As many links as Linux follows. */
    private static final int MOST_LINKS = 40;

    /**
     * The real path of something that exists, the root or below it.
     *
     * @param named absolute
     * @throws OutsideException if it leads outside, or over a link whose target cannot be resolved
     * @throws NoSuchFileException if there is no such name below the root
     * @throws IOException if the names cannot be followed for another reason
     */
    Path to(Path named) throws IOException {
      try {
        return followed(named);
      } catch (OutsideException e) {
        return backInside(named);
      }
    }

    /**
     * The real path of what is named outside of the root and lies below it, because a link leads
     * there. Not with {@code ..}: {@code /etc/name/../../root/file} would tell whether there is
     * such a name.
     */
    private Path backInside(Path named) throws OutsideException {
      if (!named.equals(named.normalize())) {
        throw new OutsideException();
      }
      try {
        Path real = named.toRealPath();
        if (real.startsWith(root)) {
          return real;
        }
      } catch (IOException e) {
        // Whatever the reason: the answer must not tell.
      }
      throw new OutsideException();
    }

    private Path followed(Path named) throws IOException {
      var names = new ArrayDeque<Path>();
      Path at = begin(named, names);
      // Of the names, the first ones come from a link.
      int linked = 0;
      int links = 0;
      while (!names.isEmpty()) {
        String name = names.pop().toString();
        boolean ofLink = linked > 0;
        linked -= ofLink ? 1 : 0;
        if (name.isEmpty() || name.equals(".")) {
          continue;
        }
        if (name.equals("..")) {
          Path parent = at.getParent();
          at = parent == null ? at : parent;
          continue;
        }
        Path next = at.resolve(name);
        if (root.startsWith(next)) {
          // The root or a folder on the way to it, which is there and no link.
          at = next;
          continue;
        }
        if (!next.startsWith(root)) {
          throw new OutsideException();
        }
        try {
          BasicFileAttributes found =
              Files.readAttributes(next, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
          if (found.isSymbolicLink()) {
            if (++links > MOST_LINKS) {
              throw new OutsideException();
            }
            Path target = Files.readSymbolicLink(next);
            var targetNames = new ArrayDeque<Path>();
            at = target.isAbsolute() ? begin(target, targetNames) : at;
            if (!target.isAbsolute()) {
              target.forEach(targetNames::add);
            }
            linked += targetNames.size();
            targetNames.descendingIterator().forEachRemaining(names::push);
            continue;
          }
          if (!names.isEmpty() && !found.isDirectory()) {
            throw new NotDirectoryException(next.toString());
          }
        } catch (IOException e) {
          if (ofLink) {
            throw new OutsideException();
          }
          throw e;
        }
        at = next;
      }
      if (!at.startsWith(root)) {
        throw new OutsideException();
      }
      return at;
    }

    /** Where to begin, and the names that lead on from there. */
    private Path begin(Path absolute, Deque<Path> names) {
      // The way to the root may go over links that lie outside of it.
      boolean known = absolute.startsWith(configured);
      int first = known ? configured.getNameCount() : 0;
      for (int i = first; i < absolute.getNameCount(); i++) {
        names.add(absolute.getName(i));
      }
      return known ? root : Objects.requireNonNull(absolute.getRoot());
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
      String decoded = decode(rest, role);
      if (!PlainText.isOneLine(decoded)) {
        throw new ProblemException(
            role.unsupported,
            "a file: %s without control characters and line breaks was expected"
                .formatted(role.word));
      }
      if (decoded.length() > LONGEST_PATH) {
        throw new ProblemException(
            role.unsupported,
            String.format(
                Locale.ROOT,
                "the path of a file: %s may have %d characters, this one has %d",
                role.word,
                LONGEST_PATH,
                decoded.length()));
      }
      return Path.of(decoded);
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

  private Walk walk(Role role) {
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
      return new Walk(configured.toAbsolutePath(), configured.toRealPath());
    } catch (IOException e) {
      throw new ProblemException(
          ProblemCode.SOURCE_FORBIDDEN, "semantic-id.data-root does not exist on this machine");
    }
  }

  private static Path require(Path real, String uri) {
    if (!Files.isRegularFile(real, LinkOption.NOFOLLOW_LINKS)) {
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
