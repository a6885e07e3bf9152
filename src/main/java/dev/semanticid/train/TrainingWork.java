package dev.semanticid.train;

import dev.semanticid.codebook.CodebookRegistry;
import dev.semanticid.codebook.EmbeddingModel;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.Provenance;
import dev.semanticid.core.codebook.TrainingState;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.encode.ResidualQuantizer;
import dev.semanticid.core.report.LevelReport;
import dev.semanticid.core.report.QuantizationEvaluator;
import dev.semanticid.core.report.QuantizationReport;
import dev.semanticid.core.search.Screening;
import dev.semanticid.core.train.Algorithm;
import dev.semanticid.core.train.IterationStats;
import dev.semanticid.core.train.ResidualQuantizerConfig;
import dev.semanticid.core.train.ResidualQuantizerTrainer;
import dev.semanticid.core.train.TrainingCheckpoint;
import dev.semanticid.core.train.TrainingListener;
import dev.semanticid.core.vector.VectorSource;
import dev.semanticid.format.TrainingCheckpointFormat;
import dev.semanticid.job.Job;
import dev.semanticid.job.JobProgress;
import dev.semanticid.job.JobRun;
import dev.semanticid.job.JobStore;
import dev.semanticid.job.JobWork;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.settings.SemanticIdProperties;
import dev.semanticid.source.OpenedSource;
import dev.semanticid.source.Sources;
import dev.semanticid.source.Staging;
import dev.semanticid.train.TrainingRequest.QualityGate;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.boot.info.BuildProperties;
import org.springframework.stereotype.Component;
import tools.jackson.databind.json.JsonMapper;

/**
 * What a training does: its rows are made readable in any order, levels are trained, the outcome is
 * evaluated on all rows, those held out apart, and published. Between any two steps it can be
 * continued by another process.
 */
@Component
class TrainingWork implements JobWork {

  private static final Logger LOG = LoggerFactory.getLogger(TrainingWork.class);

  /** Parts of the whole that reading, training and evaluation are taken for, for progress. */
  private static final double TRAINED = 0.9;

  private final JobStore jobs;
  private final CodebookRegistry registry;
  private final ComputeBackend backend;
  private final WorkerPool pool;
  private final Sources sources;
  private final Staging staging;
  private final UploadSpool spool;
  private final JsonMapper json;
  private final long memoryBudget;
  private final Screening screening;
  private final String serviceVersion;

  TrainingWork(
      JobStore jobs,
      CodebookRegistry registry,
      ComputeBackend backend,
      @Qualifier("jobs") WorkerPool pool,
      Sources sources,
      Staging staging,
      UploadSpool spool,
      JsonMapper json,
      SemanticIdProperties properties,
      ObjectProvider<BuildProperties> build) {
    this.jobs = jobs;
    this.registry = registry;
    this.backend = backend;
    this.pool = pool;
    this.sources = sources;
    this.staging = staging;
    this.spool = spool;
    this.json = json;
    this.memoryBudget = properties.jobs().memoryBudget().toBytes();
    this.screening = properties.screening();
    BuildProperties info = build.getIfAvailable();
    this.serviceVersion = info == null ? "development" : String.valueOf(info.getVersion());
  }

  /** Opens a training's data. */
  OpenedSource open(StoredTraining training) throws IOException {
    if (training.source() != null) {
      return sources.open(training.source());
    }
    return sources.openFile(spool.file(String.valueOf(training.upload())), training.raw());
  }

  /**
   * The version that a training asks to begin with, as aliases point now; null if it names none.
   *
   * @param embeddingModel the model that its vectors come from, if stated
   * @throws ProblemException if there is no such version, or it cannot be trained further
   */
  @Nullable StartVersion start(TrainingParameters parameters, @Nullable String embeddingModel) {
    String asked = parameters.initFrom().orElse(null);
    if (asked == null) {
      return null;
    }
    String codebook = parameters.codebook();
    StartVersion start = start(codebook, registry.require(codebook, asked));
    EmbeddingModel.requireSame(start.embeddingModel(), embeddingModel);
    return start;
  }

  private StartVersion start(String codebook, int number) {
    return new StartVersion(codebook, number, registry.read(codebook, number)).requireCounts();
  }

  /** The training that a stored one is on data of that shape, if it fits the memory budget. */
  TrainingRequest request(
      StoredTraining training, @Nullable StartVersion start, long rows, int dimension) {
    TrainingRequest request =
        TrainingParameters.ofStored(training.parameters()).request(rows, dimension, start);
    if (request.embeddingModel() == null && training.embeddingModel() != null) {
      request = request.withEmbeddingModel(training.embeddingModel());
    }
    if (request.embeddingModel() == null && start != null && start.embeddingModel() != null) {
      request = request.withEmbeddingModel(start.embeddingModel());
    }
    long bytes =
        Math.max(
                ResidualQuantizerTrainer.memoryBytes(request.config(), request.rows()),
                QuantizationEvaluator.memoryBytes(
                    request.config().codebookWidths(),
                    dimension,
                    Math.max(request.rows(), request.holdoutRows())))
            + request.holdout().memoryBytes(rows)
            + (start == null ? 0 : start.bytes());
    if (bytes > memoryBudget) {
      throw new ProblemException(
              ProblemCode.MEMORY_BUDGET_EXCEEDED,
              String.format(
                  Locale.ROOT,
                  "the training needs about %d bytes of memory, semantic-id.jobs.memory-budget is"
                      + " %d",
                  bytes,
                  memoryBudget))
          .with("expected", memoryBudget)
          .with("actual", bytes);
    }
    return request;
  }

  /**
   * What opening the data found, kept so that a continued job knows them again.
   *
   * @param dimension components of a row
   * @param skipped rows left out
   * @param identity changes with the data
   */
  record Found(int dimension, long skipped, String identity) {}

  @Override
  public void run(JobRun run) throws IOException {
    Job job = run.job();
    StoredTraining training = json.readValue(job.request(), StoredTraining.class);
    Integer number = job.version();
    StartVersion start = number == null ? null : start(job.codebook(), number);
    Staging.Staged staged = staged(run, training, start);
    try (VectorSource rows = staged.rows()) {
      TrainingRequest request = request(training, start, rows.rows(), rows.dimension());
      new Training(run, training, request, rows, staged.skipped()).run();
    }
  }

  private Staging.Staged staged(JobRun run, StoredTraining training, @Nullable StartVersion start)
      throws IOException {
    Job job = run.job();
    Found before = job.source() == null ? null : json.readValue(job.source(), Found.class);
    if (before != null) {
      VectorSource copy = staging.staged(job.id(), before.dimension());
      if (copy != null) {
        return new Staging.Staged(copy, before.skipped());
      }
    }
    OpenedSource source = open(training);
    if (before != null && !before.identity().equals(source.identity())) {
      throw new ProblemException(
          ProblemCode.SOURCE_CHANGED,
          "%s is not what it was when the job began".formatted(training.description()));
    }
    if (before == null) {
      // Refused before a long reading rather than behind it.
      request(training, start, source.rows(), source.dimension());
    }
    run.beginPhase("reading", 0);
    Staging.Staged staged =
        staging.stage(
            source,
            TrainingParameters.ofStored(training.parameters()).onBadRow(),
            job.id(),
            rows -> {
              run.checkWanted();
              reading(run, rows, source.rows());
            });
    try {
      VectorSource rows = staged.rows();
      Map<String, Object> parameters =
          TrainingService.parameters(
              training, request(training, start, rows.rows(), rows.dimension()));
      if (staged.skipped() > 0) {
        parameters.put("skipped_rows", staged.skipped());
      }
      run.opened(
          parameters,
          json.writeValueAsString(
              new Found(rows.dimension(), staged.skipped(), source.identity())));
    } catch (RuntimeException | Error e) {
      staged.rows().close();
      throw e;
    }
    return staged;
  }

  private static void reading(JobRun run, long rows, long total) {
    double rate = run.rowsDone(rows);
    run.progress(
        new JobProgress(
            run.phase(), null, null, null, rows, total, null, rate, null, null, null, 0));
  }

  @Override
  public void discard(Job job) throws IOException {
    staging.discard(job.id());
    if (!job.request().isEmpty()) {
      StoredTraining training = json.readValue(job.request(), StoredTraining.class);
      if (training.upload() != null) {
        spool.discard(training.upload());
      }
    }
  }

  @Override
  public boolean isLocal(Job job) {
    return json.readValue(job.request(), StoredTraining.class).upload() != null;
  }

  @Override
  public String describe(JobProgress now) {
    String where =
        now.level() == null
            ? String.format(
                Locale.ROOT, "%s, row %d of %d", now.phase(), now.rows(), now.totalRows())
            : String.format(
                Locale.ROOT,
                "%s of level %d, step %d of %d, inertia %.6g",
                now.phase(),
                now.level(),
                now.step(),
                now.steps(),
                now.inertia() == null ? Double.NaN : now.inertia());
    return String.format(
        Locale.ROOT,
        "%s, %.0f rows/s%s",
        where,
        now.rowsPerSecond(),
        now.etaSeconds() == null
            ? ""
            : String.format(Locale.ROOT, ", %.0f s to go", now.etaSeconds()));
  }

  /** One training on rows that can be read in any order. */
  private final class Training implements TrainingListener {

    private final JobRun run;
    private final StoredTraining stored;
    private final TrainingRequest request;
    private final VectorSource rows;
    private final @Nullable VectorSource heldOut;
    private final long skipped;
    private final long began = System.nanoTime();
    private double fractionAtStart = -1;
    private long rowsRead;

    Training(
        JobRun run,
        StoredTraining stored,
        TrainingRequest request,
        VectorSource all,
        long skipped) {
      this.run = run;
      this.stored = stored;
      this.request = request;
      this.rows = request.holdout().training(all);
      this.heldOut = request.holdout().fraction() == 0 ? null : request.holdout().heldOut(all);
      this.skipped = skipped;
    }

    void run() throws IOException {
      var trainer = new ResidualQuantizerTrainer(request.config(), backend, pool, screening);
      run.beginPhase("initialization", 0);
      ResidualQuantizerTrainer.Result result = train(trainer, request.start());
      Codebook codebook = result.codebook().withProvenance(provenance(result.bufferRows()));
      QuantizationReport report;
      run.beginPhase("evaluation", 0);
      // Without tables: training has warmed that plan up, and the codes are the same.
      try (var quantizer = new ResidualQuantizer(codebook, backend, pool, 0, screening)) {
        var evaluator = new QuantizationEvaluator(quantizer, pool);
        report = evaluator.evaluate(rows, this::onEvaluated);
        if (heldOut != null) {
          report =
              report.withHoldout(
                  evaluator.evaluate(heldOut, done -> onEvaluated(rows.rows() + done)));
        }
      }
      publish(
          codebook.withTrainingState(
              new TrainingState(
                  result.counts(), report.levels().stream().map(LevelReport::meanNorm).toList())),
          report.withNotes(notes(result.bufferRows())));
    }

    private ResidualQuantizerTrainer.Result train(
        ResidualQuantizerTrainer trainer, @Nullable StartVersion start) throws IOException {
      Codebook from = start == null ? null : start.codebook();
      TrainingCheckpoint checkpoint = checkpoint();
      if (checkpoint != null) {
        return trainer.resume(rows, from, checkpoint, this);
      }
      return from == null ? trainer.train(rows, this) : trainer.trainFrom(rows, from, this);
    }

    private @Nullable TrainingCheckpoint checkpoint() throws IOException {
      try (InputStream saved = run.savedCheckpoint()) {
        if (saved == null) {
          return null;
        }
        TrainingCheckpoint checkpoint = TrainingCheckpointFormat.read(saved);
        LOG.info(
            "training job {} goes on at level {} after {} steps",
            run.job().id(),
            checkpoint.centroids().size() - 1,
            checkpoint.steps());
        return checkpoint;
      }
    }

    private void publish(Codebook codebook, QuantizationReport report) {
      List<String> failures = failures(report, request.gate());
      boolean activate =
          switch (request.activation()) {
            case ALWAYS -> true;
            case IF_PASSES -> failures.isEmpty();
            case NEVER -> false;
          };
      var notes = new ArrayList<>(report.notes());
      failures.forEach(failure -> notes.add("quality gate: " + failure));
      QuantizationReport noted = report.withNotes(notes);
      String id = run.job().id();
      int version =
          registry.publish(
              request.codebook(),
              codebook,
              noted,
              activate,
              number -> jobs.succeed(run.job(), number, activate, noted));
      LOG.info(
          "training job {} made codebook {} version {} in {} s: unique_ratio {}, activated {}",
          id,
          request.codebook(),
          version,
          String.format(Locale.ROOT, "%.1f", (System.nanoTime() - began) / 1e9),
          report.uniqueRatio(),
          activate);
    }

    private List<String> notes(List<Integer> bufferRows) {
      var notes = new ArrayList<String>();
      for (int l = 0; l < bufferRows.size(); l++) {
        if (request.start() == null && bufferRows.get(l) < request.config().initBufferSize()) {
          notes.add(
              String.format(
                      Locale.ROOT,
                      "level %d chose its first centroids from %d rows, all that reached it,"
                          + " instead of",
                      l,
                      bufferRows.get(l))
                  + String.format(
                      Locale.ROOT, " init_buffer_size %d", request.config().initBufferSize()));
        }
      }
      if (skipped > 0) {
        notes.add(
            String.format(
                Locale.ROOT, "%d rows were left out because they are no vectors", skipped));
      }
      return notes;
    }

    private Provenance provenance(List<Integer> bufferRows) {
      var values = new TreeMap<String, String>();
      request.parameters().forEach((name, value) -> values.put(name, value.toString()));
      values.put("source", stored.description());
      StartVersion start = request.start();
      if (start == null) {
        values.put("init_buffer_rows", bufferRows.toString());
      } else {
        values.put("init_from_fingerprint", start.codebook().fingerprint());
      }
      values.put("service_version", serviceVersion);
      values.put("backend", backend.name());
      values.put("job", run.job().id());
      if (skipped > 0) {
        values.put("skipped_rows", Long.toString(skipped));
      }
      if (request.embeddingModel() != null) {
        values.put(EmbeddingModel.PARAMETER, request.embeddingModel());
      }
      return Provenance.of(values);
    }

    @Override
    public void onStep(IterationStats stats) {
      run.checkWanted();
      String phase = stats.phase().name().toLowerCase(Locale.ROOT);
      ResidualQuantizerConfig config = request.config();
      boolean update = stats.phase() != IterationStats.Phase.INITIALIZATION;
      if (!update || config.algorithm() == Algorithm.MINIBATCH_KMEANS) {
        rowsRead += Math.min(config.batchSize(), rows.rows());
      }
      double rate = run.rowsDone(rowsRead);
      double trained = TRAINED * trained(stats);
      if (fractionAtStart < 0) {
        fractionAtStart = trained;
      }
      double seconds = (System.nanoTime() - began) / 1e9;
      double gained = trained - fractionAtStart;
      run.progress(
          new JobProgress(
              phase,
              stats.level(),
              stats.step(),
              stats.steps(),
              rowsRead,
              null,
              skipped > 0 ? skipped : null,
              rate,
              gained > 0 ? seconds * (1 - trained) / gained : null,
              update ? stats.inertia() : null,
              Double.isNaN(stats.residualNormRatio()) ? null : stats.residualNormRatio(),
              trained));
    }

    /** The share of the training that is done, with refinement taken for one more level. */
    private double trained(IterationStats stats) {
      ResidualQuantizerConfig config = request.config();
      double done = (double) stats.step() / Math.max(1, stats.steps());
      int levels = config.numHierarchies();
      double ofLevels =
          switch (stats.phase()) {
            case INITIALIZATION -> config.trainLayerWise() ? stats.level() : 0;
            case UPDATE -> config.trainLayerWise() ? stats.level() + done : done * levels;
            case BALANCE -> stats.level() + 1;
            case REFINEMENT -> levels + done;
          };
      return ofLevels / (levels + (config.refine() > 0 ? 1 : 0));
    }

    @Override
    public void onRows(long more) {
      run.checkWanted();
      rowsRead += more;
      run.rowsDone(rowsRead);
    }

    @Override
    public void onCheckpoint(Supplier<TrainingCheckpoint> checkpoint) {
      ResidualQuantizerConfig config = request.config();
      run.checkpoint(
          out -> TrainingCheckpointFormat.write(checkpoint.get(), config.embeddingDim(), out));
    }

    private void onEvaluated(long done) {
      run.checkWanted();
      long total = request.rows() + request.holdoutRows();
      double rate = run.rowsDone(done);
      run.progress(
          new JobProgress(
              run.phase(),
              null,
              null,
              null,
              done,
              total,
              skipped > 0 ? skipped : null,
              rate,
              (total - done) / rate,
              null,
              null,
              TRAINED + (1 - TRAINED) * done / total));
    }
  }

  private static List<String> failures(QuantizationReport report, QualityGate gate) {
    var failures = new ArrayList<String>();
    Double minUniqueRatio = gate.minUniqueRatio();
    if (minUniqueRatio != null && report.uniqueRatio() < minUniqueRatio) {
      failures.add(
          "unique_ratio %s is below min_unique_ratio %s"
              .formatted(report.uniqueRatio(), minUniqueRatio));
    }
    int dead = report.levels().stream().mapToInt(LevelReport::deadCodes).sum();
    Integer maxDeadCodes = gate.maxDeadCodes();
    if (maxDeadCodes != null && dead > maxDeadCodes) {
      failures.add(
          String.format(
              Locale.ROOT, "%d dead codes are more than max_dead_codes %d", dead, maxDeadCodes));
    }
    QuantizationReport holdout = report.holdout();
    Double maxHoldoutMse = gate.maxHoldoutMse();
    if (maxHoldoutMse != null && holdout != null && holdout.mse() > maxHoldoutMse) {
      failures.add(
          "mse %s of the rows held out is above max_holdout_mse %s"
              .formatted(holdout.mse(), maxHoldoutMse));
    }
    return failures;
  }
}
