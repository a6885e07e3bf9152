package dev.semanticid.job;

import io.swagger.v3.oas.annotations.media.Schema;
import org.jspecify.annotations.Nullable;

/**
 * Where a running job is.
 *
 * @param phase what it is doing
 * @param level training: the level at work, 0-based
 * @param step training: steps taken in this phase of the level
 * @param steps training: update steps that the level gets
 * @param rows rows done in this phase
 * @param totalRows rows that this phase has in all, if that is known
 * @param skippedRows rows left out so far because they are no vectors
 * @param rowsPerSecond in this phase, since the service last started
 * @param etaSeconds estimated seconds until the job is done, if that can be said
 * @param inertia training: of the last batch
 * @param residualNormRatio training: of the last batch, if residuals are tracked
 * @param fraction of the job that is done, 0 to 1
 */
@Schema(description = "Where a running job is")
public record JobProgress(
    String phase,
    @Nullable Integer level,
    @Nullable Integer step,
    @Nullable Integer steps,
    long rows,
    @Nullable Long totalRows,
    @Nullable Long skippedRows,
    double rowsPerSecond,
    @Nullable Double etaSeconds,
    @Nullable Double inertia,
    @Nullable Double residualNormRatio,
    double fraction) {}
