package dev.semanticid.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.service.OneConnection;
import dev.semanticid.store.Replica;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.json.JsonMapper;

/** Every operation of the store, each of which must do with one connection. */
class JobStoreTest {

  private static final String KIND = "training";

  private OneConnection database;
  private JobStore store;
  private JobStore other;

  @BeforeEach
  void open(@TempDir Path folder) {
    database = new OneConnection(folder);
    store = store("this one");
    other = store("another");
  }

  @AfterEach
  void close() {
    database.close();
  }

  private JobStore store(String replica) {
    return new JobStore(
        database.jdbc(),
        database.transactions(),
        new JsonMapper(),
        new Replica(replica, Duration.ofSeconds(30)));
  }

  private Job inserted(String id, String codebook) {
    assertThat(store.insert(id, request(codebook, null), () -> {})).isTrue();
    return store.find(KIND, id).orElseThrow();
  }

  private static JobRequest request(String codebook, @Nullable String key) {
    return new JobRequest(
        KIND, codebook, 3, "key:me", "{}", Map.of("k", 8), key, JobRequest.hash(codebook));
  }

  @Test
  void insert_secondTrainingOfACodebook_addsNothing() {
    inserted("one", "a");
    assertThat(store.insert("two", request("a", null), () -> {})).isFalse();
    assertThat(store.find(KIND, "two")).isEmpty();
    assertThat(store.unfinishedOf(KIND, "a")).hasValue("one");
    assertThat(store.using("a", 3)).containsExactly("one");
    assertThat(store.using("a", 4)).isEmpty();
    assertThat(store.about("a")).containsExactly("one");
    assertThat(store.unfinishedCodebooks()).containsExactly("a");
    assertThat(store.unfinished(KIND)).extracting(Job::id).containsExactly("one");
  }

  @Test
  void insert_callersPartFails_addsNothing() {
    assertThatThrownBy(() ->
            store.insert(
                "one",
                request("a", null),
                () -> {
                  throw new IllegalStateException("no");
                }))
        .hasMessage("no");
    assertThat(store.find(KIND, "one")).isEmpty();
  }

  @Test
  void findByKey_isOfTheClient() {
    assertThat(store.insert("one", request("a", "again"), () -> {})).isTrue();
    assertThat(store.findByKey(KIND, "key:me", "again"))
        .containsExactly(new JobStore.Keyed("one", JobRequest.hash("a"), true));
    assertThat(store.findByKey(KIND, "key:you", "again")).isEmpty();
  }

  @Test
  void claim_heldByAnother_isNotGiven() {
    Job job = inserted("one", "a");
    assertThat(other.claimable(KIND)).isEmpty();
    assertThat(other.foreign(job)).isTrue();
    assertThat(store.leased()).isTrue();
    assertThat(store.claimable(KIND)).extracting(Job::id).containsExactly("one");
    Job claimed = store.claim(job).orElseThrow();
    assertThat(store.claim(job)).as("with the number of an earlier claim").isEmpty();
    assertThat(store.start(claimed)).isTrue();
    assertThat(store.renew(KIND)).containsOnlyKeys("one");
    assertThat(other.renew(KIND)).isEmpty();
    store.pause(claimed, true);
    Job taken = other.claim(other.claimable(KIND).getFirst()).orElseThrow();
    assertThatThrownBy(() -> store.opened(claimed, Map.of(), "s"))
        .isInstanceOf(ClaimLostException.class);
    assertThat(store.fail(claimed, ProblemCode.INTERNAL_ERROR, "too late")).isFalse();
    assertThat(other.start(taken)).isTrue();
  }

  @Test
  void job_fromItsStartToItsEnd_isReadAsWritten() throws IOException {
    Job job = inserted("one", "a");
    assertThat(store.start(job)).isTrue();
    store.opened(job, Map.of("k", 9), "{}");
    store.tell(job, new JobProgress("levels", 1, 3, 9, 5, null, null, 2, null, null, null, 0.5));
    assertThat(store.checkpoint("one")).isNull();
    store.checkpoint(job, out -> out.write(new byte[] {1, 2, 3}));
    store.checkpoint(job, out -> out.write(new byte[] {4, 5}));
    try (var checkpoint = Objects.requireNonNull(store.checkpoint("one"))) {
      assertThat(checkpoint.readAllBytes()).containsExactly(4, 5);
    }
    Job running = store.find(KIND, "one").orElseThrow();
    assertThat(running.state()).isEqualTo(Job.State.RUNNING);
    assertThat(running.parameters()).isEqualTo(Map.of("k", 9));
    store.succeed(running, 4, true, Map.of("rows", 5));
    Job ended = store.find(KIND, "one").orElseThrow();
    assertThat(ended.state()).isEqualTo(Job.State.SUCCEEDED);
    assertThat(ended.version()).isEqualTo(4);
    assertThat(ended.activated()).isTrue();
    assertThat(store.checkpoint("one")).as("checkpoint of a job that has ended").isNull();
    assertThatThrownBy(() -> store.checkpoint(ended, out -> out.write(1)))
        .isInstanceOf(ClaimLostException.class);
  }

  @Test
  void cancel_endsTheJob() {
    Job job = inserted("one", "a");
    store.requestCancel("one");
    assertThat(store.find(KIND, "one").orElseThrow().cancelRequested()).isTrue();
    assertThat(store.cancel(job)).isTrue();
    assertThat(store.cancel(job)).as("a second time").isFalse();
    assertThat(store.find(KIND, "one").orElseThrow().state()).isEqualTo(Job.State.CANCELLED);
  }

  @Test
  void list_isNewestFirst_inPages() {
    for (String id : List.of("1", "2", "3")) {
      store.fail(inserted(id, "a"), ProblemCode.INTERNAL_ERROR, "for the test");
    }
    assertThat(store.list(KIND, 2, null)).extracting(Job::id).containsExactly("3", "2");
    assertThat(store.list(KIND, 2, "2")).extracting(Job::id).containsExactly("1");
    assertThat(store.forget(KIND, Duration.ofDays(1), 1)).isEqualTo(2);
    assertThat(store.list(KIND, 9, null)).extracting(Job::id).containsExactly("3");
  }
}
