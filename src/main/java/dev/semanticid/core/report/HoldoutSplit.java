package dev.semanticid.core.report;

import dev.semanticid.core.compute.RandomStream;
import dev.semanticid.core.compute.RandomStream.Purpose;
import dev.semanticid.core.vector.FilteredVectorSource;
import dev.semanticid.core.vector.VectorSource;

/**
 * Which rows of a data set are kept from training, so that a codebook can be judged by rows it has
 * never seen. Seed and number of a row alone decide about it: neither order nor threads nor the
 * other rows matter, and a training that is continued finds the same split.
 *
 * @param fraction probability of a row to be held out, at least 0 and below 1
 * @param seed of the training
 */
public record HoldoutSplit(double fraction, long seed) {

  public HoldoutSplit {
    if (!(fraction >= 0 && fraction < 1)) {
      throw new IllegalArgumentException(
          "holdout_fraction must be at least 0 and below 1, got " + fraction);
    }
  }

  /** Whether a row is held out. */
  public boolean holdsOut(long row) {
    return RandomStream.unit(seed, Purpose.HOLDOUT, row) < fraction;
  }

  /** How many of so many rows are held out. */
  public long count(long rows) {
    long count = 0;
    if (fraction > 0) {
      for (long row = 0; row < rows; row++) {
        count += holdsOut(row) ? 1 : 0;
      }
    }
    return count;
  }

  /** The rows to train on; closing either view closes the source. */
  public VectorSource training(VectorSource source) {
    return fraction == 0 ? source : new FilteredVectorSource(source, row -> !holdsOut(row));
  }

  /** The rows held out; closing either view closes the source. */
  public VectorSource heldOut(VectorSource source) {
    return new FilteredVectorSource(source, this::holdsOut);
  }

  /** Bytes that both views take beside a source of so many rows. */
  public long memoryBytes(long rows) {
    return fraction == 0 ? 0 : 2 * FilteredVectorSource.memoryBytes(rows);
  }
}
