package dev.semanticid.codebook;

import dev.semanticid.core.report.CentroidMatching;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * How the semantic IDs of the same rows differ between two codebooks: as they are, and after the
 * centroids of each level were matched. A codebook whose centroids only have other numbers changes
 * all IDs before matching and none after it. What still changes after it is real change.
 *
 * @param rows rows compared
 * @param changed share of rows whose ID differs in any level
 * @param changedAfterMatching the same, where codes of matched centroids count as equal; null if a
 *     level could not be matched
 * @param levels each level for itself
 */
public record CodebookComparison(
    long rows, double changed, @Nullable Double changedAfterMatching, List<Level> levels) {

  /**
   * One level.
   *
   * @param level 0-based
   * @param changed share of rows whose code differs
   * @param changedAfterMatching share of rows whose centroid is not the partner of the one before;
   *     null if the level {@linkplain CentroidMatching#isPossible cannot be matched}
   * @param renumbered centroids whose partner has another number
   * @param meanShift mean distance between partners
   */
  public record Level(
      int level,
      double changed,
      @Nullable Double changedAfterMatching,
      @Nullable Integer renumbered,
      @Nullable Double meanShift) {}

  /**
   * Compares codes of the same rows.
   *
   * @param before n × L, the codes of one codebook
   * @param after n × L, the codes of another one
   * @param matchings the matching of each of the L levels, null where there is none
   * @throws IllegalArgumentException if they do not fit each other
   */
  public static CodebookComparison of(
      int[] before, int[] after, List<@Nullable CentroidMatching> matchings) {
    int levels = matchings.size();
    if (before.length != after.length || before.length % levels != 0) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%d and %d codes of %d levels cannot be compared",
              before.length,
              after.length,
              levels));
    }
    int rows = before.length / levels;
    boolean[] differs = new boolean[rows];
    boolean[] differsMatched = new boolean[rows];
    boolean matched = true;
    var compared = new ArrayList<Level>();
    for (int l = 0; l < levels; l++) {
      CentroidMatching matching = matchings.get(l);
      matched &= matching != null;
      int changed = 0;
      int changedMatched = 0;
      for (int row = 0; row < rows; row++) {
        int from = before[row * levels + l];
        int to = after[row * levels + l];
        if (from != to) {
          changed++;
          differs[row] = true;
        }
        if (matching != null && matching.partners()[from] != to) {
          changedMatched++;
          differsMatched[row] = true;
        }
      }
      compared.add(
          matching == null
              ? new Level(l, share(changed, rows), null, null, null)
              : new Level(
                  l,
                  share(changed, rows),
                  share(changedMatched, rows),
                  matching.renumbered(),
                  matching.meanShift()));
    }
    return new CodebookComparison(
        rows,
        share(count(differs), rows),
        matched ? share(count(differsMatched), rows) : null,
        List.copyOf(compared));
  }

  private static double share(int part, int all) {
    return all == 0 ? 0 : (double) part / all;
  }

  private static int count(boolean[] flags) {
    int count = 0;
    for (boolean flag : flags) {
      count += flag ? 1 : 0;
    }
    return count;
  }
}
