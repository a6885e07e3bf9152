package dev.semanticid.job;

import java.io.IOException;

/** What the jobs of a kind do. */
public interface JobWork {

  /**
   * Does a job, from its beginning or from its last checkpoint, and ends it by {@link
   * JobStore#succeed}. Whatever is thrown ends it otherwise.
   *
   * @throws IOException if its source cannot be read
   */
  void run(JobRun run) throws IOException;

  /** A job has ended: whatever it kept outside the database goes. */
  void discard(Job job) throws IOException;

  /** Whether a job needs what only the machine has that accepted it, such as an upload. */
  boolean isLocal(Job job);

  /** A line for the log: where a running job is. */
  String describe(JobProgress progress);
}
