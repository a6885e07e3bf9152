package dev.semanticid;

/**
 * How much of their full number of trials the long tests do: a tenth by default, so that people run
 * them; all in the profiles {@code ci} and {@code soak}.
 */
public final class Trials {

  private static final int PERCENT = Integer.getInteger("trials.percent", 10);

  private Trials() {}

  /** The number of trials to do of {@code full}; at least one. */
  public static int of(int full) {
    return Math.max(1, Math.toIntExact((long) full * PERCENT / 100));
  }

  /**
   * Whether a case gets its turn: each by {@code -Pci}, else one of {@code every}. With a count
   * that goes on from test to test, and that no test's cases are a multiple of, each case has its
   * turn in some test.
   */
  public static boolean takes(int turn, int every) {
    return PERCENT >= 100 || turn % every == 0;
  }

  /** The step with which a loop over all cases does its share of them. */
  public static int step() {
    return Math.max(1, 100 / PERCENT);
  }
}
