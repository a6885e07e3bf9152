package dev.semanticid.core.encode.plan;

import dev.semanticid.core.search.ScreeningStatistics;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One way to find a codebook's codes; all plans find the same ones. Safe for use by several
 * threads.
 */
public interface EncodingPlan extends AutoCloseable {

  /** The plans among which this one chooses: itself, if it is none of several. */
  default List<EncodingPlan> alternatives() {
    return List.of(this);
  }

  /** What screening in 8 bits has done, or null if this plan never does. */
  default @Nullable ScreeningStatistics screening() {
    return null;
  }

  /** Name as {@code GET /info} shows it. */
  String name();

  /** Why this plan, in words. */
  default String reason() {
    return "";
  }

  /**
   * Gets ready for rows like these, and counts from 0 after.
   *
   * @param vectors n × d, row-major
   * @param codes room for n × L
   */
  default void warmUp(float[] vectors, int n, int[] codes) {}

  /** Rows of a block that suit this plan's caches. */
  int blockRows();

  /** Device and table memory held, in bytes. */
  long bytes();

  /** A thread's working memory. */
  Worker newWorker();

  @Override
  void close();

  /** Encodes blocks on one thread at a time. */
  interface Worker {

    /**
     * Encodes {@code n ≤ blockRows()} rows.
     *
     * @param vectors n × d, row-major, from {@code offset} on
     * @param codes receives n × L codes, row-major, from {@code codesBegin} on
     * @return decisions that the float64 loop had to make, at most n · L
     */
    int encode(float[] vectors, int offset, int n, int[] codes, int codesBegin);
  }
}
