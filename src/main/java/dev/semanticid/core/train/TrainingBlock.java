package dev.semanticid.core.train;

import dev.semanticid.core.encode.loop.ResidualLoop;
import dev.semanticid.core.search.CertifiedSearch;

/** Some rows of a batch in training, worked on by one thread at a time. */
final class TrainingBlock implements LevelKMeans.AssignedBlock {

  private final int begin;
  private final int most;
  private final int dimension;
  private final int[] codes;
  private final ResidualLoop loop;
  private final CertifiedSearch.Scratch scratch = new CertifiedSearch.Scratch();
  private int rows;
  private double inputSquaredNorms;

  /**
   * @param begin where in a batch the block begins
   * @param most rows that it can have
   */
  TrainingBlock(int begin, int most, ResidualQuantizerConfig config) {
    this.begin = begin;
    this.most = most;
    this.rows = most;
    this.dimension = config.embeddingDim();
    this.codes = new int[most];
    this.loop = new ResidualLoop(dimension, config.codebookSettings());
  }

  /** Where in a batch the block begins. */
  int begin() {
    return begin;
  }

  /** Begins with the block's rows of a batch. */
  void load(float[] batch, int count) {
    rows = Math.min(most, count);
    loop.begin(batch, begin * dimension, rows);
  }

  void enter(int level) {
    loop.enter(level);
    if (level == 0) {
      inputSquaredNorms = 0;
      for (int row = 0; row < rows; row++) {
        inputSquaredNorms += loop.unitNorms()[row] * loop.unitNorms()[row];
      }
    }
  }

  void assign(CertifiedSearch search) {
    search.assign(loop.residuals(), loop.unitNorms(), rows, codes, 0, 1, scratch);
  }

  void leave(CertifiedSearch search) {
    loop.leave(search.centroids().data(), codes, 0, 1);
  }

  /** The codes of the level last assigned. */
  int[] codes() {
    return codes;
  }

  ResidualLoop loop() {
    return loop;
  }

  /** Σ‖u‖² at the entry of level 0. */
  double inputSquaredNorms() {
    return inputSquaredNorms;
  }

  @Override
  public int rows() {
    return rows;
  }

  @Override
  public double[] vectors() {
    return loop.residuals();
  }

  @Override
  public int code(int row) {
    return loop.exhausted(row) ? -1 : codes[row];
  }
}
