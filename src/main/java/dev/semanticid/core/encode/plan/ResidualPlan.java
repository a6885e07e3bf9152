package dev.semanticid.core.encode.plan;

import dev.semanticid.core.codebook.Centroids;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.Int8Backend;
import dev.semanticid.core.compute.ResidentCodebook;
import dev.semanticid.core.encode.loop.ResidualLoop;
import dev.semanticid.core.search.CertifiedSearch;
import dev.semanticid.core.search.Int8Screen;
import dev.semanticid.core.search.Screening;
import java.util.ArrayList;
import java.util.List;

/**
 * Forms the contract's residuals in float64, bit for bit, and runs one GEMM per level to find their
 * nearest centroids. Needs no tables, so it serves codebooks of any width; and no error is carried
 * from level to level, so it serves any depth.
 */
public final class ResidualPlan implements EncodingPlan {

  private final Codebook codebook;
  private final List<CertifiedSearch> searches = new ArrayList<>();
  private final List<ResidentCodebook> residents = new ArrayList<>();
  private final List<Int8Screen> screens = new ArrayList<>();
  private final int blockRows;

  public ResidualPlan(Codebook codebook, ComputeBackend backend, Screening screening) {
    this.codebook = codebook;
    int d = codebook.dimension();
    int maxWidth = 0;
    try {
      for (int l = 0; l < codebook.levels(); l++) {
        var centroids = codebook.centroids(l);
        ResidentCodebook resident = backend.makeResident(centroids.data(), centroids.width(), d);
        residents.add(resident);
        searches.add(search(centroids, resident, backend, screening));
        maxWidth = Math.max(maxWidth, centroids.width());
      }
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
    int beam = codebook.settings().beamSize();
    this.blockRows =
        beam == 1
            ? BlockSize.rows(4L * maxWidth + 12L * d)
            : BlockSize.rows(beam * (4L * maxWidth + 20L * d));
  }

  private CertifiedSearch search(
      Centroids centroids, ResidentCodebook resident, ComputeBackend backend, Screening screening) {
    double gamma = backend.gamma(codebook.dimension());
    Int8Backend int8 = screening.int8(backend, codebook.dimension());
    if (int8 == null) {
      return new CertifiedSearch(centroids, resident, gamma);
    }
    var screen = new Int8Screen(centroids, int8);
    screens.add(screen);
    return new CertifiedSearch(centroids, resident, gamma, screen, screening.choice());
  }

  @Override
  public String name() {
    return "residual";
  }

  @Override
  public int blockRows() {
    return blockRows;
  }

  @Override
  public long bytes() {
    return residents.stream().mapToLong(ResidentCodebook::bytes).sum()
        + screens.stream().mapToLong(Int8Screen::bytes).sum();
  }

  @Override
  public Worker newWorker() {
    if (codebook.settings().beamSize() > 1) {
      return new ResidualBeam(codebook, searches);
    }
    var loop = new ResidualLoop(codebook.dimension(), codebook.settings());
    var scratch = new CertifiedSearch.Scratch();
    int levels = codebook.levels();
    return (vectors, offset, n, codes, codesBegin) -> {
      loop.begin(vectors, offset, n);
      int rescored = 0;
      for (int l = 0; l < levels; l++) {
        loop.enter(l);
        rescored +=
            searches
                .get(l)
                .assign(
                    loop.residuals(), loop.unitNorms(), n, codes, codesBegin + l, levels, scratch);
        if (l + 1 < levels) {
          loop.leave(codebook.centroids(l).data(), codes, codesBegin + l, levels);
        }
      }
      return rescored;
    };
  }

  @Override
  public void close() {
    residents.forEach(ResidentCodebook::close);
    screens.forEach(Int8Screen::close);
  }
}
