package dev.semanticid.codebook;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import dev.semanticid.budget.MemoryBudget;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.report.CentroidMatching;
import dev.semanticid.problem.ProblemException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;

/**
 * Matches the centroids of two versions, one pair of versions at a time. A level of K centroids
 * takes up to K³ steps, so the results of the pairs last asked for are kept.
 */
@Component
public class CodebookMatcher {

  private static final int RETRY_SECONDS = 2;

  /** Partners that are kept, of all pairs of versions together. */
  private static final long MOST_PARTNERS = 1 << 20;

  private final MemoryBudget memory;
  private final Semaphore turn = new Semaphore(1);
  private final Cache<Pair, Matchings> known =
      Caffeine.newBuilder()
          .maximumWeight(MOST_PARTNERS)
          .weigher((Pair pair, Matchings matchings) -> matchings.weight())
          .build();

  CodebookMatcher(MemoryBudget memory) {
    this.memory = memory;
  }

  /** Fingerprints of two codebooks. */
  private record Pair(String before, String after) {}

  private record Matchings(List<@Nullable CentroidMatching> levels) {
    int weight() {
      return 1 + levels.stream().mapToInt(l -> l == null ? 0 : l.partners().length).sum();
    }
  }

  /**
   * Matches all levels of two codebooks.
   *
   * @param before a codebook
   * @param after another one of as many levels and the same dimension
   * @param charge told the cost before anything is computed, in rows that take as long to encode
   * @param checkpoint called again and again meanwhile; what it throws ends the computation
   * @return the matching of each level, null where {@linkplain CentroidMatching#isPossible there is
   *     none}
   * @throws ProblemException {@code OVERLOADED} if another pair of versions is being matched
   */
  public List<@Nullable CentroidMatching> match(
      Codebook before, Codebook after, LongConsumer charge, Runnable checkpoint) {
    var pair = new Pair(before.fingerprint(), after.fingerprint());
    Matchings found = known.getIfPresent(pair);
    if (found != null) {
      return found.levels();
    }
    if (!turn.tryAcquire()) {
      throw ProblemException.overloaded(
          "two other versions are being matched, which goes one pair after the other",
          RETRY_SECONDS);
    }
    try {
      // By the one that had the turn before.
      found = known.getIfPresent(pair);
      if (found != null) {
        return found.levels();
      }
      charge.accept(rows(before, after));
      var levels = new ArrayList<@Nullable CentroidMatching>();
      for (int l = 0; l < before.levels(); l++) {
        levels.add(level(before, after, l, checkpoint));
      }
      known.put(pair, new Matchings(Collections.unmodifiableList(levels)));
      return levels;
    } finally {
      turn.release();
    }
  }

  private @Nullable CentroidMatching level(
      Codebook before, Codebook after, int level, Runnable checkpoint) {
    if (!CentroidMatching.isPossible(before, after, level)) {
      return null;
    }
    return memory.with(
        "the matching",
        CentroidMatching.memoryBytes(before.width(level)),
        () -> CentroidMatching.of(before, after, level, checkpoint));
  }

  /** The rows whose products with all centroids take as many steps: K²·(d + K) for a level. */
  private static long rows(Codebook before, Codebook after) {
    double steps = 0;
    double ofRow = 0;
    for (int l = 0; l < before.levels(); l++) {
      double width = before.width(l);
      ofRow += width * before.dimension();
      if (CentroidMatching.isPossible(before, after, l)) {
        steps += width * width * (before.dimension() + width);
      }
    }
    return (long) Math.ceil(steps / ofRow);
  }
}
