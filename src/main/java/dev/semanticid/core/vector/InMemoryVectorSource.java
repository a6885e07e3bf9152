package dev.semanticid.core.vector;

import java.util.Locale;
import java.util.Objects;

/** A {@link VectorSource} over a batch that is already in memory. */
public final class InMemoryVectorSource implements VectorSource {

  private final VectorBatch batch;

  public InMemoryVectorSource(VectorBatch batch) {
    this.batch = Objects.requireNonNull(batch, "batch");
  }

  @Override
  public int dimension() {
    return batch.dimension();
  }

  @Override
  public long rows() {
    return batch.rows();
  }

  @Override
  public void read(long firstRow, int count, float[] target, int offset) {
    Objects.checkFromIndexSize(firstRow, count, (long) batch.rows());
    int d = batch.dimension();
    System.arraycopy(batch.data(), Math.toIntExact(firstRow * d), target, offset, count * d);
  }

  @Override
  public String description() {
    return String.format(Locale.ROOT, "%d rows in memory", batch.rows());
  }

  @Override
  public void close() {
    // nothing is held
  }
}
