package dev.semanticid.encode;

import dev.semanticid.core.encode.ResidualQuantizer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Encodes the rows of concurrent requests in common blocks. Batching is natural: what queued up
 * while the last block was encoded becomes the next one; nothing ever waits for company.
 *
 * <p>As many threads encode as there are cores, each a block at a time. A block takes the small
 * requests of one codebook version first, then others in the order of arrival, but none of them for
 * more than half of it while more wait; what is left of a request goes to the end of the queue. So
 * a request of one row waits for the blocks under way, not for the large request before it. A
 * request's rows keep their order, in one block or in many. A small request that finds nobody
 * waiting and a core free is encoded by its own thread, without being handed over.
 *
 * <p>A request whose deadline has passed, or whose client has gone, leaves the queue with what of
 * it has not begun.
 */
final class EncodeQueue implements AutoCloseable {

  /** How often a waiting request looks whether its client is still there. */
  private static final long PROBE_NANOS = 50_000_000;

  /** A block that costs no more than this may hold up others, so no thread is asked for it. */
  private static final int MOST_ROWS_FOR_CALLER = 32;

  /**
   * Most rows of a block: the longest that a new request waits for a core, against what the GEMM
   * gains by more.
   */
  private static final int MOST_ROWS = 512;

  /** Requests of so few rows go before larger ones, for half a block at most. */
  private static final int SMALL = 16;

  /** Fewer rows than this are not worth sharing with another core. */
  private static final int FEWEST_ROWS = 16;

  private final int cores;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition work = lock.newCondition();
  private final Deque<Waiting> queue = new ArrayDeque<>();
  private int busy;
  private boolean closed;
  private double rowsPerSecond;
  private long blocks;
  private long blockRows;
  private long blockNanos;
  private long waits;
  private long waitNanos;

  /** How a request ended without its codes. */
  enum Abandoned {
    /** Its deadline passed. */
    DEADLINE,
    /** Its client went away. */
    CLIENT_GONE
  }

  /** Thrown instead of codes. */
  static final class AbandonedException extends Exception {

    private static final long serialVersionUID = 1L;

    private final Abandoned why;

    AbandonedException(Abandoned why) {
      super(why.name());
      this.why = why;
    }

    Abandoned why() {
      return why;
    }
  }

  /**
   * @param cores threads that encode
   */
  EncodeQueue(int cores) {
    this.cores = cores;
    for (int i = 0; i < cores; i++) {
      Thread.ofPlatform().daemon().name("encode-queue-" + i).start(this::serve);
    }
  }

  /**
   * Encodes rows, together with those of other callers.
   *
   * @param quantizer by which codebook; must stay open until this returns
   * @param vectors rows of d finite components, row-major; not written, and not touched after this
   *     returns
   * @param rows how many, 1 or more
   * @param deadline {@link System#nanoTime()} after which the codes are of no use
   * @param clientGone whether nobody waits for the codes any more; asked while the rows wait
   * @return rows × L codes
   * @throws AbandonedException if it was given up
   */
  int[] encode(
      ResidualQuantizer quantizer,
      float[] vectors,
      int rows,
      long deadline,
      BooleanSupplier clientGone)
      throws AbandonedException {
    if (deadline - System.nanoTime() < 0) {
      throw new AbandonedException(Abandoned.DEADLINE);
    }
    int[] codes = new int[Math.multiplyExact(rows, quantizer.codebook().levels())];
    if (rows <= Math.min(MOST_ROWS_FOR_CALLER, quantizer.blockRows()) && tryBegin()) {
      long began = System.nanoTime();
      try {
        quantizer.encodeBlock(vectors, 0, rows, codes, 0);
      } finally {
        end(rows, System.nanoTime() - began);
      }
      return codes;
    }
    var waiting = new Waiting(quantizer, vectors, rows, codes, deadline);
    lock.lock();
    try {
      queue.add(waiting);
      work.signal();
    } finally {
      lock.unlock();
    }
    await(waiting, clientGone);
    return codes;
  }

  private boolean tryBegin() {
    lock.lock();
    try {
      if (!queue.isEmpty() || busy == cores) {
        return false;
      }
      busy++;
      return true;
    } finally {
      lock.unlock();
    }
  }

  private void end(int rows, long nanos) {
    lock.lock();
    try {
      busy--;
      count(rows, nanos);
      wakeOne();
    } finally {
      lock.unlock();
    }
  }

  private void await(Waiting waiting, BooleanSupplier clientGone) throws AbandonedException {
    Abandoned why = null;
    boolean interrupted = false;
    while (!waiting.finished) {
      long left = waiting.deadline - System.nanoTime();
      LockSupport.parkNanos(waiting, why == null ? Math.clamp(left, 1, PROBE_NANOS) : PROBE_NANOS);
      interrupted |= Thread.interrupted();
      if (why == null && !waiting.finished) {
        if (waiting.deadline - System.nanoTime() <= 0) {
          why = Abandoned.DEADLINE;
        } else if (clientGone.getAsBoolean()) {
          why = Abandoned.CLIENT_GONE;
        }
        if (why != null) {
          abandon(waiting);
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    switch (waiting.failure) {
      case null -> {}
      case RuntimeException e -> throw e;
      case Error e -> throw e;
      default -> throw new IllegalStateException(waiting.failure);
    }
    if (why != null && waiting.done < waiting.rows) {
      throw new AbandonedException(why);
    }
  }

  /** Takes what has not begun out of the queue; what has begun is waited for. */
  private void abandon(Waiting waiting) {
    lock.lock();
    try {
      queue.remove(waiting);
      waiting.abandoned = true;
      waiting.finished = waiting.done == waiting.begun;
    } finally {
      lock.unlock();
    }
  }

  /** What a thread of this queue does until it is closed. */
  private void serve() {
    var block = new Block();
    while (next(block)) {
      long began = System.nanoTime();
      Throwable failure = null;
      try {
        block.encode();
      } catch (RuntimeException | Error e) {
        failure = e;
      }
      finish(block, failure, System.nanoTime() - began);
    }
  }

  /** Waits for rows and puts a block together; false when closed. */
  private boolean next(Block block) {
    lock.lock();
    try {
      while (queue.isEmpty() || busy == cores) {
        if (closed && queue.isEmpty()) {
          wakeOne();
          return false;
        }
        work.awaitUninterruptibly();
      }
      busy++;
      fill(block);
      wakeOne();
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** Something may be left to do, if only to end. */
  private void wakeOne() {
    if (closed || !queue.isEmpty()) {
      work.signal();
    }
  }

  private void fill(Block block) {
    ResidualQuantizer quantizer = queue.getFirst().quantizer;
    long rows = 0;
    for (Waiting waiting : queue) {
      rows += waiting.quantizer == quantizer ? waiting.rows - waiting.begun : 0;
    }
    // What the other free cores can take at the same time is left to them.
    int free = cores - busy + 1;
    long share = Math.max(FEWEST_ROWS, (rows + free - 1) / free);
    int room = (int) Math.min(Math.min(MOST_ROWS, quantizer.blockRows()), share);
    int half = (room + 1) / 2;
    block.begin(quantizer);
    for (Waiting waiting : queue) {
      int left = waiting.rows - waiting.begun;
      if (waiting.quantizer == quantizer && left <= SMALL && block.rows + left <= half) {
        block.add(waiting, left);
      }
    }
    for (Waiting waiting : queue) {
      if (waiting.quantizer == quantizer) {
        block.add(waiting, Math.min(half, room - block.rows));
      }
    }
    for (Waiting waiting : queue) {
      if (waiting.quantizer == quantizer) {
        block.add(waiting, room - block.rows);
      }
    }
    long now = System.nanoTime();
    for (Slice slice : block.slices) {
      if (slice.row() == 0) {
        waits++;
        waitNanos += now - slice.waiting().since;
      }
    }
    // Who has had a turn goes behind those that have not.
    for (Slice slice : block.slices) {
      Waiting served = slice.waiting();
      queue.remove(served);
      if (served.begun < served.rows) {
        queue.add(served);
      }
    }
  }

  private void finish(Block block, @Nullable Throwable failure, long nanos) {
    lock.lock();
    try {
      busy--;
      count(block.rows, nanos);
      double rate = block.rows * 1e9 / Math.max(1, nanos) * cores;
      rowsPerSecond = rowsPerSecond == 0 ? rate : 0.9 * rowsPerSecond + 0.1 * rate;
      for (Slice slice : block.slices) {
        Waiting waiting = slice.waiting;
        waiting.done += slice.count;
        if (failure != null && waiting.failure == null) {
          waiting.failure = failure;
          waiting.abandoned = true;
          queue.remove(waiting);
        }
        if (waiting.done == (waiting.abandoned ? waiting.begun : waiting.rows)) {
          waiting.finished = true;
          LockSupport.unpark(waiting.thread);
        }
      }
      block.clear();
      wakeOne();
    } finally {
      lock.unlock();
    }
  }

  /** Rows per second that all cores together encode, of late; 0 before the first block. */
  double rowsPerSecond() {
    lock.lock();
    try {
      return rowsPerSecond;
    } finally {
      lock.unlock();
    }
  }

  /** Counts a block that is done, the lock held. */
  private void count(int rows, long nanos) {
    blocks++;
    blockRows += rows;
    blockNanos += nanos;
  }

  /**
   * What was done so far.
   *
   * @param blocks blocks encoded
   * @param rows their rows
   * @param nanos the time they took, of all cores together
   * @param waits requests whose first rows have waited for a core
   * @param waitNanos how long they waited
   */
  record Done(long blocks, long rows, long nanos, long waits, long waitNanos) {}

  /** What was done so far. */
  Done done() {
    lock.lock();
    try {
      return new Done(blocks, blockRows, blockNanos, waits, waitNanos);
    } finally {
      lock.unlock();
    }
  }

  /** Requests that wait for rows to begin. */
  int waiting() {
    lock.lock();
    try {
      return queue.size();
    } finally {
      lock.unlock();
    }
  }

  /** Ends the threads once nothing waits. */
  @Override
  public void close() {
    lock.lock();
    try {
      closed = true;
      work.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** A request's rows; all but the constants guarded by the lock. */
  private static final class Waiting {

    private final ResidualQuantizer quantizer;
    private final float[] vectors;
    private final int rows;
    private final int[] codes;
    private final long deadline;
    private final Thread thread = Thread.currentThread();
    private final long since = System.nanoTime();

    private int begun;
    private int done;
    private boolean abandoned;
    private @Nullable Throwable failure;

    /** Nothing of it is under way and nothing will begin. */
    private volatile boolean finished;

    Waiting(ResidualQuantizer quantizer, float[] vectors, int rows, int[] codes, long deadline) {
      this.quantizer = quantizer;
      this.vectors = vectors;
      this.rows = rows;
      this.codes = codes;
      this.deadline = deadline;
    }
  }

  /** Consecutive rows of one request. */
  private record Slice(Waiting waiting, int row, int count) {}

  /** What a thread encodes at a time; its arrays are used again. */
  private static final class Block {

    private final List<Slice> slices = new ArrayList<>();
    private @Nullable ResidualQuantizer quantizer;
    private int rows;
    private float[] vectors = {};
    private int[] codes = {};

    void begin(ResidualQuantizer by) {
      quantizer = by;
    }

    /** Takes up to {@code most} rows. */
    void add(Waiting waiting, int most) {
      int count = Math.min(most, waiting.rows - waiting.begun);
      if (count <= 0) {
        return;
      }
      Slice last = slices.isEmpty() ? null : slices.getLast();
      if (last != null && last.waiting() == waiting) {
        slices.set(slices.size() - 1, new Slice(waiting, last.row(), last.count() + count));
      } else {
        slices.add(new Slice(waiting, waiting.begun, count));
      }
      waiting.begun += count;
      rows += count;
    }

    void encode() {
      ResidualQuantizer by = quantizer;
      if (by == null) {
        throw new IllegalStateException("a block was not begun");
      }
      if (slices.size() == 1) {
        Slice all = slices.getFirst();
        by.encodeBlock(
            all.waiting().vectors, all.row(), all.count(), all.waiting().codes, all.row());
        return;
      }
      int d = by.codebook().dimension();
      int levels = by.codebook().levels();
      if (vectors.length < rows * d) {
        vectors = new float[rows * d];
      }
      if (codes.length < rows * levels) {
        codes = new int[rows * levels];
      }
      int at = 0;
      for (Slice slice : slices) {
        System.arraycopy(
            slice.waiting().vectors, slice.row() * d, vectors, at * d, slice.count() * d);
        at += slice.count();
      }
      by.encodeBlock(vectors, 0, rows, codes, 0);
      at = 0;
      for (Slice slice : slices) {
        System.arraycopy(
            codes,
            at * levels,
            slice.waiting().codes,
            slice.row() * levels,
            slice.count() * levels);
        at += slice.count();
      }
    }

    void clear() {
      slices.clear();
      quantizer = null;
      rows = 0;
    }
  }
}
