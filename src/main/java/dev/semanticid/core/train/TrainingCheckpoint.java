package dev.semanticid.core.train;

import java.util.List;
import java.util.Locale;

/**
 * A training between two steps: all that is needed to go on as if it had never stopped. With the
 * same data and settings, what follows is the same, bit for bit.
 *
 * @param centroids of every level that has some, from level 0 on, K_l × d, row-major
 * @param counts per such level the rows N_k that each centroid absorbed
 * @param bufferRows per such level the rows its first centroids were chosen from
 * @param weights per level that is balanced already its weights
 * @param steps update steps that the last of these levels has taken; all of them have, if they are
 *     trained jointly
 * @param inertia of the last pass of Lloyd's algorithm over the last of these levels; infinite
 *     before its first
 * @param refined rounds of joint refinement before these centroids; −1 before it began
 * @param pass the pass over the data that the next batch begins in, 0-based
 * @param position rows of that pass which are used already
 */
public record TrainingCheckpoint(
    List<float[]> centroids,
    List<long[]> counts,
    List<Integer> bufferRows,
    List<float[]> weights,
    int steps,
    double inertia,
    int refined,
    long pass,
    long position) {

  /** Of the reference algorithm. */
  public TrainingCheckpoint(
      List<float[]> centroids,
      List<long[]> counts,
      List<Integer> bufferRows,
      int steps,
      long pass,
      long position) {
    this(
        centroids,
        counts,
        bufferRows,
        List.of(),
        steps,
        Double.POSITIVE_INFINITY,
        -1,
        pass,
        position);
  }

  public TrainingCheckpoint {
    centroids = List.copyOf(centroids);
    counts = List.copyOf(counts);
    bufferRows = List.copyOf(bufferRows);
    weights = List.copyOf(weights);
    if (centroids.isEmpty()
        || counts.size() != centroids.size()
        || bufferRows.size() != centroids.size()
        || weights.size() > centroids.size()) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "centroids of %d levels, counts of %d, buffers of %d, weights of %d",
              centroids.size(),
              counts.size(),
              bufferRows.size(),
              weights.size()));
    }
    if (Double.isNaN(inertia) || refined < -1) {
      throw new IllegalArgumentException(
          String.format(Locale.ROOT, "inertia %s, %d rounds of refinement", inertia, refined));
    }
    if (steps < 0 || pass < 0 || position < 0) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%d steps, pass %d, position %d must not be negative",
              steps,
              pass,
              position));
    }
  }
}
