package dev.semanticid.core.encode.plan;

import dev.semanticid.core.codebook.Centroids;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.ExactDistance;
import dev.semanticid.core.encode.loop.BeamPaths;
import dev.semanticid.core.search.CertifiedSearch;
import dev.semanticid.core.search.ScoreBounds;
import java.util.List;

/**
 * Follows the partial codes of a block of rows by the residuals of {@link BeamLoop}, bit for bit:
 * one GEMM per level over those of all partial codes screens, the loop's distances decide.
 *
 * <p>With E of {@link CertifiedSearch} and P of the loop, {@code (P·P)·‖u − C[k]‖²} as the loop
 * computes it is {@code P²·(‖u‖² + 2·s[k])} within {@code P²·(2E + 2τ·‖u‖² + 8u·(‖u‖ + M)² +
 * 16u·(‖u‖² + ‖u‖·M + M²))}. Working memory of one thread.
 */
final class ResidualBeam implements EncodingPlan.Worker {

  private static final double ROUNDOFF = Centroids.ROUNDOFF;

  private final Codebook codebook;
  private final List<CertifiedSearch> searches;
  private final int d;
  private final int levels;
  private final int beam;
  private final double tau;
  private final BeamCandidates candidates;
  private final BeamPaths exact;
  private final ScoreBounds bounds = new ScoreBounds();
  private final CertifiedSearch.Scratch scratch = new CertifiedSearch.Scratch();
  private final double[] distances;
  private Paths paths;
  private Paths next;

  ResidualBeam(Codebook codebook, List<CertifiedSearch> searches) {
    this.codebook = codebook;
    this.searches = searches;
    this.d = codebook.dimension();
    this.levels = codebook.levels();
    this.beam = codebook.settings().beamSize();
    this.tau = (d + 4) * ROUNDOFF;
    this.candidates = new BeamCandidates(beam);
    this.exact = new BeamPaths(beam);
    this.distances =
        new double[codebook.widths().stream().mapToInt(Integer::intValue).max().orElse(1)];
    this.paths = new Paths(0);
    this.next = new Paths(0);
  }

  /** The partial codes of all rows, one row's after another's. */
  private final class Paths {

    private final double[] residuals;
    private final double[] norms;
    private final double[] products;
    private final boolean[] exhausted;
    private final int[] codes;

    /** Where a row's begin, and where the last one's end. */
    private final int[] begins;

    private int count;

    Paths(int rows) {
      residuals = new double[Math.multiplyExact(rows * beam, d)];
      norms = new double[rows * beam];
      products = new double[rows * beam];
      exhausted = new boolean[rows * beam];
      codes = new int[rows * beam * levels];
      begins = new int[rows + 1];
    }

    /** Turns r into u. */
    void enter(int l) {
      ExactDistance.norms(residuals, count, d, norms);
      if (!codebook.normalizeResiduals()) {
        return;
      }
      for (int path = 0; path < count; path++) {
        double norm = norms[path];
        if (l > 0) {
          products[path] *= norm;
        }
        int begin = path * d;
        if (exhausted[path] || (l == 0 ? norm == 0 : norm <= Codebook.EXHAUSTED_NORM)) {
          exhausted[path] = true;
          norms[path] = 0;
          for (int i = begin; i < begin + d; i++) {
            residuals[i] = 0;
          }
        } else {
          norms[path] = 1;
          for (int i = begin; i < begin + d; i++) {
            residuals[i] /= norm;
          }
        }
      }
    }

    /** Adds what becomes of a path of another level by a centroid. */
    void add(Paths from, int path, int l, int k) {
      float[] centroids = codebook.centroids(l).data();
      for (int i = 0; i < d; i++) {
        residuals[count * d + i] = from.residuals[path * d + i] - centroids[k * d + i];
      }
      products[count] = from.products[path];
      exhausted[count] = from.exhausted[path];
      System.arraycopy(from.codes, path * levels, codes, count * levels, l);
      codes[count * levels + l] = k;
      count++;
    }
  }

  @Override
  public int encode(float[] vectors, int offset, int n, int[] codes, int codesBegin) {
    if (paths.begins.length <= n) {
      paths = new Paths(n);
      next = new Paths(n);
    }
    for (int i = 0; i < n * d; i++) {
      paths.residuals[i] = vectors[offset + i];
    }
    for (int row = 0; row < n; row++) {
      paths.begins[row] = row;
      paths.products[row] = 1;
      paths.exhausted[row] = false;
    }
    paths.begins[n] = n;
    paths.count = n;
    int rescored = 0;
    for (int l = 0; l < levels; l++) {
      paths.enter(l);
      CertifiedSearch search = searches.get(l);
      search.multiply(paths.residuals, paths.count, scratch);
      next.count = 0;
      for (int row = 0; row < n; row++) {
        next.begins[row] = next.count;
        rescored += extend(search, l, row);
      }
      next.begins[n] = next.count;
      search.took(paths.count, scratch);
      Paths old = paths;
      paths = next;
      next = old;
    }
    System.arraycopy(paths.codes, 0, codes, codesBegin, n * levels);
    return rescored;
  }

  /** Finds a row's next partial codes; gives 1 if that took the loop. */
  private int extend(CertifiedSearch search, int l, int row) {
    int keep = l + 1 == levels ? 1 : beam;
    candidates.begin(keep);
    boolean told = true;
    for (int path = paths.begins[row]; told && path < paths.begins[row + 1]; path++) {
      told = bound(search, path);
    }
    int decided = 0;
    if (!told) {
      decideAmongAll(l, row, keep);
      decided = 1;
    } else if (candidates.narrow() > keep) {
      decide(l, keep);
      decided = 1;
    }
    for (int i = 0; i < candidates.count(); i++) {
      next.add(paths, candidates.path(i), l, candidates.centroid(i));
    }
    return decided;
  }

  private boolean bound(CertifiedSearch search, int path) {
    double norm = paths.norms[path];
    if (!search.bounds(norm, path, scratch, bounds)) {
      return false;
    }
    Centroids level = search.centroids();
    double scale = paths.products[path] * paths.products[path];
    double reach = norm + level.maxNorm();
    double error =
        CertifiedSearch.SLACK * scale * (2 * tau * norm * norm + 24 * ROUNDOFF * reach * reach);
    return candidates.add(path, bounds, level.width(), scale, norm * norm, error);
  }

  private void decide(int l, int keep) {
    exact.begin(keep);
    float[] centroids = codebook.centroids(l).data();
    for (int i = 0; i < candidates.count(); i++) {
      int path = candidates.path(i);
      int k = candidates.centroid(i);
      double product = paths.products[path];
      double squared = ExactDistance.squared(paths.residuals, path * d, centroids, k * d, d);
      exact.offer(product * product * squared, path, k);
    }
    candidates.keepOnly(exact);
  }

  private void decideAmongAll(int l, int row, int keep) {
    exact.begin(keep);
    Centroids level = codebook.centroids(l);
    for (int path = paths.begins[row]; path < paths.begins[row + 1]; path++) {
      ExactDistance.squared(paths.residuals, path * d, level, distances);
      double product = paths.products[path];
      for (int k = 0; k < level.width(); k++) {
        exact.offer(product * product * distances[k], path, k);
      }
    }
    candidates.keepOnly(exact);
  }
}
