package dev.semanticid.core.train;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.Provenance;
import dev.semanticid.core.codebook.TrainingState;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.RandomStream;
import dev.semanticid.core.compute.RandomStream.Purpose;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.search.CertifiedSearch;
import dev.semanticid.core.search.Screening;
import dev.semanticid.core.train.IterationStats.Phase;
import dev.semanticid.core.vector.VectorSource;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Trains codebooks by residual k-means: mini-batch, the algorithm and the parameters of GRID's
 * residual quantization, or Lloyd's.
 *
 * <p>Layer-wise, level after level: rows that reach the level fill its buffer, first centroids are
 * chosen from it, then {@code maxSteps / L} batches move them. Otherwise every batch goes through
 * all levels: a level begins as soon as the one above it has centroids, levels that have some stay
 * fixed until the last one has, and then {@code maxSteps} batches move all of them.
 *
 * <p>By Lloyd's algorithm, layer-wise, a level begins as above, and each step is a pass over all
 * rows; {@link LevelBalancer} may then balance it. {@link JointRefinement} may follow the last
 * level.
 *
 * <p>A training that continues a codebook has no buffers to fill: each level begins with the
 * codebook's centroids and counts, and every batch is an update step.
 *
 * <p>The same data, settings and seed give the same bytes, whatever the threads and the backend:
 * rows are assigned as the encoder assigns them, and all that enters a centroid is float64 in a
 * fixed order. Rows with an exhausted residual ({@link Codebook#EXHAUSTED_NORM}) are left out
 * below.
 */
public final class ResidualQuantizerTrainer {

  private static final int MOST_RELOCATING_PASSES = 10;

  /** A cluster of less than this share of the mean number of rows is worth no centroid. */
  private static final double FEW = 0.15;

  /** The same where loads are balanced afterwards: weights cost less the evener they are before. */
  private static final double FEW_TO_BALANCE = 0.5;

  private final ResidualQuantizerConfig config;
  private final ComputeBackend backend;
  private final WorkerPool pool;
  private final Screening screening;

  /** As the other constructor, with {@link Screening#AUTO}. */
  public ResidualQuantizerTrainer(
      ResidualQuantizerConfig config, ComputeBackend backend, WorkerPool pool) {
    this(config, backend, pool, Screening.AUTO);
  }

  /** A trainer; neither the backend nor the pool is closed by it. */
  public ResidualQuantizerTrainer(
      ResidualQuantizerConfig config,
      ComputeBackend backend,
      WorkerPool pool,
      Screening screening) {
    this.screening = screening;
    this.config = config;
    this.backend = backend;
    this.pool = pool;
  }

  /**
   * About the most bytes of memory that a training takes beside its data: a batch with its
   * residuals, the buffers that first centroids are chosen from, centroids, sums and counts.
   *
   * @param rows of the data
   */
  public static long memoryBytes(ResidualQuantizerConfig config, long rows) {
    long d = config.embeddingDim();
    long batch = Math.min(config.batchSize(), rows) * d * (Float.BYTES + Double.BYTES);
    long buffer = Math.min(config.initBufferSize(), rows) * d * Float.BYTES;
    // Layer-wise one at a time, and a second copy while first centroids are chosen.
    long buffers = buffer * (config.trainLayerWise() ? 2 : config.numHierarchies() + 1);
    long centroids = 0;
    for (int width : config.codebookWidths()) {
      // Two generations, the device's copy in 32 and 8 bits, and sums.
      centroids += width * d * (3 * Float.BYTES + Byte.BYTES + Double.BYTES);
    }
    long codes = 0;
    for (int width : config.codebookWidths()) {
      codes += rows * RowCodes.bytesPerRow(width);
    }
    boolean passes = config.algorithm() == Algorithm.LLOYD || config.balance();
    return batch
        + buffers
        + centroids
        + (passes ? batch + codes : 0)
        + (config.balance() ? LevelPasses.sampleRows(config, rows) * d * Float.BYTES : 0)
        + (config.refine() > 0 ? batch + JointRefinement.memoryBytes(config) : 0);
  }

  /**
   * What a training made.
   *
   * @param codebook the trained codebook, without training state
   * @param counts per level the rows N_k that each centroid absorbed
   * @param bufferRows per level the rows its first centroids were chosen from
   */
  public record Result(Codebook codebook, List<long[]> counts, List<Integer> bufferRows) {}

  /**
   * Trains on a source.
   *
   * @throws IllegalArgumentException if its dimension is not {@code embeddingDim} or it has fewer
   *     rows than the widest level
   * @throws NonFiniteVectorException if a row that is read holds NaN or an infinity
   * @throws IOException if it cannot be read
   */
  public Result train(VectorSource source, TrainingListener listener) throws IOException {
    return train(source, null, null, null, listener);
  }

  /**
   * Trains a finished codebook further: from its centroids on, and with the rows N_k that they have
   * absorbed, so that new rows move them no more than they would have as part of the old data.
   *
   * @param from the codebook, with its training state
   * @throws IllegalArgumentException if it has no training state, or another shape or other
   *     settings than this trainer, or the source has no row
   */
  public Result trainFrom(VectorSource source, Codebook from, TrainingListener listener)
      throws IOException {
    return train(source, null, from, null, listener);
  }

  /**
   * Continues a training that stopped.
   *
   * @param from the codebook that it began with, or null if it chose its first centroids
   * @param checkpoint where it stopped, with the same data and settings
   * @throws IllegalArgumentException if it is none of a training with these settings
   */
  public Result resume(
      VectorSource source,
      @Nullable Codebook from,
      TrainingCheckpoint checkpoint,
      TrainingListener listener)
      throws IOException {
    return train(source, null, from, checkpoint, listener);
  }

  /**
   * Trains from given first centroids: the buffers still take their rows, so that the batches that
   * follow are the same, but nothing is drawn from them.
   *
   * @param initialCentroids per level K_l × d, row-major; null to choose them
   */
  public Result train(
      VectorSource source, @Nullable List<float[]> initialCentroids, TrainingListener listener)
      throws IOException {
    return train(source, initialCentroids, null, null, listener);
  }

  private Result train(
      VectorSource source,
      @Nullable List<float[]> initialCentroids,
      @Nullable Codebook from,
      @Nullable TrainingCheckpoint checkpoint,
      TrainingListener listener)
      throws IOException {
    if (source.dimension() != config.embeddingDim()) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "embedding_dim is %d, the data has dimension %d",
              config.embeddingDim(),
              source.dimension()));
    }
    if (from != null) {
      requireContinuable(from);
    }
    long fewest = fewestRows(config, from != null);
    if (source.rows() < fewest) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "a codebook of width %d needs at least %d rows, the data has %d",
              Collections.max(config.codebookWidths()),
              fewest,
              source.rows()));
    }
    if (initialCentroids != null && initialCentroids.size() != config.numHierarchies()) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "initial centroids of %d levels for %d",
              initialCentroids.size(),
              config.numHierarchies()));
    }
    try (var run = new Run(source, initialCentroids, from, listener)) {
      if (checkpoint != null) {
        run.resume(checkpoint);
      }
      if (run.refined == null) {
        if (config.trainLayerWise()) {
          run.layerWise();
        } else {
          run.jointly();
        }
      }
      if (config.refine() > 0) {
        run.refine();
      }
      return run.result();
    }
  }

  /**
   * The fewest rows that can be trained from: the first centroids of the widest level are chosen
   * among them, unless a codebook is continued.
   */
  public static long fewestRows(ResidualQuantizerConfig config, boolean continued) {
    return continued ? 1 : Collections.max(config.codebookWidths());
  }

  private void requireContinuable(Codebook from) {
    if (from.dimension() != config.embeddingDim()
        || !from.widths().equals(config.codebookWidths())
        || from.normalizeResiduals() != config.normalizeResiduals()) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "expected a codebook of dimension %d, widths %s and normalize_residuals %s, got %d,"
                  + " %s, %s",
              config.embeddingDim(),
              config.codebookWidths(),
              config.normalizeResiduals(),
              from.dimension(),
              from.widths(),
              from.normalizeResiduals()));
    }
    if (from.trainingState() == null) {
      throw new IllegalArgumentException(
          "the codebook cannot be trained further: it does not know how many rows its centroids"
              + " have absorbed");
    }
  }

  /**
   * Centroids of all levels between two rounds of refinement.
   *
   * @param round rounds before
   * @param rows of each centroid, by the codes that they give
   */
  private record Refined(int round, List<float[]> centroids, List<long[]> rows) {}

  /** One training. */
  private final class Run implements AutoCloseable {

    private final VectorSource source;
    private final @Nullable List<float[]> initialCentroids;
    private final @Nullable Codebook from;
    private final TrainingListener listener;
    private final BatchStream stream;
    private final List<LevelKMeans> levels = new ArrayList<>();
    private final List<TrainingBlock> blocks;
    private final List<float[]> weights = new ArrayList<>();
    private @Nullable LevelPasses passes;
    private @Nullable Refined refined;
    private final int[] stepsTaken = new int[config.numHierarchies()];

    /** Rows that were on offer to a level's buffer, or would have been had they reached it. */
    private final long[] rowsOffered = new long[config.numHierarchies()];

    private double inputSquaredNorms;

    /** What the last pass of Lloyd's algorithm found; infinite before a level's first. */
    private double inertia = Double.POSITIVE_INFINITY;

    Run(
        VectorSource source,
        @Nullable List<float[]> initialCentroids,
        @Nullable Codebook from,
        TrainingListener listener) {
      this.source = source;
      this.initialCentroids = initialCentroids;
      this.from = from;
      this.listener = listener;
      this.stream = new BatchStream(source, config);
      int bufferRows = (int) Math.min(config.initBufferSize(), source.rows());
      for (int width : config.codebookWidths()) {
        int d = config.embeddingDim();
        levels.add(
            new LevelKMeans(
                width,
                d,
                bufferRows,
                backend,
                screening.int8(backend, d),
                screening.choice(),
                pool));
      }
      this.blocks = RowPasses.blocks(stream.batchSize(), config);
    }

    void layerWise() throws IOException {
      int steps = config.maxSteps() / levels.size();
      for (int l = initialized() > 0 ? initialized() - 1 : 0; l < levels.size(); l++) {
        continueFrom(l);
        while (!levels.get(l).initialized()) {
          readBatch();
          descendTo(l);
          fill(l, steps);
        }
        if (config.algorithm() == Algorithm.LLOYD) {
          lloyd(l, steps);
        }
        while (stepsTaken[l] < steps) {
          listener.onCheckpoint(this::checkpoint);
          readBatch();
          descendTo(l);
          assign(l);
          levels.get(l).accumulate(blocks);
          update(l, steps);
        }
        if (config.balance() && weights.size() == l) {
          listener.onCheckpoint(this::checkpoint);
          balance(l);
        }
      }
      listener.onCheckpoint(this::checkpoint);
    }

    private LevelPasses passes() {
      LevelPasses made = passes;
      if (made == null) {
        made = new LevelPasses(source, config, pool, levels, listener);
        passes = made;
      }
      return made;
    }

    /**
     * Passes until one gains less than the tolerance, or all are made. The first ones relocate
     * centroids that few rows use, the others settle them; a codebook that is continued keeps its
     * centroids' numbers instead.
     */
    private void lloyd(int l, int steps) throws IOException {
      while (stepsTaken[l] < steps) {
        listener.onCheckpoint(this::checkpoint);
        inputSquaredNorms = passes().sumUp(l);
        boolean relocating =
            from == null && stepsTaken[l] < Math.min(MOST_RELOCATING_PASSES, steps / 2);
        double few = config.balance() ? FEW_TO_BALANCE : FEW;
        LevelKMeans.Update update = levels.get(l).recentre(relocating ? few : 0);
        boolean last = !relocating && update.inertia() >= (1 - config.tolerance()) * inertia;
        inertia = update.inertia();
        report(l, Phase.UPDATE, stepsTaken[l] + 1, steps, update);
        stepsTaken[l] = last ? steps : stepsTaken[l] + 1;
      }
      inertia = Double.POSITIVE_INFINITY;
    }

    private void balance(int l) throws IOException {
      LevelKMeans level = levels.get(l);
      float[] rows = passes().sample(l);
      var balancer = new LevelBalancer(level, rows, pool, listener);
      for (int round = 1; round <= LevelBalancer.ROUNDS; round++) {
        balancer.step();
        inputSquaredNorms = passes().sumUp(l);
        report(l, Phase.BALANCE, round, LevelBalancer.ROUNDS, level.recentre(0));
      }
      balancer.step();
      weights.add(level.search().centroids().weights());
    }

    /** Moves the centroids of all levels together, as long as that makes the squares smaller. */
    void refine() throws IOException {
      var refinement = new JointRefinement(source, config, backend, pool, screening, listener);
      Refined continued = refined;
      List<float[]> centroids = continued == null ? centroids() : continued.centroids();
      int round = continued == null ? 0 : continued.round();
      int relocating = from == null ? JointRefinement.relocatingRounds(config.refine()) : 0;
      double squares = Double.POSITIVE_INFINITY;
      while (true) {
        JointRefinement.Fit fit = refinement.fit(centroids);
        if (round > relocating && !(fit.squares() < squares)) {
          break;
        }
        squares = fit.squares();
        refined = new Refined(round, centroids, fit.rows());
        listener.onCheckpoint(this::checkpoint);
        if (round == config.refine()) {
          break;
        }
        listener.onStep(
            new IterationStats(
                levels.size() - 1,
                Phase.REFINEMENT,
                ++round,
                config.refine(),
                source.rows(),
                0,
                squares,
                Double.NaN));
        centroids = refinement.solve(centroids, round <= relocating);
      }
    }

    private List<float[]> centroids() {
      var all = new ArrayList<float[]>();
      levels.forEach(level -> all.add(level.search().centroids().data()));
      return all;
    }

    void jointly() throws IOException {
      LevelKMeans last = levels.getLast();
      for (int l = 0; l < levels.size(); l++) {
        continueFrom(l);
      }
      while (!last.initialized() || stepsTaken[levels.size() - 1] < config.maxSteps()) {
        boolean updating = last.initialized();
        if (updating) {
          listener.onCheckpoint(this::checkpoint);
        }
        readBatch();
        for (int l = 0; l < levels.size(); l++) {
          enter(l);
          if (!levels.get(l).initialized()) {
            fill(l, config.maxSteps());
            if (!levels.get(l).initialized()) {
              break;
            }
          }
          assign(l);
          if (updating) {
            levels.get(l).accumulate(blocks);
          }
          leave(l);
          if (updating) {
            update(l, config.maxSteps());
          }
        }
      }
      listener.onCheckpoint(this::checkpoint);
    }

    /** Gives a level that has no centroids those of the codebook to be continued, if one is. */
    private void continueFrom(int l) {
      TrainingState state = from == null ? null : from.trainingState();
      if (from != null && state != null && !levels.get(l).initialized()) {
        levels.get(l).resume(from.centroids(l).data(), state.counts().get(l), 0);
        if (config.balance()) {
          levels.get(l).reweigh(from.centroids(l).weights());
        }
      }
    }

    /** Levels that have centroids. */
    private int initialized() {
      int count = 0;
      while (count < levels.size() && levels.get(count).initialized()) {
        count++;
      }
      return count;
    }

    private TrainingCheckpoint checkpoint() {
      Refined now = refined;
      if (now != null) {
        return new TrainingCheckpoint(
            now.centroids(),
            now.rows(),
            levels.stream().map(LevelKMeans::bufferedRows).toList(),
            List.of(),
            stepsTaken[levels.size() - 1],
            inertia,
            now.round(),
            stream.order().pass(),
            stream.order().position());
      }
      int count = initialized();
      var centroids = new ArrayList<float[]>();
      var counts = new ArrayList<long[]>();
      var bufferRows = new ArrayList<Integer>();
      for (LevelKMeans level : levels.subList(0, count)) {
        centroids.add(level.search().centroids().data());
        counts.add(level.counts());
        bufferRows.add(level.bufferedRows());
      }
      return new TrainingCheckpoint(
          centroids,
          counts,
          bufferRows,
          weights,
          stepsTaken[count - 1],
          inertia,
          -1,
          stream.order().pass(),
          stream.order().position());
    }

    /** Becomes what {@link #checkpoint} told of. */
    void resume(TrainingCheckpoint checkpoint) {
      int count = checkpoint.centroids().size();
      int steps = config.trainLayerWise() ? config.maxSteps() / levels.size() : config.maxSteps();
      if (count > levels.size()
          || checkpoint.steps() > steps
          || (!config.trainLayerWise() && count < levels.size())) {
        throw new IllegalArgumentException(
            String.format(
                    Locale.ROOT,
                    "no checkpoint of these settings: %d levels after %d steps, expected up to %d"
                        + " after up",
                    count,
                    checkpoint.steps(),
                    levels.size())
                + String.format(Locale.ROOT, " to %d", steps));
      }
      int balanced = checkpoint.weights().size();
      int refined = checkpoint.refined();
      if (refined > config.refine()
          || (refined >= 0 && count < levels.size())
          || balanced > (config.balance() ? count : 0)
          || (config.balance() && balanced < count - 1)) {
        throw new IllegalArgumentException(
            String.format(
                    Locale.ROOT,
                    "no checkpoint of these settings: %d rounds of refinement, %d of %d levels"
                        + " balanced;",
                    refined,
                    balanced,
                    count)
                + String.format(
                    Locale.ROOT,
                    " expected up to %d rounds for %d levels, balance %s",
                    config.refine(),
                    levels.size(),
                    config.balance()));
      }
      for (int l = 0; l < count; l++) {
        levels
            .get(l)
            .resume(
                checkpoint.centroids().get(l),
                checkpoint.counts().get(l),
                checkpoint.bufferRows().get(l));
        if (l < checkpoint.weights().size()) {
          levels.get(l).reweigh(checkpoint.weights().get(l));
          weights.add(checkpoint.weights().get(l));
        }
        stepsTaken[l] = config.trainLayerWise() && l < count - 1 ? steps : checkpoint.steps();
      }
      inertia = checkpoint.inertia();
      if (refined >= 0) {
        this.refined = new Refined(refined, checkpoint.centroids(), checkpoint.counts());
      }
      stream.order().seek(checkpoint.pass(), checkpoint.position());
    }

    private void readBatch() throws IOException {
      stream.next();
      try {
        pool.forEach(
            blocks.size(),
            i -> {
              TrainingBlock block = blocks.get(i);
              try {
                stream.load(block.begin(), block.rows());
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
              block.load(stream.batch(), block.rows());
            });
      } catch (UncheckedIOException e) {
        throw e.getCause();
      }
    }

    /** Forms the residuals that reach a level, through the finished levels above it. */
    private void descendTo(int level) {
      pool.forEach(
          blocks.size(),
          i -> {
            TrainingBlock block = blocks.get(i);
            for (int l = 0; l < level; l++) {
              block.enter(l);
              block.assign(levels.get(l).search());
              block.leave(levels.get(l).search());
            }
            block.enter(level);
          });
      sumInputs();
    }

    private void enter(int level) {
      pool.forEach(blocks.size(), i -> blocks.get(i).enter(level));
      sumInputs();
    }

    private void sumInputs() {
      inputSquaredNorms = 0;
      for (TrainingBlock block : blocks) {
        inputSquaredNorms += block.inputSquaredNorms();
      }
    }

    private void assign(int level) {
      CertifiedSearch search = levels.get(level).search();
      pool.forEach(blocks.size(), i -> blocks.get(i).assign(search));
    }

    private void leave(int level) {
      CertifiedSearch search = levels.get(level).search();
      pool.forEach(blocks.size(), i -> blocks.get(i).leave(search));
    }

    /**
     * Offers the batch to a level's buffer; chooses its centroids when that is full or has seen all
     * data.
     */
    private void fill(int l, int steps) {
      LevelKMeans level = levels.get(l);
      int before = level.bufferedRows();
      for (TrainingBlock block : blocks) {
        for (int row = 0; row < block.rows(); row++) {
          if (!block.loop().exhausted(row)) {
            level.offer(block.loop().residuals(), row * config.embeddingDim());
          }
        }
      }
      rowsOffered[l] += stream.batchSize();
      stepsTaken[l]++;
      if (level.bufferFull() || rowsOffered[l] >= source.rows()) {
        if (initialCentroids != null) {
          level.start(initialCentroids.get(l));
        } else {
          level.initialize(
              config.initializer(), RandomStream.of(config.seed(), Purpose.INITIALIZATION, l));
        }
      }
      listener.onStep(
          new IterationStats(
              l,
              Phase.INITIALIZATION,
              stepsTaken[l],
              steps,
              level.bufferedRows() - before,
              0,
              0,
              Double.NaN));
      if (level.initialized()) {
        stepsTaken[l] = 0;
      }
    }

    private void update(int l, int steps) {
      report(l, Phase.UPDATE, ++stepsTaken[l], steps, levels.get(l).update(config.learningRate()));
    }

    private void report(int l, Phase phase, int step, int steps, LevelKMeans.Update update) {
      double ratio =
          config.trackResiduals() && inputSquaredNorms > 0
              ? Math.sqrt(update.inertia() / inputSquaredNorms)
              : Double.NaN;
      listener.onStep(
          new IterationStats(
              l, phase, step, steps, update.rows(), update.loss(), update.inertia(), ratio));
    }

    Result result() {
      Refined joint = refined;
      return new Result(
          Codebook.of(
              config.codebookSettings(),
              config.embeddingDim(),
              joint == null ? centroids() : joint.centroids(),
              weights,
              Provenance.UNKNOWN),
          joint == null ? levels.stream().map(LevelKMeans::counts).toList() : joint.rows(),
          levels.stream().map(LevelKMeans::bufferedRows).toList());
    }

    @Override
    public void close() {
      levels.forEach(LevelKMeans::close);
    }
  }
}
