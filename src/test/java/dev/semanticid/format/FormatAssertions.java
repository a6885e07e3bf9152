package dev.semanticid.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.semanticid.format.FormatException.Kind;
import org.assertj.core.api.AbstractStringAssert;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;

/** What the tests of this package share. */
public final class FormatAssertions {

  private FormatAssertions() {}

  /** Asserts that the call raises a FormatException of a kind, and hands its message on. */
  public static AbstractStringAssert<?> assertRefused(Kind kind, ThrowingCallable call) {
    FormatException refusal = catchThrowableOfType(FormatException.class, call);
    assertThat(refusal).isNotNull();
    assertThat(refusal.kind()).as(refusal.getMessage()).isEqualTo(kind);
    return assertThat(refusal.getMessage());
  }
}
