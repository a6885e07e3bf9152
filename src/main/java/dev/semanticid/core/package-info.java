/**
 * The library: exact semantic IDs on the JDK alone.
 *
 * <p>A {@link dev.semanticid.core.codebook.Codebook} holds the trained centroids. A {@link
 * dev.semanticid.core.encode.ResidualQuantizer} encodes with it. A {@link
 * dev.semanticid.core.train.ResidualQuantizerTrainer} trains a new one.
 */
@NullMarked
package dev.semanticid.core;

import org.jspecify.annotations.NullMarked;
