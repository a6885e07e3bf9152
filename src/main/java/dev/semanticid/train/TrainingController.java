package dev.semanticid.train;

import dev.semanticid.codebook.EmbeddingModel;
import dev.semanticid.core.vector.ElementType;
import dev.semanticid.format.FormatException;
import dev.semanticid.job.JobRequest;
import dev.semanticid.job.JobRunner;
import dev.semanticid.job.JobViews;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.security.Client;
import dev.semanticid.settings.SemanticIdProperties;
import dev.semanticid.source.OpenedSource;
import dev.semanticid.source.SourceSpec;
import dev.semanticid.source.SourceSpec.RawLayout;
import dev.semanticid.source.Sources;
import dev.semanticid.storage.Storage;
import dev.semanticid.web.LimitedInputStream;
import dev.semanticid.web.ProblemResponse;
import dev.semanticid.web.QueryParameters;
import dev.semanticid.web.RawRows;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.enums.ParameterIn;
import io.swagger.v3.oas.annotations.media.Content;
import io.swagger.v3.oas.annotations.media.ExampleObject;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.parameters.RequestBody;
import io.swagger.v3.oas.annotations.responses.ApiResponse;
import io.swagger.v3.oas.annotations.tags.Tag;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.springframework.http.InvalidMediaTypeException;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.servlet.mvc.method.annotation.SseEmitter;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code /train}: trainings in, jobs out. */
@RestController
@ProblemResponse(status = "503", codes = "STORE_UNAVAILABLE")
@Tag(name = "Train", description = "Jobs that fit new codebooks and swap them in")
class TrainingController {

  private static final int MAX_JSON_BYTES = 1 << 20;

  /** Stands for the dimension of data that have not been opened. */
  private static final int ANY_DIMENSION = 1;

  private final TrainingService service;
  private final JobViews<TrainingJob> jobs;
  private final TrainingWork work;
  private final Sources sources;
  private final UploadSpool spool;
  private final JsonMapper json;
  private final long maxUploadBytes;
  private final Duration bodyTimeout;

  TrainingController(
      TrainingService service,
      JobViews<TrainingJob> jobs,
      TrainingWork work,
      Sources sources,
      UploadSpool spool,
      JsonMapper json,
      SemanticIdProperties properties) {
    this.service = service;
    this.jobs = jobs;
    this.work = work;
    this.sources = sources;
    this.spool = spool;
    this.json = json;
    this.maxUploadBytes = properties.training().maxUploadSize().toBytes();
    this.bodyTimeout = properties.encoding().bodyTimeout();
  }

  /** Jobs, newest first. */
  record JobList(
      List<TrainingJob> jobs,
      @Schema(description = "give it as `after` for the next page; absent on the last")
          @Nullable String next) {}

  /** The body of a JSON request; documentation only. */
  record TrainRequest(
      @Schema(example = "default") String codebook,
      Source source,
      @Schema(allowableValues = {"minibatch_kmeans", "lloyd"}) String algorithm,
      @Schema(example = "2048") int embeddingDim,
      @Schema(example = "3") int numHierarchies,
      @Schema(example = "256", description = "a number, or one per level") int codebookWidth,
      @Schema(example = "3072") int initBufferSize,
      @Schema(example = "2048") int batchSize,
      @Schema(example = "30") int maxSteps,
      @Schema(example = "0.5") double learningRate,
      @Schema(example = "true") boolean normalizeResiduals,
      @Schema(example = "true") boolean trainLayerWise,
      @Schema(example = "true") boolean trackResiduals,
      @Schema(example = "true") boolean shuffle,
      @Schema(example = "kmeans_plus_plus") String initializer,
      @Schema(example = "42") long seed,
      @Schema(example = "0.0001") double tolerance,
      @Schema(example = "0", description = "rounds of joint refinement of all levels") int refine,
      @Schema(example = "1", description = "partial codes that encoding keeps; 1: greedy")
          int beamSize,
      @Schema(example = "false", description = "whether centroids get weights that even out loads")
          boolean balance,
      @Schema(
              example = "active",
              description = "a version of the same codebook to train further, a number or an alias")
          String initFrom,
      @Schema(
              example = "0.05",
              description = "share of the rows that is kept from training and reported on apart")
          double holdoutFraction,
      @Schema(allowableValues = {"always", "if_passes", "never"}) String activate,
      Gate qualityGate,
      @Schema(allowableValues = {"fail", "skip"}) String onBadRow,
      String embeddingModel) {

    record Source(
        @Schema(example = "file:///data/items/*.npy") String uri,
        @Schema(description = "which tensor of a safetensors file, if it has several of vectors")
            String tensor,
        @Schema(description = "which column of a Parquet file, if it has several of vectors")
            String column) {}

    record Gate(
        @Schema(example = "0.7") double minUniqueRatio,
        @Schema(example = "0") int maxDeadCodes,
        @Schema(example = "0.002", description = "needs holdout_fraction") double maxHoldoutMse) {}
  }

  @PostMapping(path = "/train", produces = MediaType.APPLICATION_JSON_VALUE)
  @Operation(
      summary = "Trains a codebook",
      description =
          "Accepts a body of embeddings with the parameters in the query, or a JSON body with a"
              + " source and the parameters. The job trains in the background, stores the result as"
              + " a new version of the codebook and, unless told otherwise, serves it from then on."
              + " The same data, parameters and seed give the same codebook.",
      requestBody =
          @RequestBody(
              required = true,
              content = {
                @Content(
                    mediaType = "application/x-npy",
                    schema =
                        @Schema(
                            type = "string",
                            format = "binary",
                            description = "NumPy array (n, d): <f4, <f2 or <f8, C order")),
                @Content(
                    mediaType = "application/octet-stream",
                    schema =
                        @Schema(
                            type = "string",
                            format = "binary",
                            description = "little-endian rows; embedding_dim must be given")),
                @Content(
                    mediaType = "application/json",
                    schema = @Schema(implementation = TrainRequest.class),
                    examples =
                        @ExampleObject(
                            """
                            {"codebook": "default", "source": {"uri": "file:///data/items.npy"},
                             "num_hierarchies": 3, "codebook_width": 256, "seed": 42}
                            """))
              }))
  @Parameter(
      name = "codebook",
      in = ParameterIn.QUERY,
      description = "name of the codebook to make a version of",
      schema = @Schema(type = "string", defaultValue = "default"))
  @Parameter(
      name = "embedding_dim",
      in = ParameterIn.QUERY,
      description = "components of an embedding; needed with an octet-stream",
      schema = @Schema(type = "integer"))
  @Parameter(
      name = "num_hierarchies",
      in = ParameterIn.QUERY,
      description = "levels, the length of a semantic ID",
      schema = @Schema(type = "integer", defaultValue = "3"))
  @Parameter(
      name = "codebook_width",
      in = ParameterIn.QUERY,
      description = "centroids of a level: a number, or one per level separated by commas",
      schema = @Schema(type = "string", defaultValue = "256"))
  @Parameter(
      name = "init_buffer_size",
      in = ParameterIn.QUERY,
      description = "rows from which a level's first centroids are chosen",
      schema = @Schema(type = "integer", defaultValue = "3072"))
  @Parameter(
      name = "batch_size",
      in = ParameterIn.QUERY,
      description = "rows of a step",
      schema = @Schema(type = "integer", defaultValue = "2048"))
  @Parameter(
      name = "max_steps",
      in = ParameterIn.QUERY,
      description =
          "update steps of all levels; default ten passes per level, three with init_from, 30 to"
              + " 3,000 in all; with algorithm lloyd a step is a pass, default 20 per level",
      schema = @Schema(type = "integer"))
  @Parameter(
      name = "learning_rate",
      in = ParameterIn.QUERY,
      schema = @Schema(type = "number", defaultValue = "0.5"))
  @Parameter(
      name = "normalize_residuals",
      in = ParameterIn.QUERY,
      description = "whether each level works on unit vectors",
      schema = @Schema(type = "boolean", defaultValue = "true"))
  @Parameter(
      name = "train_layer_wise",
      in = ParameterIn.QUERY,
      description = "level after level, or all levels with every batch",
      schema = @Schema(type = "boolean", defaultValue = "true"))
  @Parameter(
      name = "track_residuals",
      in = ParameterIn.QUERY,
      description = "whether progress has the residual norm ratio of the last batch",
      schema = @Schema(type = "boolean", defaultValue = "true"))
  @Parameter(
      name = "shuffle",
      in = ParameterIn.QUERY,
      description = "random order, another one in each pass, or the data's",
      schema = @Schema(type = "boolean", defaultValue = "true"))
  @Parameter(
      name = "initializer",
      in = ParameterIn.QUERY,
      schema =
          @Schema(
              type = "string",
              allowableValues = {"kmeans_plus_plus", "random"},
              defaultValue = "kmeans_plus_plus"))
  @Parameter(
      name = "seed",
      in = ParameterIn.QUERY,
      schema = @Schema(type = "integer", format = "int64", defaultValue = "42"))
  @Parameter(
      name = "tolerance",
      in = ParameterIn.QUERY,
      description =
          "algorithm lloyd: a level is finished when a pass takes less than this share off its"
              + " inertia",
      schema = @Schema(type = "number", defaultValue = "0.0001"))
  @Parameter(
      name = "refine",
      in = ParameterIn.QUERY,
      description = "most rounds of joint refinement of all levels after the last one",
      schema = @Schema(type = "integer", defaultValue = "0"))
  @Parameter(
      name = "beam_size",
      in = ParameterIn.QUERY,
      description = "partial codes that encoding and refinement keep per level; 1: greedy",
      schema = @Schema(type = "integer", defaultValue = "1"))
  @Parameter(
      name = "balance",
      in = ParameterIn.QUERY,
      description =
          "whether each level gets weights under which all centroids have about as many rows; with"
              + " neither refine nor beam_size",
      schema = @Schema(type = "boolean", defaultValue = "false"))
  @Parameter(
      name = "init_from",
      in = ParameterIn.QUERY,
      description =
          "a version of the same codebook to train further, a number or an alias: its centroids and"
              + " counts are continued, and its shape and settings are the defaults",
      schema = @Schema(type = "string"))
  @Parameter(
      name = "holdout_fraction",
      in = ParameterIn.QUERY,
      description =
          "share of the rows, at least 0 and below 1, that is kept from training; seed and row"
              + " number decide which. report.holdout is about them, the rest of the report about"
              + " the rows trained on",
      schema = @Schema(type = "number", defaultValue = "0"))
  @Parameter(
      name = "activate",
      in = ParameterIn.QUERY,
      description = "when the new version shall be served",
      schema =
          @Schema(
              type = "string",
              allowableValues = {"always", "if_passes", "never"},
              defaultValue = "if_passes"))
  @Parameter(
      name = "quality_gate.min_unique_ratio",
      in = ParameterIn.QUERY,
      description = "least share of distinct semantic IDs to pass",
      schema = @Schema(type = "number"))
  @Parameter(
      name = "quality_gate.max_dead_codes",
      in = ParameterIn.QUERY,
      description = "most centroids that no row chose to pass",
      schema = @Schema(type = "integer"))
  @Parameter(
      name = "quality_gate.max_holdout_mse",
      in = ParameterIn.QUERY,
      description = "largest mse over the rows held out to pass; needs holdout_fraction",
      schema = @Schema(type = "number"))
  @Parameter(
      name = "embedding_model",
      in = ParameterIn.QUERY,
      description = "the model the embeddings come from",
      schema = @Schema(type = "string"))
  @Parameter(
      name = EmbeddingModel.HEADER,
      in = ParameterIn.HEADER,
      description = "the same as embedding_model",
      schema = @Schema(type = "string"))
  @Parameter(
      name = JobRequest.IDEMPOTENCY_KEY,
      in = ParameterIn.HEADER,
      description =
          "names the request: sent again with the same key by the same client, it gives the"
              + " same job",
      schema = @Schema(type = "string", maxLength = 255))
  @Parameter(
      name = "on_bad_row",
      in = ParameterIn.QUERY,
      description =
          "what to do with a row of another length, or with NaN or a value outside float32",
      schema =
          @Schema(
              type = "string",
              allowableValues = {"fail", "skip"},
              defaultValue = "fail"))
  @Parameter(
      name = "dtype",
      in = ParameterIn.QUERY,
      description = "element type of an octet-stream",
      schema =
          @Schema(
              type = "string",
              allowableValues = {"f4", "f2", "bf16"},
              defaultValue = "f4"))
  @Parameter(
      name = "algorithm",
      in = ParameterIn.QUERY,
      schema =
          @Schema(
              type = "string",
              allowableValues = {"minibatch_kmeans", "lloyd"},
              defaultValue = "minibatch_kmeans"))
  @ApiResponse(responseCode = "202", description = "accepted; Location names the job")
  @ProblemResponse(
      status = "400",
      codes = "MALFORMED_JSON, MALFORMED_BODY, INVALID_PARAMETER, UNKNOWN_PARAMETER")
  @ProblemResponse(status = "403", codes = "SOURCE_FORBIDDEN")
  @ProblemResponse(status = "404", codes = "UNKNOWN_CODEBOOK, UNKNOWN_VERSION")
  @ProblemResponse(
      status = "409",
      codes = "TRAINING_IN_PROGRESS, TOO_MANY_CODEBOOKS, EMBEDDING_MODEL_MISMATCH")
  @ProblemResponse(status = "408", codes = "REQUEST_TIMEOUT")
  @ProblemResponse(status = "413", codes = "PAYLOAD_TOO_LARGE")
  @ProblemResponse(status = "415", codes = "UNSUPPORTED_MEDIA_TYPE")
  @ProblemResponse(
      status = "422",
      codes =
          "DIMENSION_MISMATCH, NON_FINITE_VALUE, TOO_FEW_ROWS, UNSUPPORTED_SOURCE,"
              + " SOURCE_NOT_FOUND, SOURCE_INVALID, CODEBOOK_MISMATCH, COUNTS_REQUIRED,"
              + " HOLDOUT_REQUIRED, MEMORY_BUDGET_EXCEEDED, IDEMPOTENCY_KEY_REUSED")
  @ProblemResponse(status = "429", codes = "QUEUE_FULL")
  @ProblemResponse(status = "507", codes = "INSUFFICIENT_STORAGE")
  ResponseEntity<TrainingJob> train(@Parameter(hidden = true) HttpServletRequest request)
      throws IOException {
    return switch (contentType(request)) {
      case "application/x-npy", "application/octet-stream" -> trainFromBody(request);
      case "application/json" -> trainFromSource(request);
      default ->
          throw new ProblemException(
              ProblemCode.UNSUPPORTED_MEDIA_TYPE,
              "Content-Type must be application/x-npy, application/octet-stream or"
                  + " application/json, got "
                  + (request.getContentType() == null ? "none" : request.getContentType()));
    };
  }

  private static String contentType(HttpServletRequest request) {
    String given = request.getContentType();
    if (given == null) {
      return "";
    }
    try {
      MediaType type = MediaType.parseMediaType(given);
      return type.getType() + "/" + type.getSubtype();
    } catch (InvalidMediaTypeException e) {
      return "";
    }
  }

  private ResponseEntity<TrainingJob> trainFromBody(HttpServletRequest request) throws IOException {
    boolean npy = contentType(request).equals("application/x-npy");
    TrainingParameters parameters = TrainingParameters.ofQuery(request.getParameterMap(), json);
    String key = JobRequest.requireKey(request.getHeader(JobRequest.IDEMPOTENCY_KEY));
    Client client = Client.of(request);
    service.requireTrainable(parameters.codebook(), client, key);
    String model = embeddingModel(parameters, request);
    StartVersion start = work.start(parameters, model);
    var body = LimitedInputStream.ofUpload(request, maxUploadBytes, bodyTimeout);
    UploadSpool.ShapeCheck fits =
        (rows, dimension) -> parameters.requireFitting(rows, dimension, start);
    UploadSpool.Upload upload;
    if (npy) {
      if (parameters.string("dtype").isPresent()) {
        throw new ProblemException(
            ProblemCode.INVALID_PARAMETER, "dtype goes with application/octet-stream only");
      }
      upload = spool.npy(body, parameters.onBadRow(), fits);
    } else {
      int dimension =
          parameters
              .integer("embedding_dim")
              .or(() -> Optional.ofNullable(start).map(version -> version.codebook().dimension()))
              .orElseThrow(() ->
                  new ProblemException(
                      ProblemCode.INVALID_PARAMETER,
                      "embedding_dim must be given with application/octet-stream"));
      if (dimension < 1) {
        throw new ProblemException(
            ProblemCode.INVALID_PARAMETER, "embedding_dim must be at least 1, got " + dimension);
      }
      ElementType type = RawRows.elementType(parameters.string("dtype").orElse("f4"));
      upload = spool.raw(body, type, dimension, parameters.onBadRow(), fits);
    }
    boolean kept = false;
    try {
      RawLayout raw = upload.raw();
      var training =
          new StoredTraining(
              parameters.stored(),
              null,
              upload.name(),
              raw == null ? null : raw.type(),
              raw == null ? null : raw.dimension(),
              model);
      JobRunner.Submission submission =
          service.submit(
              training,
              parameters.codebook(),
              start,
              opened(training, start),
              upload.digest(),
              client,
              key);
      kept = submission.isNew();
      return jobs.accepted(submission);
    } finally {
      if (!kept) {
        spool.discard(upload.name());
      }
    }
  }

  private ResponseEntity<TrainingJob> trainFromSource(HttpServletRequest request)
      throws IOException {
    QueryParameters.requireKnown(request, Set.of());
    var body = LimitedInputStream.of(request, MAX_JSON_BYTES, bodyTimeout);
    JsonNode tree;
    try {
      tree = json.readTree(body.readAllBytes());
    } catch (JacksonException e) {
      throw new ProblemException(
          ProblemCode.MALFORMED_JSON, "the body is not JSON: " + e.getOriginalMessage());
    }
    TrainingParameters parameters = TrainingParameters.ofJson(tree);
    SourceSpec source =
        parameters
            .source()
            .orElseThrow(() ->
                new ProblemException(
                    ProblemCode.INVALID_PARAMETER,
                    "source is missing; expected \"source\": {\"uri\":"
                        + " \"file:///folder/name.npy\"}"));
    Storage.requireWithoutSecrets(source.uri(), ProblemCode.UNSUPPORTED_SOURCE);
    String key = JobRequest.requireKey(request.getHeader(JobRequest.IDEMPOTENCY_KEY));
    Client client = Client.of(request);
    service.requireTrainable(parameters.codebook(), client, key);
    String model = embeddingModel(parameters, request);
    var training = new StoredTraining(parameters.stored(), source, null, null, null, model);
    // Before anything is looked for that may be gone by now.
    Optional<JobRunner.Submission> known = service.known(training, client, key);
    if (known.isPresent()) {
      return jobs.accepted(known.get());
    }
    StartVersion start = work.start(parameters, model);
    Map<String, Object> shown;
    if (Storage.isOnThisMachine(source.uri())) {
      shown = opened(training, start);
    } else {
      // What lies elsewhere is opened by the job; here all is checked that can be without.
      sources.requireReadable(source);
      int dimension = start == null ? ANY_DIMENSION : start.codebook().dimension();
      parameters.request(
          TrainingParameters.ANY_ROWS,
          parameters.integer("embedding_dim").orElse(dimension),
          start);
      shown = TrainingService.given(training, start);
    }
    return jobs.accepted(
        service.submit(training, parameters.codebook(), start, shown, "", client, key));
  }

  private static @Nullable String embeddingModel(
      TrainingParameters parameters, HttpServletRequest request) {
    String stated = parameters.string(EmbeddingModel.PARAMETER).orElse(null);
    String header = request.getHeader(EmbeddingModel.HEADER);
    EmbeddingModel.requireSame(stated, header);
    return stated == null ? header : stated;
  }

  /** Opens the data to see whether the training fits them; all settings then in effect. */
  private Map<String, Object> opened(StoredTraining training, @Nullable StartVersion start)
      throws IOException {
    try {
      OpenedSource source = work.open(training);
      return TrainingService.parameters(
          training, work.request(training, start, source.rows(), source.dimension()));
    } catch (FormatException e) {
      throw new ProblemException(
          ProblemCode.SOURCE_INVALID, "the source cannot be trained from: " + e.getMessage());
    }
  }

  @GetMapping(path = "/train/{id}", produces = MediaType.APPLICATION_JSON_VALUE)
  @Operation(summary = "State, progress and result of a training job")
  @ProblemResponse(status = "404", codes = "UNKNOWN_JOB")
  TrainingJob get(@PathVariable String id) {
    return jobs.get(id);
  }

  @GetMapping(path = "/train/{id}/events", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
  @Operation(
      summary = "A training job as server-sent events",
      description =
          "Each event's data is what GET of the job answers, sent whenever it changes; the stream"
              + " ends with the job. A comment every two seconds keeps the connection open. A"
              + " client may listen 16 times at once.")
  @ApiResponse(
      responseCode = "200",
      content =
          @Content(
              mediaType = MediaType.TEXT_EVENT_STREAM_VALUE,
              schema = @Schema(implementation = TrainingJob.class)))
  @ProblemResponse(status = "404", codes = "UNKNOWN_JOB")
  @ProblemResponse(status = "429", codes = "TOO_MANY_LISTENERS")
  SseEmitter events(@PathVariable String id, HttpServletRequest request) {
    return jobs.events(id, Client.of(request));
  }

  @GetMapping(path = "/train", produces = MediaType.APPLICATION_JSON_VALUE)
  @Operation(summary = "Training jobs, newest first")
  @ProblemResponse(status = "400", codes = "INVALID_PARAMETER")
  @ProblemResponse(status = "404", codes = "UNKNOWN_JOB")
  JobList list(
      @Parameter(description = "most jobs to give, 1 to 200")
          @RequestParam(defaultValue = JobViews.DEFAULT_LIMIT)
          int limit,
      @Parameter(description = "the job to continue behind, from `next`")
          @RequestParam(required = false)
          @Nullable String after) {
    return jobs.list(limit, after, JobList::new);
  }

  @DeleteMapping(path = "/train/{id}", produces = MediaType.APPLICATION_JSON_VALUE)
  @Operation(
      summary = "Cancels a training job",
      description =
          "A queued job ends at once, a running one within a batch; nothing is stored. With"
              + " security on, a client cancels its own jobs; another client's, and those of a"
              + " client that is not known, need the scope admin.")
  @ApiResponse(responseCode = "202", description = "cancelled, or about to be")
  @ProblemResponse(status = "403", codes = "FORBIDDEN")
  @ProblemResponse(status = "404", codes = "UNKNOWN_JOB")
  @ProblemResponse(status = "409", codes = "JOB_FINISHED")
  ResponseEntity<TrainingJob> cancel(@PathVariable String id, HttpServletRequest request) {
    return jobs.cancel(id, Client.of(request));
  }
}
