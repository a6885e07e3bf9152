package dev.semanticid.core.train;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.CodebookSettings;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Objects;

/**
 * Settings of a training, with the names their users know. Immutable; {@link #reference(int)} has
 * the defaults.
 *
 * @param embeddingDim components d of a vector, 1 or more
 * @param codebookWidths K_l of each level, 1 or more each; their number is {@code num_hierarchies}
 * @param initBufferSize rows from which a level's first centroids are chosen; at least the widest
 *     level
 * @param batchSize rows of a step, 1 or more
 * @param maxSteps update steps in all: layer-wise each level gets {@code maxSteps / L}, otherwise
 *     every level gets all; a step of Lloyd's algorithm is a pass over all rows
 * @param learningRate the factor lr of the update, in (0, 1]; 0.5 moves a centroid to the running
 *     mean of its rows
 * @param normalizeResiduals whether every level works on unit vectors
 * @param trainLayerWise whether a level begins only when the one above it is finished
 * @param trackResiduals whether steps report the residual norm ratio
 * @param shuffle whether rows come in a random order, another one in each pass, instead of the
 *     data's
 * @param initializer how first centroids are chosen
 * @param seed of every random choice
 * @param algorithm how centroids are found; Lloyd's works layer-wise only
 * @param tolerance a level of Lloyd's algorithm is finished when a pass takes less than this share
 *     off its inertia; 0 or more
 * @param refine rounds of {@link JointRefinement} after the last level, 0 or more
 * @param beamSize partial codes that encoding, and refinement, keep; part of the codebook
 * @param balance whether every level gets the weights of {@link LevelBalancer}; layer-wise, with
 *     neither refinement nor a beam
 */
public record ResidualQuantizerConfig(
    int embeddingDim,
    List<Integer> codebookWidths,
    int initBufferSize,
    int batchSize,
    int maxSteps,
    double learningRate,
    boolean normalizeResiduals,
    boolean trainLayerWise,
    boolean trackResiduals,
    boolean shuffle,
    CentroidInitializer initializer,
    long seed,
    Algorithm algorithm,
    double tolerance,
    int refine,
    int beamSize,
    boolean balance) {

  /** The tolerance unless told otherwise. */
  public static final double DEFAULT_TOLERANCE = 1e-4;

  /** The most rounds of refinement. */
  public static final int MOST_REFINE = 1000;

  /** Passes that Lloyd's algorithm makes over a level unless told otherwise. */
  public static final int DEFAULT_PASSES = 20;

  public ResidualQuantizerConfig {
    codebookWidths = List.copyOf(codebookWidths);
    Objects.requireNonNull(initializer, "initializer");
    require(embeddingDim >= 1, "embedding_dim must be at least 1, got " + embeddingDim);
    require(
        !codebookWidths.isEmpty() && codebookWidths.size() <= Codebook.MOST_LEVELS,
        String.format(
            Locale.ROOT,
            "num_hierarchies must be 1 to %d, got %d",
            Codebook.MOST_LEVELS,
            codebookWidths.size()));
    for (int width : codebookWidths) {
      require(width >= 1, "codebook_width must be at least 1, got " + width);
      require(
          (long) width * embeddingDim <= Integer.MAX_VALUE - 8,
          String.format(
              Locale.ROOT,
              "codebook_width %d × embedding_dim %d exceeds the %d components that one level can"
                  + " have",
              width,
              embeddingDim,
              Integer.MAX_VALUE - 8));
    }
    int widest = Collections.max(codebookWidths);
    require(
        initBufferSize >= widest,
        String.format(
            Locale.ROOT,
            "init_buffer_size must be at least the widest codebook_width, %d, got %d",
            widest,
            initBufferSize));
    require(
        (long) initBufferSize * embeddingDim <= Integer.MAX_VALUE - 8,
        String.format(
            Locale.ROOT,
            "init_buffer_size %d × embedding_dim %d exceeds the %d components that a buffer can"
                + " have",
            initBufferSize,
            embeddingDim,
            Integer.MAX_VALUE - 8));
    require(batchSize >= 1, "batch_size must be at least 1, got " + batchSize);
    require(
        (long) batchSize * embeddingDim <= Integer.MAX_VALUE - 8,
        String.format(
            Locale.ROOT,
            "batch_size %d × embedding_dim %d exceeds the %d components that a batch can have",
            batchSize,
            embeddingDim,
            Integer.MAX_VALUE - 8));
    require(maxSteps >= 1, "max_steps must be at least 1, got " + maxSteps);
    require(
        learningRate > 0 && learningRate <= 1,
        "learning_rate must be in (0, 1], got " + learningRate);
    Objects.requireNonNull(algorithm, "algorithm");
    require(tolerance >= 0 && tolerance < 1, "tolerance must be in [0, 1), got " + tolerance);
    require(
        refine >= 0 && refine <= MOST_REFINE,
        String.format(Locale.ROOT, "refine must be 0 to %d rounds, got %d", MOST_REFINE, refine));
    new CodebookSettings(normalizeResiduals, beamSize);
    require(
        trainLayerWise || (algorithm == Algorithm.MINIBATCH_KMEANS && !balance),
        "algorithm lloyd and balance train level after level; train_layer_wise must be true");
    require(
        !balance || (refine == 0 && beamSize == 1),
        String.format(
            Locale.ROOT,
            "balance cannot be combined with refine or beam_size, got refine %d and beam_size %d",
            refine,
            beamSize));
  }

  /** The settings that the reference algorithm has; greedy, neither refined nor balanced. */
  public ResidualQuantizerConfig(
      int embeddingDim,
      List<Integer> codebookWidths,
      int initBufferSize,
      int batchSize,
      int maxSteps,
      double learningRate,
      boolean normalizeResiduals,
      boolean trainLayerWise,
      boolean trackResiduals,
      boolean shuffle,
      CentroidInitializer initializer,
      long seed) {
    this(
        embeddingDim,
        codebookWidths,
        initBufferSize,
        batchSize,
        maxSteps,
        learningRate,
        normalizeResiduals,
        trainLayerWise,
        trackResiduals,
        shuffle,
        initializer,
        seed,
        Algorithm.MINIBATCH_KMEANS,
        DEFAULT_TOLERANCE,
        0,
        1,
        false);
  }

  /** The same with what the reference algorithm does not have. */
  public ResidualQuantizerConfig with(
      Algorithm otherAlgorithm, double otherTolerance, int rounds, int beam, boolean balanced) {
    return new ResidualQuantizerConfig(
        embeddingDim,
        codebookWidths,
        initBufferSize,
        batchSize,
        maxSteps,
        learningRate,
        normalizeResiduals,
        trainLayerWise,
        trackResiduals,
        shuffle,
        initializer,
        seed,
        otherAlgorithm,
        otherTolerance,
        rounds,
        beam,
        balanced);
  }

  private static void require(boolean condition, String message) {
    if (!condition) {
      throw new IllegalArgumentException(message);
    }
  }

  /**
   * The reference settings: 3 × 256, buffer 3072, batches of 2048, 30 steps, normalised,
   * layer-wise, k-means++.
   */
  public static ResidualQuantizerConfig reference(int embeddingDim) {
    return new ResidualQuantizerConfig(
        embeddingDim,
        List.of(256, 256, 256),
        3072,
        2048,
        30,
        0.5,
        true,
        true,
        true,
        true,
        CentroidInitializer.KMEANS_PLUS_PLUS,
        42);
  }

  /**
   * Steps that a data set gets unless told otherwise: ten passes per level, within 30 and 3,000 in
   * all; {@value #DEFAULT_PASSES} passes per level by Lloyd's algorithm.
   *
   * @param further whether a codebook is trained further: then three passes instead of ten, for its
   *     centroids are near their places, and every pass moves some codes
   */
  public static int defaultMaxSteps(
      Algorithm algorithm, long rows, int batchSize, int levels, boolean further) {
    if (algorithm == Algorithm.LLOYD) {
      return DEFAULT_PASSES * levels;
    }
    long batches = (rows + batchSize - 1) / batchSize;
    return Math.clamp((further ? 3 : 10) * batches * levels, 30, 3000);
  }

  /** Number of levels L. */
  public int numHierarchies() {
    return codebookWidths.size();
  }

  /** What of these settings decides codes. */
  public CodebookSettings codebookSettings() {
    return new CodebookSettings(normalizeResiduals, beamSize);
  }
}
