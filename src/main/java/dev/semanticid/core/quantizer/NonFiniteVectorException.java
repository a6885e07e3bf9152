package dev.semanticid.core.quantizer;

/** A row of the data holds NaN or an infinity. */
public final class NonFiniteVectorException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  private final long row;

  /**
   * @param source what a person would call the data
   * @param row the row, 0-based
   */
  public NonFiniteVectorException(String source, long row) {
    super(
        "row %d of %s holds NaN or an infinity; every component must be finite"
            .formatted(row, source));
    this.row = row;
  }

  /** The row, 0-based. */
  public long row() {
    return row;
  }
}
