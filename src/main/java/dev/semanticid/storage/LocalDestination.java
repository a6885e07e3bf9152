package dev.semanticid.storage;

import dev.semanticid.problem.ProblemCode;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.ReadOnlyFileSystemException;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFilePermission;
import java.util.Locale;
import java.util.Objects;
import java.util.Set;
import java.util.zip.CRC32;

/**
 * A place in a folder of this machine.
 *
 * <p>A file is first moved, or copied from another file system, beside the destination, under a
 * hidden name that the job's id and the destination's name make up. Then it appears by a hard link,
 * because that alone fails if the name is taken, or by renaming where there are no links.
 */
final class LocalDestination implements Destination {

  private static final String PREFIX = ".semantic-id-";
  private static final String SUFFIX = ".tmp";
  private static final int CHUNK_BYTES = 1 << 20;

  private final Path target;
  private final Path folder;

  /**
   * @param target a name in the real path of a folder
   */
  LocalDestination(Path target) {
    this.folder = Objects.requireNonNull(target.getParent());
    this.target = target;
  }

  /** Whether a file is what a {@link #publish} has not finished. */
  static boolean isUnfinished(Path file) {
    String name = String.valueOf(file.getFileName());
    return name.startsWith(PREFIX) && name.endsWith(SUFFIX);
  }

  @Override
  public String uri() {
    return target.toUri().toString();
  }

  @Override
  public boolean exists() {
    return Files.exists(target, LinkOption.NOFOLLOW_LINKS);
  }

  @Override
  public void publish(Path finished, String jobId) throws IOException {
    Path beside = unfinished(jobId);
    requireFolder();
    requireFree();
    try {
      force(finished);
      boolean moved = bring(finished, beside);
      boolean appeared = false;
      try {
        appear(beside);
        appeared = true;
      } finally {
        if (!appeared && moved) {
          Files.move(beside, finished, StandardCopyOption.ATOMIC_MOVE);
        }
        Files.deleteIfExists(beside);
      }
      forceFolder();
      Files.deleteIfExists(finished);
    } catch (AccessDeniedException | NoSuchFileException | ReadOnlyFileSystemException e) {
      throw new StorageException(
          ProblemCode.DESTINATION_INVALID, "%s cannot be written: %s".formatted(target, e), e);
    }
  }

  @Override
  public void discard(String jobId) throws IOException {
    Files.deleteIfExists(unfinished(jobId));
  }

  /** The hidden name; short whatever the destination's is, because names have a limit. */
  Path unfinished(String jobId) {
    if (!jobId.matches("[A-Za-z0-9-]{1,64}")) {
      throw new IllegalArgumentException(
          "a job's id has letters, digits and hyphens, got '%s'".formatted(jobId));
    }
    var name = new CRC32();
    name.update(ByteBuffer.wrap(target.toString().getBytes(StandardCharsets.UTF_8)));
    return folder.resolve(
        PREFIX + jobId + String.format(Locale.ROOT, "-%08x", name.getValue()) + SUFFIX);
  }

  private void requireFolder() throws StorageException {
    // One answer for all that it may have become, because a link may lead outside the data root.
    boolean same;
    try {
      same = folder.toRealPath().equals(folder);
    } catch (IOException e) {
      same = false;
    }
    if (!same) {
      throw new StorageException(
          ProblemCode.DESTINATION_INVALID,
          "the folder of %s is no longer there, or a link has taken its place".formatted(target));
    }
  }

  private void requireFree() throws StorageException {
    if (exists()) {
      throw new StorageException(
          ProblemCode.DESTINATION_EXISTS,
          "%s exists already; nothing is overwritten".formatted(target));
    }
  }

  /** Puts a file beside the destination; true if it was moved, false if it was copied. */
  private static boolean bring(Path finished, Path beside) throws IOException {
    Files.deleteIfExists(beside);
    Files.createFile(beside);
    boolean complete = false;
    try {
      takePermissions(finished, beside);
      boolean moved = move(finished, beside);
      if (!moved) {
        copy(finished, beside);
      }
      complete = true;
      return moved;
    } finally {
      if (!complete) {
        Files.deleteIfExists(beside);
      }
    }
  }

  /** False if the places are on two file systems. */
  private static boolean move(Path from, Path to) throws IOException {
    try {
      Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
      return true;
    } catch (AtomicMoveNotSupportedException e) {
      return false;
    }
  }

  /**
   * Gives a file the permissions of another: a result comes from a folder that is its owner's
   * alone, and is for those who may read other new files where it goes.
   */
  private static void takePermissions(Path file, Path other) throws IOException {
    if (Files.getFileAttributeView(file, PosixFileAttributeView.class) == null
        || Files.getFileAttributeView(other, PosixFileAttributeView.class) == null) {
      return;
    }
    Set<PosixFilePermission> permissions =
        Files.getPosixFilePermissions(other, LinkOption.NOFOLLOW_LINKS);
    if (!permissions.equals(Files.getPosixFilePermissions(file))) {
      Files.setPosixFilePermissions(file, permissions);
    }
  }

  private static void copy(Path from, Path to) throws IOException {
    try (FileChannel in = FileChannel.open(from, StandardOpenOption.READ);
        FileChannel out =
            FileChannel.open(
                to,
                StandardOpenOption.CREATE,
                StandardOpenOption.TRUNCATE_EXISTING,
                StandardOpenOption.WRITE,
                LinkOption.NOFOLLOW_LINKS)) {
      ByteBuffer chunk = ByteBuffer.allocate(CHUNK_BYTES);
      while (in.read(chunk) >= 0) {
        write(out, chunk.flip(), to);
        chunk.clear();
      }
      out.force(true);
    }
  }

  private static void write(FileChannel out, ByteBuffer bytes, Path to) throws IOException {
    try {
      while (bytes.hasRemaining()) {
        out.write(bytes);
      }
    } catch (ClosedByInterruptException e) {
      throw e;
    } catch (IOException e) {
      throw new StorageException(
          ProblemCode.INSUFFICIENT_STORAGE,
          "the result cannot be written to %s: %s".formatted(to.getParent(), e.getMessage()),
          e);
    }
  }

  /** Gives the file beside it the destination's name. */
  private void appear(Path beside) throws IOException {
    try {
      Files.createLink(target, beside);
    } catch (FileAlreadyExistsException e) {
      requireFree();
      throw e;
    } catch (UnsupportedOperationException | FileSystemException e) {
      // A file system without links.
      requireFree();
      Files.move(beside, target, StandardCopyOption.ATOMIC_MOVE);
    }
  }

  private static void force(Path file) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.force(true);
    }
  }

  /** Makes the name last. */
  private void forceFolder() throws IOException {
    if (File.separatorChar == '/') {
      try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
        channel.force(true);
      }
    }
  }
}
