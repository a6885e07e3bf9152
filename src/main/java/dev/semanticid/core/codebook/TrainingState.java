package dev.semanticid.core.codebook;

import java.util.List;
import java.util.Locale;

/**
 * What training knows besides the centroids; it decides no code.
 *
 * @param counts per level the rows N_k that each centroid has absorbed, so that training can be
 *     continued
 * @param meanNorms per level the mean ‖r_l‖ over the training rows, which stands in for a row's own
 *     norms where a code is decoded without them
 */
public record TrainingState(List<long[]> counts, List<Double> meanNorms) {

  public TrainingState {
    counts = List.copyOf(counts);
    meanNorms = List.copyOf(meanNorms);
    if (counts.size() != meanNorms.size()) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "counts of %d levels but mean norms of %d",
              counts.size(),
              meanNorms.size()));
    }
    for (int l = 0; l < counts.size(); l++) {
      for (long count : counts.get(l)) {
        if (count < 0) {
          throw new IllegalArgumentException(
              String.format(
                  Locale.ROOT, "level %d counts %d rows; counts must not be negative", l, count));
        }
      }
    }
  }
}
