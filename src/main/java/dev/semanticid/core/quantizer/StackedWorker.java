package dev.semanticid.core.quantizer;

import dev.semanticid.core.clustering.Centroids;
import dev.semanticid.core.clustering.CertifiedSearch;
import dev.semanticid.core.clustering.DotProduct;
import dev.semanticid.core.clustering.ExactDistance;
import dev.semanticid.core.clustering.Scores;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.ResidentCodebook;
import dev.semanticid.core.compute.WorkerPool;

/**
 * One GEMM for all levels, {@code S = X·Cᵀ} over the stacked centroids, and tables {@code G_jl =
 * C_j·C_lᵀ}: residuals are never formed, because {@code u_l = a_l·x − Σ_{j<l} b_lj·C_j[k_j]}.
 *
 * <h2>The bound</h2>
 *
 * All in float64, per row; u = 2⁻⁵³, τ = (d + 4)·u, M = max ‖C_l[k]‖. Call u_l the vector that the
 * contract's loop has at level l, and ũ_l what the coefficients a, b stand for in exact arithmetic;
 * {@code ε ≥ ‖ũ_l − u_l‖}, and {@code P = a·‖x‖ + Σ|b_j|·‖C_j[k_j]‖}, which bounds every sum over
 * the terms of ũ_l.
 *
 * <p>The score {@code s[k] = ½‖C_l[k]‖² − a·S[k] + Σ b_j·G_jl[k_j][k]} differs from the loop's
 * score less ½‖u_l‖² by at most
 *
 * <pre>
 *   E = τ·P·M                            the tables, and dot products in float64: sums in any order
 *     + ε·M                              the path: ũ_l instead of u_l
 *     + ½τ·((‖u_l‖ + M)² + M²)           the loop's own rounding of ½‖u − C[k]‖², the stored ½‖C_l[k]‖²
 *     + (L + 4)·2⁻⁵³·(P·M + M²)          the evaluation of s
 * and in float32 more:
 *     + a·γ·‖x‖·M                        the GEMM: γ of the backend
 *     + (L + 4)·2⁻²⁴·(P·M + M²)          the evaluation of s, all its terms rounded to float32
 *     + (1 + a + Σb_j)·d·2⁻¹²⁵·(1 + ‖x‖ + M)  results below the normal range, flushed or not
 * </pre>
 *
 * A best float32 score ahead of the second by more than 2E is the loop's choice. Else those within
 * 2E are scored in float64, where E is 2⁻²⁹ of that; and where this leaves several, the loop
 * decides among them.
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
 */
final class StackedPlan implements EncodingPlan {

  private static final double ROUNDOFF = Centroids.ROUNDOFF;
  private static final double SMALLEST_NORM = 1e-12;
  private static final double LARGEST_NORM = 1e12;
  private static final double SMALLEST_PRODUCT = 1e-25;
  private static final float[] NONE = {};

  private final Codebook codebook;
  private final ResidentCodebook resident;
  private final GramTables tables;
  private final double gamma;
  private final double maxNorm;
  private final int totalWidth;
  private final int blockRows;

  /** The codes of a row whose u is zero at every level, as the loop gives them. */
  private final int[] zeroCodes;

  StackedPlan(Codebook codebook, ComputeBackend backend, WorkerPool pool) {
    this.codebook = codebook;
    int d = codebook.dimension();
    this.totalWidth = codebook.widths().stream().mapToInt(Integer::intValue).sum();
    float[] stacked = new float[Math.multiplyExact(totalWidth, d)];
    double max = 0;
    this.zeroCodes = new int[codebook.levels()];
    double[] zero = new double[d];
    for (int l = 0, at = 0; l < codebook.levels(); l++) {
      Centroids level = codebook.centroids(l);
      System.arraycopy(level.data(), 0, stacked, at, level.width() * d);
      at += level.width() * d;
      max = Math.max(max, level.maxNorm());
      zeroCodes[l] = level.nearest(zero, 0);
    }
    this.maxNorm = max;
    this.gamma = backend.gamma(d);
    this.tables = new GramTables(codebook, pool);
    this.resident = backend.makeResident(stacked, totalWidth, d);
    this.blockRows = BlockSize.rows(4L * totalWidth + 4L * d);
  }

  /** Whether the stacked centroids and each table fit an array. */
  static boolean fitsArrays(Codebook codebook) {
    long total = 0;
    long widest = 0;
    for (int width : codebook.widths()) {
      total += width;
      widest = Math.max(widest, width);
    }
    int most = Integer.MAX_VALUE - 8;
    return total * codebook.dimension() <= most && widest * widest <= most;
  }

  @Override
  public String name() {
    return "float32";
  }

  @Override
  public int blockRows() {
    return blockRows;
  }

  @Override
  public long bytes() {
    return resident.bytes() + GramTables.bytes(codebook);
  }

  @Override
  public Worker newWorker() {
    return new StackedWorker();
  }

  @Override
  public void close() {
    resident.close();
  }

  private final class StackedWorker implements Worker {

    private final int d = codebook.dimension();
    private final int levels = codebook.levels();
    private final boolean normalized = codebook.normalizeResiduals();
    private final double tau = (d + 4) * ROUNDOFF;
    private final double evaluation = (levels + 4) * ROUNDOFF;
    private final double floatEvaluation = (levels + 4) * Centroids.ROUNDOFF_FLOAT;
    private final Scores scores = new Scores();
    private final DotProduct dotProduct = new DotProduct();
    private final ResidualLoop loop = new ResidualLoop(d, codebook.settings());
    private final double[] b = new double[levels];
    private float[] products = {};
    private double[] candidateScores = {};
    private int rescored;

    // The current row, by the names of the class comment.
    private float[] x = NONE;
    private int xBegin;
    private int[] codes = {};
    private int out;
    private double xNorm;
    private double a;
    private double terms;
    private double epsilon;
    private double squaredU;
    private double squaredUError;

    /** x·C_l[k_l] in float64, or NaN before it was needed. */
    private double chosenDot;

    /** How many levels of the current row the loop has left; −1 before it was needed. */
    private int loopLevel;

    @Override
    public int encode(float[] vectors, int offset, int n, int[] codes, int codesBegin) {
      if (products.length < n * totalWidth) {
        products = new float[n * totalWidth];
      }
      resident.multiply(vectors, offset, n, products);
      rescored = 0;
      this.x = vectors;
      this.codes = codes;
      for (int row = 0; row < n; row++) {
        xBegin = offset + row * d;
        out = codesBegin + row * levels;
        encodeRow(row * totalWidth);
      }
      // The caller's array shall not live on through an idle worker.
      this.x = NONE;
      return rescored;
    }

    private void encodeRow(int productsBegin) {
      double squaredNorm = dotProduct.of(x, xBegin, x, xBegin, d);
      xNorm = Math.sqrt(squaredNorm);
      if (xNorm == 0 && normalized) {
        System.arraycopy(zeroCodes, 0, codes, out, levels);
        return;
      }
      loopLevel = -1;
      double product = xNorm * maxNorm;
      if (!(xNorm >= SMALLEST_NORM && xNorm <= LARGEST_NORM)
          || !(product >= SMALLEST_PRODUCT && product <= CertifiedSearch.LARGEST)) {
        finishByLoop(0);
        return;
      }
      a = normalized ? 1 / xNorm : 1;
      terms = a * xNorm;
      epsilon = normalized ? tau : 0;
      squaredU = normalized ? 1 : squaredNorm;
      squaredUError = normalized ? 2 * tau : tau * squaredNorm;
      int begin = productsBegin;
      for (int l = 0; l < levels; l++) {
        codes[out + l] = choose(l, begin);
        begin += codebook.width(l);
        if (l + 1 < levels && !descend(l)) {
          finishByLoop(l + 1);
          return;
        }
      }
    }

    /** The code of level {@code l}, whose products begin at {@code begin}. */
    private int choose(int l, int begin) {
      Centroids level = codebook.centroids(l);
      int width = level.width();
      double max = level.maxNorm();
      double squares = terms * max + max * max;
      chosenDot = Double.NaN;
      if (!(squares <= CertifiedSearch.LARGEST)) {
        return byLoop(l);
      }
      scoreLevel(l, level.halfSquaredNorms(), scores.products(products, begin, width), width);
      double reach = Math.sqrt(squaredU + squaredUError) + max;
      double error =
          tau * terms * max
              + epsilon * max
              + 0.5 * tau * (reach * reach + max * max)
              + evaluation * squares;
      double floatError =
          error
              + a * gamma * xNorm * max
              + floatEvaluation * squares
              + (1 + a + sumOfB(l)) * d * 0x1p-125 * (1 + xNorm + max);
      int count = scores.within(2 * CertifiedSearch.SLACK * floatError, width);
      return switch (count) {
        case 0 -> byLoop(l);
        case 1 -> scores.candidates()[0];
        default -> chooseAmong(count, l, 2 * CertifiedSearch.SLACK * error);
      };
    }

    private void scoreLevel(int l, float[] half, float[] product, int width) {
      float[] s = scores.values(width);
      float scale = (float) a;
      if (l == 0) {
        score(s, half, scale, product, width);
      } else if (l == 1) {
        score(s, half, scale, product, (float) b[0], tables.row(0, 1, codes[out]), width);
      } else {
        score(
            s,
            half,
            scale,
            product,
            (float) b[0],
            tables.row(0, l, codes[out]),
            (float) b[1],
            tables.row(1, l, codes[out + 1]),
            width);
        for (int j = 2; j < l; j++) {
          addScaled(s, (float) b[j], tables.row(j, l, codes[out + j]), width);
        }
      }
    }

    private double sumOfB(int l) {
      double sum = 0;
      for (int j = 0; j < l; j++) {
        sum += b[j];
      }
      return sum;
    }

    /** Decides among the candidates by float64 dot products, or else by the loop. */
    private int chooseAmong(int count, int l, double tolerance) {
      Centroids level = codebook.centroids(l);
      int[] candidates = scores.candidates();
      if (candidateScores.length < count) {
        candidateScores = new double[Math.max(count, 16)];
      }
      double best = Double.POSITIVE_INFINITY;
      int code = -1;
      for (int i = 0; i < count; i++) {
        int k = candidates[i];
        double dot = dotProduct.of(x, xBegin, level.data(), k * d, d);
        double score = 0.5 * level.squaredNorms()[k] - product(l, k, dot);
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
      return ExactDistance.nearestOf(loop.residuals(), 0, level.data(), d, candidates, near);
    }

    /** {@code a·(x·C_l[k]) − Σ b_j·G_jl[k_j][k]}, which is ũ_l·C_l[k]. */
    private double product(int l, int k, double dot) {
      double product = a * dot;
      for (int j = 0; j < l; j++) {
        product -= b[j] * tables.entry(j, l, codes[out + j], k);
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
      Centroids level = codebook.centroids(l);
      int code = codes[out + l];
      if (Double.isNaN(chosenDot)) {
        chosenDot = dotProduct.of(x, xBegin, level.data(), code * d, d);
      }
      double cSquared = level.squaredNorms()[code];
      double cNorm = level.norms()[code];
      double nuSquared = squaredU - 2 * product(l, code, chosenDot) + cSquared;
      double delta =
          CertifiedSearch.SLACK
              * (squaredUError
                  + 2 * ((tau + evaluation) * terms + epsilon) * cNorm
                  + tau * cSquared
                  + 8 * ROUNDOFF * (squaredU + 2 * terms * cNorm + cSquared));
      double nu = Math.sqrt(nuSquared);
      if (!(nuSquared > 4 * delta) || (normalized && nu <= 2 * Codebook.EXHAUSTED_NORM)) {
        return false;
      }
      if (normalized) {
        a /= nu;
        terms = a * xNorm;
        for (int j = 0; j < l; j++) {
          b[j] /= nu;
          terms += b[j] * codebook.centroids(j).norms()[codes[out + j]];
        }
        b[l] = 1 / nu;
        terms += b[l] * cNorm;
        epsilon =
            CertifiedSearch.SLACK * ((epsilon + delta / nu) / nu + tau + 2 * ROUNDOFF * terms);
      } else {
        b[l] = 1;
        terms += cNorm;
        epsilon = CertifiedSearch.SLACK * (epsilon + 2 * ROUNDOFF * nu);
        squaredU = nuSquared;
        squaredUError = delta + 3 * ROUNDOFF * nuSquared;
      }
      return true;
    }

    /** The loop's code of level {@code l}, among all centroids. */
    private int byLoop(int l) {
      rescored++;
      advanceLoop(l);
      return loop.exhausted(0) ? zeroCodes[l] : codebook.centroids(l).nearest(loop.residuals(), 0);
    }

    /** Lets the loop decide everything from {@code level} on. */
    private void finishByLoop(int level) {
      for (int l = level; l < levels; l++) {
        codes[out + l] = byLoop(l);
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
        loop.leave(codebook.centroids(loopLevel).data(), codes, out + loopLevel, levels);
        loop.enter(++loopLevel);
      }
    }
  }

  // One loop for each number of tables: separate passes would be bound by loads and stores.

  private static void score(float[] s, float[] half, float a, float[] product, int width) {
    for (int k = 0; k < width; k++) {
      s[k] = half[k] - a * product[k];
    }
  }

  private static void score(
      float[] s, float[] half, float a, float[] product, float b0, float[] g0, int width) {
    for (int k = 0; k < width; k++) {
      s[k] = half[k] - a * product[k] + b0 * g0[k];
    }
  }

  private static void score(
      float[] s,
      float[] half,
      float a,
      float[] product,
      float b0,
      float[] g0,
      float b1,
      float[] g1,
      int width) {
    for (int k = 0; k < width; k++) {
      s[k] = half[k] - a * product[k] + b0 * g0[k] + b1 * g1[k];
    }
  }

  private static void addScaled(float[] s, float b, float[] g, int width) {
    for (int k = 0; k < width; k++) {
      s[k] += b * g[k];
    }
  }
}
