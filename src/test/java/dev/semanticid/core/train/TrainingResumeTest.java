package dev.semanticid.core.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.semanticid.Trials;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.TrainingState;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.JavaBackend;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.train.IterationStats.Phase;
import dev.semanticid.core.train.ResidualQuantizerTrainer.Result;
import dev.semanticid.core.train.TrainingKind.Recorder;
import dev.semanticid.core.vector.InMemoryVectorSource;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.core.vector.VectorSource;
import dev.semanticid.format.TrainingCheckpointFormat;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Whatever the algorithm: a training continued from any of its checkpoints, as read from bytes, on
 * other threads, takes the steps that were left and ends as undisturbed.
 */
@TestInstance(Lifecycle.PER_CLASS)
class TrainingResumeTest {

  private static final int D = 5;
  private static final List<Integer> WIDTHS = List.of(7, 4, 3);

  private final ComputeBackend backend = new JavaBackend();
  private final WorkerPool one = new WorkerPool(1, "one");
  private final WorkerPool two = new WorkerPool(2, "two");
  private int turn;

  @AfterAll
  void close() {
    one.close();
    two.close();
    backend.close();
  }

  static Stream<TrainingKind> kinds() {
    return TrainingKind.all();
  }

  @ParameterizedTest
  @MethodSource("kinds")
  void resume_fromAnyCheckpoint_endsAsUndisturbed(TrainingKind kind) throws IOException {
    ResidualQuantizerConfig config = kind.config(D, WIDTHS, 100, 64, 24);
    try (VectorSource rows = rows(5, 300)) {
      Training training = train(config, rows, null);
      assertThat(training.checkpoints()).hasSizeGreaterThan(3);
      assertResumable(training);
      assertResumable(train(config, rows, training.continuable()));
    }
  }

  /** Rows that are their centroids, rows of zeros, and no more distinct ones than centroids. */
  @ParameterizedTest
  @MethodSource("kinds")
  void resume_whereLevelsHaveNoRowsLeft_endsAsUndisturbed(TrainingKind kind) throws IOException {
    ResidualQuantizerConfig config = kind.config(D, WIDTHS, 100, 64, 24);
    float[] rows = TrainingKind.gaussians(new SplittableRandom(3), 200 * D, 1);
    for (int row = 0; row < 200; row++) {
      if (row % 10 == 0) {
        Arrays.fill(rows, row * D, (row + 1) * D, 0f);
      } else if (row % 5 != 1) {
        System.arraycopy(rows, row % 5 * D, rows, row * D, D);
      }
    }
    try (VectorSource some = source(rows)) {
      assertResumable(train(config, some, null));
    }
    for (int row = 0; row < 200; row++) {
      System.arraycopy(rows, (1 + row % 4) * D, rows, row * D, D);
    }
    try (VectorSource few = source(rows)) {
      assertResumable(train(config, few, null));
    }
  }

  /** One step for all levels: layer-wise, none for any. */
  @ParameterizedTest
  @MethodSource("kinds")
  void resume_whereLevelsTakeNoSteps_endsAsUndisturbed(TrainingKind kind) throws IOException {
    try (VectorSource rows = rows(5, 300)) {
      assertResumable(train(kind.config(D, WIDTHS, 100, 64, 1), rows, null));
      assertResumable(train(kind.config(D, List.of(4), 100, 64, 1), rows, null));
    }
  }

  @ParameterizedTest
  @MethodSource("kinds")
  void resume_stoppedAgainAndAgain_endsAsUndisturbed(TrainingKind kind) throws IOException {
    ResidualQuantizerConfig config = kind.config(D, WIDTHS, 100, 64, 24);
    try (VectorSource rows = rows(5, 300)) {
      Training expected = train(config, rows, null);
      byte[] checkpoint = expected.checkpoints().getFirst();
      Result last = null;
      for (int i = 0; i < expected.checkpoints().size(); i++) {
        var recorder = new Recorder(D);
        last =
            trainer(config, i % 2 == 0 ? one : two).resume(rows, null, read(checkpoint), recorder);
        List<byte[]> offered = recorder.checkpoints();
        checkpoint = offered.get(Math.min(1, offered.size() - 1));
      }
      assertThat(last).isNotNull();
      assertThat(last.codebook().fingerprint())
          .isEqualTo(expected.result().codebook().fingerprint());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 6})
  void resume_anySettings_endsAsUndisturbed(int seed) throws IOException {
    var random = new SplittableRandom(seed);
    for (int round = 0; round < Trials.of(25); round++) {
      int n = 20 + random.nextInt(280);
      int d = 1 + random.nextInt(7);
      var widths = new ArrayList<Integer>();
      for (int l = random.nextInt(4); l >= 0; l--) {
        widths.add(1 + random.nextInt(Math.min(n, 12)));
      }
      int widest = Collections.max(widths);
      boolean balance = random.nextInt(3) == 0;
      boolean lloyd = random.nextInt(3) > 0;
      var config =
          new ResidualQuantizerConfig(
                  d,
                  widths,
                  widest + random.nextInt(n),
                  1 + random.nextInt(150),
                  1 + random.nextInt(20),
                  0.5,
                  random.nextBoolean(),
                  balance || lloyd || random.nextBoolean(),
                  true,
                  random.nextBoolean(),
                  random.nextBoolean()
                      ? CentroidInitializer.RANDOM
                      : CentroidInitializer.KMEANS_PLUS_PLUS,
                  random.nextLong())
              .with(
                  lloyd ? Algorithm.LLOYD : Algorithm.MINIBATCH_KMEANS,
                  List.of(0.0, 1e-4, 0.05, 0.5).get(random.nextInt(4)),
                  balance ? 0 : random.nextInt(6),
                  balance ? 1 : 1 + random.nextInt(5),
                  balance);
      float[] rows = TrainingKind.clustered(random, n, d, 1 + random.nextInt(20));
      try (var source = new InMemoryVectorSource(VectorBatch.of(rows, d))) {
        assertResumable(train(config, source, null));
      }
    }
  }

  /** That the tests above see what they are about. */
  @Test
  void train_ofEveryKind_offersCheckpointsInEveryPhase() throws IOException {
    var seen = new HashSet<String>();
    for (TrainingKind kind : kinds().toList()) {
      try (VectorSource rows = rows(5, 300)) {
        Training training = train(kind.config(D, WIDTHS, 100, 64, 24), rows, null);
        seen.addAll(sights(training));
      }
    }
    assertThat(seen)
        .contains(
            "early stop",
            "all passes",
            "first pass of a level",
            "within a level",
            "before balance",
            "first level balanced",
            "all levels balanced",
            "before refinement",
            "round 0",
            "round 1",
            "round 2",
            "round 3");
  }

  private static Set<String> sights(Training training) throws IOException {
    var seen = new HashSet<String>();
    ResidualQuantizerConfig config = training.config();
    int steps = config.maxSteps() / config.numHierarchies();
    for (byte[] bytes : training.checkpoints()) {
      TrainingCheckpoint checkpoint = read(bytes);
      int levels = checkpoint.centroids().size();
      int balanced = checkpoint.weights().size();
      if (config.algorithm() == Algorithm.LLOYD && checkpoint.refined() < 0) {
        if (checkpoint.steps() == 0) {
          seen.add("first pass of a level");
        } else if (checkpoint.steps() < steps) {
          seen.add("within a level");
        }
      }
      if (config.balance() && balanced < levels && checkpoint.steps() == steps) {
        seen.add("before balance");
      }
      if (balanced == 1) {
        seen.add("first level balanced");
      } else if (balanced == config.numHierarchies()) {
        seen.add("all levels balanced");
      }
      if (config.refine() > 0) {
        seen.add(checkpoint.refined() < 0 ? "before refinement" : "round " + checkpoint.refined());
      }
    }
    if (config.algorithm() == Algorithm.LLOYD) {
      long passes =
          training.recorder().steps().stream()
              .filter(step -> step.phase() == Phase.UPDATE && step.level() == 0)
              .count();
      seen.add(passes < steps ? "early stop" : "all passes");
    }
    return seen;
  }

  @Test
  void resume_atMoreRoundsThanAskedFor_isRefusedWithBoth() throws IOException {
    var kind = new TrainingKind(Algorithm.LLOYD, 1e-4, 3, 1, false, true, true);
    try (VectorSource rows = rows(5, 300)) {
      Training training = train(kind.config(D, WIDTHS, 100, 64, 24), rows, null);
      TrainingCheckpoint last = read(training.checkpoints().getLast());
      assertThat(last.refined()).isEqualTo(3);
      var fewer = kind.config(D, WIDTHS, 100, 64, 24).with(Algorithm.LLOYD, 1e-4, 2, 1, false);
      assertThatIllegalArgumentException()
          .isThrownBy(() -> trainer(fewer, one).resume(rows, null, last, TrainingListener.NONE))
          .withMessageContainingAll("3", "2");
    }
  }

  @Test
  void resume_ofOtherSettings_isRefused() throws IOException {
    var balanced = new TrainingKind(Algorithm.LLOYD, 1e-4, 0, 1, true, true, true);
    var plain = new TrainingKind(Algorithm.LLOYD, 1e-4, 0, 1, false, true, true);
    try (VectorSource rows = rows(5, 300)) {
      ResidualQuantizerConfig config = balanced.config(D, WIDTHS, 100, 64, 24);
      TrainingCheckpoint last = read(train(config, rows, null).checkpoints().getLast());
      var others =
          List.of(
              plain.config(D, WIDTHS, 100, 64, 24),
              balanced.config(D, List.of(7, 4), 100, 64, 24),
              balanced.config(D, List.of(7, 5, 3), 100, 64, 24),
              balanced.config(D, WIDTHS, 100, 64, 3));
      for (ResidualQuantizerConfig other : others) {
        assertThatIllegalArgumentException()
            .as("%s", other)
            .isThrownBy(() -> trainer(other, one).resume(rows, null, last, TrainingListener.NONE));
      }
      var partly =
          new TrainingCheckpoint(
              last.centroids().subList(0, 2),
              last.counts().subList(0, 2),
              last.bufferRows().subList(0, 2),
              List.of(),
              8,
              Double.POSITIVE_INFINITY,
              0,
              0,
              0);
      ResidualQuantizerConfig refined =
          plain.config(D, WIDTHS, 100, 64, 24).with(Algorithm.LLOYD, 1e-4, 2, 1, false);
      assertThatIllegalArgumentException()
          .as("two levels refined of three")
          .isThrownBy(
              () -> trainer(refined, one).resume(rows, null, partly, TrainingListener.NONE));
    }
  }

  /** A training that has ended, with all that it told. */
  private record Training(
      ResidualQuantizerConfig config,
      VectorSource rows,
      @Nullable Codebook from,
      Result result,
      Recorder recorder) {

    List<byte[]> checkpoints() {
      return recorder.checkpoints();
    }

    Codebook continuable() {
      return result
          .codebook()
          .withTrainingState(
              new TrainingState(result.counts(), Collections.nCopies(result.counts().size(), 1.0)));
    }
  }

  private ResidualQuantizerTrainer trainer(ResidualQuantizerConfig config, WorkerPool pool) {
    return new ResidualQuantizerTrainer(config, backend, pool);
  }

  private Training train(ResidualQuantizerConfig config, VectorSource rows, @Nullable Codebook from)
      throws IOException {
    var recorder = new Recorder(config.embeddingDim());
    ResidualQuantizerTrainer trainer = trainer(config, two);
    Result result =
        from == null ? trainer.train(rows, recorder) : trainer.trainFrom(rows, from, recorder);
    return new Training(config, rows, from, result, recorder);
  }

  private void assertResumable(Training training) throws IOException {
    Result expected = training.result();
    for (int i = 0; i < training.checkpoints().size(); i++) {
      if (!Trials.takes(turn++, 3)) {
        continue;
      }
      byte[] checkpoint = training.checkpoints().get(i);
      String what = String.format(Locale.ROOT, "%s, checkpoint %d", training.config(), i);
      var again = new Recorder(training.config().embeddingDim());
      Result result =
          trainer(training.config(), one)
              .resume(training.rows(), training.from(), read(checkpoint), again);
      assertThat(again.steps()).as(what).isEqualTo(training.recorder().stepsAfter(i));
      assertThat(result.codebook().fingerprint())
          .as(what)
          .isEqualTo(expected.codebook().fingerprint());
      assertThat(result.counts().toArray(long[][]::new))
          .as(what)
          .isDeepEqualTo(expected.counts().toArray(long[][]::new));
      assertThat(result.bufferRows()).as(what).isEqualTo(expected.bufferRows());
      List<byte[]> left = training.checkpoints().subList(i, training.checkpoints().size());
      assertThat(again.checkpoints()).as(what).hasSameSizeAs(left);
      assertThat(IntStream.range(0, left.size()))
          .as(what)
          .allMatch(j -> Arrays.equals(left.get(j), again.checkpoints().get(j)));
    }
  }

  private static TrainingCheckpoint read(byte[] checkpoint) throws IOException {
    return TrainingCheckpointFormat.read(new ByteArrayInputStream(checkpoint));
  }

  private static VectorSource rows(long seed, int n) {
    return source(TrainingKind.gaussians(new SplittableRandom(seed), n * D, 1));
  }

  private static VectorSource source(float[] rows) {
    return new InMemoryVectorSource(VectorBatch.of(rows, D));
  }
}
