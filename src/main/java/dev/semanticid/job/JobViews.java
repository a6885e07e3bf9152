package dev.semanticid.job;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.security.Client;
import java.net.URI;
import java.util.List;
import java.util.Locale;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseEntity;
import org.springframework.web.servlet.mvc.method.annotation.SseEmitter;

/**
 * The jobs of one kind as its clients see them: what the endpoints of all kinds answer alike.
 *
 * @param <V> a job in JSON
 */
public final class JobViews<V> {

  /** Jobs on a page, if the client does not say. */
  public static final String DEFAULT_LIMIT = "50";

  private static final int MOST = 200;

  private final JobRunner runner;
  private final JobEvents events;
  private final Function<JobRunner.Status, V> view;

  /**
   * @param view shows a job
   */
  public JobViews(JobRunner runner, JobEvents events, Function<JobRunner.Status, V> view) {
    this.runner = runner;
    this.events = events;
    this.view = view;
  }

  /** Tells that a job was accepted, and where it is. */
  public ResponseEntity<V> accepted(JobRunner.Submission submission) {
    return ResponseEntity.accepted()
        .location(URI.create(runner.address(submission.id())))
        .body(get(submission.id()));
  }

  /** One job, with its progress. */
  public V get(String id) {
    return view.apply(runner.get(id));
  }

  /** One job, whenever something about it changes, for a client that listens. */
  public SseEmitter events(String id, Client client) {
    return events.stream(
        client.nameOrAddress(),
        () -> {
          JobRunner.Status status = runner.get(id);
          return new JobEvents.Event(view.apply(status), status.state().isFinal());
        });
  }

  /**
   * A page of jobs, newest first.
   *
   * @param after the job to begin behind, or null to begin with the newest
   * @param page makes it from its jobs and the {@code after} of the next one, null on the last
   */
  public <P> P list(
      int limit, @Nullable String after, BiFunction<List<V>, @Nullable String, P> page) {
    if (limit < 1 || limit > MOST) {
      throw new ProblemException(
          ProblemCode.INVALID_PARAMETER,
          String.format(Locale.ROOT, "limit must be 1 to %d, got %d", MOST, limit));
    }
    List<JobRunner.Status> found = runner.list(limit + 1, after);
    List<JobRunner.Status> shown = found.subList(0, Math.min(limit, found.size()));
    return page.apply(
        shown.stream().map(view).toList(),
        shown.size() < found.size() ? shown.getLast().job().id() : null);
  }

  /** Cancels a job for a client: at once if it is queued, within a batch if it runs. */
  public ResponseEntity<V> cancel(String id, Client client) {
    return ResponseEntity.accepted().body(view.apply(runner.cancel(id, client)));
  }
}
