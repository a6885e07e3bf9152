package dev.semanticid.storage;

import java.io.IOException;
import java.nio.file.Path;

/**
 * A place for one finished file, which appears there whole or not at all. Nothing that is there
 * already is overwritten.
 */
public interface Destination {

  /** Its address, {@code file:///folder/name} or {@code s3://bucket/key}. */
  String uri();

  /**
   * Whether something is there.
   *
   * @throws StorageException if that cannot be found out
   */
  boolean exists() throws IOException;

  /**
   * Puts a finished file there and deletes it where it was. If it fails, the file is still where it
   * was, and nothing appears at the destination.
   *
   * @param finished a local file, written and closed
   * @param jobId who does it: letters, digits and hyphens; what a crash leaves is found by it
   * @throws StorageException {@code DESTINATION_EXISTS} if something is there; {@code
   *     DESTINATION_INVALID} if the folder or bucket has gone or cannot be written to; {@code
   *     INSUFFICIENT_STORAGE} if it has no room; {@code SOURCE_ACCESS_DENIED} or {@code
   *     SOURCE_UNAVAILABLE} as for reading
   */
  void publish(Path finished, String jobId) throws IOException;

  /**
   * Removes what a {@link #publish} left that did not come to its end, if anything. The published
   * file, if there is one, stays. Not while a {@code publish} to this place is under way: of an
   * object, every unfinished upload is given up.
   *
   * @param jobId that of the {@code publish}
   * @throws StorageException as of {@link #publish}
   */
  void discard(String jobId) throws IOException;
}
