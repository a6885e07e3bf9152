package dev.semanticid.storage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;

/** What is refused, by which code, and with which words. */
final class Refusals {

  private Refusals() {}

  /** Asking for a place is refused. */
  static void assertProblem(ProblemCode code, ThrowingCallable call, Object... words) {
    Throwable thrown = catchThrowable(call);
    assertThat(thrown).isInstanceOf(ProblemException.class);
    assertThat(((ProblemException) thrown).code()).as(thrown.getMessage()).isEqualTo(code);
    assertWords(thrown, words);
  }

  /** Reading or writing fails. */
  static void assertFails(ProblemCode code, ThrowingCallable call, Object... words) {
    Throwable thrown = catchThrowable(call);
    assertThat(thrown).isInstanceOf(StorageException.class);
    assertThat(((StorageException) thrown).code()).as(thrown.getMessage()).isEqualTo(code);
    assertWords(thrown, words);
  }

  private static void assertWords(Throwable thrown, Object... words) {
    for (Object word : words) {
      assertThat(thrown.getMessage()).contains(String.valueOf(word));
    }
  }
}
