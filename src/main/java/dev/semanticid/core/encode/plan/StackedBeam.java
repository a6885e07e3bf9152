package dev.semanticid.core.encode.plan;

import dev.semanticid.core.codebook.Centroids;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.ExactDistance;
import dev.semanticid.core.encode.loop.BeamLoop;
import dev.semanticid.core.encode.loop.BeamPaths;
import dev.semanticid.core.encode.loop.ResidualLoop;
import dev.semanticid.core.search.CertifiedSearch;
import dev.semanticid.core.search.ScoreBounds;
import java.util.Arrays;

/**
 * Follows the partial codes of a row by the products and tables of a {@link StackedWorker}, and
 * gives what {@link BeamLoop} gives.
 *
 * <h2>The bound</h2>
 *
 * With s and E of a path at some level by {@link StackedWorker}, U² = ‖u_l‖² within its error e,
 * and Ṽ² what stands for the loop's P² within the relative error ρ, the loop's score {@code
 * (P·P)·‖u − C[k]‖²} is {@code Ṽ²·(U² + 2·s[k])} within
 *
 * <pre>
 *   Ṽ²·(2E + e + (ρ + 8u)·(‖u‖ + M)² + 16u·(U² + P·M + M²))
 *   below a level:  ρ ← (1 + ρ)·(1 + δ/(ν̃² − δ) + τ + 6u) − 1,  Ṽ² ← Ṽ²·ν̃²;   raw: ρ = 0, Ṽ = 1
 * </pre>
 *
 * where the loop's own rounding of distance, norm and product is in τ and u. Who may be among the
 * best by the bounds of screening is scored by float64 dot products; who may be among them still,
 * by the loop. Where a path that is kept cannot be carried on, the loop encodes the row.
 */
final class StackedBeam {

  private static final double ROUNDOFF = Centroids.ROUNDOFF;

  private final StackedWorker worker;
  private final Codebook codebook;
  private final int d;
  private final int levels;
  private final int beam;
  private final boolean normalized;
  private final BeamLoop rowLoop;
  private final ResidualLoop pathLoop;
  private final BeamCandidates candidates;
  private final BeamPaths exact;
  private final ScoreBounds bounds = new ScoreBounds();
  private StackedPath[] paths;
  private StackedPath[] next;

  /** Per path of the current level the errors of its scores. */
  private final double[] errors;

  /** Of {@link #errors}, what does not come from s. */
  private final double[] otherErrors;

  /** x·C_l[k] of the centroids of a level, where known. */
  private final double[] dots;

  private int rescored;

  StackedBeam(StackedWorker worker) {
    this.worker = worker;
    this.codebook = worker.codebook;
    this.d = worker.d;
    this.levels = worker.levels;
    this.beam = codebook.settings().beamSize();
    this.normalized = codebook.normalizeResiduals();
    this.rowLoop = new BeamLoop(codebook);
    this.pathLoop = new ResidualLoop(d, codebook.settings());
    this.candidates = new BeamCandidates(beam);
    this.exact = new BeamPaths(beam);
    this.errors = new double[beam];
    this.otherErrors = new double[beam];
    this.dots = new double[codebook.widths().stream().mapToInt(Integer::intValue).max().orElse(1)];
    this.paths = paths();
    this.next = paths();
  }

  private StackedPath[] paths() {
    var made = new StackedPath[beam];
    Arrays.setAll(made, i -> new StackedPath(levels));
    return made;
  }

  /**
   * Encodes the worker's current row into its path.
   *
   * @param carried whether the path's coefficients can be trusted
   * @return decisions that the loop had to make
   */
  int encode(int row, boolean carried) {
    rescored = 0;
    StackedPath result = worker.path;
    boolean done = carried && follow(row);
    if (done) {
      System.arraycopy(paths[0].codes, 0, result.codes, 0, levels);
    } else {
      rowLoop.encode(worker.x, worker.xBegin, result.codes, 0);
      rescored = levels;
    }
    worker.path = result;
    return rescored;
  }

  private boolean follow(int row) {
    paths[0].set(worker.path, 0);
    int count = 1;
    int begin = 0;
    for (int l = 0; l < levels; l++) {
      int keep = l + 1 == levels ? 1 : beam;
      candidates.begin(keep);
      for (int p = 0; p < count; p++) {
        if (!extend(row, l, begin, p)) {
          return false;
        }
      }
      int left = candidates.narrow();
      worker.survived(l, left);
      Arrays.fill(dots, 0, codebook.width(l), Double.NaN);
      if (left > keep) {
        left = decideBySums(l);
      }
      if (left > keep) {
        rescored++;
        decideByLoop(l, keep);
      }
      count = candidates.count();
      for (int i = 0; i < count; i++) {
        if (!descend(l, i)) {
          return false;
        }
      }
      StackedPath[] old = paths;
      paths = next;
      next = old;
      begin += codebook.width(l);
    }
    return true;
  }

  private boolean extend(int row, int l, int begin, int p) {
    StackedPath path = paths[p];
    worker.path = path;
    double squares = worker.squares(l);
    if (!(squares <= CertifiedSearch.LARGEST)) {
      return false;
    }
    double error = worker.error(l, squares);
    worker.scoreAll(row, l, begin, error, squares);
    worker.bounds(row, l, bounds);
    double reach = worker.reach(l);
    double other =
        CertifiedSearch.SLACK
            * path.scale
            * (path.squaredUError
                + (path.scaleError + 8 * ROUNDOFF) * reach * reach
                + 16 * ROUNDOFF * (path.squaredU + squares));
    otherErrors[p] = other;
    errors[p] = 2 * CertifiedSearch.SLACK * path.scale * error + other;
    return candidates.add(p, bounds, codebook.width(l), path.scale, path.squaredU, otherErrors[p]);
  }

  /** Bounds the candidates' scores by float64 dot products. */
  private int decideBySums(int l) {
    candidates.beginAgain();
    for (int i = 0; i < candidates.count(); i++) {
      int p = candidates.path(i);
      StackedPath path = paths[p];
      worker.path = path;
      int k = candidates.centroid(i);
      double score = path.scale * (path.squaredU + 2 * worker.scoreOf(l, k, dot(l, k)));
      candidates.set(i, score - errors[p], score + errors[p]);
    }
    return candidates.narrow();
  }

  private double dot(int l, int k) {
    if (Double.isNaN(dots[k])) {
      dots[k] = worker.dot(l, k);
    }
    return dots[k];
  }

  /** Lets the loop score the candidates. */
  private void decideByLoop(int l, int keep) {
    exact.begin(keep);
    int current = -1;
    double scale = 1;
    for (int i = 0; i < candidates.count(); i++) {
      int p = candidates.path(i);
      if (p != current) {
        current = p;
        double product = loopTo(l, paths[p]);
        scale = product * product;
      }
      int k = candidates.centroid(i);
      double distance =
          ExactDistance.squared(pathLoop.residuals(), 0, codebook.centroids(l).data(), k * d, d);
      exact.offer(scale * distance, p, k);
    }
    candidates.keepOnly(exact);
  }

  /** Brings the loop to u of a path at the entry of a level; gives its P. */
  private double loopTo(int l, StackedPath path) {
    double product = 1;
    pathLoop.begin(worker.x, worker.xBegin, 1);
    pathLoop.enter(0);
    for (int j = 0; j < l; j++) {
      pathLoop.leave(codebook.centroids(j).data(), path.codes, j, levels);
      pathLoop.enter(j + 1);
      if (normalized) {
        product *= pathLoop.norms()[0];
      }
    }
    return product;
  }

  private boolean descend(int l, int i) {
    StackedPath path = next[i];
    path.set(paths[candidates.path(i)], l);
    int k = candidates.centroid(i);
    path.codes[l] = k;
    if (l + 1 == levels) {
      return true;
    }
    worker.path = path;
    return worker.descend(l, dot(l, k));
  }
}
