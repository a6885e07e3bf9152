package dev.semanticid.storage;

import dev.semanticid.core.vector.ByteSource;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;

/** One file or object as it was found. */
public interface DataFile {

  /** Its address, {@code file:///folder/name} or {@code s3://bucket/key}. */
  String uri();

  /** Its length in bytes. */
  long size();

  /**
   * Says whether the content is still the same: a string that is another one once the content has
   * been replaced. Of a local file it is made of size, time of last change and inode, of an object
   * of size and ETag.
   */
  String identity();

  /** Where it is on this machine; empty for an object. */
  Optional<Path> path();

  /**
   * Opens it for reading.
   *
   * @return reads exactly the content that was found, or fails with {@code SOURCE_CHANGED}, {@code
   *     SOURCE_NOT_FOUND}, {@code SOURCE_ACCESS_DENIED} or {@code SOURCE_UNAVAILABLE}
   * @throws StorageException for the same reasons; an object's may come with the first read only
   */
  ByteSource open() throws IOException;

  /**
   * A file of this machine, wherever it lies: for files of the service's own, not for addresses
   * that clients give.
   *
   * @throws StorageException if it is not there
   */
  static DataFile of(Path file) throws IOException {
    return LocalDataFile.of(file);
  }
}
