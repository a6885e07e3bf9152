package dev.semanticid.core.encode.loop;

/**
 * The extended codes of the least scores, where scores are exact: of equal ones, those offered
 * first. Working memory of one thread.
 */
public final class BeamPaths {

  private final double[] scores;
  private final int[] paths;
  private final int[] centroids;
  private int keep;
  private int count;

  /**
   * @param most of {@link #begin}
   */
  public BeamPaths(int most) {
    this.scores = new double[most];
    this.paths = new int[most];
    this.centroids = new int[most];
  }

  /** Forgets what was offered; from now on the best {@code keep} are kept. */
  public void begin(int keep) {
    this.keep = keep;
    this.count = 0;
  }

  /** Offers the extension of a partial code by a centroid; in lexicographic order of both. */
  public void offer(double score, int path, int centroid) {
    if (count == keep && !(score < scores[count - 1])) {
      return;
    }
    int at = count == keep ? count - 1 : count++;
    for (; at > 0 && score < scores[at - 1]; at--) {
      move(at - 1, at);
    }
    scores[at] = score;
    paths[at] = path;
    centroids[at] = centroid;
  }

  /** Puts those kept into lexicographic order, and tells how many they are. */
  public int finish() {
    for (int i = 1; i < count; i++) {
      double score = scores[i];
      int path = paths[i];
      int centroid = centroids[i];
      int at = i;
      for (;
          at > 0
              && (paths[at - 1] > path || (paths[at - 1] == path && centroids[at - 1] > centroid));
          at--) {
        move(at - 1, at);
      }
      scores[at] = score;
      paths[at] = path;
      centroids[at] = centroid;
    }
    return count;
  }

  private void move(int from, int to) {
    scores[to] = scores[from];
    paths[to] = paths[from];
    centroids[to] = centroids[from];
  }

  /** Which partial code the i-th kept one extends. */
  public int path(int i) {
    return paths[i];
  }

  /** By which centroid. */
  public int centroid(int i) {
    return centroids[i];
  }
}
