package dev.semanticid.train;

import dev.semanticid.core.report.QuantizationReport;
import dev.semanticid.job.Job;
import dev.semanticid.job.Job.State;
import dev.semanticid.job.JobProgress;
import dev.semanticid.job.JobRunner;
import io.swagger.v3.oas.annotations.media.Schema;
import java.time.Instant;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;

/**
 * A training job as clients see it.
 *
 * @param id of the job
 * @param codebook the codebook that it makes a version of
 * @param client the client that asked for it, by the name that its credentials prove; absent where
 *     nobody had to say
 * @param state queued, running, succeeded, failed or cancelled
 * @param progress where it is, while it runs
 * @param error why it failed
 * @param version the version it made
 * @param activated whether that version was made the active one
 * @param report what the version did to the rows trained on, and apart to those held out
 * @param parameters all settings in effect, defaults included
 * @param createdAt when it was accepted
 * @param startedAt when it first began to run
 * @param finishedAt when it ended
 */
@Schema(description = "A training job")
record TrainingJob(
    String id,
    @Schema(example = "default") String codebook,
    @Schema(
            example = "key:pipeline",
            description = "the client that asked for it; absent where security was off")
        @Nullable String client,
    @Schema(allowableValues = {"queued", "running", "succeeded", "failed", "cancelled"})
        String state,
    @Nullable JobProgress progress,
    Job.@Nullable Failure error,
    @Schema(example = "1") @Nullable Integer version,
    @Nullable Boolean activated,
    @Nullable QuantizationReport report,
    Map<String, Object> parameters,
    Instant createdAt,
    @Nullable Instant startedAt,
    @Nullable Instant finishedAt) {

  static TrainingJob of(JobRunner.Status status, JsonMapper json) {
    Job job = status.job();
    boolean ended = status.state().isFinal();
    String report = job.result();
    return new TrainingJob(
        job.id(),
        job.codebook(),
        job.client(),
        status.state().wireName(),
        status.state() == State.RUNNING ? status.progress() : null,
        ended ? job.error() : null,
        status.state() == State.SUCCEEDED ? job.version() : null,
        ended ? job.activated() : null,
        ended && report != null ? json.readValue(report, QuantizationReport.class) : null,
        job.parameters(),
        job.createdAt(),
        job.startedAt(),
        ended ? job.finishedAt() : null);
  }
}
