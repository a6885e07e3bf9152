package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Locale;

/**
 * Figures that depend on the machine: times, sizes in memory, work done in a time. Every run prints
 * them; only {@code -Psoak}, which measures for ten minutes on a quiet machine, judges them.
 */
final class Soak {

  private static final boolean JUDGES = Boolean.getBoolean("soak.judges");

  private Soak() {}

  /** Prints a figure, and asserts that it is at most {@code most} if this is a soak. */
  static void judge(String figure, double value, double most) {
    System.out.printf(
        Locale.ROOT,
        "%s: %,.3f (%s at most %,.3f)%n",
        figure,
        value,
        JUDGES ? "must be" : "not judged here,",
        most);
    if (JUDGES) {
      assertThat(value).as(figure).isLessThanOrEqualTo(most);
    }
  }

  /** Seconds since a reading of {@link System#nanoTime()}. */
  static double secondsSince(long nanoTime) {
    return (System.nanoTime() - nanoTime) / 1e9;
  }
}
