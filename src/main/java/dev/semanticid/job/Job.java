package dev.semanticid.job;

import io.swagger.v3.oas.annotations.media.Schema;
import java.time.Instant;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A job as it is stored.
 *
 * @param id of the job
 * @param kind what sort of work it is
 * @param codebook the codebook that it is about
 * @param client the name of the client that asked for it; null if nobody had to say
 * @param state where it is in its life
 * @param request what the client asked for, as the feature wrote it; empty if it can no longer run
 * @param parameters all settings in effect, as clients see them
 * @param source what opening its source found, as the feature wrote it
 * @param cancelRequested whether a client asked for its end
 * @param attempts starts since the last checkpoint
 * @param error why it failed
 * @param version the version of the codebook that it made or uses
 * @param activated whether a version that it made was made the active one
 * @param result what came of it, as the feature wrote it
 * @param createdAt when it was accepted
 * @param startedAt when it first began to run
 * @param finishedAt when it ended
 * @param owner the process that holds it, or held it last
 * @param fence how often it has changed hands
 * @param progress where it was when its holder last said so, if it runs
 */
public record Job(
    String id,
    String kind,
    String codebook,
    @Nullable String client,
    State state,
    String request,
    Map<String, Object> parameters,
    @Nullable String source,
    boolean cancelRequested,
    int attempts,
    @Nullable Failure error,
    @Nullable Integer version,
    @Nullable Boolean activated,
    @Nullable String result,
    Instant createdAt,
    @Nullable Instant startedAt,
    @Nullable Instant finishedAt,
    @Nullable String owner,
    int fence,
    @Nullable JobProgress progress) {

  /** States of a job; the last three are final. */
  public enum State {
    /** Accepted, waiting for the worker. */
    QUEUED,
    /** The worker is at it, or will be as soon as the service is back. */
    RUNNING,
    /** Ended as it should. */
    SUCCEEDED,
    /** Ended for the reason given. */
    FAILED,
    /** Ended because a client asked for it. */
    CANCELLED;

    /** Whether the job has ended. */
    public boolean isFinal() {
      return this == SUCCEEDED || this == FAILED || this == CANCELLED;
    }

    /** The name in JSON and in the database. */
    public String wireName() {
      return name().toLowerCase(Locale.ROOT);
    }

    static State ofWireName(String name) {
      return valueOf(name.toUpperCase(Locale.ROOT));
    }
  }

  /**
   * Why a job failed.
   *
   * @param code a problem code
   * @param detail a sentence for a person
   */
  @Schema(name = "JobFailure")
  public record Failure(
      @Schema(example = "NON_FINITE_VALUE") String code, @Nullable String detail) {}
}
