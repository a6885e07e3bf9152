package dev.semanticid.storage;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Objects;

/** A stretch of a file, as a stream of exactly its length. */
final class FilePart extends InputStream {

  private final RandomAccessFile file;
  private long left;

  /**
   * @throws UncheckedIOException if the file cannot be opened
   */
  FilePart(Path path, long start, long length) {
    try {
      file = new RandomAccessFile(path.toFile(), "r");
      file.seek(start);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    left = length;
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  @Override
  public int read(byte[] target, int offset, int length) throws IOException {
    Objects.checkFromIndexSize(offset, length, target.length);
    if (length == 0) {
      return 0;
    }
    if (left == 0) {
      return -1;
    }
    int count = file.read(target, offset, (int) Math.min(length, left));
    if (count < 0) {
      throw new EOFException(
          String.format(Locale.ROOT, "the file is %d bytes shorter than it was", left));
    }
    left -= count;
    return count;
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
