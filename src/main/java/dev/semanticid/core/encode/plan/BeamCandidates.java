package dev.semanticid.core.encode.plan;

import dev.semanticid.core.encode.loop.BeamPaths;
import dev.semanticid.core.search.ScoreBounds;
import dev.semanticid.core.search.Scores;
import java.util.Arrays;

/**
 * The extended codes that may be among those of the least scores, by bounds of their scores:
 * whoever's lower bound is above the {@code keep}-th least upper bound is not. Working memory of
 * one thread; grows as needed.
 */
final class BeamCandidates {

  private int[] paths = new int[64];
  private int[] centroids = new int[64];
  private double[] lowers = new double[64];
  private int count;

  /** The least upper bounds, ascending. */
  private final double[] uppers;

  private int keep;

  /**
   * @param most of {@link #begin}
   */
  BeamCandidates(int most) {
    this.uppers = new double[most];
  }

  /** Forgets all; from now on the best {@code keep} are looked for. */
  void begin(int keep) {
    this.keep = keep;
    this.count = 0;
    Arrays.fill(uppers, 0, keep, Double.POSITIVE_INFINITY);
  }

  /**
   * Adds the extensions of a partial code by the centroids of a level, in the order of codes.
   *
   * @param path which partial code
   * @param bounds of each s[k]
   * @param width K
   * @param scale the score is {@code scale·(base + 2·s[k])}
   * @param base see scale
   * @param error of the score, besides that of s
   * @return false if the scores cannot tell
   */
  boolean add(int path, ScoreBounds bounds, int width, double scale, double base, double error) {
    Scores scores = bounds.scores();
    if (!scores.findBlockMinima(width) || !(error < Double.POSITIVE_INFINITY)) {
      return false;
    }
    float[] values = scores.values();
    double below = bounds.below();
    double limit = uppers[keep - 1];
    float cut = cut(limit, scale, base, error, below);
    for (int begin = 0, block = 0; begin < width; begin += Scores.BLOCK, block++) {
      if (scores.blockMinimum(block) > cut) {
        continue;
      }
      int end = Math.min(width, begin + Scores.BLOCK);
      for (int k = begin; k < end; k++) {
        if (values[k] <= cut) {
          append(path, k, scale * (base + 2 * bounds.lower(k)) - error);
          double upper = scale * (base + 2 * bounds.upper(k)) + error;
          if (upper < limit) {
            offer(upper);
            limit = uppers[keep - 1];
            cut = cut(limit, scale, base, error, below);
          }
        }
      }
    }
    return true;
  }

  /** The largest v[k] whose lower bound is within the limit. */
  private static float cut(double limit, double scale, double base, double error, double below) {
    return Math.nextUp((float) (((limit + error) / scale - base) / 2 + below));
  }

  private void append(int path, int centroid, double lower) {
    if (count == paths.length) {
      paths = Arrays.copyOf(paths, 2 * count);
      centroids = Arrays.copyOf(centroids, 2 * count);
      lowers = Arrays.copyOf(lowers, 2 * count);
    }
    paths[count] = path;
    centroids[count] = centroid;
    lowers[count++] = lower;
  }

  private void offer(double upper) {
    int at = keep - 1;
    for (; at > 0 && upper < uppers[at - 1]; at--) {
      uppers[at] = uppers[at - 1];
    }
    uppers[at] = upper;
  }

  /** Leaves out who is above the limit; tells how many are left. */
  int narrow() {
    double limit = uppers[keep - 1];
    int left = 0;
    for (int i = 0; i < count; i++) {
      if (lowers[i] <= limit) {
        paths[left] = paths[i];
        centroids[left] = centroids[i];
        lowers[left++] = lowers[i];
      }
    }
    count = left;
    return left;
  }

  /** Forgets the upper bounds, before better bounds of all candidates. */
  void beginAgain() {
    Arrays.fill(uppers, 0, keep, Double.POSITIVE_INFINITY);
  }

  /** Better bounds of the i-th candidate. */
  void set(int i, double lower, double upper) {
    lowers[i] = lower;
    if (upper < uppers[keep - 1]) {
      offer(upper);
    }
  }

  /** How many candidates there are. */
  int count() {
    return count;
  }

  /** Which partial code the i-th candidate extends; ascending. */
  int path(int i) {
    return paths[i];
  }

  /** By which centroid; ascending for each partial code. */
  int centroid(int i) {
    return centroids[i];
  }

  /** Leaves only the kept ones of exact scores. */
  void keepOnly(BeamPaths best) {
    count = best.finish();
    for (int i = 0; i < count; i++) {
      paths[i] = best.path(i);
      centroids[i] = best.centroid(i);
    }
  }
}
