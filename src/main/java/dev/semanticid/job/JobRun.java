package dev.semanticid.job;

import dev.semanticid.job.JobStore.CheckpointWriter;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.transaction.TransactionException;

/**
 * A job that this process has under way. The work calls it between batches: so it ends in time when
 * it is cancelled or the service stops, and can be continued from where it last said so.
 */
public final class JobRun {

  private static final Logger LOG = LoggerFactory.getLogger(JobRun.class);

  /** A checkpoint takes at most this share of the time. */
  private static final int CHECKPOINT_SHARE = 50;

  /** How long a run that is to stop may go on until its next checkpoint. */
  private static final long CHECKPOINT_GRACE_NANOS = 5_000_000_000L;

  private final Job job;
  private final JobStore store;
  private final long checkpointNanos;
  private final LongAdder rowsDone;
  private volatile @Nullable JobProgress progress;
  private volatile boolean cancelled;
  private volatile boolean stopping;
  private volatile long stopDeadline;
  private volatile boolean lost;
  private long nextCheckpoint;
  private String phase = "";
  private long phaseBegan;
  private long phaseFirstRow;
  private long phaseRows;

  JobRun(Job job, JobStore store, Duration checkpointInterval, LongAdder rowsDone) {
    this.job = job;
    this.store = store;
    this.checkpointNanos = checkpointInterval.toNanos();
    this.rowsDone = rowsDone;
    this.nextCheckpoint = System.nanoTime() + checkpointNanos;
  }

  /** The service stops; the job will be continued by the next process. */
  static final class StoppingException extends RuntimeException {
    private static final long serialVersionUID = 1L;
  }

  /** The job as it was when the run began. */
  public Job job() {
    return job;
  }

  /** Ends the run, by an exception, if it is no longer wanted. */
  public void checkWanted() {
    if (lost) {
      throw new ClaimLostException(job.id());
    }
    if (cancelled) {
      throw new CancellationException();
    }
    // A checkpoint that comes soon ends the run instead, and nothing is lost.
    if (stopping && System.nanoTime() - stopDeadline >= 0) {
      throw new StoppingException();
    }
  }

  /** Begins another part of the work: rates are counted from here. */
  public void beginPhase(String name, long firstRow) {
    phase = name;
    phaseBegan = System.nanoTime();
    phaseFirstRow = firstRow;
    phaseRows = firstRow;
  }

  /** Tells how many rows of the phase are done; returns rows per second. */
  public double rowsDone(long rows) {
    rowsDone.add(rows - phaseRows);
    phaseRows = rows;
    double seconds = (System.nanoTime() - phaseBegan) / 1e9;
    return (rows - phaseFirstRow) / Math.max(seconds, 1e-9);
  }

  /** The part of the work under way. */
  public String phase() {
    return phase;
  }

  /** Tells where the job is. */
  public void progress(JobProgress now) {
    progress = now;
  }

  /** Remembers what opening the source found, and all settings then in effect. */
  public void opened(Map<String, Object> parameters, String source) {
    store.opened(job, parameters, source);
  }

  /**
   * The job can be continued from here: keeps that, if it is time to, and then ends the run if it
   * is no longer wanted. A database that does not answer is asked again later.
   */
  public void checkpoint(CheckpointWriter writer) {
    long now = System.nanoTime();
    boolean last = stopping;
    if (!lost && !cancelled && (last || now - nextCheckpoint >= 0)) {
      try {
        store.checkpoint(job, writer);
      } catch (DataAccessException | TransactionException e) {
        LOG.warn("job {}: no checkpoint, the database does not answer: {}", job.id(), e.toString());
      }
      long end = System.nanoTime();
      nextCheckpoint = end + Math.max(checkpointNanos, CHECKPOINT_SHARE * (end - now));
    }
    checkWanted();
    if (last) {
      throw new StoppingException();
    }
  }

  /** What the job was last told that it can be continued from, or null. */
  public @Nullable InputStream savedCheckpoint() throws IOException {
    return store.checkpoint(job.id());
  }

  @Nullable JobProgress progress() {
    return progress;
  }

  void cancel() {
    cancelled = true;
  }

  void stop() {
    stopDeadline = System.nanoTime() + CHECKPOINT_GRACE_NANOS;
    stopping = true;
  }

  /** Another process has the job. */
  void lose() {
    lost = true;
  }

  boolean cancelled() {
    return cancelled;
  }
}
