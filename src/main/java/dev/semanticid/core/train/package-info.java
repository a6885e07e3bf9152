/**
 * Trains codebooks: {@link dev.semanticid.core.train.ResidualQuantizerTrainer} with the parameters
 * of a {@link dev.semanticid.core.train.ResidualQuantizerConfig}, checkpoints included.
 */
@NullMarked
package dev.semanticid.core.train;

import org.jspecify.annotations.NullMarked;
