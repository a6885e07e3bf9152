package dev.semanticid.core.train;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.ExactDistance;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.search.CertifiedSearch;
import java.util.Arrays;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/**
 * Finds weights under which the centroids of a level get about equally many rows: the cells become
 * a power diagram, whose weights are the dual variables of a transport from rows to centroids of
 * equal capacity (Aurenhammer, Hoffmann & Aronov 1998, "Minkowski-type theorems and least-squares
 * clustering"). What balanced k-means and Sinkhorn variants reach with a plan of rows × centroids,
 * a number per centroid keeps, so that encoding stays one argmin.
 *
 * <p>Sought is not the transport of exactly equal loads, which outliers make dear, but the least
 * squares whose loads have the perplexity wanted: with a price λ of uneven loads, {@code Σ ½‖u −
 * C[k]‖² + λ·n·KL(loads ‖ even)} is least where {@code w[k] = λ·log(n_k/even)}. Weights step
 * towards that while the price rises; every weight has a step of its own, which grows while it goes
 * one way and shrinks when it turns (Riedmiller & Braun 1993, "RPROP"). Centroids stay where they
 * are meanwhile: stepping weights while centroids move diverges.
 */
final class LevelBalancer {

  /** How often weights are sought, and centroids then moved to the means of their rows. */
  static final int ROUNDS = 3;

  /** Weights are good enough at this share of the largest perplexity. */
  private static final double TARGET = 0.956;

  private static final int MOST_STEPS = 60;

  /** The first price, in units of the mean of ½‖u − C[k]‖². */
  private static final double FIRST_PRICE = 0.03;

  private static final double RISE = 1.3;
  private static final int STEPS_PER_PRICE = 4;
  private static final double FIRST_STEP = 0.01;
  private static final double GROW = 1.2;
  private static final double SHRINK = 0.5;
  private static final int BLOCK_ROWS = 64;

  private final LevelKMeans level;
  private final WorkerPool pool;
  private final TrainingListener listener;
  private final float[] rows;
  private final int d;
  private final int n;
  private final int width;
  private final double[] weights;
  private final double[] steps;
  private final int[] directions;

  /** λ. */
  private double price;

  private final Queue<Block> idle = new ConcurrentLinkedQueue<>();

  /**
   * @param rows what the level quantizes, n × d, row-major, float32
   * @param listener hears of every assignment of these rows
   */
  LevelBalancer(LevelKMeans level, float[] rows, WorkerPool pool, TrainingListener listener) {
    this.listener = listener;
    this.level = level;
    this.pool = pool;
    this.rows = rows;
    this.d = level.search().centroids().dimension();
    this.n = rows.length / d;
    this.width = level.search().centroids().width();
    this.weights = new double[width];
    this.steps = new double[width];
    this.directions = new int[width];
    for (int k = 0; k < width; k++) {
      weights[k] = level.search().centroids().weights()[k];
    }
  }

  /** Seeks weights for the centroids as they are; gives the perplexity reached over the rows. */
  double step() {
    if (n < width || width == 1) {
      return width;
    }
    double perplexity = 0;
    for (int step = 0; step < MOST_STEPS; step++) {
      Load load = load();
      listener.onRows(n);
      perplexity = load.perplexity(n);
      if (perplexity >= TARGET * width || load.halfSquares == 0) {
        break;
      }
      double unit = load.halfSquares / n;
      if (step == 0) {
        price = Math.max(price, FIRST_PRICE * unit);
        Arrays.fill(steps, FIRST_STEP * unit);
        Arrays.fill(directions, 0);
      }
      move(load.counts);
      level.reweigh(rounded());
      if (step % STEPS_PER_PRICE == STEPS_PER_PRICE - 1) {
        price *= RISE;
      }
    }
    return perplexity;
  }

  private void move(long[] counts) {
    double even = (double) n / width;
    for (int k = 0; k < width; k++) {
      double wanted = price * Math.log((counts[k] + 0.5) / even);
      int direction = wanted > weights[k] ? 1 : -1;
      if (directions[k] != 0) {
        steps[k] *= direction == directions[k] ? GROW : SHRINK;
      }
      double most = Math.abs(wanted - weights[k]);
      weights[k] += direction * Math.min(most, steps[k]);
      directions[k] = direction;
    }
  }

  private float[] rounded() {
    float[] w = new float[width];
    for (int k = 0; k < width; k++) {
      w[k] = (float) Math.clamp(weights[k], -Codebook.LARGEST_WEIGHT, Codebook.LARGEST_WEIGHT);
    }
    return w;
  }

  /** How many rows each centroid gets, and the sum of ½‖u − C[k]‖². */
  private record Load(long[] counts, double halfSquares) {
    double perplexity(int n) {
      double entropy = 0;
      for (long count : counts) {
        if (count > 0) {
          double p = (double) count / n;
          entropy -= p * Math.log(p);
        }
      }
      return Math.exp(entropy);
    }
  }

  private Load load() {
    int blocks = (n + BLOCK_ROWS - 1) / BLOCK_ROWS;
    int[] codes = new int[n];
    double[] squares = new double[blocks];
    pool.forEach(
        blocks,
        i -> {
          Block block = idle.poll();
          if (block == null) {
            block = new Block();
          }
          int begin = i * BLOCK_ROWS;
          squares[i] = block.assign(begin, Math.min(BLOCK_ROWS, n - begin), codes);
          idle.add(block);
        });
    long[] counts = new long[width];
    for (int code : codes) {
      counts[code]++;
    }
    double sum = 0;
    for (double square : squares) {
      sum += square;
    }
    return new Load(counts, sum);
  }

  /** Working memory of a thread. */
  private final class Block {

    private final double[] u = new double[BLOCK_ROWS * d];
    private final double[] norms = new double[BLOCK_ROWS];
    private final CertifiedSearch.Scratch scratch = new CertifiedSearch.Scratch();

    double assign(int begin, int count, int[] codes) {
      for (int i = 0; i < count * d; i++) {
        u[i] = rows[begin * d + i];
      }
      ExactDistance.norms(u, count, d, norms);
      CertifiedSearch search = level.search();
      search.assign(u, norms, count, codes, begin, 1, scratch);
      double sum = 0;
      for (int row = 0; row < count; row++) {
        sum +=
            ExactDistance.halfSquared(
                u, row * d, search.centroids().data(), codes[begin + row] * d, d);
      }
      return sum;
    }
  }
}
