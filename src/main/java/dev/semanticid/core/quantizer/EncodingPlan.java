package dev.semanticid.core.quantizer;

/**
 * One way to find a codebook's codes; all plans find the same ones. Safe for use by several
 * threads.
 */
interface EncodingPlan extends AutoCloseable {

  /** Name as {@code GET /info} shows it. */
  String name();

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
