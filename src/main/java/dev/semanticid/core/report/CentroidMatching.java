package dev.semanticid.core.report;

import dev.semanticid.core.codebook.Centroids;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.ExactDistance;
import org.jspecify.annotations.Nullable;

/**
 * The centroids of a level of two codebooks, paired so that the sum of the squared distances
 * between partners is as small as it can be. A level whose centroids only have other numbers is
 * paired with itself at distance 0.
 *
 * @param partners for each centroid of the one codebook, its partner's number in the other; not to
 *     be written
 * @param meanShift mean distance between partners
 */
public record CentroidMatching(int[] partners, double meanShift) {

  /** Wider levels are not matched: their costs would take more than 32 MiB. */
  public static final int MOST_CENTROIDS = 2048;

  /** Whether a level of two codebooks can be matched. */
  public static boolean isPossible(Codebook before, Codebook after, int level) {
    int width = before.width(level);
    return width == after.width(level) && width <= MOST_CENTROIDS;
  }

  /** Bytes of heap that {@link #of} takes while it runs. */
  public static long memoryBytes(int width) {
    return 8L * width * width + 64L * width;
  }

  /**
   * Matches a level.
   *
   * @param before a codebook
   * @param after another one of the same dimension
   * @param checkpoint called again and again; what it throws ends the computation
   * @return null if it is not {@linkplain #isPossible possible}
   */
  public static @Nullable CentroidMatching of(
      Codebook before, Codebook after, int level, Runnable checkpoint) {
    if (!isPossible(before, after, level)) {
      return null;
    }
    Centroids from = before.centroids(level);
    Centroids to = after.centroids(level);
    int width = from.width();
    int d = from.dimension();
    double[][] costs = new double[width][width];
    double[] centroid = new double[d];
    for (int k = 0; k < width; k++) {
      checkpoint.run();
      for (int i = 0; i < d; i++) {
        centroid[i] = from.data()[k * d + i];
      }
      ExactDistance.squared(centroid, 0, to, costs[k]);
    }
    int[] partners = LinearAssignment.solve(costs, checkpoint);
    double sum = 0;
    for (int k = 0; k < width; k++) {
      sum += Math.sqrt(costs[k][partners[k]]);
    }
    return new CentroidMatching(partners, sum / width);
  }

  /** Centroids whose partner has another number. */
  public int renumbered() {
    int count = 0;
    for (int k = 0; k < partners.length; k++) {
      count += partners[k] == k ? 0 : 1;
    }
    return count;
  }
}
