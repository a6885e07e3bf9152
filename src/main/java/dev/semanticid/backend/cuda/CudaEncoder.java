package dev.semanticid.backend.cuda;

import dev.semanticid.core.compute.DeviceEncoder;
import dev.semanticid.core.compute.DeviceModel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** A codebook on the device, and the kernel that encodes with it ({@code quantizer.cu}). */
final class CudaEncoder implements DeviceEncoder {

  /** As many as the kernel has room for. */
  static final int MOST_LEVELS = 16;

  /** Vectors and products of a batch, about. */
  private static final long BATCH_BYTES = 16 << 20;

  /** What a lane takes for one: those twice, as two codebooks differ in them, and codes. */
  static final long LANE_BYTES = Lane.WORKSPACE_BYTES + 2 * BATCH_BYTES;

  private static final int WARP = 32;
  private static final int ROWS_PER_BLOCK = 4;

  /** Bytes of the kernel's argument {@code Codebook}. */
  private static final long MODEL_BYTES = 4 * 4 + 2 * 8 + 12 * 8;

  private final CudaBackend backend;
  private final DeviceData data;
  private final int dimension;
  private final int levels;
  private final int totalWidth;
  private final long matrix;
  private final int blockRows;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment argument;

  CudaEncoder(CudaBackend backend, DeviceModel model, double gamma) {
    this.backend = backend;
    this.dimension = model.dimension();
    this.levels = model.levels().size();
    this.totalWidth = model.totalWidth();
    this.blockRows = Math.clamp(BATCH_BYTES / (4L * (dimension + totalWidth)), 1, 1 << 16);
    this.data = new DeviceData(backend);
    this.argument = arena.allocate(MODEL_BYTES, 8);
    try {
      this.matrix = write(model, gamma);
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /** Lays out what the kernel calls Codebook; gives the address of the centroids. */
  private long write(DeviceModel model, double gamma) {
    float[] centroids = new float[Math.multiplyExact(totalWidth, dimension)];
    float[] offsets = new float[totalWidth];
    double[] offsets64 = new double[totalWidth];
    double[] squaredNorms = new double[totalWidth];
    double[] norms = new double[totalWidth];
    double[] maxNorms = new double[levels];
    double[] maxWeights = new double[levels];
    int[] begins = new int[levels + 1];
    double maxNorm = 0;
    for (int l = 0; l < levels; l++) {
      DeviceModel.Level level = model.levels().get(l);
      int begin = begins[l];
      int width = level.width();
      begins[l + 1] = begin + width;
      System.arraycopy(level.centroids(), 0, centroids, begin * dimension, width * dimension);
      System.arraycopy(level.offsets(), 0, offsets64, begin, width);
      System.arraycopy(level.squaredNorms(), 0, squaredNorms, begin, width);
      System.arraycopy(level.norms(), 0, norms, begin, width);
      for (int k = 0; k < width; k++) {
        offsets[begin + k] = (float) level.offsets()[k];
      }
      maxNorms[l] = level.maxNorm();
      maxWeights[l] = level.maxWeight();
      maxNorm = Math.max(maxNorm, level.maxNorm());
    }
    long[] gramBegins = new long[levels * levels];
    int total = 0;
    for (int l = 1; l < levels; l++) {
      for (int j = 0; j < l; j++) {
        gramBegins[j * levels + l] = total;
        total += model.tables()[j * levels + l].length;
      }
    }
    double[] grams64 = new double[total];
    float[] grams = new float[total];
    for (int l = 1; l < levels; l++) {
      for (int j = 0; j < l; j++) {
        double[] table = model.tables()[j * levels + l];
        System.arraycopy(table, 0, grams64, (int) gramBegins[j * levels + l], table.length);
      }
    }
    for (int i = 0; i < total; i++) {
      grams[i] = (float) grams64[i];
    }
    int at = 0;
    for (int number : new int[] {dimension, levels, totalWidth, model.normalized() ? 1 : 0}) {
      argument.set(ValueLayout.JAVA_INT, at, number);
      at += 4;
    }
    argument.set(ValueLayout.JAVA_DOUBLE, at, gamma);
    argument.set(ValueLayout.JAVA_DOUBLE, at + 8, maxNorm);
    at += 16;
    long address = data.add(centroids, centroids.length);
    for (long pointer :
        List.of(
            address,
            data.add(offsets, totalWidth),
            data.add(offsets64),
            data.add(squaredNorms),
            data.add(norms),
            data.add(maxNorms),
            data.add(maxWeights),
            data.add(begins),
            data.add(grams, total),
            data.add(grams64),
            data.add(gramBegins),
            data.add(model.zeroCodes()))) {
      argument.set(ValueLayout.JAVA_LONG, at, pointer);
      at += 8;
    }
    return address;
  }

  @Override
  public int blockRows() {
    return blockRows;
  }

  @Override
  public long bytes() {
    return data.bytes();
  }

  @Override
  public void encode(float[] vectors, int offset, int n, int[] codes, int codesBegin) {
    backend.runOnLane(lane -> {
      CudaDriver driver = backend.driver();
      long bytes = 4L * n * levels;
      long result = lane.codes(bytes);
      long there = lane.send(vectors, offset, n * dimension, bytes);
      encodeThere(lane, there, n, lane.products(4L * n * totalWidth), result);
      MemorySegment host = lane.host(bytes);
      driver.copyToHost(host, result, bytes, lane.stream());
      driver.synchronize(lane.stream());
      MemorySegment.copy(host, ValueLayout.JAVA_INT, 0, codes, codesBegin, n * levels);
    });
  }

  /**
   * Begins to encode rows that are on the device; all addresses are there.
   *
   * @param vectors n × d
   * @param products receives n × all centroids
   * @param codes receives n × L
   */
  void encodeThere(Lane lane, long vectors, int n, long products, long codes) {
    lane.multiply(vectors, n, matrix, totalWidth, dimension, products);
    try (Arena call = Arena.ofConfined()) {
      MemorySegment parameters = call.allocate(ValueLayout.ADDRESS, 5);
      parameters.setAtIndex(ValueLayout.ADDRESS, 0, argument);
      parameters.setAtIndex(
          ValueLayout.ADDRESS, 1, call.allocateFrom(ValueLayout.JAVA_LONG, vectors));
      parameters.setAtIndex(
          ValueLayout.ADDRESS, 2, call.allocateFrom(ValueLayout.JAVA_LONG, products));
      parameters.setAtIndex(ValueLayout.ADDRESS, 3, call.allocateFrom(ValueLayout.JAVA_INT, n));
      parameters.setAtIndex(
          ValueLayout.ADDRESS, 4, call.allocateFrom(ValueLayout.JAVA_LONG, codes));
      backend
          .driver()
          .launch(
              backend.quantize(),
              (n + ROWS_PER_BLOCK - 1) / ROWS_PER_BLOCK,
              ROWS_PER_BLOCK * WARP,
              lane.stream(),
              parameters);
    }
  }

  @Override
  public void close() {
    data.close();
    arena.close();
  }
}
