package dev.semanticid.core.train;

import dev.semanticid.format.TrainingCheckpointFormat;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * A kind of training, for tests that hold for all of them.
 *
 * @param tolerance of Lloyd's algorithm
 * @param refine rounds of refinement
 */
record TrainingKind(
    Algorithm algorithm,
    double tolerance,
    int refine,
    int beam,
    boolean balance,
    boolean normalize,
    boolean layerWise) {

  /** Every way to train, raw and normalised. */
  static Stream<TrainingKind> all() {
    var kinds = new ArrayList<TrainingKind>();
    for (boolean normalize : new boolean[] {true, false}) {
      for (Algorithm algorithm : Algorithm.values()) {
        kinds.add(new TrainingKind(algorithm, 1e-4, 0, 1, false, normalize, true));
        kinds.add(new TrainingKind(algorithm, 1e-4, 0, 1, true, normalize, true));
        kinds.add(new TrainingKind(algorithm, 1e-4, 3, 1, false, normalize, true));
        kinds.add(new TrainingKind(algorithm, 1e-4, 3, 4, false, normalize, true));
      }
      kinds.add(new TrainingKind(Algorithm.MINIBATCH_KMEANS, 1e-4, 3, 4, false, normalize, false));
      kinds.add(new TrainingKind(Algorithm.LLOYD, 0.1, 3, 1, false, normalize, true));
      kinds.add(new TrainingKind(Algorithm.LLOYD, 0.1, 0, 1, true, normalize, true));
      kinds.add(new TrainingKind(Algorithm.LLOYD, 0, 0, 4, false, normalize, true));
    }
    return kinds.stream();
  }

  /** Its settings, with rows in a random order and k-means++. */
  ResidualQuantizerConfig config(
      int d, List<Integer> widths, int bufferRows, int batchRows, int maxSteps) {
    return new ResidualQuantizerConfig(
            d,
            widths,
            bufferRows,
            batchRows,
            maxSteps,
            0.5,
            normalize,
            layerWise,
            true,
            true,
            CentroidInitializer.KMEANS_PLUS_PLUS,
            42)
        .with(algorithm, tolerance, refine, beam, balance);
  }

  /** Hears everything, and keeps checkpoints as the bytes that they are written as. */
  static final class Recorder implements TrainingListener {

    private final int dimension;
    private final List<IterationStats> steps = new ArrayList<>();
    private final List<byte[]> checkpoints = new ArrayList<>();
    private final List<Integer> stepsBefore = new ArrayList<>();

    /**
     * @param dimension components of a centroid
     */
    Recorder(int dimension) {
      this.dimension = dimension;
    }

    @Override
    public void onStep(IterationStats stats) {
      steps.add(stats);
    }

    @Override
    public void onCheckpoint(Supplier<TrainingCheckpoint> checkpoint) {
      stepsBefore.add(steps.size());
      var out = new ByteArrayOutputStream();
      try {
        TrainingCheckpointFormat.write(checkpoint.get(), dimension, out);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      checkpoints.add(out.toByteArray());
    }

    /** All steps. */
    List<IterationStats> steps() {
      return steps;
    }

    /** The steps behind a checkpoint. */
    List<IterationStats> stepsAfter(int checkpoint) {
      return steps.subList(stepsBefore.get(checkpoint), steps.size());
    }

    /** All checkpoints. */
    List<byte[]> checkpoints() {
      return checkpoints;
    }
  }

  /** n rows around {@code centers} random points, of different lengths. */
  static float[] clustered(SplittableRandom random, int n, int d, int centers) {
    float[] center = gaussians(random, centers * d, 1);
    float[] rows = gaussians(random, n * d, 0.15);
    for (int row = 0; row < n; row++) {
      int at = random.nextInt(centers) * d;
      float length = 0.5f + random.nextFloat();
      for (int i = 0; i < d; i++) {
        rows[row * d + i] = length * (rows[row * d + i] + center[at + i]);
      }
    }
    return rows;
  }

  static float[] gaussians(SplittableRandom random, int length, double size) {
    float[] values = new float[length];
    for (int i = 0; i < length; i++) {
      values[i] = (float) (size * random.nextGaussian());
    }
    return values;
  }
}
