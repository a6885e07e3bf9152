package dev.semanticid.core.quantizer;

import dev.semanticid.core.clustering.Centroids;
import dev.semanticid.core.clustering.CertifiedSearch;
import dev.semanticid.core.clustering.ExactDistance;
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
 *   E = a·γ·‖x‖·M + a·underflow          the GEMM: γ of the backend; d·2⁻¹²⁵·(1 + ‖x‖ + M) for results below the normal range
 *     + τ·P·M                            the tables, float64 sums in any order
 *     + ε·M                              the path: ũ_l instead of u_l
 *     + ½τ·(‖u_l‖ + M)²                  the loop's own rounding of ½‖u − C[k]‖²
 *     + ½τ·M² + (L + 4)·u·(P·M + M²)     the stored ½‖C_l[k]‖² and the evaluation of s
 * </pre>
 *
 * A best score ahead of the second by more than 2E is the loop's choice; else the loop decides
 * among all within 2E.
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
    return resident.bytes() + tables.bytes();
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
    private final CertifiedSearch.Scratch scratch = new CertifiedSearch.Scratch();
    private final double[] b = new double[levels];
    private final ResidualLoop loop = new ResidualLoop(d, codebook.settings());

    /** How many levels of the current row the loop has left; −1 before it was needed. */
    private int loopLevel;

    private int rescored;

    @Override
    public int encode(float[] vectors, int offset, int n, int[] codes, int codesBegin) {
      float[] products = scratch.products(n * totalWidth);
      resident.multiply(vectors, offset, n, products);
      rescored = 0;
      for (int row = 0; row < n; row++) {
        encodeRow(
            vectors,
            offset + row * d,
            products,
            row * totalWidth,
            codes,
            codesBegin + row * levels);
      }
      return rescored;
    }

    private void encodeRow(float[] x, int xBegin, float[] products, int s, int[] codes, int out) {
      double squaredNorm = ExactDistance.dot(x, xBegin, x, xBegin, d);
      double xNorm = Math.sqrt(squaredNorm);
      if (xNorm == 0 && normalized) {
        System.arraycopy(zeroCodes, 0, codes, out, levels);
        return;
      }
      loopLevel = -1;
      double product = xNorm * maxNorm;
      if (!(xNorm >= SMALLEST_NORM && xNorm <= LARGEST_NORM)
          || !(product >= SMALLEST_PRODUCT && product <= CertifiedSearch.LARGEST)) {
        finishByLoop(0, x, xBegin, codes, out);
        return;
      }
      double a = normalized ? 1 / xNorm : 1;
      double epsilon = normalized ? tau : 0;
      double squaredU = normalized ? 1 : squaredNorm;
      double squaredUError = normalized ? 2 * tau : tau * squaredNorm;
      double terms = a * xNorm;
      double[] scores;
      for (int l = 0; l < levels; l++) {
        Centroids level = codebook.centroids(l);
        int width = level.width();
        double max = level.maxNorm();
        scores = scratch.scores(width);
        double[] half = level.halfSquaredNorms();
        for (int k = 0; k < width; k++) {
          scores[k] = half[k] - a * products[s + k];
        }
        for (int j = 0; j < l; j++) {
          addScaled(tables.of(j, l), codes[out + j] * width, b[j], scores, width);
        }
        double reach = Math.sqrt(squaredU + squaredUError) + max;
        double error =
            a * (gamma * xNorm * max + d * 0x1p-125 * (1 + xNorm + max))
                + tau * terms * max
                + epsilon * max
                + 0.5 * tau * (reach * reach + max * max)
                + evaluation * (terms * max + max * max);
        double tolerance = 2 * CertifiedSearch.SLACK * error;
        int code = scratch.provenBest(scores, width, tolerance);
        if (code < 0) {
          rescored++;
          advanceLoop(l, x, xBegin, codes, out);
          code = scratch.rescore(scores, tolerance, loop.residuals(), 0, level);
        }
        codes[out + l] = code;
        s += width;
        if (l + 1 == levels) {
          return;
        }

        double dot = a * ExactDistance.dot(x, xBegin, level.data(), code * d, d);
        for (int j = 0; j < l; j++) {
          dot -= b[j] * tables.of(j, l)[codes[out + j] * width + code];
        }
        double cSquared = level.squaredNorms()[code];
        double cNorm = level.norms()[code];
        double nuSquared = squaredU - 2 * dot + cSquared;
        double delta =
            CertifiedSearch.SLACK
                * (squaredUError
                    + 2 * ((tau + evaluation) * terms + epsilon) * cNorm
                    + tau * cSquared
                    + 8 * ROUNDOFF * (squaredU + 2 * terms * cNorm + cSquared));
        double nu = Math.sqrt(nuSquared);
        if (!(nuSquared > 4 * delta) || (normalized && nu <= 2 * Codebook.EXHAUSTED_NORM)) {
          finishByLoop(l + 1, x, xBegin, codes, out);
          return;
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
      }
    }

    /** Lets the loop decide everything from {@code level} on. */
    private void finishByLoop(int level, float[] x, int xBegin, int[] codes, int out) {
      for (int l = level; l < levels; l++) {
        rescored++;
        advanceLoop(l, x, xBegin, codes, out);
        codes[out + l] =
            loop.exhausted(0) ? zeroCodes[l] : codebook.centroids(l).nearest(loop.residuals(), 0);
      }
    }

    /** Brings the loop to u at the entry of {@code level}, along the codes already known. */
    private void advanceLoop(int level, float[] x, int xBegin, int[] codes, int out) {
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

  private static void addScaled(
      double[] table, int begin, double scale, double[] scores, int width) {
    for (int k = 0; k < width; k++) {
      scores[k] += scale * table[begin + k];
    }
  }
}
