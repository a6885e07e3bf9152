package dev.semanticid.codebook;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.budget.MemoryBudget;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.CodebookSettings;
import dev.semanticid.core.codebook.Provenance;
import dev.semanticid.core.report.CentroidMatching;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** One pair of versions is matched at a time, once, within the memory of requests. */
class CodebookMatcherTest {

  private static final int D = 4;
  private final MemoryBudget memory = new MemoryBudget(1 << 20);
  private final CodebookMatcher matcher = new CodebookMatcher(memory);
  private final List<Long> charged = new ArrayList<>();

  private static Codebook codebook(long seed, int... widths) {
    var random = new Random(seed);
    var levels = new ArrayList<float[]>();
    for (int width : widths) {
      float[] level = new float[width * D];
      for (int i = 0; i < level.length; i++) {
        level[i] = (float) random.nextGaussian();
      }
      levels.add(level);
    }
    return Codebook.of(new CodebookSettings(true, 1), D, levels, Provenance.UNKNOWN);
  }

  private List<@Nullable CentroidMatching> match(Codebook before, Codebook after) {
    return matcher.match(before, after, charged::add, () -> {});
  }

  @Test
  void match_samePairAgain_computesAndChargesOnce() {
    Codebook before = codebook(1, 20, 30);
    Codebook after = codebook(2, 20, 30);
    var first = match(before, after);
    assertThat(match(before, after)).isEqualTo(first);
    assertThat(charged).containsExactly((20L * 20 * 24 + 30 * 30 * 34 + 50 * 4 - 1) / (50 * 4));
    match(after, before);
    assertThat(charged).hasSize(2);
    assertThat(memory.taken()).isZero();
  }

  @Test
  void match_sameCodebook_isItself() {
    CentroidMatching matching =
        Objects.requireNonNull(match(codebook(1, 25), codebook(1, 25)).getFirst());
    assertThat(matching.renumbered()).isZero();
    assertThat(matching.meanShift()).isZero();
  }

  @Test
  void match_levelsThatCannotBe_areNull() {
    int tooWide = CentroidMatching.MOST_CENTROIDS + 1;
    var matchings = match(codebook(1, 5, 6, tooWide), codebook(2, 5, 7, tooWide));
    assertThat(matchings.get(0)).isNotNull();
    assertThat(matchings.get(1)).isNull();
    assertThat(matchings.get(2)).isNull();
  }

  @Test
  void match_noMemory_isRefusedAndLeavesTheTurn() {
    MemoryBudget.Share others = memory.reserve("others", memory.total());
    assertThatThrownBy(() -> match(codebook(1, 8), codebook(2, 8)))
        .satisfies(
            e -> assertThat(((ProblemException) e).code()).isEqualTo(ProblemCode.OVERLOADED));
    others.close();
    assertThat(match(codebook(1, 8), codebook(2, 8))).hasSize(1);
  }

  @Test
  void match_whileAnotherPairIs_isRefused() throws InterruptedException {
    var begun = new CountDownLatch(1);
    var mayEnd = new CountDownLatch(1);
    Thread slow =
        Thread.ofVirtual()
            .start(() ->
                matcher.match(
                    codebook(1, 8),
                    codebook(2, 8),
                    cost -> {},
                    () -> {
                      begun.countDown();
                      try {
                        mayEnd.await();
                      } catch (InterruptedException e) {
                        throw new IllegalStateException(e);
                      }
                    }));
    begun.await();
    assertThatThrownBy(() -> match(codebook(3, 8), codebook(4, 8)))
        .satisfies(e -> assertThat(((ProblemException) e).code()).isEqualTo(ProblemCode.OVERLOADED))
        .hasMessageContaining("try again");
    assertThat(charged).isEmpty();
    mayEnd.countDown();
    slow.join();
    assertThat(match(codebook(1, 8), codebook(2, 8))).hasSize(1);
    assertThat(charged).as("known from the other caller").isEmpty();
  }

  @Test
  void match_checkpointThrows_endsAndLeavesTheTurn() {
    assertThatThrownBy(() ->
            matcher.match(
                codebook(1, 8),
                codebook(2, 8),
                cost -> {},
                () -> {
                  throw new IllegalStateException("gone");
                }))
        .hasMessage("gone");
    assertThat(match(codebook(1, 8), codebook(2, 8))).hasSize(1);
    assertThat(memory.taken()).isZero();
  }
}
