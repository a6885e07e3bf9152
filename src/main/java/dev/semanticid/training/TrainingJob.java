package dev.semanticid.training;

import dev.semanticid.core.evaluation.QuantizationReport;
import io.swagger.v3.oas.annotations.media.Schema;
import java.time.Instant;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A training job as clients see it.
 *
 * @param id of the job
 * @param codebook the codebook that it makes a version of
 * @param state queued, running, succeeded, failed or cancelled
 * @param progress where it is, while it runs
 * @param error why it failed
 * @param version the version it made
 * @param activated whether that version was made the active one
 * @param report what the version did to the training data
 * @param parameters all settings in effect, defaults included
 * @param createdAt when it was accepted
 * @param startedAt when it began to run
 * @param finishedAt when it ended
 */
@Schema(description = "A training job")
record TrainingJob(
    String id,
    @Schema(example = "default") String codebook,
    @Schema(allowableValues = {"queued", "running", "succeeded", "failed", "cancelled"})
        String state,
    @Nullable Progress progress,
    @Nullable Failure error,
    @Schema(example = "1") @Nullable Integer version,
    @Nullable Boolean activated,
    @Nullable QuantizationReport report,
    Map<String, Object> parameters,
    Instant createdAt,
    @Nullable Instant startedAt,
    @Nullable Instant finishedAt) {

  /** States of a job; the last three are final. */
  enum State {
    /** Accepted, waiting for the worker. */
    QUEUED,
    /** The worker is at it. */
    RUNNING,
    /** Ended with a version. */
    SUCCEEDED,
    /** Ended without one, for the reason given. */
    FAILED,
    /** Ended because a client asked for it. */
    CANCELLED;

    /** Whether the job has ended. */
    boolean isDone() {
      return this == SUCCEEDED || this == FAILED || this == CANCELLED;
    }

    String wireName() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * Why a job failed.
   *
   * @param code a problem code
   * @param detail a sentence for a person
   */
  record Failure(@Schema(example = "NON_FINITE_VALUE") String code, @Nullable String detail) {}

  /**
   * Where a running job is.
   *
   * @param phase initialization, update or evaluation
   * @param level the level at work, 0-based
   * @param step steps taken in this phase of the level
   * @param steps update steps that the level gets
   * @param rowsPerSecond rows read per second so far
   * @param etaSeconds estimated seconds until training is done
   * @param inertia of the last batch
   * @param residualNormRatio of the last batch, if residuals are tracked
   */
  record Progress(
      String phase,
      int level,
      int step,
      int steps,
      double rowsPerSecond,
      double etaSeconds,
      double inertia,
      @Nullable Double residualNormRatio) {}
}
