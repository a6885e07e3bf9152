package dev.semanticid.storage;

import dev.semanticid.problem.ProblemCode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;

/**
 * What tells one content of a file from another.
 *
 * @param size in bytes
 * @param modifiedNanos when it was last written to, in nanoseconds since 1970
 * @param inode which file has the name; 0 where there are no inodes
 */
record FileState(long size, long modifiedNanos, long inode) {

  static FileState of(Path file) throws IOException {
    // Without the device's number, which may be another one after a restart of the machine.
    boolean unix = file.getFileSystem().supportedFileAttributeViews().contains("unix");
    Map<String, Object> found;
    try {
      found =
          Files.readAttributes(
              file, unix ? "unix:size,lastModifiedTime,ino" : "size,lastModifiedTime");
    } catch (NoSuchFileException e) {
      throw new StorageException(
          ProblemCode.SOURCE_NOT_FOUND, "%s: there is no such file any more".formatted(file), e);
    }
    return new FileState(
        (Long) Objects.requireNonNull(found.get("size")),
        ((FileTime) Objects.requireNonNull(found.get("lastModifiedTime"))).to(TimeUnit.NANOSECONDS),
        unix ? (Long) Objects.requireNonNull(found.get("ino")) : 0);
  }

  String identity() {
    return String.format(Locale.ROOT, "%d-%d-%d", size, modifiedNanos, inode);
  }

  /** Compares with what the file is now. */
  void requireStill(Path file) throws IOException {
    FileState now = of(file);
    if (now.size != size) {
      throw changed(file, now.size);
    }
    if (!now.equals(this)) {
      throw new StorageException(
          ProblemCode.SOURCE_CHANGED,
          "%s: expected the content with identity %s as when it was found, got %s"
              .formatted(file, identity(), now.identity()));
    }
  }

  /** That the file has another length by now. */
  StorageException changed(Path file, long nowBytes) {
    return new StorageException(
        ProblemCode.SOURCE_CHANGED,
        String.format(
            Locale.ROOT,
            "%s: expected %d bytes as when it was found, got %d",
            file,
            size,
            nowBytes));
  }
}
