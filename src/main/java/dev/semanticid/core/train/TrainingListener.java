package dev.semanticid.core.train;

import java.util.function.Supplier;

/**
 * Hears of every step of a training, on the training's thread. Whatever it throws ends the
 * training.
 */
@FunctionalInterface
public interface TrainingListener {

  /** Hears nothing. */
  TrainingListener NONE = stats -> {};

  /** A level took a step. */
  void onStep(IterationStats stats);

  /**
   * A step that takes a pass over all rows, or more, has worked on some more of them.
   *
   * @param rows how many since the last call
   */
  default void onRows(long rows) {}

  /**
   * The training is between two steps, where it can be continued from.
   *
   * @param checkpoint gives its state, if that is wanted; only during this call
   */
  default void onCheckpoint(Supplier<TrainingCheckpoint> checkpoint) {}
}
