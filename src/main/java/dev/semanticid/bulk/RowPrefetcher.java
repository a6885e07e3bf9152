package dev.semanticid.bulk;

import dev.semanticid.backend.BackgroundThreads;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.core.vector.VectorReader;
import dev.semanticid.source.SourceSpec.OnBadRow;
import dev.semanticid.source.Staging;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.Arrays;
import java.util.BitSet;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import org.jspecify.annotations.Nullable;

/** Reads and checks the next rows on a thread of its own while the last ones are encoded. */
final class RowPrefetcher implements AutoCloseable {

  private static final int BATCHES = 2;

  private final VectorReader reader;
  private final OnBadRow onBadRow;
  private final int batchRows;
  private final BlockingQueue<Batch> free = new ArrayBlockingQueue<>(BATCHES);
  private final BlockingQueue<Batch> full = new ArrayBlockingQueue<>(BATCHES + 1);
  private final Thread thread;
  private long row;

  /** Some rows; filled and emptied by turns. */
  static final class Batch {

    private final float[] vectors;
    private int rows;
    private BitSet bad = new BitSet();
    private @Nullable Throwable failure;

    Batch(int length) {
      vectors = new float[length];
    }

    /** The rows, row-major; one that is no vector is all zero. */
    float[] vectors() {
      return vectors;
    }

    /** How many; 0 behind the last one. */
    int rows() {
      return rows;
    }

    /** Which are no vectors. */
    BitSet bad() {
      return bad;
    }
  }

  /**
   * Begins to read.
   *
   * @param reader where the rows come from; closed with this object
   * @param firstRow number of the row that it stands at
   * @param batchRows rows to read at a time
   */
  RowPrefetcher(VectorReader reader, long firstRow, int batchRows, OnBadRow onBadRow) {
    this.reader = reader;
    this.row = firstRow;
    this.batchRows = batchRows;
    this.onBadRow = onBadRow;
    for (int i = 0; i < BATCHES; i++) {
      free.add(new Batch(Math.multiplyExact(batchRows, reader.dimension())));
    }
    this.thread = new BackgroundThreads("encoding-reader").newThread(this::read);
    thread.start();
  }

  private void read() {
    try {
      Batch batch;
      do {
        batch = free.take();
        try {
          fill(batch);
        } catch (IOException | RuntimeException | Error e) {
          batch.failure = e;
        }
        full.put(batch);
      } while (batch.failure == null && batch.rows > 0);
    } catch (InterruptedException e) {
      // closed
    }
  }

  private void fill(Batch batch) throws IOException {
    int d = reader.dimension();
    batch.rows = reader.read(batch.vectors, 0, batchRows);
    batch.bad = VectorBatch.nonFiniteRows(batch.vectors, batch.rows, d);
    if (onBadRow == OnBadRow.FAIL && !batch.bad.isEmpty()) {
      throw Staging.badRow(reader.defect(row + batch.bad.nextSetBit(0)));
    }
    batch.bad.stream().forEach(at -> Arrays.fill(batch.vectors, at * d, (at + 1) * d, 0f));
    row += batch.rows;
  }

  /**
   * The next rows, to be given back.
   *
   * @throws IOException whatever reading them threw
   */
  Batch next() throws IOException {
    Batch batch;
    try {
      batch = full.take();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while rows were read");
    }
    return switch (batch.failure) {
      case null -> batch;
      case IOException e -> throw e;
      case RuntimeException e -> throw e;
      case Error e -> throw e;
      default -> throw new AssertionError(batch.failure);
    };
  }

  /** Takes rows back that are done with. */
  void giveBack(Batch batch) {
    free.add(batch);
  }

  @Override
  public void close() throws IOException {
    thread.interrupt();
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    reader.close();
  }
}
