package dev.semanticid.core.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The definition of training, as plainly as it can be written: float64, one row after the other,
 * batches in the order of the data. Deliberately shares nothing with the code under test but its
 * settings.
 */
final class ReferenceTrainer {

  /** What is expected of one step; inertia and ratio are NaN while a buffer fills. */
  record Step(
      int level,
      boolean update,
      int number,
      int of,
      int rows,
      double loss,
      double inertia,
      double ratio) {}

  /** What a training ends with. */
  record Outcome(
      List<float[]> centroids, List<long[]> counts, List<Integer> bufferRows, List<Step> steps) {}

  private final ResidualQuantizerConfig config;
  private final float[] data;
  private final int d;
  private final int n;
  private final int levels;
  private final List<float[]> initial;
  private final List<float[]> centroids;
  private final boolean[] initialized;
  private final List<long[]> counts = new ArrayList<>();
  private final int[] buffered;
  private final int[] offered;
  private final int[] fillSteps;
  private final int[] updateSteps;
  private final List<Step> steps = new ArrayList<>();
  private int next;

  private ReferenceTrainer(
      ResidualQuantizerConfig config, float[] data, List<float[]> initialCentroids) {
    this.config = config;
    this.data = data;
    this.d = config.embeddingDim();
    this.n = data.length / d;
    this.levels = config.codebookWidths().size();
    this.initial = initialCentroids;
    this.centroids = new ArrayList<>(initialCentroids);
    this.initialized = new boolean[levels];
    this.buffered = new int[levels];
    this.offered = new int[levels];
    this.fillSteps = new int[levels];
    this.updateSteps = new int[levels];
    config.codebookWidths().forEach(width -> counts.add(new long[width]));
  }

  /** Trains on n × d rows from given first centroids; the settings must not ask for a shuffle. */
  static Outcome train(
      ResidualQuantizerConfig config, float[] data, List<float[]> initialCentroids) {
    return new ReferenceTrainer(config, data, initialCentroids).run();
  }

  /** Trains further from centroids that have absorbed so many rows: no buffer is filled. */
  static Outcome trainFrom(
      ResidualQuantizerConfig config,
      float[] data,
      List<float[]> centroids,
      List<long[]> absorbed) {
    var trainer = new ReferenceTrainer(config, data, centroids);
    Arrays.fill(trainer.initialized, true);
    trainer.counts.clear();
    absorbed.forEach(counts -> trainer.counts.add(counts.clone()));
    return trainer.run();
  }

  private Outcome run() {
    if (config.shuffle()) {
      throw new IllegalArgumentException("the reference follows the order of the data");
    }
    if (config.trainLayerWise()) {
      layerWise();
    } else {
      jointly();
    }
    return new Outcome(centroids, counts, Arrays.stream(buffered).boxed().toList(), steps);
  }

  private void layerWise() {
    int stepsPerLevel = config.maxSteps() / levels;
    for (int l = 0; l < levels; l++) {
      while (!initialized[l]) {
        List<Row> batch = batch();
        descend(batch, l);
        fill(batch, l, stepsPerLevel);
      }
      for (int step = 0; step < stepsPerLevel; step++) {
        List<Row> batch = batch();
        descend(batch, l);
        update(batch, l, stepsPerLevel);
      }
    }
  }

  private void jointly() {
    int updates = 0;
    while (updates < config.maxSteps()) {
      boolean allInitialized = initialized[levels - 1];
      List<Row> batch = batch();
      for (int l = 0; l < levels; l++) {
        if (l > 0 && !initialized[l - 1]) {
          break;
        }
        for (Row row : batch) {
          row.enter(l);
        }
        if (!initialized[l]) {
          fill(batch, l, config.maxSteps());
        }
        if (initialized[l]) {
          float[] before = centroids.get(l);
          if (allInitialized) {
            update(batch, l, config.maxSteps());
          }
          for (Row row : batch) {
            row.leave(before);
          }
        }
      }
      updates += allInitialized ? 1 : 0;
    }
  }

  private List<Row> batch() {
    var batch = new ArrayList<Row>();
    for (int i = 0; i < Math.min(config.batchSize(), n); i++) {
      batch.add(new Row(next));
      next = (next + 1) % n;
    }
    return batch;
  }

  private void descend(List<Row> batch, int level) {
    for (Row row : batch) {
      for (int l = 0; l < level; l++) {
        row.enter(l);
        row.leave(centroids.get(l));
      }
      row.enter(level);
    }
  }

  /** Steps 1 and 2: rows go to the buffer; when it is full the given centroids are taken. */
  private void fill(List<Row> batch, int l, int of) {
    int capacity = Math.min(config.initBufferSize(), n);
    int taken = 0;
    for (Row row : batch) {
      if (!row.exhausted && buffered[l] < capacity) {
        buffered[l]++;
        taken++;
      }
    }
    offered[l] += batch.size();
    steps.add(new Step(l, false, ++fillSteps[l], of, taken, 0, Double.NaN, Double.NaN));
    if (buffered[l] == capacity || offered[l] >= n) {
      initialized[l] = true;
      centroids.set(l, initial.get(l).clone());
    }
  }

  /** Step 3. */
  private void update(List<Row> batch, int l, int of) {
    float[] old = centroids.get(l);
    int width = old.length / d;
    long[] total = counts.get(l);
    int[] count = new int[width];
    double[][] mean = new double[width][d];
    double inertia = 0;
    double input = 0;
    int rows = 0;
    for (Row row : batch) {
      input += row.inputSquared;
      if (row.exhausted) {
        continue;
      }
      int k = row.nearest(old);
      rows++;
      count[k]++;
      for (int i = 0; i < d; i++) {
        mean[k][i] += row.u[i];
        double difference = row.u[i] - old[k * d + i];
        inertia += difference * difference;
      }
    }
    float[] moved = old.clone();
    double loss = 0;
    for (int k = 0; k < width; k++) {
      if (count[k] > 0) {
        total[k] += count[k];
        double share = count[k] / (double) total[k];
        for (int i = 0; i < d; i++) {
          double gap = old[k * d + i] - mean[k][i] / count[k];
          loss += share * gap * gap;
          moved[k * d + i] = (float) (old[k * d + i] - 2 * config.learningRate() * share * gap);
        }
      }
    }
    centroids.set(l, moved);
    double ratio = config.trackResiduals() && input > 0 ? Math.sqrt(inertia / input) : Double.NaN;
    steps.add(new Step(l, true, ++updateSteps[l], of, rows, loss, inertia, ratio));
  }

  /** A row on its way down the levels. */
  private final class Row {

    private final double[] u = new double[d];
    private boolean exhausted;
    private double inputSquared;

    Row(int index) {
      for (int i = 0; i < d; i++) {
        u[i] = data[index * d + i];
      }
    }

    void enter(int level) {
      if (config.normalizeResiduals()) {
        double squares = 0;
        for (double component : u) {
          squares += component * component;
        }
        double norm = Math.sqrt(squares);
        exhausted |= level == 0 ? norm == 0 : norm <= 1e-6;
        for (int i = 0; i < d; i++) {
          u[i] = exhausted ? 0 : u[i] / norm;
        }
      }
      if (level == 0) {
        for (double component : u) {
          inputSquared += component * component;
        }
      }
    }

    int nearest(float[] level) {
      int best = 0;
      double smallest = Double.POSITIVE_INFINITY;
      for (int k = 0; k < level.length / d; k++) {
        double squares = 0;
        for (int i = 0; i < d; i++) {
          squares += (u[i] - level[k * d + i]) * (u[i] - level[k * d + i]);
        }
        if (0.5 * squares < smallest) {
          smallest = 0.5 * squares;
          best = k;
        }
      }
      return best;
    }

    void leave(float[] level) {
      int k = nearest(level);
      for (int i = 0; i < d; i++) {
        u[i] -= level[k * d + i];
      }
    }
  }
}
