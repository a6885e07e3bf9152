package dev.semanticid.core.encode.loop;

import dev.semanticid.core.codebook.Centroids;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.ExactDistance;

/**
 * The contract's loop with a beam, operation by operation in float64: what it gives defines the
 * codes of a codebook with a beam of size B.
 *
 * <pre>
 *   one partial code, empty, with r = x and P = 1
 *   per level l: for each partial code, and each centroid k:
 *       ν = ‖r‖;  normalised, below level 0: P ← P·ν
 *       u = r/ν, or all zero once exhausted (as {@link ResidualLoop}); raw: u = r
 *       score = (P·P)·‖u − C_l[k]‖²,  the squared residual of the code extended by k, in units of ‖x‖² if normalised
 *     the B extended codes of the least scores are the next partial ones, with r = u − C_l[k];
 *     of equal scores, the lexicographically lowest codes
 *   the code of the least score is the row's, of equal ones again the lexicographically lowest
 * </pre>
 *
 * <p>Beam search for additive quantizers is from Babenko & Lempitsky 2014, "Additive Quantization
 * for Extreme Vector Compression"; with B = 1 this is the greedy loop. Working memory of one
 * thread.
 */
public final class BeamLoop {

  private final Codebook codebook;
  private final int d;
  private final int levels;
  private final int beam;

  /** Σ C_l[k]² of every centroid, what an exhausted residual is away from it. */
  private final double[][] squares;

  private final BeamPaths best;
  private double[] residuals;
  private double[] next;
  private double[] products;
  private double[] nextProducts;
  private boolean[] exhausted;
  private boolean[] nextExhausted;
  private int[] codes;
  private int[] nextCodes;
  private final double[] distances;

  public BeamLoop(Codebook codebook) {
    this.codebook = codebook;
    this.d = codebook.dimension();
    this.levels = codebook.levels();
    this.beam = codebook.settings().beamSize();
    this.squares = new double[levels][];
    int widest = 0;
    double[] zero = new double[d];
    for (int l = 0; l < levels; l++) {
      Centroids level = codebook.centroids(l);
      widest = Math.max(widest, level.width());
      squares[l] = new double[level.width()];
      ExactDistance.squared(zero, 0, level, squares[l]);
    }
    this.best = new BeamPaths(beam);
    this.residuals = new double[beam * d];
    this.next = new double[beam * d];
    this.products = new double[beam];
    this.nextProducts = new double[beam];
    this.exhausted = new boolean[beam];
    this.nextExhausted = new boolean[beam];
    this.codes = new int[beam * levels];
    this.nextCodes = new int[beam * levels];
    this.distances = new double[widest];
  }

  /**
   * Encodes one row.
   *
   * @param x d components from {@code begin} on
   * @param into receives L codes from {@code out} on
   */
  public void encode(float[] x, int begin, int[] into, int out) {
    int count = 1;
    products[0] = 1;
    exhausted[0] = false;
    for (int i = 0; i < d; i++) {
      residuals[i] = x[begin + i];
    }
    for (int l = 0; l < levels; l++) {
      best.begin(l + 1 == levels ? 1 : beam);
      for (int path = 0; path < count; path++) {
        extend(l, path);
      }
      count = best.finish();
      for (int i = 0; i < count; i++) {
        follow(l, i);
      }
      swap();
    }
    System.arraycopy(codes, 0, into, out, levels);
  }

  private void extend(int l, int path) {
    Centroids level = codebook.centroids(l);
    double[] distance = distances;
    enter(l, path);
    if (exhausted[path]) {
      distance = squares[l];
    } else {
      ExactDistance.squared(residuals, path * d, level, distance);
    }
    double scale = products[path] * products[path];
    for (int k = 0; k < level.width(); k++) {
      best.offer(scale * distance[k], path, k);
    }
  }

  /** Turns a path's r into u. */
  private void enter(int l, int path) {
    if (!codebook.normalizeResiduals()) {
      return;
    }
    int begin = path * d;
    double norm = ExactDistance.norm(residuals, begin, d);
    if (l > 0) {
      products[path] *= norm;
    }
    if (exhausted[path] || (l == 0 ? norm == 0 : norm <= Codebook.EXHAUSTED_NORM)) {
      exhausted[path] = true;
      for (int i = begin; i < begin + d; i++) {
        residuals[i] = 0;
      }
    } else {
      for (int i = begin; i < begin + d; i++) {
        residuals[i] /= norm;
      }
    }
  }

  private void follow(int l, int i) {
    int path = best.path(i);
    int k = best.centroid(i);
    float[] centroids = codebook.centroids(l).data();
    for (int j = 0; j < d; j++) {
      next[i * d + j] = residuals[path * d + j] - centroids[k * d + j];
    }
    nextProducts[i] = products[path];
    nextExhausted[i] = exhausted[path];
    System.arraycopy(codes, path * levels, nextCodes, i * levels, l);
    nextCodes[i * levels + l] = k;
  }

  private void swap() {
    double[] r = residuals;
    residuals = next;
    next = r;
    double[] p = products;
    products = nextProducts;
    nextProducts = p;
    boolean[] e = exhausted;
    exhausted = nextExhausted;
    nextExhausted = e;
    int[] c = codes;
    codes = nextCodes;
    nextCodes = c;
  }
}
