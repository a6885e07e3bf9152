package dev.semanticid.budget;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import java.util.ArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;

/** Shares never exceed the whole, and all of it comes back. */
class MemoryBudgetTest {

  private final MemoryBudget budget = new MemoryBudget(1000);

  private static ProblemCode codeOf(Throwable thrown) {
    return ((ProblemException) thrown).code();
  }

  @Test
  void reserve_moreThanThereIsNow_isOverloaded() {
    MemoryBudget.Share share = budget.reserve("this", 600);
    assertThatThrownBy(() -> budget.reserve("that", 401))
        .satisfies(e -> assertThat(codeOf(e)).isEqualTo(ProblemCode.OVERLOADED))
        .hasMessageContainingAll("that", "401", "600", "1000", "try again");
    budget.reserve("that", 400).close();
    share.close();
    share.close();
    assertThat(budget.taken()).isZero();
  }

  @Test
  void reserve_moreThanThereIsInAll_isTooLarge() {
    assertThatThrownBy(() -> budget.reserve("this", 1001))
        .satisfies(e -> assertThat(codeOf(e)).isEqualTo(ProblemCode.PAYLOAD_TOO_LARGE))
        .hasMessageContainingAll("this", "1001", "1000", "semantic-id.request-memory");
    assertThatThrownBy(() -> budget.reserve("this", Long.MAX_VALUE))
        .satisfies(e -> assertThat(codeOf(e)).isEqualTo(ProblemCode.PAYLOAD_TOO_LARGE));
  }

  @Test
  void resize_refused_staysAsItWas() {
    MemoryBudget.Share share = budget.reserve("this", 100);
    share.resize(900);
    MemoryBudget.Share other = budget.reserve("that", 100);
    assertThatThrownBy(() -> share.resize(901)).isInstanceOf(ProblemException.class);
    assertThat(budget.taken()).isEqualTo(1000);
    share.resize(0);
    assertThat(budget.taken()).isEqualTo(100);
    other.close();
    share.close();
    assertThat(budget.taken()).isZero();
  }

  @Test
  void with_workThatFails_givesItBack() {
    Supplier<String> fails =
        () -> {
          assertThat(budget.taken()).isEqualTo(7);
          throw new IllegalStateException("failed");
        };
    assertThatThrownBy(() -> budget.with("this", 7, fails)).hasMessage("failed");
    assertThat(budget.taken()).isZero();
  }

  @Test
  void shares_ofManyThreads_neverExceedTheWhole() throws Exception {
    try (var threads = Executors.newFixedThreadPool(8)) {
      var done = new ArrayList<Future<?>>();
      for (int t = 0; t < 8; t++) {
        done.add(
            threads.submit(() -> {
              for (int i = 0; i < 20_000; i++) {
                try (MemoryBudget.Share share =
                    budget.reserve("this", ThreadLocalRandom.current().nextInt(400))) {
                  share.resize(ThreadLocalRandom.current().nextInt(400));
                  assertThat(budget.taken()).isBetween(0L, 1000L);
                } catch (ProblemException e) {
                  assertThat(e.code()).isEqualTo(ProblemCode.OVERLOADED);
                }
              }
            }));
      }
      for (Future<?> one : done) {
        one.get();
      }
    }
    assertThat(budget.taken()).isZero();
  }
}
