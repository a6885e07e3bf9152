package dev.semanticid.core.search;

import org.jspecify.annotations.Nullable;

/**
 * Bounds of one vector's scores {@code ½‖C[k]‖² + w[k] − u·C[k]} against all centroids of a level:
 * {@code v[k] − c − offset} and {@code v[k] + 2·(a·p[k] + b·q[k]) + c − offset}, where v are {@link
 * Scores#values()}. Working memory of one thread.
 */
public final class ScoreBounds {

  private static final float[] NONE = {};

  private Scores scores = new Scores();
  private double common;
  private double offset;
  private float a;
  private float b;
  private float @Nullable [] p;
  private float[] q = NONE;

  /** Becomes bounds of the same width for all centroids, {@code v[k] ± common}. */
  public void set(Scores scores, double common) {
    set(scores, common, 0, 0, null, 0, NONE);
  }

  /** Becomes the bounds of the class comment. */
  public void set(
      Scores scores,
      double common,
      double offset,
      float a,
      float @Nullable [] p,
      float b,
      float[] q) {
    this.scores = scores;
    this.common = common;
    this.offset = offset;
    this.a = a;
    this.p = p;
    this.b = b;
    this.q = q;
  }

  /** v. */
  public Scores scores() {
    return scores;
  }

  /** What lower bounds are less than v, the same for all centroids. */
  public double below() {
    return common + offset;
  }

  /** The score of centroid k is at least this. */
  public double lower(int k) {
    return scores.values()[k] - common - offset;
  }

  /** The score of centroid k is at most this. */
  public double upper(int k) {
    float[] each = p;
    double width = each == null ? 0 : 2 * ((double) a * each[k] + (double) b * q[k]);
    return scores.values()[k] + width + common - offset;
  }
}
