package dev.semanticid.core.report;

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

  /** As a {@link Builder} that is given all codes at once. */
  public static CollisionReport of(int[] codes, List<Integer> widths) {
    int rows = codes.length / widths.size();
    var builder = new Builder(rows, widths);
    builder.add(codes, rows);
    return builder.build();
  }

  /**
   * Collects semantic IDs. An ID takes 64 bits, or as often 64 bits as its levels need: one for up
   * to 7 levels of 256.
   */
  public static final class Builder {

    private final List<Integer> widths;

    /** The level that each word of an ID ends behind. */
    private final int[] ends;

    /** Per word of an ID, that word of every row. */
    private final long[][] words;

    private int rows;

    /**
     * @param mostRows rows that will be added at most
     * @param widths K_0 … K_{L−1}
     */
    public Builder(int mostRows, List<Integer> widths) {
      this.widths = List.copyOf(widths);
      int[] found = new int[widths.size()];
      int count = 0;
      long ids = 1;
      for (int l = 0; l < widths.size(); l++) {
        if (ids > Long.MAX_VALUE / widths.get(l)) {
          found[count++] = l;
          ids = 1;
        }
        ids *= widths.get(l);
      }
      found[count++] = widths.size();
      this.ends = Arrays.copyOf(found, count);
      this.words = new long[count][mostRows];
    }

    /** Bytes that a builder takes per row of IDs of such levels. */
    public static int bytesPerRow(List<Integer> widths) {
      return Long.BYTES * new Builder(0, widths).ends.length;
    }

    /** Adds {@code n} rows of codes, row-major. */
    public void add(int[] codes, int n) {
      int levels = widths.size();
      for (int row = 0; row < n; row++) {
        int l = 0;
        for (int word = 0; word < ends.length; word++) {
          long id = 0;
          for (; l < ends[word]; l++) {
            id = id * widths.get(l) + codes[row * levels + l];
          }
          words[word][rows] = id;
        }
        rows++;
      }
    }

    /** Counts; the builder is used up. */
    public CollisionReport build() {
      long[] ids = words.length == 1 ? words[0] : ranked();
      Arrays.sort(ids, 0, rows);
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
     * One number for each row, the same where all words are: each word is replaced by its rank, and
     * two ranks, each below 2³¹, fit one number.
     */
    private long[] ranked() {
      long[] ids = words[0];
      for (int word = 1; word < words.length; word++) {
        rank(ids);
        rank(words[word]);
        for (int row = 0; row < rows; row++) {
          ids[row] = ids[row] << 31 | words[word][row];
        }
      }
      return ids;
    }

    private void rank(long[] ids) {
      long[] sorted = Arrays.copyOf(ids, rows);
      Arrays.sort(sorted);
      int distinct = 0;
      for (int i = 0; i < rows; i++) {
        if (i == 0 || sorted[i] != sorted[i - 1]) {
          sorted[distinct++] = sorted[i];
        }
      }
      for (int row = 0; row < rows; row++) {
        ids[row] = Arrays.binarySearch(sorted, 0, distinct, ids[row]);
      }
    }
  }
}
