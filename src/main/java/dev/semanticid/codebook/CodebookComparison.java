package dev.semanticid.codebook;

import dev.semanticid.core.quantizer.Codebook;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jgrapht.alg.matching.KuhnMunkresMinimalWeightBipartitePerfectMatching;
import org.jgrapht.graph.DefaultWeightedEdge;
import org.jgrapht.graph.SimpleWeightedGraph;
import org.jspecify.annotations.Nullable;

/**
 * How the semantic IDs of the same rows differ between two codebooks: as they are, and after each
 * level's centroids were matched so that the squared distances between partners are least in sum
 * (Kuhn 1955, "The Hungarian method for the assignment problem"). A codebook that was only numbered
 * anew changes all IDs before matching and none after it; what still changes after it has drifted.
 *
 * @param rows rows compared
 * @param changed share of rows whose ID differs in any level
 * @param changedAfterMatching the same with codes of matched centroids taken for equal; null if a
 *     level could not be matched
 * @param levels each level for itself
 */
public record CodebookComparison(
    long rows, double changed, @Nullable Double changedAfterMatching, List<Level> levels) {

  /** Matching takes K³ steps and K² edges; this many take a few seconds and 300 MB. */
  public static final int MOST_MATCHED = 1024;

  /**
   * One level.
   *
   * @param level 0-based
   * @param changed share of rows whose code differs
   * @param changedAfterMatching share of rows whose centroid is not the partner of the one before;
   *     null if widths differ or are above {@link #MOST_MATCHED}
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
   * @param before a codebook
   * @param codesBefore n × L, its codes
   * @param after another one of as many levels and the same dimension
   * @param codesAfter n × L, its codes
   * @throws IllegalArgumentException if they do not fit each other
   */
  public static CodebookComparison of(
      Codebook before, int[] codesBefore, Codebook after, int[] codesAfter) {
    int levels = before.levels();
    if (levels != after.levels()
        || before.dimension() != after.dimension()
        || codesBefore.length != codesAfter.length
        || codesBefore.length % levels != 0) {
      throw new IllegalArgumentException(
          "codebooks of %d and %d levels with %d and %d codes cannot be compared"
              .formatted(levels, after.levels(), codesBefore.length, codesAfter.length));
    }
    int rows = codesBefore.length / levels;
    boolean[] differs = new boolean[rows];
    boolean[] differsMatched = new boolean[rows];
    boolean matched = true;
    var compared = new ArrayList<Level>();
    for (int l = 0; l < levels; l++) {
      int[] partners = partners(before, after, l);
      matched &= partners != null;
      int changed = 0;
      int changedMatched = 0;
      for (int row = 0; row < rows; row++) {
        int from = codesBefore[row * levels + l];
        int to = codesAfter[row * levels + l];
        if (from != to) {
          changed++;
          differs[row] = true;
        }
        if (partners != null && partners[from] != to) {
          changedMatched++;
          differsMatched[row] = true;
        }
      }
      compared.add(
          partners == null
              ? new Level(l, share(changed, rows), null, null, null)
              : new Level(
                  l,
                  share(changed, rows),
                  share(changedMatched, rows),
                  renumbered(partners),
                  meanShift(before, after, l, partners)));
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

  private static int renumbered(int[] partners) {
    int count = 0;
    for (int k = 0; k < partners.length; k++) {
      count += partners[k] == k ? 0 : 1;
    }
    return count;
  }

  private static double meanShift(Codebook before, Codebook after, int level, int[] partners) {
    double sum = 0;
    for (int k = 0; k < partners.length; k++) {
      sum += Math.sqrt(squaredDistance(before, after, level, k, partners[k]));
    }
    return sum / partners.length;
  }

  private static double squaredDistance(
      Codebook before, Codebook after, int level, int from, int to) {
    int d = before.dimension();
    float[] a = before.centroids(level).data();
    float[] b = after.centroids(level).data();
    double sum = 0;
    for (int i = 0; i < d; i++) {
      double difference = (double) a[from * d + i] - b[to * d + i];
      sum += difference * difference;
    }
    return sum;
  }

  /** The partner of every centroid of a level, or null if they cannot be matched. */
  private static int @Nullable [] partners(Codebook before, Codebook after, int level) {
    int width = before.width(level);
    if (width != after.width(level) || width > MOST_MATCHED) {
      return null;
    }
    var graph = new SimpleWeightedGraph<Integer, DefaultWeightedEdge>(DefaultWeightedEdge.class);
    Set<Integer> left = new HashSet<>();
    Set<Integer> right = new HashSet<>();
    for (int k = 0; k < width; k++) {
      graph.addVertex(k);
      graph.addVertex(width + k);
      left.add(k);
      right.add(width + k);
    }
    for (int from = 0; from < width; from++) {
      for (int to = 0; to < width; to++) {
        graph.setEdgeWeight(
            graph.addEdge(from, width + to), squaredDistance(before, after, level, from, to));
      }
    }
    int[] partners = new int[width];
    for (DefaultWeightedEdge edge :
        new KuhnMunkresMinimalWeightBipartitePerfectMatching<>(graph, left, right)
            .getMatching()
            .getEdges()) {
      int one = graph.getEdgeSource(edge);
      int other = graph.getEdgeTarget(edge);
      partners[Math.min(one, other)] = Math.max(one, other) - width;
    }
    return partners;
  }
}
