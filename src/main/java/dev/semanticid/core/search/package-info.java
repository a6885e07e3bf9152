/**
 * Finds the nearest centroids of one level. Fast products exclude most centroids by an error bound
 * ({@link dev.semanticid.core.search.ScoreBounds}); {@link
 * dev.semanticid.core.search.CertifiedSearch} decides among the rest exactly.
 */
@NullMarked
package dev.semanticid.core.search;

import org.jspecify.annotations.NullMarked;
