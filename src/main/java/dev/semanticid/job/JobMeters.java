package dev.semanticid.job;

import dev.semanticid.job.Job.State;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.Collection;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Supplier;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/** Meters of the jobs of one kind. */
final class JobMeters {

  private final MeterRegistry meters;
  private final String kind;
  private final Supplier<@Nullable JobRun> current;
  private final LongAdder rowsDone = new LongAdder();

  /**
   * Registers them all.
   *
   * @param waiting the jobs that wait
   * @param current the job under way, or null
   */
  JobMeters(
      MeterRegistry meters,
      String kind,
      Collection<?> waiting,
      Supplier<@Nullable JobRun> current) {
    this.meters = meters;
    this.kind = kind;
    this.current = current;
    Gauge.builder("semantic_id.jobs.queued", waiting, Collection::size)
        .description("Jobs that wait")
        .tag("kind", kind)
        .register(meters);
    Gauge.builder("semantic_id.jobs.running", current, c -> c.get() == null ? 0 : 1)
        .description("Jobs under way")
        .tag("kind", kind)
        .register(meters);
    registerProgress();
    FunctionCounter.builder("semantic_id.job.rows", rowsDone, LongAdder::sum)
        .description("Rows that jobs have read")
        .tag("kind", kind)
        .register(meters);
    for (State state : State.values()) {
      if (state.isFinal()) {
        ended(state);
      }
    }
  }

  private void registerProgress() {
    gauge("semantic_id.job.progress", "Share of the running job that is done", 0, p -> p.fraction())
        .register(meters);
    gauge(
            "semantic_id.job.rows.per.second",
            "Rows per second of the running job",
            0,
            JobProgress::rowsPerSecond)
        .register(meters);
    gauge(
            "semantic_id.job.eta",
            "Seconds until the running job is done, by its rate so far",
            Double.NaN,
            p -> p.etaSeconds() == null ? Double.NaN : p.etaSeconds())
        .baseUnit("seconds")
        .register(meters);
    gauge(
            "semantic_id.job.inertia",
            "Sum of squared distances of the last batch, while centroids are trained",
            Double.NaN,
            p -> p.inertia() == null ? Double.NaN : p.inertia())
        .register(meters);
  }

  private Gauge.Builder<?> gauge(
      String name, String description, double none, ToDoubleFunction<JobProgress> value) {
    return Gauge.builder(
            name,
            current,
            c -> {
              JobRun run = c.get();
              JobProgress progress = run == null ? null : run.progress();
              return progress == null ? none : value.applyAsDouble(progress);
            })
        .description(description)
        .tag("kind", kind);
  }

  /** Counts the rows that jobs have read. */
  LongAdder rowsDone() {
    return rowsDone;
  }

  /** Counts the jobs that ended so. */
  Counter ended(State state) {
    return Counter.builder("semantic_id.jobs.ended")
        .description("Jobs that ended since the service started")
        .tag("kind", kind)
        .tag("state", state.wireName())
        .register(meters);
  }
}
