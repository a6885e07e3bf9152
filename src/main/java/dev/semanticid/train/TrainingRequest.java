package dev.semanticid.train;

import dev.semanticid.core.report.HoldoutSplit;
import dev.semanticid.core.train.Algorithm;
import dev.semanticid.core.train.ResidualQuantizerConfig;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A training as asked for, every default filled in.
 *
 * @param codebook the codebook to make a version of
 * @param start the version to begin with; null to choose first centroids
 * @param config settings of the algorithm
 * @param holdout which rows are kept from training
 * @param rows rows to train on
 * @param holdoutRows rows held out
 * @param activation when the version shall be served
 * @param gate what the version must reach to pass
 * @param embeddingModel the model that the vectors come from, if stated
 */
record TrainingRequest(
    String codebook,
    @Nullable StartVersion start,
    ResidualQuantizerConfig config,
    HoldoutSplit holdout,
    long rows,
    long holdoutRows,
    Activation activation,
    QualityGate gate,
    @Nullable String embeddingModel) {

  /** When a new version is made the active one. */
  enum Activation {
    /** In any case. */
    ALWAYS,
    /** If it passes the quality gate. */
    IF_PASSES,
    /** Not by the job. */
    NEVER
  }

  /**
   * What a version must reach; a bound that is null is passed.
   *
   * @param minUniqueRatio least share of distinct semantic IDs
   * @param maxDeadCodes most centroids, of all levels together, that no row chose
   * @param maxHoldoutMse largest {@code mse} over the rows held out
   */
  record QualityGate(
      @Nullable Double minUniqueRatio,
      @Nullable Integer maxDeadCodes,
      @Nullable Double maxHoldoutMse) {
    QualityGate {
      if (minUniqueRatio != null && !(minUniqueRatio >= 0 && minUniqueRatio <= 1)) {
        throw new IllegalArgumentException(
            "quality_gate.min_unique_ratio must be 0 to 1, got " + minUniqueRatio);
      }
      if (maxDeadCodes != null && maxDeadCodes < 0) {
        throw new IllegalArgumentException(
            "quality_gate.max_dead_codes must not be negative, got " + maxDeadCodes);
      }
      if (maxHoldoutMse != null && !(maxHoldoutMse >= 0)) {
        throw new IllegalArgumentException(
            "quality_gate.max_holdout_mse must not be negative, got " + maxHoldoutMse);
      }
    }
  }

  /** The same request with a model stated. */
  TrainingRequest withEmbeddingModel(String model) {
    return new TrainingRequest(
        codebook, start, config, holdout, rows, holdoutRows, activation, gate, model);
  }

  /** All settings by the names that clients know. */
  Map<String, Object> parameters() {
    var parameters = new LinkedHashMap<String, Object>();
    parameters.put("algorithm", TrainingParameters.wireName(config.algorithm()));
    parameters.put("embedding_dim", config.embeddingDim());
    parameters.put("num_hierarchies", config.numHierarchies());
    parameters.put("codebook_width", config.codebookWidths());
    if (start == null) {
      parameters.put("init_buffer_size", config.initBufferSize());
      parameters.put("initializer", TrainingParameters.wireName(config.initializer()));
    } else {
      parameters.put(TrainingParameters.INIT_FROM, start.number());
    }
    parameters.put("batch_size", config.batchSize());
    parameters.put("max_steps", config.maxSteps());
    if (config.algorithm() == Algorithm.LLOYD) {
      parameters.put("tolerance", config.tolerance());
    } else {
      parameters.put("learning_rate", config.learningRate());
    }
    parameters.put("refine", config.refine());
    parameters.put("beam_size", config.beamSize());
    parameters.put("balance", config.balance());
    parameters.put("normalize_residuals", config.normalizeResiduals());
    parameters.put("train_layer_wise", config.trainLayerWise());
    parameters.put("track_residuals", config.trackResiduals());
    parameters.put("shuffle", config.shuffle());
    parameters.put("seed", config.seed());
    parameters.put(TrainingParameters.HOLDOUT_FRACTION, holdout.fraction());
    parameters.put("rows", rows);
    if (holdout.fraction() > 0) {
      parameters.put("holdout_rows", holdoutRows);
    }
    return parameters;
  }
}
