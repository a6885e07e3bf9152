package dev.semanticid.encode;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;

/** What the tests of this package share. */
final class ProblemAssertions {

  private ProblemAssertions() {}

  /** Asserts that the call raises a problem with a code, and hands the problem on. */
  static ProblemException assertProblem(ProblemCode code, ThrowingCallable call) {
    ProblemException problem = catchThrowableOfType(ProblemException.class, call);
    assertThat(problem).as("a problem with code %s", code).isNotNull();
    assertThat(problem.code()).as(problem.detail()).isEqualTo(code);
    return problem;
  }
}
