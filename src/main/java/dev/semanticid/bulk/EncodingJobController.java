package dev.semanticid.bulk;

import dev.semanticid.job.JobRequest;
import dev.semanticid.job.JobViews;
import dev.semanticid.security.Client;
import dev.semanticid.web.ProblemResponse;
import dev.semanticid.web.QueryParameters;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.media.Content;
import io.swagger.v3.oas.annotations.media.ExampleObject;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.responses.ApiResponse;
import io.swagger.v3.oas.annotations.tags.Tag;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.servlet.mvc.method.annotation.SseEmitter;

/** {@code /encode/jobs}: sources in, files of codes out. */
@RestController
@ProblemResponse(status = "503", codes = "STORE_UNAVAILABLE")
@Tag(name = "Bulk encode", description = "Jobs that encode all rows of a source into one file")
class EncodingJobController {

  private final EncodingService service;
  private final JobViews<EncodingJob> jobs;

  EncodingJobController(EncodingService service, JobViews<EncodingJob> jobs) {
    this.service = service;
    this.jobs = jobs;
  }

  /** Jobs, newest first. */
  record EncodingJobList(
      List<EncodingJob> jobs,
      @Schema(description = "give it as `after` for the next page; absent on the last")
          @Nullable String next) {}

  @PostMapping(
      path = "/encode/jobs",
      consumes = MediaType.APPLICATION_JSON_VALUE,
      produces = MediaType.APPLICATION_JSON_VALUE)
  @Operation(
      summary = "Encodes a source into a file",
      description =
          "Encodes every row with the version that the codebook has when the job is accepted. A"
              + " destination that ends with .npy gets int32 codes, n × L, in row order (−1 for"
              + " rows that were skipped); one that ends with .parquet gets the columns id (the"
              + " source's own, or else the row number) and semantic_id. The file appears whole or"
              + " not at all, and nothing is overwritten.",
      requestBody =
          @io.swagger.v3.oas.annotations.parameters.RequestBody(
              required = true,
              content =
                  @Content(
                      mediaType = "application/json",
                      schema = @Schema(implementation = EncodingRequest.class),
                      examples =
                          @ExampleObject(
                              """
                              {"codebook": "default", "version": "active",
                               "source": {"uri": "file:///data/items/*.npy"},
                               "destination": {"uri": "file:///data/semantic-ids.parquet"}}
                              """))))
  @ApiResponse(responseCode = "202", description = "accepted; Location names the job")
  @ProblemResponse(status = "400", codes = "MALFORMED_JSON, INVALID_PARAMETER, UNKNOWN_PARAMETER")
  @ProblemResponse(status = "403", codes = "SOURCE_FORBIDDEN")
  @ProblemResponse(status = "404", codes = "UNKNOWN_CODEBOOK, UNKNOWN_VERSION")
  @ProblemResponse(status = "408", codes = "REQUEST_TIMEOUT")
  @ProblemResponse(status = "409", codes = "DESTINATION_EXISTS, EMBEDDING_MODEL_MISMATCH")
  @ProblemResponse(status = "413", codes = "PAYLOAD_TOO_LARGE")
  @ProblemResponse(
      status = "422",
      codes =
          "DIMENSION_MISMATCH, UNSUPPORTED_SOURCE, SOURCE_NOT_FOUND, SOURCE_INVALID,"
              + " DESTINATION_INVALID, IDEMPOTENCY_KEY_REUSED")
  @ProblemResponse(status = "429", codes = "QUEUE_FULL")
  @ProblemResponse(status = "503", codes = "NO_CODEBOOK, CODEBOOK_UNAVAILABLE, STORE_UNAVAILABLE")
  ResponseEntity<EncodingJob> submit(
      @RequestBody EncodingRequest body,
      @Parameter(
              description =
                  "names the request: sent again with the same key by the same client, it gives the"
                      + " same job")
          @RequestHeader(name = JobRequest.IDEMPOTENCY_KEY, required = false)
          @Nullable String idempotencyKey,
      @Parameter(hidden = true) HttpServletRequest request)
      throws IOException {
    QueryParameters.requireKnown(request, Set.of());
    return jobs.accepted(
        service.submit(body, Client.of(request), JobRequest.requireKey(idempotencyKey)));
  }

  @GetMapping(path = "/encode/jobs/{id}", produces = MediaType.APPLICATION_JSON_VALUE)
  @Operation(summary = "State, progress and result of a bulk encoding")
  @ProblemResponse(status = "404", codes = "UNKNOWN_JOB")
  EncodingJob get(@PathVariable String id) {
    return jobs.get(id);
  }

  @GetMapping(path = "/encode/jobs/{id}/events", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
  @Operation(
      summary = "A bulk encoding as server-sent events",
      description =
          "Each event's data is what GET of the job answers, sent whenever it changes; the stream"
              + " ends with the job. A comment every two seconds keeps the connection open. A"
              + " client may listen 16 times at once.")
  @ApiResponse(
      responseCode = "200",
      content =
          @Content(
              mediaType = MediaType.TEXT_EVENT_STREAM_VALUE,
              schema = @Schema(implementation = EncodingJob.class)))
  @ProblemResponse(status = "404", codes = "UNKNOWN_JOB")
  @ProblemResponse(status = "429", codes = "TOO_MANY_LISTENERS")
  SseEmitter events(@PathVariable String id, HttpServletRequest request) {
    return jobs.events(id, Client.of(request));
  }

  @GetMapping(path = "/encode/jobs", produces = MediaType.APPLICATION_JSON_VALUE)
  @Operation(summary = "Bulk encodings, newest first")
  @ProblemResponse(status = "400", codes = "INVALID_PARAMETER")
  @ProblemResponse(status = "404", codes = "UNKNOWN_JOB")
  EncodingJobList list(
      @Parameter(description = "most jobs to give, 1 to 200")
          @RequestParam(defaultValue = JobViews.DEFAULT_LIMIT)
          int limit,
      @Parameter(description = "the job to continue behind, from `next`")
          @RequestParam(required = false)
          @Nullable String after) {
    return jobs.list(limit, after, EncodingJobList::new);
  }

  @DeleteMapping(path = "/encode/jobs/{id}", produces = MediaType.APPLICATION_JSON_VALUE)
  @Operation(
      summary = "Cancels a bulk encoding",
      description =
          "A queued job ends at once, a running one within a batch; nothing is written. With"
              + " security on, a client cancels its own jobs; another client's, and those of a"
              + " client that is not known, need the scope admin.")
  @ApiResponse(responseCode = "202", description = "cancelled, or about to be")
  @ProblemResponse(status = "403", codes = "FORBIDDEN")
  @ProblemResponse(status = "404", codes = "UNKNOWN_JOB")
  @ProblemResponse(status = "409", codes = "JOB_FINISHED")
  ResponseEntity<EncodingJob> cancel(@PathVariable String id, HttpServletRequest request) {
    return jobs.cancel(id, Client.of(request));
  }
}
