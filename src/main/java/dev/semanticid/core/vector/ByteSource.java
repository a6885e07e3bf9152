package dev.semanticid.core.vector;

import java.io.IOException;

/**
 * The bytes of one file or object, which does not change while it is open. Safe for use by several
 * threads.
 */
public interface ByteSource extends AutoCloseable {

  /** What a person would call it: a path, an {@code s3://} address. */
  String name();

  /** Length in bytes. */
  long size();

  /**
   * Reads exactly {@code length} bytes.
   *
   * @param position of the first one, 0-based
   * @throws IndexOutOfBoundsException if the bytes or the target range do not exist
   * @throws IOException if they cannot be read, or the file is no longer what was opened
   */
  void read(long position, byte[] target, int offset, int length) throws IOException;

  @Override
  void close() throws IOException;
}
