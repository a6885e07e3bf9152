package dev.semanticid.core.encode.plan;

import dev.semanticid.core.codebook.Centroids;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.compute.DeviceModel;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.encode.loop.BeamLoop;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** What the plans without residuals share about a codebook. */
public final class StackedCodebook {

  final Codebook codebook;
  final GramTables tables;

  /** The largest norm of any centroid. */
  final double maxNorm;

  /** Centroids of all levels together. */
  final int totalWidth;

  /** The codes of a row whose u is zero at every level, as the loop gives them. */
  final int[] zeroCodes;

  public StackedCodebook(Codebook codebook, WorkerPool pool) {
    this.codebook = codebook;
    this.totalWidth = codebook.widths().stream().mapToInt(Integer::intValue).sum();
    this.zeroCodes = new int[codebook.levels()];
    double max = 0;
    for (int l = 0; l < codebook.levels(); l++) {
      Centroids level = codebook.centroids(l);
      max = Math.max(max, level.maxNorm());
    }
    this.maxNorm = max;
    encodeZero();
    this.tables = new GramTables(codebook, pool);
  }

  private void encodeZero() {
    int d = codebook.dimension();
    if (codebook.settings().beamSize() > 1) {
      new BeamLoop(codebook).encode(new float[d], 0, zeroCodes, 0);
      return;
    }
    for (int l = 0; l < codebook.levels(); l++) {
      zeroCodes[l] = codebook.centroids(l).nearest(new double[d], 0);
    }
  }

  /** What a device needs to know; not a copy. */
  public DeviceModel deviceModel() {
    List<DeviceModel.Level> levels = new ArrayList<>();
    for (int l = 0; l < codebook.levels(); l++) {
      Centroids level = codebook.centroids(l);
      double[] offsets = new double[level.width()];
      Arrays.setAll(offsets, level::offset);
      levels.add(
          new DeviceModel.Level(
              level.width(),
              level.data(),
              offsets,
              level.squaredNorms(),
              level.norms(),
              level.maxNorm(),
              level.maxWeight()));
    }
    return new DeviceModel(
        codebook.dimension(), codebook.normalizeResiduals(), levels, tables.all(), zeroCodes);
  }

  /** Whether the stacked centroids and each table fit an array. */
  public static boolean fitsArrays(Codebook codebook) {
    long total = 0;
    long widest = 0;
    for (int width : codebook.widths()) {
      total += width;
      widest = Math.max(widest, width);
    }
    int most = Integer.MAX_VALUE - 8;
    return total * codebook.dimension() <= most && widest * widest <= most;
  }
}
