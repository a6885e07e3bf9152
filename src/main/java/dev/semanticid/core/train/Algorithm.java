package dev.semanticid.core.train;

/** How the centroids of a level are found. */
public enum Algorithm {
  /** A batch at a time, as GRID does: the reference (Sculley 2010). */
  MINIBATCH_KMEANS,
  /** All rows at a time, until that gains no more (Lloyd 1982). */
  LLOYD
}
