package dev.semanticid.service;

import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/**
 * Waits for a condition. The limit only detects what never comes: no test fails because the machine
 * is slow.
 */
final class Await {

  /** After this time a test is taken to hang. */
  static final Duration LIMIT = Duration.ofMinutes(5);

  private static final long POLL_NANOS = 10_000_000;

  private Await() {}

  /**
   * Returns as soon as the condition holds.
   *
   * @param what it is that is waited for, in words
   * @param extra what to say besides when it does not come
   * @throws AssertionError if it does not hold within the limit
   */
  static void until(String what, BooleanSupplier condition, Supplier<String> extra) {
    long deadline = System.nanoTime() + LIMIT.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > deadline) {
        throw new AssertionError("%s: not within %s. %s".formatted(what, LIMIT, extra.get()));
      }
      LockSupport.parkNanos(POLL_NANOS);
    }
  }

  /** Lets an amount of time pass; for a moment that is random by intent, never for a condition. */
  static void pass(Duration amount) {
    long deadline = System.nanoTime() + amount.toNanos();
    for (long left = amount.toNanos(); left > 0; left = deadline - System.nanoTime()) {
      LockSupport.parkNanos(left);
    }
  }
}
