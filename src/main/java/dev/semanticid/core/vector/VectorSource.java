package dev.semanticid.core.vector;

import java.io.IOException;
import java.util.Locale;

/**
 * Rows that can be read again and again in any order: what training and bulk encoding consume.
 * Implementations are safe for reads from several threads.
 */
public interface VectorSource extends AutoCloseable {

  /** Components of every row. */
  int dimension();

  /** Number of rows. */
  long rows();

  /**
   * Reads {@code count} consecutive rows into {@code target}, row-major, float32.
   *
   * @param firstRow index of the first row, 0-based
   * @param count number of rows
   * @param target receives {@code count · dimension()} components
   * @param offset where in {@code target} the first component goes
   * @throws IndexOutOfBoundsException if the rows or the target range do not exist
   * @throws IOException if the data cannot be read, or no longer has the length it was opened with
   */
  void read(long firstRow, int count, float[] target, int offset) throws IOException;

  /**
   * Tells that some rows will be read soon, so that they can be fetched meanwhile; a hint.
   *
   * @param firstRow index of the first row, 0-based
   * @param count number of rows
   */
  default void willRead(long firstRow, int count) {}

  /** What a person would call the source: a path, a glob, "request body". */
  String description();

  /** Where a row comes from, in words: what a person would look for to mend it. */
  default String describe(long row) {
    return String.format(Locale.ROOT, "row %d of %s", row, description());
  }

  @Override
  void close() throws IOException;
}
