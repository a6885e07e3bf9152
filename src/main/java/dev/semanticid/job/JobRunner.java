package dev.semanticid.job;

import dev.semanticid.backend.BackgroundThreads;
import dev.semanticid.core.codebook.NonFiniteVectorException;
import dev.semanticid.core.compute.DeviceFailedException;
import dev.semanticid.format.FormatException;
import dev.semanticid.job.Job.State;
import dev.semanticid.job.JobRun.StoppingException;
import dev.semanticid.problem.Masked;
import dev.semanticid.problem.PlainText;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.security.Client;
import dev.semanticid.settings.SemanticIdProperties;
import dev.semanticid.storage.StorageException;
import io.micrometer.core.instrument.MeterRegistry;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.SmartLifecycle;
import org.springframework.dao.DataAccessException;
import org.springframework.dao.DataAccessResourceFailureException;
import org.springframework.dao.RecoverableDataAccessException;
import org.springframework.dao.TransientDataAccessException;
import org.springframework.transaction.TransactionException;

/**
 * Accepts the jobs of one kind and runs them, one at a time, on a thread of its own. What it
 * accepted survives the process: at the next start unfinished jobs go on from their last
 * checkpoint.
 */
public final class JobRunner implements SmartLifecycle {

  private static final Logger LOG = LoggerFactory.getLogger(JobRunner.class);

  private static final long LOG_SECONDS = 30;
  private static final long FORGET_SECONDS = 3600;
  private static final long STOP_SECONDS = 15;
  private static final long RETRY_MILLIS = 2_000;

  /** How often this process says that it is alive; a claim is at least four times as long. */
  private static final long RENEW_MILLIS = 1_000;

  private final String kind;
  private final String path;
  private final boolean onePerCodebook;
  private final JobStore store;
  private final JobWork work;
  private final SemanticIdProperties.Jobs settings;
  private final ThreadPoolExecutor worker;
  private final ScheduledExecutorService clock;
  private final JobMeters meters;
  private final Map<String, Execution> unfinished = new ConcurrentHashMap<>();
  private volatile @Nullable JobRun current;
  private volatile boolean running;
  private List<ScheduledFuture<?>> chores = List.of();

  /**
   * @param kind name of the kind in the database and in metrics
   * @param path address of the jobs, such as {@code /train}
   * @param onePerCodebook whether a codebook may have only one unfinished job
   */
  public JobRunner(
      String kind,
      String path,
      boolean onePerCodebook,
      JobStore store,
      JobWork work,
      SemanticIdProperties.Jobs settings,
      MeterRegistry meters) {
    this.kind = kind;
    this.path = path;
    this.onePerCodebook = onePerCodebook;
    this.store = store;
    this.work = work;
    this.settings = settings;
    this.worker =
        new ThreadPoolExecutor(
            1,
            1,
            0,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            new BackgroundThreads(kind),
            // Only once it is shut down: what is accepted still waits in the database.
            new ThreadPoolExecutor.DiscardPolicy());
    this.clock =
        Executors.newSingleThreadScheduledExecutor(
            Thread.ofPlatform().name(kind + "-clock").daemon().factory());
    this.meters = new JobMeters(meters, kind, worker.getQueue(), () -> current);
  }

  /** Continues what an earlier process left unfinished. */
  @Override
  public synchronized void start() {
    running = true;
    claim();
    chores =
        new ArrayList<>(
            List.of(
                clock.scheduleWithFixedDelay(this::log, LOG_SECONDS, LOG_SECONDS, TimeUnit.SECONDS),
                clock.scheduleWithFixedDelay(this::forget, 0, FORGET_SECONDS, TimeUnit.SECONDS)));
    if (store.leased()) {
      chores.add(
          clock.scheduleWithFixedDelay(
              this::keepClaims, RENEW_MILLIS, RENEW_MILLIS, TimeUnit.MILLISECONDS));
    }
  }

  /** Takes up what nobody holds. */
  private synchronized void claim() {
    for (Job job : store.claimable(kind)) {
      if (unfinished.containsKey(job.id())) {
        continue; // accepted by this process already
      }
      store.claim(job).ifPresent(claimed -> takeUp(claimed, store.foreign(job)));
    }
  }

  private void takeUp(Job job, boolean foreign) {
    if (job.cancelRequested()) {
      store.cancel(job);
      discard(job);
    } else if (job.attempts() >= settings.maxAttempts()) {
      store.fail(
          job,
          ProblemCode.INTERRUPTED,
          String.format(
              Locale.ROOT,
              "the service ended %d times while the job ran, without getting further with it",
              job.attempts()));
      discard(job);
    } else if (foreign && work.isLocal(job)) {
      store.fail(
          job,
          ProblemCode.INTERRUPTED,
          "the replica that has the job's upload is gone; ask for the job again");
    } else {
      LOG.info(
          "{} job {} goes on{}, it was {}",
          kind,
          job.id(),
          foreign ? " here instead of on a replica that is gone" : "",
          job.state().wireName());
      enqueue(job);
    }
  }

  /** Says that this process is alive, learns what became of its jobs, and takes up others'. */
  private void keepClaims() {
    try {
      JobRun now = current;
      JobProgress progress = now == null ? null : now.progress();
      if (now != null && progress != null) {
        store.tell(now.job(), progress);
      }
      // Before the claims are read: a job that is accepted meanwhile is not among them.
      List<Execution> mine = List.copyOf(unfinished.values());
      Map<String, JobStore.Claim> claims = store.renew(kind);
      for (Execution execution : mine) {
        Job job = execution.run.job();
        JobStore.Claim claim = claims.get(job.id());
        if (claim == null || claim.fence() != job.fence()) {
          lose(execution);
        } else if (claim.cancelRequested()) {
          cancel(execution);
        }
      }
      claim();
    } catch (DataAccessException | TransactionException e) {
      LOG.warn("{} jobs: the database does not answer: {}", kind, e.toString());
    }
  }

  private void lose(Execution execution) {
    execution.run.lose();
    if (worker.remove(execution)) {
      unfinished.remove(execution.run.job().id());
    }
  }

  private void cancel(Execution execution) {
    execution.run.cancel();
    if (worker.remove(execution)) {
      store.cancel(execution.run.job());
      execution.end(State.CANCELLED);
    }
  }

  @Override
  public boolean isRunning() {
    return running;
  }

  private void log() {
    JobRun now = current;
    JobProgress progress = now == null ? null : now.progress();
    if (now != null && progress != null) {
      LOG.info("{} job {}: {}", kind, now.job().id(), work.describe(progress));
    }
  }

  private void forget() {
    try {
      int forgotten = store.forget(kind, settings.retention(), settings.keep());
      if (forgotten > 0) {
        LOG.info("{} {} jobs that ended long ago are forgotten", forgotten, kind);
      }
    } catch (DataAccessException e) {
      LOG.warn("jobs that ended long ago are kept for now: {}", e.getMessage());
    }
  }

  private void enqueue(Job job) {
    var run = new JobRun(job, store, settings.checkpointInterval(), meters.rowsDone());
    var execution = new Execution(run);
    unfinished.put(job.id(), execution);
    worker.execute(execution);
  }

  /**
   * Queues a job, unless its client's idempotency key names one that is there already.
   *
   * @param withinTransaction is done by the transaction that stores the job
   * @return the job's id, and whether it is a new one
   * @throws ProblemException if the key names another request, the codebook has an unfinished job,
   *     or the queue is full
   */
  public synchronized Submission submit(JobRequest request, Runnable withinTransaction) {
    Optional<Submission> known = known(request.client(), request.idempotencyKey(), request.hash());
    if (known.isPresent()) {
      return known.get();
    }
    if (worker.getQueue().size() >= settings.queueSize()) {
      throw new ProblemException(
          ProblemCode.QUEUE_FULL,
          String.format(
              Locale.ROOT,
              "%d jobs are waiting already, which is as many as may",
              worker.getQueue().size()));
    }
    String id = UUID.randomUUID().toString();
    while (!store.insert(id, request, withinTransaction)) {
      known = known(request.client(), request.idempotencyKey(), request.hash());
      if (known.isPresent()) {
        return known.get();
      }
      requireIdle(request.codebook());
    }
    enqueue(store.find(kind, id).orElseThrow());
    LOG.info(
        "{} job {} of codebook {} accepted: {}",
        kind,
        id,
        request.codebook(),
        request.parameters());
    return new Submission(id, true);
  }

  /**
   * A job that was asked for.
   *
   * @param id of the job
   * @param isNew whether it was not there before
   */
  public record Submission(String id, boolean isNew) {}

  /**
   * The job that a request's idempotency key names, whatever became of what it is about. Keys of
   * other clients are theirs.
   *
   * @param client the name of the client that asks; null where security is off
   * @param key as it came
   * @param hash of the request, {@link JobRequest#hash}
   * @throws ProblemException if the key names another request of the client
   */
  public Optional<Submission> known(@Nullable String client, @Nullable String key, String hash) {
    if (key == null) {
      return Optional.empty();
    }
    List<JobStore.Keyed> found = store.findByKey(kind, client, key);
    for (JobStore.Keyed keyed : found) {
      if (keyed.hash().equals(hash)) {
        return Optional.of(new Submission(keyed.id(), false));
      }
    }
    for (JobStore.Keyed keyed : found) {
      if (keyed.isOwn()) {
        throw new ProblemException(
                ProblemCode.IDEMPOTENCY_KEY_REUSED,
                "%s '%s' came with another request before; see job %s"
                    .formatted(JobRequest.IDEMPOTENCY_KEY, key, keyed.id()))
            .with("job", address(keyed.id()));
      }
    }
    return Optional.empty();
  }

  /** Whether a request by that idempotency key may be known, so that only its hash can tell. */
  public boolean mayBeKnown(@Nullable String client, @Nullable String key) {
    return key != null && !store.findByKey(kind, client, key).isEmpty();
  }

  /**
   * Refuses early what {@link #submit} would refuse: a codebook with an unfinished job.
   *
   * @param client the name of the client that asks; null where security is off
   * @param idempotencyKey a request by this key is not refused if the key is known
   */
  public void requireIdle(
      String codebook, @Nullable String client, @Nullable String idempotencyKey) {
    Optional<String> unfinishedJob = unfinishedOf(codebook);
    // In this order: if the job found is of this very request, its key is found as well.
    if (unfinishedJob.isPresent() && !mayBeKnown(client, idempotencyKey)) {
      throw inProgress(codebook, unfinishedJob.get());
    }
  }

  private void requireIdle(String codebook) {
    unfinishedOf(codebook)
        .ifPresent(id -> {
          throw inProgress(codebook, id);
        });
  }

  private Optional<String> unfinishedOf(String codebook) {
    return onePerCodebook ? store.unfinishedOf(kind, codebook) : Optional.empty();
  }

  /** Where clients find a job. */
  String address(String id) {
    return path + "/" + id;
  }

  private ProblemException inProgress(String codebook, String id) {
    return new ProblemException(
            ProblemCode.TRAINING_IN_PROGRESS,
            "codebook '%s' is being trained by job %s".formatted(codebook, id))
        .with("job", address(id));
  }

  /**
   * A job with its progress. One whose run has not ended yet is running, even if its end is stored
   * already: who reads "succeeded" may rely on the version being served.
   */
  public Status get(String id) {
    // In this order: without an execution, the state read after it is final.
    Execution execution = unfinished.get(id);
    Job job =
        store
            .find(kind, id)
            .orElseThrow(() ->
                new ProblemException(
                    ProblemCode.UNKNOWN_JOB, "there is no %s job '%s'".formatted(kind, id)));
    return status(job, execution);
  }

  /**
   * What is to be told of a job.
   *
   * @param job as it is stored
   * @param state where it is in its life
   * @param progress while it runs
   */
  public record Status(Job job, State state, @Nullable JobProgress progress) {}

  private static Status status(Job job, @Nullable Execution execution) {
    if (execution == null) {
      return new Status(job, job.state(), job.state().isFinal() ? null : job.progress());
    }
    return new Status(
        job, job.state().isFinal() ? State.RUNNING : job.state(), execution.run.progress());
  }

  /** Jobs, newest first, from behind the job {@code before} on, if that is given. */
  public List<Status> list(int limit, @Nullable String before) {
    if (before != null) {
      get(before);
    }
    Map<String, Execution> executions = Map.copyOf(unfinished);
    return store.list(kind, limit, before).stream()
        .map(job -> status(job, executions.get(job.id())))
        .toList();
  }

  /**
   * Cancels a job: at once if it is queued, within a batch if it runs; another process's soon.
   *
   * @param client who asks for it
   * @throws ProblemException if there is no such job, it is another client's, or it has ended
   */
  public Status cancel(String id, Client client) {
    Execution execution = unfinished.get(id);
    Status status = get(id);
    String owner = status.job().client();
    if (!client.mayChangeWhatIsOf(owner)) {
      throw new ProblemException(
              ProblemCode.FORBIDDEN,
              "job %s was asked for by %s; cancelling it needs the scope admin"
                  .formatted(id, owner == null ? "a client that is not known" : owner))
          .with("scopes", List.of("admin"));
    }
    if (status.state().isFinal()) {
      throw new ProblemException(
          ProblemCode.JOB_FINISHED,
          "job %s has %s already".formatted(id, status.state().wireName()));
    }
    store.requestCancel(id);
    if (execution != null) {
      cancel(execution);
    }
    return get(id);
  }

  private void discard(Job job) {
    try {
      work.discard(job);
    } catch (IOException | RuntimeException e) {
      LOG.warn("files of job {} cannot be deleted before the next start", job.id(), e);
    }
  }

  /** Jobs under way keep a checkpoint and stop; what waits goes on waiting in the database. */
  @Override
  public void stop() {
    halt();
    try {
      if (!worker.awaitTermination(STOP_SECONDS, TimeUnit.SECONDS)) {
        LOG.warn("a {} job did not stop in time; the next start continues it", kind);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void halt() {
    running = false;
    unfinished.values().forEach(execution -> execution.run.stop());
    worker.shutdown();
    worker.getQueue().clear();
    chores.forEach(chore -> chore.cancel(false));
    clock.shutdown();
  }

  /** One job on its way through the worker. */
  private final class Execution implements Runnable {

    private final JobRun run;

    Execution(JobRun run) {
      this.run = run;
    }

    @Override
    public void run() {
      Job job = run.job();
      current = run;
      try {
        State state = outcome();
        if (state == null) {
          unfinished.remove(job.id(), this);
        } else {
          end(state);
        }
      } catch (StoppingException e) {
        pause(job);
        LOG.info("{} job {} stops with the service and will be continued", kind, job.id());
      } finally {
        current = null;
      }
    }

    private void pause(Job job) {
      try {
        store.pause(job, !work.isLocal(job));
      } catch (DataAccessException e) {
        LOG.warn("{} job {}: the stop counts as an attempt: {}", kind, job.id(), e.getMessage());
      }
    }

    /** The final state, stored; null if the job is not this process's any more. */
    private @Nullable State outcome() {
      Job job = run.job();
      boolean began = stored(() -> run.cancelled() || store.start(job));
      if (!began) {
        return null;
      }
      try {
        run.checkWanted();
        work.run(run);
        return State.SUCCEEDED;
      } catch (CancellationException e) {
        LOG.info("{} job {} cancelled", kind, job.id());
        return stored(() -> store.cancel(job)) ? State.CANCELLED : null;
      } catch (StoppingException e) {
        throw e;
      } catch (DeviceFailedException e) {
        // Nor could this process do any other job; the next one can, or another replica.
        LOG.error("{} jobs stop, for the device has failed: {}", kind, e.getMessage());
        halt();
        throw new StoppingException();
      } catch (ClaimLostException e) {
        LOG.warn("{} job {}: {}", kind, job.id(), e.getMessage());
        return null;
      } catch (DataAccessResourceFailureException
          | TransientDataAccessException
          | RecoverableDataAccessException
          | TransactionException e) {
        if (store.leased()) {
          LOG.warn("{} job {} goes on once the database answers: {}", kind, job.id(), e.toString());
          return null;
        }
        return failed(ProblemCode.INTERNAL_ERROR, "the job failed: " + e, e);
      } catch (ProblemException e) {
        return failed(e.code(), e.detail(), null);
      } catch (NonFiniteVectorException e) {
        return failed(ProblemCode.NON_FINITE_VALUE, String.valueOf(e.getMessage()), null);
      } catch (StorageException e) {
        return failed(e.code(), String.valueOf(e.getMessage()), null);
      } catch (FormatException e) {
        return failed(ProblemCode.SOURCE_INVALID, String.valueOf(e.getMessage()), null);
      } catch (IOException e) {
        return failed(
            ProblemCode.SOURCE_INVALID, "the source cannot be read: " + e.getMessage(), e);
      } catch (OutOfMemoryError e) {
        return failed(ProblemCode.OUT_OF_MEMORY, "not enough memory: " + e.getMessage(), null);
      } catch (RuntimeException | Error e) {
        return failed(ProblemCode.INTERNAL_ERROR, "the job failed: " + e, e);
      }
    }

    private @Nullable State failed(ProblemCode code, String said, @Nullable Throwable cause) {
      String id = run.job().id();
      String detail = Masked.text(said);
      if (cause == null) {
        LOG.warn("{} job {} failed: {} {}", kind, id, code, PlainText.oneLine(detail));
      } else {
        LOG.error("{} job {} failed: {} {}", kind, id, code, PlainText.oneLine(detail), cause);
      }
      return stored(() -> store.fail(run.job(), code, detail)) ? State.FAILED : null;
    }

    /** Tries until the database takes it, or the service stops. */
    private boolean stored(BooleanSupplier change) {
      while (true) {
        try {
          return change.getAsBoolean();
        } catch (DataAccessException | TransactionException e) {
          LOG.warn(
              "{} job {}: the database does not answer: {}", kind, run.job().id(), e.toString());
          try {
            Thread.sleep(RETRY_MILLIS);
          } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            throw new StoppingException();
          }
          if (!running) {
            throw new StoppingException();
          }
        }
      }
    }

    /** The job is in its final state: what it kept goes, and its codebook is free again. */
    void end(State state) {
      try {
        discard(run.job());
      } finally {
        unfinished.remove(run.job().id());
        meters.ended(state).increment();
        forget();
      }
    }
  }
}
