package dev.semanticid.system;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;

/**
 * The folder that this process alone works in: it holds the embedded database and uploads, and a
 * lock that a second process on the same folder fails on instead of taking the first one's jobs for
 * dead.
 */
@Component
public class DataDirectory implements AutoCloseable {

  private final Path root;
  private final FileChannel lockFile;

  DataDirectory(SemanticIdProperties properties) {
    try {
      root = Files.createDirectories(properties.dataDir()).toRealPath();
      lockFile =
          FileChannel.open(
              root.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      if (tryLock() == null) {
        lockFile.close();
        throw new IllegalStateException(
            "another process works in %s; give this one a semantic-id.data-dir of its own"
                .formatted(root));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(
          "semantic-id.data-dir %s cannot be used".formatted(properties.dataDir()), e);
    }
  }

  private @Nullable FileLock tryLock() throws IOException {
    try {
      return lockFile.tryLock();
    } catch (OverlappingFileLockException e) {
      return null;
    }
  }

  /** A name for the folder, and so for the processes that work in it one after the other. */
  String identity() {
    Path file = root.resolve("identity");
    try {
      if (!Files.exists(file)) {
        Path made = Files.writeString(root.resolve("identity.new"), UUID.randomUUID().toString());
        Files.move(made, file, StandardCopyOption.ATOMIC_MOVE);
      }
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A folder of that name in it, made if need be. */
  public Path folder(String name) {
    try {
      return Files.createDirectories(root.resolve(name));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Deletes the files of a folder but those whose name, or what it has before the first dot, is one
   * of these.
   */
  public static void retain(Path folder, Set<String> names) throws IOException {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
      for (Path file : files) {
        if (!names.contains(String.valueOf(file.getFileName()).split("\\.", 2)[0])) {
          Files.delete(file);
        }
      }
    }
  }

  @Override
  public void close() throws IOException {
    lockFile.close();
  }
}
