/**
 * The trained model: a {@link dev.semanticid.core.codebook.Codebook} of {@link
 * dev.semanticid.core.codebook.Centroids}, and the {@link
 * dev.semanticid.core.codebook.ExactDistance} that defines which centroid is nearest.
 */
@NullMarked
package dev.semanticid.core.codebook;

import org.jspecify.annotations.NullMarked;
