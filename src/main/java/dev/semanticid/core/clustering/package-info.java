/**
 * Exact nearest centroids, their initialisation, and the mini-batch k-means update of one level.
 */
@NullMarked
package dev.semanticid.core.clustering;

import org.jspecify.annotations.NullMarked;
