package dev.semanticid.core.compute;

/**
 * The portable backend: plain Java on the calling thread. Centroids are stored transposed, so that
 * the inner loop runs across centroids and the just-in-time compiler vectorises it without
 * reordering any sum.
 */
public final class JavaBackend implements ComputeBackend {

  private static final int TILE = 512;

  @Override
  public String name() {
    return "cpu";
  }

  @Override
  public String device() {
    return "CPU, Java %s".formatted(Runtime.version().feature());
  }

  @Override
  public ResidentCodebook makeResident(float[] matrix, int rows, int dimension) {
    ComputeBackend.requireShape(matrix, rows, dimension);
    float[] transposed = new float[rows * dimension];
    for (int k = 0; k < rows; k++) {
      for (int i = 0; i < dimension; i++) {
        transposed[i * rows + k] = matrix[k * dimension + i];
      }
    }
    return new Transposed(transposed, rows, dimension);
  }

  @Override
  public void close() {
    // nothing outside the heap
  }

  private record Transposed(float[] data, int rows, int dimension) implements ResidentCodebook {

    @Override
    public long bytes() {
      return 4L * data.length;
    }

    @Override
    public void multiply(float[] vectors, int offset, int n, float[] products) {
      for (int i = 0; i < n; i++) {
        for (int begin = 0; begin < rows; begin += TILE) {
          multiplyTile(
              vectors,
              offset + i * dimension,
              products,
              i * rows,
              begin,
              Math.min(rows, begin + TILE));
        }
      }
    }

    private void multiplyTile(
        float[] x, int xBegin, float[] products, int outBegin, int from, int to) {
      int shift = outBegin;
      for (int k = from; k < to; k++) {
        products[shift + k] = 0f;
      }
      for (int i = 0; i < dimension; i++) {
        float xi = x[xBegin + i];
        int row = i * rows;
        for (int k = from; k < to; k++) {
          products[shift + k] += xi * data[row + k];
        }
      }
    }

    @Override
    public void close() {
      // garbage collected
    }
  }
}
