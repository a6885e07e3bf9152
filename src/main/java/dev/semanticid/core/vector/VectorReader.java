package dev.semanticid.core.vector;

import java.io.IOException;

/** Rows read once, from the first to the last. Used by one thread at a time. */
public interface VectorReader extends AutoCloseable {

  /** Components of every row. */
  int dimension();

  /** Rows in all. */
  long rows();

  /**
   * Reads the next rows. A row of the wrong length, or none at all where one should be, comes as
   * NaN in every component; {@link #defect} tells why.
   *
   * @param target receives rows of {@code dimension()} float32 components, row-major
   * @param offset where in {@code target} the first component goes
   * @param most how many rows at most, 1 or more
   * @return how many were read: {@code most}, or fewer towards the end, and 0 behind it
   * @throws IOException if the data cannot be read
   */
  int read(float[] target, int offset, int most) throws IOException;

  /**
   * Passes over rows.
   *
   * @param rows how many, at most as many as are left
   * @throws IOException if the data cannot be read
   */
  void skip(long rows) throws IOException;

  /**
   * What is wrong with a row of the last read that is not finite: file, row, and what was expected
   * and found.
   *
   * @param row index among all rows
   */
  String defect(long row);

  @Override
  void close() throws IOException;
}
