package dev.semanticid.core.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.Trials;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.JavaBackend;
import dev.semanticid.core.compute.TestBackends;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.search.Screening;
import dev.semanticid.core.vector.InMemoryVectorSource;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.core.vector.VectorSource;
import dev.semanticid.format.NpyWriter;
import dev.semanticid.storage.FileVectorSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every kind of training gives the same bytes on any threads, backend and source. */
@TestInstance(Lifecycle.PER_CLASS)
class TrainingBytesTest {

  /** More components than one task sums up; rows, batches and blocks are no multiples. */
  private static final int D = 150;

  private static final int ROWS = 701;
  private static final List<Integer> WIDTHS = List.of(12, 7, 5);

  private final ComputeBackend java = new JavaBackend();
  private final List<ComputeBackend> backends =
      Stream.concat(TestBackends.start().stream(), TestBackends.startScreening(6).stream())
          .toList();
  private final List<WorkerPool> pools =
      List.of(new WorkerPool(1, "one"), new WorkerPool(2, "two"), new WorkerPool(3, "three"));
  private int turn;
  private final float[] rows = TrainingKind.clustered(new SplittableRandom(2), ROWS, D, 30);

  @AfterAll
  void close() {
    pools.forEach(WorkerPool::close);
    backends.forEach(ComputeBackend::close);
  }

  static Stream<TrainingKind> kinds() {
    return TrainingKind.all();
  }

  @ParameterizedTest
  @MethodSource("kinds")
  void train_onAnyThreadsAndBackend_givesTheSameBytes(TrainingKind kind) throws IOException {
    try (VectorSource source = inMemory(rows)) {
      Training expected = train(kind, source, java, pools.getFirst(), Screening.NEVER);
      for (ComputeBackend backend : backends) {
        for (Screening screening :
            backend.int8() == null ? List.of(Screening.AUTO) : List.of(Screening.values())) {
          if (!Trials.takes(turn++, 5)) {
            continue;
          }
          WorkerPool pool = pools.get(turn % pools.size());
          assertSame(
              expected,
              train(kind, source, backend, pool, screening),
              String.format(
                  Locale.ROOT, "%s, %s, %d threads", backend.device(), screening, pool.threads()));
        }
      }
      for (WorkerPool pool : pools.subList(1, 3)) {
        Training again = train(kind, source, java, pool, Screening.AUTO);
        assertSame(expected, again, pool.threads() + " threads");
      }
    }
  }

  @ParameterizedTest
  @MethodSource("kinds")
  void train_fromAFile_givesTheSameBytesAsFromMemory(TrainingKind kind, @TempDir Path directory)
      throws IOException {
    Path file = directory.resolve("rows.npy");
    try (var out = Files.newOutputStream(file)) {
      NpyWriter.writeFloats(out, rows, ROWS, D);
    }
    try (VectorSource inMemory = inMemory(rows);
        VectorSource streamed = FileVectorSource.openNpy(file)) {
      Training expected = train(kind, inMemory, java, pools.getFirst(), Screening.AUTO);
      assertSame(
          expected, train(kind, streamed, java, pools.getLast(), Screening.AUTO), "streamed");
    }
  }

  /** What the bytes are about: each kind makes its own, and other rows make others. */
  @Test
  void train_otherKindOrRows_givesOtherBytes() throws IOException {
    float[] changed = rows.clone();
    changed[17 * D + 3] = Math.nextUp(changed[17 * D + 3] + 0.5f);
    var fingerprints = new ArrayList<String>();
    for (TrainingKind kind :
        List.of(
            new TrainingKind(Algorithm.MINIBATCH_KMEANS, 0, 0, 1, false, true, true),
            new TrainingKind(Algorithm.LLOYD, 0, 0, 1, false, true, true),
            new TrainingKind(Algorithm.LLOYD, 0, 2, 1, false, true, true),
            new TrainingKind(Algorithm.LLOYD, 0, 2, 4, false, true, true),
            new TrainingKind(Algorithm.LLOYD, 0, 0, 1, true, true, true),
            new TrainingKind(Algorithm.LLOYD, 0, 0, 1, true, false, true))) {
      for (float[] some : List.of(rows, changed)) {
        try (VectorSource source = inMemory(some)) {
          fingerprints.add(train(kind, source, java, pools.get(1), Screening.AUTO).fingerprint());
        }
      }
    }
    assertThat(fingerprints).doesNotHaveDuplicates();
  }

  private record Training(
      ResidualQuantizerTrainer.Result result, List<IterationStats> steps, List<byte[]> offered) {

    String fingerprint() {
      return result.codebook().fingerprint();
    }
  }

  private static Training train(
      TrainingKind kind,
      VectorSource source,
      ComputeBackend backend,
      WorkerPool pool,
      Screening screening)
      throws IOException {
    var recorder = new TrainingKind.Recorder(D);
    var trainer =
        new ResidualQuantizerTrainer(kind.config(D, WIDTHS, 300, 200, 9), backend, pool, screening);
    var result = trainer.train(source, recorder);
    return new Training(result, recorder.steps(), recorder.checkpoints());
  }

  private static void assertSame(Training expected, Training actual, String what) {
    assertThat(actual.fingerprint()).as(what).isEqualTo(expected.fingerprint());
    assertThat(actual.steps()).as(what).isEqualTo(expected.steps());
    assertThat(actual.result().counts().toArray(long[][]::new))
        .as(what)
        .isDeepEqualTo(expected.result().counts().toArray(long[][]::new));
    assertThat(actual.offered()).as(what).hasSameSizeAs(expected.offered());
    for (int i = 0; i < actual.offered().size(); i++) {
      assertThat(Arrays.equals(actual.offered().get(i), expected.offered().get(i)))
          .as("checkpoint %d, %s", i, what)
          .isTrue();
    }
  }

  private static VectorSource inMemory(float[] rows) {
    return new InMemoryVectorSource(VectorBatch.of(rows, D));
  }
}
