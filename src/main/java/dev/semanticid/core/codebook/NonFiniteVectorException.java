package dev.semanticid.core.codebook;

import dev.semanticid.core.vector.VectorSource;

/** A row of the data holds NaN or an infinity. */
public final class NonFiniteVectorException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  private final long row;

  /**
   * @param source the data
   * @param row the row, 0-based
   */
  public NonFiniteVectorException(VectorSource source, long row) {
    super(
        "%s holds NaN or a value outside float32; every component must be finite"
            .formatted(source.describe(row)));
    this.row = row;
  }

  /** The row, 0-based. */
  public long row() {
    return row;
  }
}
