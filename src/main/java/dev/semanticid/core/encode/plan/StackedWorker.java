package dev.semanticid.core.encode.plan;

import dev.semanticid.core.codebook.Centroids;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.DotProduct;
import dev.semanticid.core.codebook.ExactDistance;
import dev.semanticid.core.encode.loop.ResidualLoop;
import dev.semanticid.core.search.CertifiedSearch;
import dev.semanticid.core.search.ScoreBounds;
import dev.semanticid.core.search.Scores;
import org.jspecify.annotations.Nullable;

/**
 * Encodes without residuals: {@code u_l = a_l·x − Σ_{j<l} b_lj·C_j[k_j]}, so products of x with the
 * centroids of all levels, and tables {@code G_jl = C_j·C_lᵀ}, say all that scores need. Subclasses
 * screen: they give each level's candidates from products of limited precision, with lower bounds.
 * This class decides among those in float64, or lets the loop do so, and carries the coefficients
 * to the next level.
 *
 * <h2>The bound</h2>
 *
 * All in float64, per row; u = 2⁻⁵³, τ = (d + 4)·u, M = max ‖C_l[k]‖, W = max |w_l[k]|. Call u_l
 * the vector that the contract's loop has at level l, and ũ_l what the coefficients a, b stand for
 * in exact arithmetic; {@code ε ≥ ‖ũ_l − u_l‖}, and {@code P = a·‖x‖ + Σ|b_j|·‖C_j[k_j]‖}, which
 * bounds every sum over the terms of ũ_l.
 *
 * <p>The score {@code s[k] = ½‖C_l[k]‖² + w_l[k] − a·S[k] + Σ b_j·G_jl[k_j][k]} of float64 products
 * S differs from the loop's score less ½‖u_l‖² by at most
 *
 * <pre>
 *   E = τ·P·M                            the tables, and dot products: sums in any order
 *     + ε·M                              the path: ũ_l instead of u_l
 *     + ½τ·((‖u_l‖ + M)² + M²)           the loop's own rounding of ½‖u − C[k]‖², the stored ½‖C_l[k]‖²
 *     + (L + 4)·u·(P·M + M² + 2W)        the evaluation of s, and w added by the loop
 * </pre>
 *
 * Subclasses add what their products and their evaluation of s add. One candidate is the loop's
 * choice. Of several, those whose s lies within 2E of the smallest remain; where these are several,
 * the loop decides among them.
 *
 * <p>Then {@code p = a·(x·C_l[k_l]) − Σ b_j·G_jl[k_j][k_l]} in float64, {@code ν̃² = ‖u_l‖² − 2p +
 * ‖C_l[k_l]‖²}, and
 *
 * <pre>
 *   δ = error of ‖u_l‖² (normalised: 2τ, for it is taken as 1; raw: δ of the level above + 3u·ν̃²; at level 0 τ·‖x‖²)
 *     + 2·((τ + (L + 4)·u)·P + ε)·‖C‖ + τ·‖C‖² + 8u·(‖u_l‖² + 2P·‖C‖ + ‖C‖²)   ≥ |ν̃² − ‖u_l − C_l[k_l]‖²|
 *   normalised: a, b ← a/ν̃, b/ν̃; b_l = 1/ν̃; ε ← (ε + δ/ν̃)/ν̃ + τ + 2u·P of the new coefficients (their own rounding)
 *   raw:        b_l = 1;                     ε ← ε + 2u·ν̃
 * </pre>
 *
 * At level 0, normalised: a = 1/‖x‖, ε = τ; raw: a = 1, ε = 0. Each bound is widened by {@link
 * CertifiedSearch#SLACK} for products of error terms. From the level on where ν̃² ≤ 4δ or a
 * normalised ν̃ ≤ 2·10⁻⁶, and for rows whose norm float32 or the recursion cannot carry, the loop
 * decides alone.
 *
 * <p>With a beam, {@link StackedBeam} follows several codes of a row by the same bounds.
 */
abstract class StackedWorker implements EncodingPlan.Worker {

  private static final double ROUNDOFF = Centroids.ROUNDOFF;
  private static final double SMALLEST_NORM = 1e-12;
  private static final double LARGEST_NORM = 1e12;
  private static final double SMALLEST_PRODUCT = 1e-25;
  private static final float[] NONE = {};

  final StackedCodebook stacked;
  final Codebook codebook;
  final GramTables tables;
  final int d;
  final int levels;
  final Scores scores = new Scores();
  final DotProduct dotProduct = new DotProduct();

  private final boolean normalized;
  private final double tau;
  private final double evaluation;
  private final ResidualLoop loop;
  private double[] candidateScores = {};
  private int rescored;
  private long summed;

  // The current row, by the names of the class comment.
  float[] x = NONE;
  int xBegin;
  double xNorm;

  /** The code that is followed; a row has several only with a beam. */
  StackedPath path;

  private final @Nullable StackedBeam beam;

  /** x·C_l[k_l] in float64, or NaN before it was needed. */
  private double chosenDot;

  /** How many levels of the current path the loop has left; −1 before it was needed. */
  private int loopLevel;

  StackedWorker(StackedCodebook stacked) {
    this.stacked = stacked;
    this.codebook = stacked.codebook;
    this.tables = stacked.tables;
    this.d = codebook.dimension();
    this.levels = codebook.levels();
    this.normalized = codebook.normalizeResiduals();
    this.tau = (d + 4) * ROUNDOFF;
    this.evaluation = (levels + 4) * ROUNDOFF;
    this.loop = new ResidualLoop(d, codebook.settings());
    this.path = new StackedPath(levels);
    this.beam = codebook.settings().beamSize() > 1 ? new StackedBeam(this) : null;
  }

  /** Computes the products of {@code n} rows with the centroids of all levels. */
  abstract void multiply(float[] vectors, int offset, int n);

  /** ‖x‖² of a row of the last {@link #multiply}, within d·2⁻⁵³ relative. */
  abstract double squaredNorm(int row);

  /**
   * Scores the centroids of level {@code l} for the current path, into {@link #scores}.
   *
   * @param row of the last {@link #multiply}
   * @param begin number of the level's first centroid among all
   * @param error E of the class comment
   * @param squares P·M + M² + 2W
   */
  abstract void scoreAll(int row, int l, int begin, double error, double squares);

  /**
   * Finds those just scored that may be the lowest, into {@link Scores#candidates()}.
   *
   * @return how many there are, or 0 if the scores cannot tell
   */
  abstract int screen(int l);

  /** The bounds of what was just scored. */
  abstract void bounds(int row, int l, ScoreBounds into);

  /** Hears how many centroids of a level a beam's screening left. */
  void survived(int l, int count) {}

  /**
   * A number no larger than the loop's score of centroid k, a candidate, less ½‖u‖², both plus
   * {@link #lowerBoundOffset}.
   */
  abstract double lowerBound(int k);

  /**
   * What lower bounds have too much, the same for all centroids of the level; infinite if it is not
   * worth finding out for {@code count} candidates.
   */
  abstract double lowerBoundOffset(int l, int count);

  @Override
  public int encode(float[] vectors, int offset, int n, int[] codes, int codesBegin) {
    multiply(vectors, offset, n);
    rescored = 0;
    this.x = vectors;
    for (int row = 0; row < n; row++) {
      xBegin = offset + row * d;
      encodeRow(row, codes, codesBegin + row * levels);
    }
    // The caller's array shall not live on through an idle worker.
    this.x = NONE;
    return rescored;
  }

  private void encodeRow(int row, int[] codes, int out) {
    double squaredNorm = squaredNorm(row);
    xNorm = Math.sqrt(squaredNorm);
    if (xNorm == 0 && normalized) {
      System.arraycopy(stacked.zeroCodes, 0, codes, out, levels);
      return;
    }
    loopLevel = -1;
    double product = xNorm * stacked.maxNorm;
    boolean carried =
        xNorm >= SMALLEST_NORM
            && xNorm <= LARGEST_NORM
            && product >= SMALLEST_PRODUCT
            && product <= CertifiedSearch.LARGEST;
    if (carried) {
      path.a = normalized ? 1 / xNorm : 1;
      path.terms = path.a * xNorm;
      path.epsilon = normalized ? tau : 0;
      path.squaredU = normalized ? 1 : squaredNorm;
      path.squaredUError = normalized ? 2 * tau : tau * squaredNorm;
      path.scale = 1;
      path.scaleError = 0;
    }
    if (beam != null) {
      rescored += beam.encode(row, carried);
    } else if (carried) {
      greedily(row);
    } else {
      finishByLoop(0);
    }
    System.arraycopy(path.codes, 0, codes, out, levels);
  }

  private void greedily(int row) {
    int begin = 0;
    for (int l = 0; l < levels; l++) {
      path.codes[l] = choose(row, l, begin);
      begin += codebook.width(l);
      if (l + 1 < levels && !descend(l)) {
        finishByLoop(l + 1);
        return;
      }
    }
  }

  /** The code of level {@code l}, whose centroids begin at {@code begin}. */
  private int choose(int row, int l, int begin) {
    chosenDot = Double.NaN;
    double squares = squares(l);
    if (!(squares <= CertifiedSearch.LARGEST)) {
      return byLoop(l);
    }
    double error = error(l, squares);
    scoreAll(row, l, begin, error, squares);
    int count = screen(l);
    return switch (count) {
      case 0 -> byLoop(l);
      case 1 -> scores.candidates()[0];
      default -> chooseAmong(count, l, 2 * CertifiedSearch.SLACK * error);
    };
  }

  /** P·M + M² + 2W of the current path. */
  final double squares(int l) {
    Centroids level = codebook.centroids(l);
    return path.terms * level.maxNorm() + level.maxNorm() * level.maxNorm() + 2 * level.maxWeight();
  }

  /** ‖u_l‖ + M of the current path at most, which no distance exceeds. */
  final double reach(int l) {
    return Math.sqrt(path.squaredU + path.squaredUError) + codebook.centroids(l).maxNorm();
  }

  /** E of the class comment for the current path. */
  final double error(int l, double squares) {
    double max = codebook.centroids(l).maxNorm();
    double reach = reach(l);
    return tau * path.terms * max
        + path.epsilon * max
        + 0.5 * tau * (reach * reach + max * max)
        + evaluation * squares;
  }

  /** How many dot products with centroids were summed in float64 since the last call. */
  final long takeSummed() {
    long taken = summed;
    summed = 0;
    return taken;
  }

  /** Decides among the candidates by float64 dot products, or else by the loop. */
  private int chooseAmong(int count, int l, double tolerance) {
    int[] candidates = scores.candidates();
    if (candidateScores.length < count) {
      candidateScores = new double[Math.max(count, 16)];
    }
    // The most promising first: others may then be out by their lower bounds.
    int first = 0;
    for (int i = 1; i < count; i++) {
      if (lowerBound(candidates[i]) < lowerBound(candidates[first])) {
        first = i;
      }
    }
    double dot = dot(l, candidates[first]);
    double best = scoreOf(l, candidates[first], dot);
    int code = candidates[first];
    chosenDot = dot;
    candidateScores[first] = best;
    double offset = lowerBoundOffset(l, count);
    for (int i = 0; i < count; i++) {
      int k = candidates[i];
      if (i == first) {
        continue;
      }
      if (lowerBound(k) > best + offset + tolerance) {
        candidateScores[i] = Double.POSITIVE_INFINITY;
        continue;
      }
      dot = dot(l, k);
      double score = scoreOf(l, k, dot);
      candidateScores[i] = score;
      if (score < best) {
        best = score;
        code = k;
        chosenDot = dot;
      }
    }
    int near = 0;
    for (int i = 0; i < count; i++) {
      if (candidateScores[i] <= best + tolerance) {
        candidates[near++] = candidates[i];
      }
    }
    if (near == 1) {
      return code;
    }
    chosenDot = Double.NaN;
    if (near == 0) {
      return byLoop(l);
    }
    rescored++;
    advanceLoop(l);
    return ExactDistance.nearestOf(loop.residuals(), 0, codebook.centroids(l), candidates, near);
  }

  /** x·C_l[k]. */
  final double dot(int l, int k) {
    summed++;
    return dotProduct.of(x, xBegin, codebook.centroids(l).data(), k * d, d);
  }

  /** s[k] of the class comment. */
  final double scoreOf(int l, int k, double dot) {
    return codebook.centroids(l).offset(k) - product(l, k, dot);
  }

  /** {@code a·(x·C_l[k]) − Σ b_j·G_jl[k_j][k]}, which is ũ_l·C_l[k]. */
  private double product(int l, int k, double dot) {
    double product = path.a * dot;
    for (int j = 0; j < l; j++) {
      product -= path.b[j] * tables.entry(j, l, path.codes[j], k);
    }
    return product;
  }

  /**
   * Carries the coefficients and their errors from level {@code l}, whose code is known, to the
   * next.
   *
   * @return false if they cannot be trusted there
   */
  private boolean descend(int l) {
    if (Double.isNaN(chosenDot)) {
      chosenDot = dot(l, path.codes[l]);
    }
    return descend(l, chosenDot);
  }

  /** As the other one, with {@code dot} = x·C_l[k_l]. */
  final boolean descend(int l, double dot) {
    StackedPath p = path;
    Centroids level = codebook.centroids(l);
    int code = p.codes[l];
    double cSquared = level.squaredNorms()[code];
    double cNorm = level.norms()[code];
    double nuSquared = p.squaredU - 2 * product(l, code, dot) + cSquared;
    double delta =
        CertifiedSearch.SLACK
            * (p.squaredUError
                + 2 * ((tau + evaluation) * p.terms + p.epsilon) * cNorm
                + tau * cSquared
                + 8 * ROUNDOFF * (p.squaredU + 2 * p.terms * cNorm + cSquared));
    double nu = Math.sqrt(nuSquared);
    if (!(nuSquared > 4 * delta) || (normalized && nu <= 2 * Codebook.EXHAUSTED_NORM)) {
      return false;
    }
    if (normalized) {
      p.a /= nu;
      p.terms = p.a * xNorm;
      for (int j = 0; j < l; j++) {
        p.b[j] /= nu;
        p.terms += p.b[j] * codebook.centroids(j).norms()[p.codes[j]];
      }
      p.b[l] = 1 / nu;
      p.terms += p.b[l] * cNorm;
      p.epsilon =
          CertifiedSearch.SLACK * ((p.epsilon + delta / nu) / nu + tau + 2 * ROUNDOFF * p.terms);
      p.scale *= nuSquared;
      double error = delta / (nuSquared - delta) + tau + 6 * ROUNDOFF;
      p.scaleError = CertifiedSearch.SLACK * (p.scaleError + error + p.scaleError * error);
    } else {
      p.b[l] = 1;
      p.terms += cNorm;
      p.epsilon = CertifiedSearch.SLACK * (p.epsilon + 2 * ROUNDOFF * nu);
      p.squaredU = nuSquared;
      p.squaredUError = delta + 3 * ROUNDOFF * nuSquared;
    }
    return true;
  }

  /** The loop's code of level {@code l}, among all centroids. */
  private int byLoop(int l) {
    rescored++;
    advanceLoop(l);
    return loop.exhausted(0)
        ? stacked.zeroCodes[l]
        : codebook.centroids(l).nearest(loop.residuals(), 0);
  }

  /** Lets the loop decide everything from {@code level} on. */
  private void finishByLoop(int level) {
    for (int l = level; l < levels; l++) {
      path.codes[l] = byLoop(l);
    }
  }

  /** Brings the loop to u at the entry of {@code level}, along the codes already known. */
  private void advanceLoop(int level) {
    if (loopLevel < 0) {
      loop.begin(x, xBegin, 1);
      loop.enter(0);
      loopLevel = 0;
    }
    while (loopLevel < level) {
      loop.leave(codebook.centroids(loopLevel).data(), path.codes, loopLevel, levels);
      loop.enter(++loopLevel);
    }
  }

  /** s[k] += b·g[k]. */
  static void addScaled(float[] s, float b, float[] g, int width) {
    for (int k = 0; k < width; k++) {
      s[k] += b * g[k];
    }
  }
}
