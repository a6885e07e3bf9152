package dev.semanticid.storage;

import dev.semanticid.problem.Masked;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/** Why a file or object could not be read or written, as a kind and a sentence for a person. */
public final class StorageException extends IOException {

  private static final long serialVersionUID = 1L;

  private final ProblemCode code;

  /**
   * @param code what kind of problem
   * @param detail a sentence for a person: what was expected and what came
   */
  public StorageException(ProblemCode code, String detail) {
    this(code, detail, null);
  }

  /**
   * @param code what kind of problem
   * @param detail a sentence for a person: what was expected and what came
   * @param cause what it was found out by
   */
  public StorageException(ProblemCode code, String detail, @Nullable Throwable cause) {
    super(Masked.text(detail), cause);
    this.code = code;
  }

  /** What kind of problem. */
  public ProblemCode code() {
    return code;
  }

  /** The same for a client that waits for an answer. */
  public ProblemException toProblem() {
    var problem = new ProblemException(code, String.valueOf(getMessage()));
    problem.initCause(this);
    return problem;
  }
}
