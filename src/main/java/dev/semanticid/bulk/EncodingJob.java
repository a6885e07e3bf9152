package dev.semanticid.bulk;

import dev.semanticid.job.Job;
import dev.semanticid.job.Job.State;
import dev.semanticid.job.JobProgress;
import dev.semanticid.job.JobRunner;
import dev.semanticid.problem.Masked;
import io.swagger.v3.oas.annotations.media.Schema;
import java.time.Instant;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;

/**
 * A bulk encoding as clients see it.
 *
 * @param id of the job
 * @param codebook the codebook that it encodes with
 * @param version the version of it, whatever the aliases do meanwhile
 * @param client the client that asked for it, by the name that its credentials prove; absent where
 *     nobody had to say
 * @param state queued, running, succeeded, failed or cancelled
 * @param progress where it is, while it runs
 * @param error why it failed
 * @param result what it wrote
 * @param parameters all settings in effect
 * @param createdAt when it was accepted
 * @param startedAt when it first began to run
 * @param finishedAt when it ended
 */
@Schema(description = "A bulk encoding")
record EncodingJob(
    String id,
    @Schema(example = "default") String codebook,
    @Schema(example = "7") @Nullable Integer version,
    @Schema(
            example = "key:pipeline",
            description = "the client that asked for it; absent where security was off")
        @Nullable String client,
    @Schema(allowableValues = {"queued", "running", "succeeded", "failed", "cancelled"})
        String state,
    @Nullable JobProgress progress,
    Job.@Nullable Failure error,
    @Nullable Result result,
    Map<String, Object> parameters,
    Instant createdAt,
    @Nullable Instant startedAt,
    @Nullable Instant finishedAt) {

  /**
   * What a bulk encoding wrote.
   *
   * @param destination where it is
   * @param fingerprint of the codebook's version
   * @param rows rows of the source, those skipped included
   * @param skippedRows rows left out because they are no vectors
   * @param sizeBytes size of the file
   */
  @Schema(name = "EncodingResult")
  record Result(
      String destination, String fingerprint, long rows, long skippedRows, long sizeBytes) {

    /** The same without secrets in the address, which earlier versions of the service stored. */
    Result masked() {
      return new Result(Masked.address(destination), fingerprint, rows, skippedRows, sizeBytes);
    }
  }

  static EncodingJob of(JobRunner.Status status, JsonMapper json) {
    Job job = status.job();
    boolean ended = status.state().isFinal();
    String result = job.result();
    return new EncodingJob(
        job.id(),
        job.codebook(),
        job.version(),
        job.client(),
        status.state().wireName(),
        status.state() == State.RUNNING ? status.progress() : null,
        ended ? job.error() : null,
        ended && result != null ? json.readValue(result, Result.class).masked() : null,
        job.parameters(),
        job.createdAt(),
        job.startedAt(),
        ended ? job.finishedAt() : null);
  }
}
