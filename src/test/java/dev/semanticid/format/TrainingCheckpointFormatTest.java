package dev.semanticid.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.TrainingState;
import dev.semanticid.core.compute.JavaBackend;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.train.CentroidInitializer;
import dev.semanticid.core.train.IterationStats;
import dev.semanticid.core.train.ResidualQuantizerConfig;
import dev.semanticid.core.train.ResidualQuantizerTrainer;
import dev.semanticid.core.train.TrainingCheckpoint;
import dev.semanticid.core.train.TrainingListener;
import dev.semanticid.core.vector.InMemoryVectorSource;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.core.vector.VectorSource;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A training continued from any of its checkpoints, as read from bytes, ends as undisturbed. */
class TrainingCheckpointFormatTest {

  private static final int D = 5;

  private static ResidualQuantizerConfig config(
      boolean normalize, boolean layerWise, boolean shuffle, int bufferRows) {
    return new ResidualQuantizerConfig(
        D,
        List.of(7, 4, 3),
        bufferRows,
        64,
        24,
        0.5,
        normalize,
        layerWise,
        true,
        shuffle,
        CentroidInitializer.KMEANS_PLUS_PLUS,
        42);
  }

  private static VectorSource rows() {
    var random = new SplittableRandom(5);
    float[] rows = new float[300 * D];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = (float) random.nextGaussian();
    }
    return new InMemoryVectorSource(VectorBatch.of(rows, D));
  }

  /** Remembers steps, and checkpoints as bytes with the number of steps before each. */
  private static final class Recorder implements TrainingListener {

    private final List<IterationStats> steps = new ArrayList<>();
    private final List<Integer> stepsBefore = new ArrayList<>();
    private final List<byte[]> checkpoints = new ArrayList<>();

    @Override
    public void onStep(IterationStats stats) {
      steps.add(stats);
    }

    @Override
    public void onCheckpoint(Supplier<TrainingCheckpoint> checkpoint) {
      stepsBefore.add(steps.size());
      checkpoints.add(bytes(checkpoint.get()));
    }
  }

  private static byte[] bytes(TrainingCheckpoint checkpoint) {
    var out = new ByteArrayOutputStream();
    try {
      TrainingCheckpointFormat.write(checkpoint, D, out);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return out.toByteArray();
  }

  @ParameterizedTest
  @CsvSource({
    "true,true,true,100",
    "true,true,false,300",
    "true,false,true,100",
    "false,true,true,20",
    "false,false,false,130",
    "false,false,true,64"
  })
  void resume_fromAnyCheckpoint_endsAsUndisturbed(
      boolean normalize, boolean layerWise, boolean shuffle, int bufferRows) throws IOException {
    try (var pool = new WorkerPool(2, "test");
        var backend = new JavaBackend();
        VectorSource rows = rows()) {
      var trainer =
          new ResidualQuantizerTrainer(
              config(normalize, layerWise, shuffle, bufferRows), backend, pool);
      ResidualQuantizerTrainer.Result first = resumed(trainer, rows, null);
      Codebook from =
          first
              .codebook()
              .withTrainingState(new TrainingState(first.counts(), List.of(1.0, 1.0, 1.0)));
      resumed(trainer, rows, from);
    }
  }

  /** Trains, then resumes from every checkpoint of that. */
  private static ResidualQuantizerTrainer.Result resumed(
      ResidualQuantizerTrainer trainer, VectorSource rows, @Nullable Codebook from)
      throws IOException {
    var recorder = new Recorder();
    ResidualQuantizerTrainer.Result expected =
        from == null ? trainer.train(rows, recorder) : trainer.trainFrom(rows, from, recorder);
    assertThat(recorder.checkpoints).hasSize(25);
    for (int i = 0; i < recorder.checkpoints.size(); i++) {
      byte[] checkpoint = recorder.checkpoints.get(i);
      var again = new Recorder();
      ResidualQuantizerTrainer.Result result =
          trainer.resume(
              rows,
              from,
              TrainingCheckpointFormat.read(new ByteArrayInputStream(checkpoint)),
              again);
      assertThat(result.codebook().fingerprint()).isEqualTo(expected.codebook().fingerprint());
      assertThat(result.counts().toArray(long[][]::new))
          .isDeepEqualTo(expected.counts().toArray(long[][]::new));
      assertThat(result.bufferRows()).isEqualTo(expected.bufferRows());
      List<IterationStats> left =
          recorder.steps.subList(recorder.stepsBefore.get(i), recorder.steps.size());
      assertThat(again.steps).isEqualTo(left);
      assertThat(again.checkpoints.getFirst()).isEqualTo(checkpoint);
    }
    return expected;
  }

  @Test
  void resume_ofOtherSettings_isRefused() throws IOException {
    try (var pool = new WorkerPool(1, "test");
        var backend = new JavaBackend();
        VectorSource rows = rows()) {
      var recorder = new Recorder();
      new ResidualQuantizerTrainer(config(true, true, true, 100), backend, pool)
          .train(rows, recorder);
      var jointly = new ResidualQuantizerTrainer(config(true, false, true, 100), backend, pool);
      TrainingCheckpoint oneLevel =
          TrainingCheckpointFormat.read(new ByteArrayInputStream(recorder.checkpoints.getFirst()));
      assertThatIllegalArgumentException()
          .isThrownBy(() -> jointly.resume(rows, null, oneLevel, TrainingListener.NONE));
    }
  }

  @Test
  void read_damaged_isRefusedOrReadsAsSomething() throws IOException {
    byte[] whole =
        bytes(
            new TrainingCheckpoint(
                List.of(new float[] {1, 2, 3, 4, 5}),
                List.of(new long[] {9}),
                List.of(3),
                1,
                2,
                3));
    TrainingCheckpoint read = TrainingCheckpointFormat.read(new ByteArrayInputStream(whole));
    assertThat(read.centroids().getFirst()).containsExactly(1, 2, 3, 4, 5);
    assertThat(read.counts().getFirst()).containsExactly(9);
    assertThat(List.of(read.bufferRows().getFirst(), read.steps())).containsExactly(3, 1);
    assertThat(read.pass()).isEqualTo(2);
    assertThat(read.position()).isEqualTo(3);
    for (int length = 0; length < whole.length; length++) {
      byte[] cut = Arrays.copyOf(whole, length);
      assertThatThrownBy(() -> TrainingCheckpointFormat.read(new ByteArrayInputStream(cut)))
          .isInstanceOf(FormatException.class);
    }
    for (int i = 0; i < whole.length; i++) {
      byte[] flipped = whole.clone();
      flipped[i] ^= 4;
      try {
        TrainingCheckpointFormat.read(new ByteArrayInputStream(flipped));
      } catch (FormatException e) {
        assertThat(e).hasMessageNotContaining("null");
      }
    }
  }
}
