package dev.semanticid.core.quantizer;

import dev.semanticid.core.clustering.IterationStats;

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
}
