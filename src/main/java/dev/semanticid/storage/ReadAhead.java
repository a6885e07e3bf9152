package dev.semanticid.storage;

import dev.semanticid.core.vector.ByteSource;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.ArrayDeque;
import java.util.Objects;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import org.jspecify.annotations.Nullable;

/**
 * Fetches what comes next while the caller is busy with what came: a read that begins where the one
 * before ended starts a run of blocks that are fetched at the same time, first one, then twice as
 * many as before for each that is used, up to a limit. Other reads go straight to the source and
 * leave the run alone. Holds no more than the limit's blocks at a time.
 */
final class ReadAhead implements ByteSource {

  private final ByteSource source;
  private final int blockBytes;
  private final int maxBlocks;

  private final ArrayDeque<Block> blocks = new ArrayDeque<>();
  private long expected = -1;
  private int ahead;
  private boolean closed;

  /**
   * @param source what is read, by several threads at once; closed with this
   * @param blockBytes bytes fetched at a time
   * @param maxBlocks most blocks that are held or being fetched
   */
  ReadAhead(ByteSource source, int blockBytes, int maxBlocks) {
    this.source = source;
    this.blockBytes = blockBytes;
    this.maxBlocks = maxBlocks;
  }

  @Override
  public String name() {
    return source.name();
  }

  @Override
  public long size() {
    return source.size();
  }

  @Override
  public void read(long position, byte[] target, int offset, int length) throws IOException {
    Objects.checkFromIndexSize(position, length, size());
    Objects.checkFromIndexSize(offset, length, target.length);
    long end = position + length;
    long at = position;
    while (at < end) {
      int into = offset + (int) (at - position);
      Block block = next(at, at > position);
      byte[] bytes = block == null ? null : bytes(block);
      if (block == null || bytes == null) {
        source.read(at, target, into, (int) (end - at));
        break;
      }
      int from = (int) (at - block.start);
      int count = (int) Math.min(end - at, block.length - from);
      System.arraycopy(bytes, from, target, into, count);
      at += count;
    }
    synchronized (this) {
      expected = end;
    }
  }

  @Override
  public void close() throws IOException {
    synchronized (this) {
      closed = true;
      drop();
    }
    source.close();
  }

  /**
   * The block with a byte, with those behind it on their way; null if it is not part of a run.
   *
   * @param continued whether the byte before was just read
   */
  private synchronized @Nullable Block next(long position, boolean continued) {
    if (closed) {
      throw new IllegalStateException(name() + " is closed");
    }
    if (blocks.isEmpty()
        || position < blocks.getFirst().start
        || position > blocks.getLast().end()) {
      if (!continued && position != expected) {
        return null;
      }
      drop();
      ahead = 1;
      fetch(position);
    } else if (position == blocks.getLast().end()) {
      fetch(position);
    }
    while (blocks.getFirst().end() <= position) {
      blocks.removeFirst();
      ahead = Math.min(2 * ahead, maxBlocks);
    }
    while (blocks.size() < ahead && blocks.getLast().end() < size()) {
      fetch(blocks.getLast().end());
    }
    return blocks.getFirst();
  }

  private void fetch(long start) {
    int length = (int) Math.min(blockBytes, size() - start);
    var task =
        new FutureTask<>(() -> {
          byte[] bytes = new byte[length];
          source.read(start, bytes, 0, length);
          return bytes;
        });
    blocks.addLast(new Block(start, length, task));
    Thread.ofVirtual().name("read-ahead").start(task);
  }

  /** Waits for a block; null if another thread has begun a run elsewhere. */
  private byte @Nullable [] bytes(Block block) throws IOException {
    try {
      return block.task.get();
    } catch (ExecutionException e) {
      // The next attempt at it is a new one.
      discard(block);
      if (e.getCause() instanceof StorageException known) {
        throw new StorageException(known.code(), String.valueOf(known.getMessage()), known);
      }
      if (e.getCause() instanceof Error error) {
        throw error;
      }
      throw new IOException(e.getCause());
    } catch (CancellationException e) {
      return null;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException(name() + ": interrupted while it was read");
    }
  }

  private synchronized void discard(Block block) {
    if (blocks.contains(block)) {
      drop();
    }
  }

  private synchronized void drop() {
    blocks.forEach(block -> block.task.cancel(true));
    blocks.clear();
  }

  private record Block(long start, int length, FutureTask<byte[]> task) {
    long end() {
      return start + length;
    }
  }
}
