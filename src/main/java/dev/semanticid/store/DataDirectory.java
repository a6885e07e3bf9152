package dev.semanticid.store;

import dev.semanticid.settings.SemanticIdProperties;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipal;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.stereotype.Component;

/**
 * The folder that this process alone works in: it holds the embedded database and uploads, and a
 * lock that a second process on the same folder fails on instead of taking the first one's jobs for
 * dead.
 *
 * <p>All of it is for the owner alone, where the file system knows owners: folders have mode 0700
 * and files 0600, whatever the umask.
 */
@Component
public class DataDirectory implements AutoCloseable {

  private static final String SQLITE = "jdbc:sqlite:";
  private static final Logger LOG = LoggerFactory.getLogger(DataDirectory.class);

  private static final Set<PosixFilePermission> OWNERS_FOLDER =
      PosixFilePermissions.fromString("rwx------");
  private static final Set<PosixFilePermission> OWNERS_FILE =
      PosixFilePermissions.fromString("rw-------");
  private static final Set<PosixFilePermission> OTHERS =
      Set.of(
          PosixFilePermission.OTHERS_READ,
          PosixFilePermission.OTHERS_WRITE,
          PosixFilePermission.OTHERS_EXECUTE);

  /** The names that this service makes, in this release or an earlier one. */
  private static final List<String> FOLDERS = List.of("spool", "staging", "encoding", "uploads");

  private static final List<String> FILES =
      List.of(
          "lock",
          "identity",
          "identity.new",
          "semantic-id.db",
          "semantic-id.db-wal",
          "semantic-id.db-shm",
          "semantic-id.db-journal");

  private final Path root;
  private final FileChannel lockFile;

  public DataDirectory(SemanticIdProperties properties) {
    try {
      root = createFolder(properties.dataDir()).toRealPath();
      if (isPosix(root)) {
        closeToOthers(properties.dataRoot());
      }
      lockFile = create(root.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
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

  /**
   * Takes the access of group and others away from what an earlier release made. A folder that
   * belongs to another user is left as it is: Kubernetes gives its volumes to root, and access to a
   * group.
   *
   * @param dataRoot where sources are; others may need to reach it through this folder
   */
  private void closeToOthers(@Nullable Path dataRoot) throws IOException {
    UserPrincipal user = user();
    if (!Files.getOwner(root).equals(user)) {
      if (!Collections.disjoint(Files.getPosixFilePermissions(root), OTHERS)) {
        LOG.warn(
            "semantic-id.data-dir {} belongs to another user than this process and is open to"
                + " every user who can reach it; its owner should take that access away",
            root);
      }
      return;
    }
    int closed = 0;
    if (dataRoot == null || !dataRoot.toAbsolutePath().normalize().startsWith(root)) {
      closed += close(root, user, OWNERS_FOLDER);
    }
    for (String name : FILES) {
      closed += close(root.resolve(name), user, OWNERS_FILE);
    }
    for (String name : FOLDERS) {
      Path folder = root.resolve(name);
      closed += close(folder, user, OWNERS_FOLDER);
      if (Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
          for (Path file : files) {
            closed += close(file, user, OWNERS_FILE);
          }
        }
      }
    }
    if (closed > 0) {
      LOG.info(
          "semantic-id.data-dir {}: {} files and folders were open to other users, and are the"
              + " owner's alone now",
          root,
          closed);
    }
  }

  /** The user of this process, whom new files belong to; it need not have a name. */
  private UserPrincipal user() throws IOException {
    Path probe = Files.createTempFile(root, "owner", ".tmp");
    try {
      return Files.getOwner(probe);
    } finally {
      Files.delete(probe);
    }
  }

  /**
   * Takes other permissions than those away; links, and files of other users, are left as they are.
   *
   * @return 1 if there were others, else 0
   */
  private static int close(Path file, UserPrincipal user, Set<PosixFilePermission> allowed)
      throws IOException {
    PosixFileAttributes found;
    try {
      found = Files.readAttributes(file, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    } catch (NoSuchFileException e) {
      return 0;
    }
    if (found.isSymbolicLink()
        || !found.owner().equals(user)
        || allowed.containsAll(found.permissions())) {
      return 0;
    }
    Files.setPosixFilePermissions(file, allowed);
    return 1;
  }

  private static boolean isPosix(Path file) {
    return file.getFileSystem().supportedFileAttributeViews().contains("posix");
  }

  private static FileAttribute<?>[] attributes(Path file, Set<PosixFilePermission> permissions) {
    return isPosix(file)
        ? new FileAttribute<?>[] {PosixFilePermissions.asFileAttribute(permissions)}
        : new FileAttribute<?>[0];
  }

  private static Path createFolder(Path folder) throws IOException {
    return Files.createDirectories(folder, attributes(folder, OWNERS_FOLDER));
  }

  /**
   * Opens a file of the data directory. One that is made thereby is for the owner alone.
   *
   * @param options as {@link FileChannel#open} takes them
   */
  public static FileChannel create(Path file, OpenOption... options) throws IOException {
    return FileChannel.open(file, Set.of(options), attributes(file, OWNERS_FILE));
  }

  /**
   * Makes a database file for the owner alone before SQLite makes one by the umask; its journals
   * get the mode of the file.
   *
   * @param jdbcUrl of any database
   */
  void prepareDatabase(String jdbcUrl) {
    String file = jdbcUrl.startsWith(SQLITE) ? jdbcUrl.substring(SQLITE.length()) : "";
    file = file.split("\\?", 2)[0];
    if (file.isEmpty() || file.startsWith(":") || file.startsWith("file:")) {
      return;
    }
    try {
      create(Path.of(file), StandardOpenOption.CREATE, StandardOpenOption.WRITE).close();
    } catch (IOException | InvalidPathException e) {
      throw new IllegalStateException("the database %s cannot be made".formatted(file), e);
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
        Path made = root.resolve("identity.new");
        Files.deleteIfExists(made);
        create(made, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE).close();
        Files.writeString(made, UUID.randomUUID().toString());
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
      return createFolder(root.resolve(name));
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
