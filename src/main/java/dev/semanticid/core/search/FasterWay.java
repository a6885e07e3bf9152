package dev.semanticid.core.search;

/**
 * Which of two ways to the same result is faster, by the times that they have taken. Now and then
 * the slower one is tried again, to notice when that changes. A wrong choice costs time and nothing
 * else. Safe for use by several threads.
 */
public final class FasterWay {

  /** The slower way gets this share of the time. */
  private static final double TRIAL_SHARE = 0.01;

  /**
   * How fast an estimate follows times above it. It follows those below it at once: what slows work
   * down, such as other programs or code not yet compiled, need not concern the next piece.
   */
  private static final double RISE = 1.0 / 8;

  private final double[] nanosPerRow = {Double.NaN, Double.NaN};
  private final int always;

  /** Nanoseconds that the faster way took since the last trial of the other. */
  private double sinceTrial;

  /** A choice between both ways. */
  public FasterWay() {
    this(-1);
  }

  private FasterWay(int always) {
    this.always = always;
  }

  /** No choice, but one way, 0 or 1. */
  public static FasterWay always(int way) {
    return new FasterWay(way);
  }

  /** 0 or 1, the way that has been faster; 0 before both have been timed. */
  public synchronized int faster() {
    return nanosPerRow[1] <= nanosPerRow[0] ? 1 : 0;
  }

  /** What a row takes one way, in nanoseconds; NaN before it was timed. */
  public synchronized double nanosPerRow(int way) {
    return nanosPerRow[way];
  }

  /**
   * The way for the next rows: the faster one, or the other if its trial is due.
   *
   * @param trialRows how many rows a trial would take
   */
  public synchronized int choose(int trialRows) {
    if (always >= 0) {
      return always;
    }
    for (int way = 0; way < nanosPerRow.length; way++) {
      if (Double.isNaN(nanosPerRow[way])) {
        return way;
      }
    }
    int faster = faster();
    int other = 1 - faster;
    if (sinceTrial * TRIAL_SHARE < nanosPerRow[other] * trialRows) {
      return faster;
    }
    sinceTrial = 0;
    return other;
  }

  /** Takes down that some rows took so long one way. */
  public synchronized void took(int way, int rows, long nanos) {
    double sample = (double) nanos / rows;
    double estimate = nanosPerRow[way];
    if (way == faster()) {
      sinceTrial += nanos;
    }
    nanosPerRow[way] = estimate < sample ? estimate + (sample - estimate) * RISE : sample;
  }
}
