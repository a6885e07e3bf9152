package dev.semanticid.core.search;

import java.util.List;

/**
 * What 8-bit screening has done so far.
 *
 * @param rows rows screened
 * @param survivors centroids left as candidates, of each level, over all those rows; rows of norm
 *     zero, and those left to the float64 loop alone, leave none
 * @param summed dot products of candidates that were summed in float64
 */
public record ScreeningStatistics(long rows, List<Long> survivors, long summed) {

  /** Centroids left as candidates, of each level, on average; NaN before the first row. */
  public List<Double> survivorsPerRow() {
    return survivors.stream().map(sum -> (double) sum / rows).toList();
  }

  /** Dot products summed in float64, on average; NaN before the first row. */
  public double summedPerRow() {
    return (double) summed / rows;
  }
}
