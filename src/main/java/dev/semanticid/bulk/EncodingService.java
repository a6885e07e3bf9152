package dev.semanticid.bulk;

import dev.semanticid.codebook.CodebookRegistry;
import dev.semanticid.codebook.EmbeddingModel;
import dev.semanticid.codebook.ServedCodebook;
import dev.semanticid.format.FormatException;
import dev.semanticid.job.Job;
import dev.semanticid.job.JobRequest;
import dev.semanticid.job.JobRunner;
import dev.semanticid.job.JobStore;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.security.Client;
import dev.semanticid.source.OpenedSource;
import dev.semanticid.source.SourceSpec;
import dev.semanticid.source.Sources;
import dev.semanticid.storage.Destination;
import dev.semanticid.storage.Storage;
import java.io.IOException;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.stereotype.Component;
import tools.jackson.databind.json.JsonMapper;

/** Accepts bulk encodings; {@link EncodingWork} does them. */
@Component
class EncodingService {

  static final String KIND = "encoding";
  static final String PATH = "/encode/jobs";

  private final JobRunner runner;
  private final EncodingWork work;
  private final CodebookRegistry registry;
  private final Sources sources;
  private final Storage storage;
  private final JsonMapper json;

  EncodingService(
      @Qualifier(KIND) JobRunner runner,
      EncodingWork work,
      CodebookRegistry registry,
      Sources sources,
      Storage storage,
      JobStore jobs,
      JsonMapper json)
      throws IOException {
    this.runner = runner;
    this.work = work;
    this.registry = registry;
    this.sources = sources;
    this.storage = storage;
    this.json = json;
    // Before the first request: files of an earlier process that no unfinished job needs.
    work.retain(jobs.unfinished(KIND).stream().map(Job::id).collect(Collectors.toSet()));
  }

  /** Queues a bulk encoding with the version that its codebook has now. */
  JobRunner.Submission submit(
      EncodingRequest request, Client client, @Nullable String idempotencyKey) throws IOException {
    SourceSpec source = request.source();
    if (source == null || source.uri() == null) {
      throw missing("source", "file:///folder/name.npy");
    }
    EncodingRequest.Target target = request.destination();
    if (target == null || target.uri() == null) {
      throw missing("destination", "file:///folder/name.parquet");
    }
    Storage.requireWithoutSecrets(source.uri(), ProblemCode.UNSUPPORTED_SOURCE);
    Storage.requireWithoutSecrets(target.uri(), ProblemCode.DESTINATION_INVALID);
    OutputFormat.of(target.uri());
    request.badRows();
    String text = json.writeValueAsString(request);
    String hash = JobRequest.hash(text);
    Optional<JobRunner.Submission> known = runner.known(client.name(), idempotencyKey, hash);
    if (known.isPresent()) {
      return known.get();
    }
    Destination destination = storage.destination(target.uri());
    String name = request.codebook() == null ? "default" : request.codebook();
    String version = request.version() == null ? CodebookRegistry.ACTIVE : request.version();
    ServedCodebook codebook = registry.acquire(name, version);
    Map<String, Object> parameters = request.parameters();
    try {
      EmbeddingModel.requireSame(codebook.embeddingModel(), request.embeddingModel());
      if (Storage.isOnThisMachine(source.uri())) {
        parameters.put("rows", open(request, codebook).rows());
      } else {
        sources.requireReadable(source);
      }
      var job =
          new JobRequest(
              KIND,
              name,
              codebook.version(),
              client.name(),
              text,
              parameters,
              idempotencyKey,
              hash);
      // In this order: if what exists is of this very request, its job is found as well.
      if (Storage.isOnThisMachine(target.uri())
          && destination.exists()
          && runner.known(client.name(), idempotencyKey, hash).isEmpty()) {
        throw new ProblemException(
            ProblemCode.DESTINATION_EXISTS,
            "%s exists already; nothing is overwritten".formatted(destination.uri()));
      }
      return runner.submit(job, () -> registry.keep(name, codebook.version()));
    } finally {
      codebook.release();
    }
  }

  private OpenedSource open(EncodingRequest request, ServedCodebook codebook) throws IOException {
    try {
      return work.open(request, codebook);
    } catch (FormatException e) {
      throw new ProblemException(
          ProblemCode.SOURCE_INVALID, "the source cannot be encoded: " + e.getMessage());
    }
  }

  private static ProblemException missing(String name, String example) {
    return new ProblemException(
            ProblemCode.INVALID_PARAMETER,
            "%s is missing; expected \"%s\": {\"uri\": \"%s\"}".formatted(name, name, example))
        .with("parameter", name);
  }
}
