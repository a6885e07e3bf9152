package dev.semanticid.train;

import dev.semanticid.codebook.CodebookRegistry;
import dev.semanticid.job.Job;
import dev.semanticid.job.JobRequest;
import dev.semanticid.job.JobRunner;
import dev.semanticid.job.JobStore;
import dev.semanticid.security.Client;
import dev.semanticid.source.Staging;
import java.io.IOException;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.stereotype.Component;
import tools.jackson.databind.json.JsonMapper;

/** Accepts trainings; {@link TrainingWork} does them. */
@Component
class TrainingService {

  static final String KIND = "training";
  static final String PATH = "/train";

  private final JobRunner runner;
  private final CodebookRegistry registry;
  private final JsonMapper json;

  TrainingService(
      @Qualifier(KIND) JobRunner runner,
      JobStore jobs,
      CodebookRegistry registry,
      UploadSpool spool,
      Staging staging,
      JsonMapper json)
      throws IOException {
    this.runner = runner;
    this.registry = registry;
    this.json = json;
    discardOrphans(jobs, spool, staging);
  }

  /** Before the first request: files of an earlier process that no unfinished job needs. */
  private void discardOrphans(JobStore jobs, UploadSpool spool, Staging staging)
      throws IOException {
    var ids = new HashSet<String>();
    var uploads = new HashSet<String>();
    for (Job job : jobs.unfinished(KIND)) {
      ids.add(job.id());
      String upload = json.readValue(job.request(), StoredTraining.class).upload();
      if (upload != null) {
        uploads.add(upload);
      }
    }
    staging.retain(ids);
    spool.retain(uploads);
  }

  /**
   * Refuses early what {@link #submit} would refuse: a codebook with an unfinished job, or one more
   * codebook than there may be. A request by an idempotency key that is known is not refused.
   */
  void requireTrainable(String codebook, Client client, @Nullable String idempotencyKey) {
    runner.requireIdle(codebook, client.name(), idempotencyKey);
    if (!runner.mayBeKnown(client.name(), idempotencyKey)) {
      registry.requireRoom(codebook);
    }
  }

  /** All settings in effect, as clients see them. */
  static Map<String, Object> parameters(StoredTraining training, TrainingRequest request) {
    Map<String, Object> parameters = request.parameters();
    parameters.put("source", training.description());
    return parameters;
  }

  /** The settings that a client gave, where the others depend on data not yet opened. */
  static Map<String, Object> given(StoredTraining training, @Nullable StartVersion start) {
    var parameters = new LinkedHashMap<String, Object>(training.parameters());
    if (start != null) {
      parameters.put(TrainingParameters.INIT_FROM, start.number());
    }
    parameters.put("source", training.description());
    return parameters;
  }

  /** The job of a training from a source that was asked for by the same key before. */
  Optional<JobRunner.Submission> known(
      StoredTraining training, Client client, @Nullable String idempotencyKey) {
    return runner.known(client.name(), idempotencyKey, hash(training, ""));
  }

  private String hash(StoredTraining training, String digest) {
    var nameless =
        new StoredTraining(
            training.parameters(),
            training.source(),
            null,
            training.elementType(),
            training.dimension(),
            training.embeddingModel());
    return JobRequest.hash(json.writeValueAsString(nameless), digest);
  }

  /**
   * Queues a training.
   *
   * @param start the version it begins with, which is not deleted while the job needs it
   * @param parameters as clients shall see them
   * @param digest of an upload; empty for a source
   * @param client who asks for it
   * @return its job, and whether it is a new one
   */
  JobRunner.Submission submit(
      StoredTraining training,
      String codebook,
      @Nullable StartVersion start,
      Map<String, Object> parameters,
      String digest,
      Client client,
      @Nullable String idempotencyKey) {
    var request =
        new JobRequest(
            KIND,
            codebook,
            start == null ? null : start.number(),
            client.name(),
            json.writeValueAsString(training),
            parameters,
            idempotencyKey,
            hash(training, digest));
    return runner.submit(
        request,
        () -> {
          registry.requireRoom(codebook);
          if (start != null) {
            registry.keep(codebook, start.number());
          }
        });
  }
}
