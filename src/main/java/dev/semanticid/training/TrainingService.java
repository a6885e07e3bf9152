package dev.semanticid.training;

import dev.semanticid.codebook.CodebookRegistry;
import dev.semanticid.core.clustering.IterationStats;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.evaluation.LevelReport;
import dev.semanticid.core.evaluation.QuantizationEvaluator;
import dev.semanticid.core.evaluation.QuantizationReport;
import dev.semanticid.core.format.FormatException;
import dev.semanticid.core.quantizer.Codebook;
import dev.semanticid.core.quantizer.NonFiniteVectorException;
import dev.semanticid.core.quantizer.Provenance;
import dev.semanticid.core.quantizer.ResidualQuantizer;
import dev.semanticid.core.quantizer.ResidualQuantizerTrainer;
import dev.semanticid.core.quantizer.TrainingState;
import dev.semanticid.core.vector.VectorSource;
import dev.semanticid.system.EmbeddingModel;
import dev.semanticid.system.ProblemCode;
import dev.semanticid.system.ProblemException;
import dev.semanticid.system.SemanticIdProperties;
import dev.semanticid.training.TrainingJob.Progress;
import dev.semanticid.training.TrainingRequest.QualityGate;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.DisposableBean;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.boot.info.BuildProperties;
import org.springframework.stereotype.Component;

/**
 * Accepts trainings and runs them, one at a time, on a thread of its own. A job ends with a stored
 * version, in the same transaction, or with a reason; jobs that a process leaves unfinished are
 * failed by the next one.
 */
@Component
class TrainingService implements DisposableBean {

  private static final Logger LOG = LoggerFactory.getLogger(TrainingService.class);

  private static final String INTERRUPTED =
      "the service stopped while the job was queued or running";

  private final TrainingJobStore jobs;
  private final CodebookRegistry registry;
  private final ComputeBackend backend;
  private final WorkerPool pool;
  private final String serviceVersion;
  private final ThreadPoolExecutor worker;
  private final Map<String, Run> unfinished = new ConcurrentHashMap<>();

  TrainingService(
      TrainingJobStore jobs,
      CodebookRegistry registry,
      ComputeBackend backend,
      @Qualifier("training") WorkerPool pool,
      SemanticIdProperties properties,
      ObjectProvider<BuildProperties> build) {
    this.jobs = jobs;
    this.registry = registry;
    this.backend = backend;
    this.pool = pool;
    BuildProperties info = build.getIfAvailable();
    this.serviceVersion = info == null ? "development" : String.valueOf(info.getVersion());
    this.worker =
        new ThreadPoolExecutor(
            1,
            1,
            0,
            TimeUnit.SECONDS,
            new ArrayBlockingQueue<>(properties.training().queueSize()),
            Thread.ofPlatform().name("training").daemon().factory());
    int interrupted = jobs.failUnfinished(INTERRUPTED);
    if (interrupted > 0) {
      LOG.warn("{} training jobs were interrupted by the last stop", interrupted);
    }
  }

  /** Refuses early what {@link #submit} would refuse: a codebook with an unfinished job. */
  void requireIdle(String codebook) {
    jobs.unfinished(codebook)
        .ifPresent(id -> {
          throw new ProblemException(
                  ProblemCode.TRAINING_IN_PROGRESS,
                  "codebook '%s' is being trained by job %s".formatted(codebook, id))
              .with("job", "/train/" + id);
        });
  }

  /**
   * Queues a training.
   *
   * @return the id of its job
   * @throws ProblemException if the codebook has an unfinished job or the queue is full
   */
  String submit(TrainingRequest request, TrainingSource source) {
    String codebook = request.codebook();
    String id = UUID.randomUUID().toString();
    Map<String, Object> parameters = request.parameters();
    parameters.put("source", source.description());
    while (!jobs.insert(id, codebook, parameters)) {
      requireIdle(codebook);
    }
    var run = new Run(id, request, source);
    unfinished.put(id, run);
    try {
      worker.execute(run);
    } catch (RejectedExecutionException e) {
      unfinished.remove(id);
      jobs.remove(id);
      throw new ProblemException(
          ProblemCode.QUEUE_FULL,
          "%d trainings are waiting already, which is as many as may"
              .formatted(worker.getQueue().size()));
    }
    LOG.info("training job {} of codebook {} accepted: {}", id, codebook, parameters);
    return id;
  }

  /** One job, with its progress. */
  TrainingJob get(String id) {
    return withProgress(
        jobs.find(id)
            .orElseThrow(() ->
                new ProblemException(
                    ProblemCode.UNKNOWN_JOB, "there is no training job '%s'".formatted(id))));
  }

  /** Jobs, newest first. */
  List<TrainingJob> list(int limit, @Nullable String before) {
    return jobs.list(limit, before).stream().map(this::withProgress).toList();
  }

  /**
   * A job whose run has not ended yet is running, even if its version is stored already: who reads
   * "succeeded" may rely on the version being served.
   */
  private TrainingJob withProgress(TrainingJob job) {
    Run run = unfinished.get(job.id());
    if (run == null) {
      return job;
    }
    boolean ending = TrainingJobStore.isDone(job);
    return new TrainingJob(
        job.id(),
        job.codebook(),
        ending ? TrainingJob.State.RUNNING.wireName() : job.state(),
        run.progress,
        null,
        null,
        null,
        null,
        job.parameters(),
        job.createdAt(),
        job.startedAt(),
        null);
  }

  /** Cancels a job: at once if it is queued, within a batch if it runs. */
  TrainingJob cancel(String id) {
    // In this order: without a run, the state read after it is final.
    Run run = unfinished.get(id);
    TrainingJob job = get(id);
    if (run == null) {
      throw new ProblemException(
          ProblemCode.JOB_FINISHED, "job %s has %s already".formatted(id, job.state()));
    }
    run.cancelled = true;
    if (worker.remove(run)) {
      jobs.cancel(id);
      run.end();
    }
    return get(id);
  }

  @Override
  public void destroy() throws InterruptedException {
    unfinished.values().forEach(run -> run.stopping = true);
    for (Runnable queued : worker.shutdownNow()) {
      ((Run) queued).run();
    }
    if (!worker.awaitTermination(15, TimeUnit.SECONDS)) {
      LOG.warn("a training did not stop in time; the next start will mark it as failed");
    }
  }

  /** One job's work. */
  private final class Run implements Runnable {

    private final String id;
    private final TrainingRequest request;
    private final TrainingSource source;
    private volatile boolean cancelled;
    private volatile boolean stopping;
    private volatile @Nullable Progress progress;
    private long began;
    private long rowsRead;

    Run(String id, TrainingRequest request, TrainingSource source) {
      this.id = id;
      this.request = request;
      this.source = source;
    }

    @Override
    public void run() {
      try {
        if (stopping) {
          throw interrupted();
        }
        if (!jobs.start(id)) {
          return;
        }
        began = System.nanoTime();
        train();
      } catch (CancellationException e) {
        jobs.cancel(id);
        LOG.info("training job {} was cancelled", id);
      } catch (ProblemException e) {
        fail(e.code(), e.detail(), null);
      } catch (NonFiniteVectorException e) {
        fail(ProblemCode.NON_FINITE_VALUE, String.valueOf(e.getMessage()), null);
      } catch (FormatException e) {
        fail(ProblemCode.SOURCE_INVALID, String.valueOf(e.getMessage()), null);
      } catch (IOException e) {
        fail(ProblemCode.SOURCE_INVALID, "the source cannot be read: " + e.getMessage(), e);
      } catch (OutOfMemoryError e) {
        fail(ProblemCode.OUT_OF_MEMORY, "not enough memory: " + e.getMessage(), null);
      } catch (RuntimeException | Error e) {
        fail(ProblemCode.INTERNAL_ERROR, "the training failed: " + e, e);
      } finally {
        end();
      }
    }

    private void fail(ProblemCode code, String detail, @Nullable Throwable cause) {
      if (cause == null) {
        LOG.warn("training job {} failed: {} {}", id, code, detail);
      } else {
        LOG.error("training job {} failed: {} {}", id, code, detail, cause);
      }
      jobs.fail(id, code, detail);
    }

    private ProblemException interrupted() {
      return new ProblemException(ProblemCode.INTERRUPTED, INTERRUPTED);
    }

    /** The job is in its final state: its upload goes, and its codebook may be trained again. */
    void end() {
      try {
        source.discard();
      } catch (IOException e) {
        LOG.warn("the upload of job {} cannot be deleted before the next start", id, e);
      } finally {
        unfinished.remove(id);
      }
    }

    private void checkWanted() {
      if (cancelled) {
        throw new CancellationException();
      }
      if (stopping) {
        throw interrupted();
      }
    }

    private void train() throws IOException {
      try (VectorSource rows = source.open()) {
        var trainer = new ResidualQuantizerTrainer(request.config(), backend, pool);
        ResidualQuantizerTrainer.Result result = trainer.train(rows, this::onStep);
        Codebook codebook = result.codebook().withProvenance(provenance(rows, result.bufferRows()));
        QuantizationReport report;
        // Without tables: training has warmed that plan up, and the codes are the same.
        try (var quantizer = new ResidualQuantizer(codebook, backend, pool, 0)) {
          report =
              new QuantizationEvaluator(quantizer, pool)
                  .evaluate(rows, done -> onEvaluated(done, rows.rows()));
        }
        publish(
            codebook.withTrainingState(
                new TrainingState(
                    result.counts(), report.levels().stream().map(LevelReport::meanNorm).toList())),
            report.withNotes(notes(result.bufferRows())));
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
      int version =
          registry.publish(
              request.codebook(),
              codebook,
              noted,
              activate,
              number -> jobs.succeed(id, number, activate, noted));
      LOG.info(
          "training job {} made codebook {} version {} in {} s: unique_ratio {}, activated {}",
          id,
          request.codebook(),
          version,
          String.format(Locale.ROOT, "%.1f", (System.nanoTime() - began) / 1e9),
          report.uniqueRatio(),
          activate);
    }

    private List<String> failures(QuantizationReport report, QualityGate gate) {
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
        failures.add("%d dead codes are more than max_dead_codes %d".formatted(dead, maxDeadCodes));
      }
      return failures;
    }

    private List<String> notes(List<Integer> bufferRows) {
      var notes = new ArrayList<String>();
      for (int l = 0; l < bufferRows.size(); l++) {
        if (bufferRows.get(l) < request.config().initBufferSize()) {
          notes.add(
              "level %d chose its first centroids from %d rows, all that reached it, instead of"
                      .formatted(l, bufferRows.get(l))
                  + " init_buffer_size %d".formatted(request.config().initBufferSize()));
        }
      }
      return notes;
    }

    private Provenance provenance(VectorSource rows, List<Integer> bufferRows) {
      var values = new TreeMap<String, String>();
      request.parameters().forEach((name, value) -> values.put(name, value.toString()));
      values.put("source", source.description());
      values.put("rows", Long.toString(rows.rows()));
      values.put("init_buffer_rows", bufferRows.toString());
      values.put("service_version", serviceVersion);
      values.put("backend", backend.name());
      values.put("job", id);
      if (request.embeddingModel() != null) {
        values.put(EmbeddingModel.PARAMETER, request.embeddingModel());
      }
      return Provenance.of(values);
    }

    private void onStep(IterationStats stats) {
      checkWanted();
      rowsRead += request.config().batchSize();
      double seconds = (System.nanoTime() - began) / 1e9;
      int levels = request.config().numHierarchies();
      boolean update = stats.phase() == IterationStats.Phase.UPDATE;
      int stepsDone = update ? stats.step() : 0;
      double done =
          request.config().trainLayerWise()
              ? ((double) stats.level() + (double) stepsDone / Math.max(1, stats.steps())) / levels
              : (double) stepsDone / Math.max(1, stats.steps());
      progress =
          new Progress(
              stats.phase().name().toLowerCase(Locale.ROOT),
              stats.level(),
              stats.step(),
              stats.steps(),
              rowsRead / seconds,
              done > 0 ? seconds * (1 - done) / done : -1,
              stats.inertia(),
              Double.isNaN(stats.residualNormRatio()) ? null : stats.residualNormRatio());
    }

    private void onEvaluated(long done, long rows) {
      checkWanted();
      double seconds = (System.nanoTime() - began) / 1e9;
      progress =
          new Progress(
              "evaluation",
              request.config().numHierarchies() - 1,
              (int) Math.min(Integer.MAX_VALUE, done),
              (int) Math.min(Integer.MAX_VALUE, rows),
              rowsRead / seconds,
              0,
              0,
              null);
    }
  }
}
