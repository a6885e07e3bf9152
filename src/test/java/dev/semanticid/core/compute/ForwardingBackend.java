package dev.semanticid.core.compute;

import org.jspecify.annotations.Nullable;

/** A backend that does as another one does, for tests that watch it or spoil its products. */
public class ForwardingBackend implements ComputeBackend {

  private final ComputeBackend backend;

  /**
   * @param backend closed with this one
   */
  public ForwardingBackend(ComputeBackend backend) {
    this.backend = backend;
  }

  @Override
  public String name() {
    return backend.name();
  }

  @Override
  public String device() {
    return backend.device();
  }

  @Override
  public double gamma(int dimension) {
    return backend.gamma(dimension);
  }

  @Override
  public ResidentCodebook makeResident(float[] matrix, int rows, int dimension) {
    return backend.makeResident(matrix, rows, dimension);
  }

  @Override
  public @Nullable Int8Backend int8() {
    return backend.int8();
  }

  @Override
  public void close() {
    backend.close();
  }

  /** Centroids that multiply as others do. */
  public static class Resident implements ResidentCodebook {

    private final ResidentCodebook resident;

    /**
     * @param resident closed with these
     */
    public Resident(ResidentCodebook resident) {
      this.resident = resident;
    }

    @Override
    public int rows() {
      return resident.rows();
    }

    @Override
    public int dimension() {
      return resident.dimension();
    }

    @Override
    public long bytes() {
      return resident.bytes();
    }

    @Override
    public void multiply(float[] vectors, int offset, int n, float[] products) {
      resident.multiply(vectors, offset, n, products);
    }

    @Override
    public void close() {
      resident.close();
    }
  }
}
