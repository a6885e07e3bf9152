package dev.semanticid;

/**
 * How much of their full number of trials the long tests do: a fifth by default, so that people run
 * them; all in the profiles {@code ci} and {@code soak}.
 */
public final class Trials {

  private static final int PERCENT = Integer.getInteger("trials.percent", 20);

  private Trials() {}

  /** The number of trials to do of {@code full}; at least one. */
  public static int of(int full) {
    return Math.max(1, Math.toIntExact((long) full * PERCENT / 100));
  }

  /** The step with which a loop over all cases does its share of them. */
  public static int step() {
    return Math.max(1, 100 / PERCENT);
  }
}
