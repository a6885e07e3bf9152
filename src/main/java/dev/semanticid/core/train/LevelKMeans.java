package dev.semanticid.core.train;

import dev.semanticid.core.codebook.Centroids;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.Int8Backend;
import dev.semanticid.core.compute.ResidentCodebook;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.search.CertifiedSearch;
import dev.semanticid.core.search.FasterWay;
import dev.semanticid.core.search.Int8Screen;
import java.util.Arrays;
import java.util.Locale;
import java.util.Objects;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * The centroids of one level while they are trained: a buffer of rows from which the first are
 * chosen, then either Sculley's mini-batch k-means (Sculley 2010, "Web-Scale K-Means Clustering"):
 * for a batch with n_k rows of mean m_k assigned to centroid k, and N_k all rows it was ever
 * assigned,
 *
 * <pre>C[k] ← C[k] − 2·lr·(n_k/N_k)·(C[k] − m_k)</pre>
 *
 * or Lloyd's (Lloyd 1982, "Least squares quantization in PCM"): after a pass over all rows, each
 * centroid is the mean of its rows.
 *
 * <p>Centroids are float32 between steps, so a stored codebook is a complete state; sums and means
 * are float64 in row order, shared out among threads by component, so their bits do not depend on
 * threads.
 */
public final class LevelKMeans implements AutoCloseable {

  private static final int COMPONENTS_PER_TASK = 128;

  /** Where a cluster is split in two, its centroids part by this share of each component. */
  private static final double SPLIT = 1.0 / 1024;

  private final int width;
  private final int dimension;
  private final ComputeBackend backend;
  private final @Nullable Int8Backend int8;
  private final FasterWay faster;
  private final WorkerPool pool;
  private final long[] counts;
  private final long[] sumCounts;
  private final double[] sums;
  private final int bufferRows;
  private float @Nullable [] buffer;

  /** The centroids before the current ones, whose memory the next ones take. */
  private float @Nullable [] spare;

  private int buffered;
  private @Nullable CertifiedSearch search;
  private @Nullable ResidentCodebook resident;
  private @Nullable Int8Screen screen;
  private long sumRows;
  private double sumSquaredNorms;

  /**
   * @param width number of centroids K
   * @param dimension components d
   * @param bufferRows rows from which the first centroids are chosen
   * @param backend where centroids live
   * @param int8 where their 8-bit copies live, or null for none
   * @param faster which of both has been faster
   * @param pool the threads that sum up batches
   */
  public LevelKMeans(
      int width,
      int dimension,
      int bufferRows,
      ComputeBackend backend,
      @Nullable Int8Backend int8,
      FasterWay faster,
      WorkerPool pool) {
    this.width = width;
    this.dimension = dimension;
    this.backend = backend;
    this.int8 = int8;
    this.faster = faster;
    this.pool = pool;
    this.counts = new long[width];
    this.sumCounts = new long[width];
    this.sums = new double[Math.multiplyExact(width, dimension)];
    this.bufferRows = bufferRows;
    Math.multiplyExact(bufferRows, dimension);
  }

  /** Whether the first centroids are chosen. */
  public boolean initialized() {
    return search != null;
  }

  /** Whether the buffer is full. */
  public boolean bufferFull() {
    return buffered == bufferRows;
  }

  /** Rows that the first centroids were, or will be, chosen from. */
  public int bufferedRows() {
    return buffered;
  }

  /** Adds one row, rounded to float32, unless the buffer is full. */
  public void offer(double[] u, int uBegin) {
    if (initialized() || bufferFull()) {
      return;
    }
    if (buffer == null) {
      buffer = new float[bufferRows * dimension];
    }
    int begin = buffered++ * dimension;
    for (int i = 0; i < dimension; i++) {
      buffer[begin + i] = (float) u[uBegin + i];
    }
  }

  /** Chooses the first centroids from the buffer; all zero if no row ever reached it. */
  public void initialize(CentroidInitializer initializer, RandomGenerator random) {
    if (initialized()) {
      throw new IllegalStateException("the level is initialised already");
    }
    float[] points = buffer;
    start(
        points == null
            ? new float[width * dimension]
            : initializer.initialize(points, buffered, dimension, width, random, pool));
  }

  /** Starts from given centroids, K × d, row-major, instead of choosing them. */
  public void start(float[] centroids) {
    if (centroids.length != width * dimension) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%d centroids of dimension %d are %d components, got %d",
              width,
              dimension,
              width * dimension,
              centroids.length));
    }
    buffer = null;
    replace(centroids.clone());
  }

  /**
   * Continues where another one stopped.
   *
   * @param centroids K × d, row-major
   * @param absorbed rows N_k that each centroid had absorbed
   * @param chosenFrom rows that the first centroids were chosen from
   */
  public void resume(float[] centroids, long[] absorbed, int chosenFrom) {
    if (absorbed.length != width) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "%d centroids need as many counts, got %d", width, absorbed.length));
    }
    start(centroids);
    System.arraycopy(absorbed, 0, counts, 0, width);
    buffered = chosenFrom;
  }

  private void replace(float[] data) {
    ResidentCodebook old = resident;
    float[] weights = search == null ? new float[width] : search.centroids().weights();
    var centroids = new Centroids(data, width, dimension, weights);
    ResidentCodebook made = backend.makeResident(data, width, dimension);
    resident = made;
    Int8Screen oldScreen = screen;
    if (int8 != null) {
      screen = new Int8Screen(centroids, int8);
    }
    search = new CertifiedSearch(centroids, made, backend.gamma(dimension), screen, faster);
    if (old != null) {
      old.close();
    }
    if (oldScreen != null) {
      oldScreen.close();
    }
  }

  /** Gives the centroids other weights, {@code width} of them, kept and not to be written. */
  public void reweigh(float[] weights) {
    if (weights.length != width) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "%d centroids need as many weights, got %d", width, weights.length));
    }
    var centroids = new Centroids(search().centroids().data(), width, dimension, weights);
    search =
        new CertifiedSearch(
            centroids, Objects.requireNonNull(resident), backend.gamma(dimension), screen, faster);
  }

  /** The search among the current centroids; they must be initialised. */
  public CertifiedSearch search() {
    if (search == null) {
      throw new IllegalStateException("the level has no centroids yet");
    }
    return search;
  }

  /** Rows N_k that each centroid has absorbed; a copy. */
  public long[] counts() {
    return counts.clone();
  }

  /** A block of assigned rows of the current batch. */
  public interface AssignedBlock {
    /** Rows in the block. */
    int rows();

    /** rows × d, row-major. */
    double[] vectors();

    /** The centroid of a row, or −1 if the row is to be left out. */
    int code(int row);
  }

  /**
   * Adds a batch to the sums by centroid, row after row in the order given; the next update uses
   * them up.
   *
   * @param blocks the batch
   */
  public void accumulate(Iterable<? extends AssignedBlock> blocks) {
    for (AssignedBlock block : blocks) {
      for (int row = 0; row < block.rows(); row++) {
        int code = block.code(row);
        if (code >= 0) {
          sumCounts[code]++;
          sumRows++;
        }
      }
    }
    int tasks = (dimension + COMPONENTS_PER_TASK - 1) / COMPONENTS_PER_TASK;
    double[] squares = new double[tasks];
    pool.forEach(
        tasks,
        task -> {
          int from = task * COMPONENTS_PER_TASK;
          int to = Math.min(dimension, from + COMPONENTS_PER_TASK);
          for (AssignedBlock block : blocks) {
            double[] vectors = block.vectors();
            for (int row = 0; row < block.rows(); row++) {
              int code = block.code(row);
              if (code >= 0) {
                squares[task] += add(vectors, row * dimension, code * dimension, from, to);
              }
            }
          }
        });
    for (double square : squares) {
      sumSquaredNorms += square;
    }
  }

  private double add(double[] vectors, int u, int c, int from, int to) {
    for (int i = from; i < to; i++) {
      sums[c + i] += vectors[u + i];
    }
    double squares = 0;
    for (int i = from; i < to; i++) {
      squares += vectors[u + i] * vectors[u + i];
    }
    return squares;
  }

  /**
   * What one update found before it moved the centroids.
   *
   * @param rows rows that took part
   * @param loss Σ_k (n_k/N_k)·‖C[k] − m_k‖²
   * @param inertia Σ‖u − C[k]‖²
   */
  public record Update(long rows, double loss, double inertia) {}

  /** Moves the centroids by the batch accumulated, by Sculley's rule. */
  public Update update(double learningRate) {
    return update(learningRate, 0);
  }

  /**
   * @param fewest rows that a cluster must have to keep its centroid
   */
  private Update update(double learningRate, double fewest) {
    float[] old = search().centroids().data();
    float[] moved = spare == null ? new float[old.length] : spare;
    System.arraycopy(old, 0, moved, 0, old.length);
    double loss = 0;
    double inertia = sumSquaredNorms;
    for (int k = 0; k < width; k++) {
      long n = sumCounts[k];
      if (n == 0) {
        continue;
      }
      counts[k] += n;
      double share = (double) n / counts[k];
      double squared = 0;
      double product = 0;
      double norm = 0;
      for (int i = k * dimension; i < (k + 1) * dimension; i++) {
        double c = old[i];
        double difference = c - sums[i] / n;
        squared += difference * difference;
        product += c * sums[i];
        norm += c * c;
        moved[i] = (float) (c - 2 * learningRate * share * difference);
      }
      loss += share * squared;
      inertia += n * norm - 2 * product;
    }
    var update = new Update(sumRows, loss, Math.max(0, inertia));
    if (fewest > 0) {
      splitLargest(moved, fewest);
    }
    replace(moved);
    spare = old;
    clear();
    return update;
  }

  /**
   * Makes every centroid the mean of the rows accumulated, by Lloyd's rule, and their number its
   * count. One without rows takes half of the cluster that has most, as in Faiss: both begin next
   * to its mean.
   *
   * @param few one with less than this share of the mean number of rows does so, too. k-means++
   *     chooses outliers, and Lloyd's rule leaves each of them its centroid, though a large cluster
   *     would gain more by it
   */
  public Update recentre(double few) {
    Arrays.fill(counts, 0);
    return update(0.5, Math.max(1, few * sumRows / width));
  }

  private void splitLargest(float[] moved, double fewest) {
    for (int k = 0; k < width; k++) {
      if (counts[k] >= fewest) {
        continue;
      }
      int largest = 0;
      for (int other = 1; other < width; other++) {
        if (counts[other] > counts[largest]) {
          largest = other;
        }
      }
      if (counts[largest] < 2 || largest == k) {
        return;
      }
      for (int i = 0; i < dimension; i++) {
        float mean = moved[largest * dimension + i];
        double part = i % 2 == 0 ? SPLIT : -SPLIT;
        moved[k * dimension + i] = (float) (mean * (1 + part));
        moved[largest * dimension + i] = (float) (mean * (1 - part));
      }
      counts[k] = counts[largest] / 2;
      counts[largest] -= counts[k];
    }
  }

  private void clear() {
    Arrays.fill(sumCounts, 0);
    Arrays.fill(sums, 0);
    sumRows = 0;
    sumSquaredNorms = 0;
  }

  @Override
  public void close() {
    if (resident != null) {
      resident.close();
      resident = null;
    }
    if (screen != null) {
      screen.close();
      screen = null;
    }
  }
}
