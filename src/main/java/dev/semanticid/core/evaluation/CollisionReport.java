package dev.semanticid.core.evaluation;

import java.util.Arrays;
import java.util.List;

/**
 * How rows share semantic IDs.
 *
 * @param rows number of rows
 * @param distinct number of distinct semantic IDs
 * @param colliding rows whose semantic ID another row has too
 * @param maxGroup rows of the most frequent semantic ID
 */
public record CollisionReport(long rows, long distinct, long colliding, long maxGroup) {

  /**
   * Counts collisions.
   *
   * @param codes n × L, row-major
   * @param widths K_0 … K_{L−1}
   */
  public static CollisionReport of(int[] codes, List<Integer> widths) {
    int levels = widths.size();
    int rows = codes.length / levels;
    long[] ids = new long[rows];
    long distinctSoFar = 1;
    for (int l = 0; l < levels; l++) {
      int width = widths.get(l);
      if (distinctSoFar > Long.MAX_VALUE / width) {
        distinctSoFar = renumber(ids);
      }
      for (int row = 0; row < rows; row++) {
        ids[row] = ids[row] * width + codes[row * levels + l];
      }
      distinctSoFar *= width;
    }
    Arrays.sort(ids);
    long distinct = 0;
    long colliding = 0;
    long maxGroup = 0;
    for (int begin = 0; begin < rows; ) {
      int end = begin + 1;
      while (end < rows && ids[end] == ids[begin]) {
        end++;
      }
      int group = end - begin;
      distinct++;
      colliding += group > 1 ? group : 0;
      maxGroup = Math.max(maxGroup, group);
      begin = end;
    }
    return new CollisionReport(rows, distinct, colliding, maxGroup);
  }

  /**
   * Replaces ids by their ranks, so that there is room for further levels; returns how many there
   * are.
   */
  private static long renumber(long[] ids) {
    long[] sorted = Arrays.stream(ids).sorted().distinct().toArray();
    for (int i = 0; i < ids.length; i++) {
      ids[i] = Arrays.binarySearch(sorted, ids[i]);
    }
    return sorted.length;
  }
}
