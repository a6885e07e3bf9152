package dev.semanticid.core.train;

/**
 * What one step of training did to one level.
 *
 * @param level the level, 0-based
 * @param phase what the step was for
 * @param step number of the step within its level and phase, from 1
 * @param steps how many update steps the level gets
 * @param rows rows of the batch that the step used: those that reached the level and, while the
 *     buffer fills, found room in it
 * @param loss Σ_k (n_k/N_k)·‖C[k] − m_k‖² before the update; 0 while the buffer fills
 * @param inertia Σ‖u − C[k]‖² over those rows, before the update; 0 while the buffer fills
 * @param residualNormRatio Frobenius norm of the batch's residuals behind the level over that of
 *     its rows at level 0, as the algorithm sees them; NaN when residuals are not tracked or the
 *     buffer fills
 */
public record IterationStats(
    int level,
    Phase phase,
    int step,
    int steps,
    long rows,
    double loss,
    double inertia,
    double residualNormRatio) {

  /** What steps are for. */
  public enum Phase {
    /** Rows fill the buffer from which the first centroids are chosen. */
    INITIALIZATION,
    /** A mini-batch, or a pass over all rows, moves the centroids. */
    UPDATE,
    /** A pass over all rows moves the centroids whose weights balance the level. */
    BALANCE,
    /** A round moves the centroids of all levels together. */
    REFINEMENT
  }
}
