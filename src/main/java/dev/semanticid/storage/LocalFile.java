package dev.semanticid.storage;

import dev.semanticid.core.vector.ByteSource;
import dev.semanticid.problem.ProblemCode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The bytes of a file of this machine. Reads come from several threads at once, and each one makes
 * sure that the file is still what it was when it was found. An interrupt neither ends a read nor
 * gets lost; a read after {@link #close} raises {@link IllegalStateException}.
 */
final class LocalFile implements ByteSource {

  /*
   * A FileChannel is closed for good, for all threads, when one that uses it is interrupted. Then it
   * is opened again, and the comparison that follows every read tells whether that is still the same
   * file.
   */

  /** The JDK reads through a buffer outside of the heap that is as long as the longest read. */
  private static final int CHUNK_BYTES = 1 << 20;

  private final Path path;
  private final FileState state;
  private final Object lock = new Object();
  private @Nullable FileChannel channel;

  private LocalFile(Path path, FileState state, FileChannel channel) {
    this.path = path;
    this.state = state;
    this.channel = channel;
  }

  /**
   * Opens a file.
   *
   * @param state what it was when it was found
   * @throws StorageException {@code SOURCE_CHANGED} or {@code SOURCE_NOT_FOUND} if it is no longer
   *     that
   */
  static LocalFile open(Path path, FileState state) throws IOException {
    FileChannel channel = channel(path);
    try {
      state.requireStill(path);
      return new LocalFile(path, state, channel);
    } catch (Throwable e) {
      channel.close();
      throw e;
    }
  }

  @Override
  public String name() {
    return path.toString();
  }

  @Override
  public long size() {
    return state.size();
  }

  @Override
  public void read(long position, byte[] target, int offset, int length) throws IOException {
    Objects.checkFromIndexSize(position, length, state.size());
    Objects.checkFromIndexSize(offset, length, target.length);
    boolean interrupted = false;
    try {
      while (true) {
        FileChannel current = current();
        try {
          readAll(current, position, ByteBuffer.wrap(target, offset, length));
          state.requireStill(path);
          return;
        } catch (ClosedChannelException e) {
          interrupted |= Thread.interrupted();
          reopen();
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  @Override
  public void close() throws IOException {
    synchronized (lock) {
      if (channel != null) {
        channel.close();
        channel = null;
      }
    }
  }

  private void readAll(FileChannel from, long position, ByteBuffer target) throws IOException {
    long at = position;
    int end = target.limit();
    while (target.position() < end) {
      target.limit(Math.min(end, target.position() + CHUNK_BYTES));
      int count = from.read(target, at);
      if (count < 0) {
        throw state.changed(path, from.size());
      }
      at += count;
    }
  }

  private FileChannel current() {
    synchronized (lock) {
      if (channel == null) {
        throw new IllegalStateException(path + " is closed");
      }
      return channel;
    }
  }

  /** Replaces the channel if it was closed by an interrupt and nobody has done so yet. */
  private void reopen() throws IOException {
    synchronized (lock) {
      if (channel != null && !channel.isOpen()) {
        channel = channel(path);
      }
    }
  }

  private static FileChannel channel(Path path) throws IOException {
    try {
      return FileChannel.open(path, StandardOpenOption.READ);
    } catch (NoSuchFileException e) {
      throw new StorageException(
          ProblemCode.SOURCE_NOT_FOUND, "%s: there is no such file any more".formatted(path), e);
    }
  }
}
