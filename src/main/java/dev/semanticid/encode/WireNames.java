package dev.semanticid.encode;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;

/** Enum constants as parameters name them: in lower case. */
final class WireNames {

  private WireNames() {}

  /** A constant's name. */
  static String of(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT);
  }

  /**
   * The constant of a name.
   *
   * @param refusal begins the sentence that refuses any other name, before those that there are
   */
  static <E extends Enum<E>> E constant(Class<E> type, String name, String refusal) {
    E[] constants = type.getEnumConstants();
    for (E constant : constants) {
      if (of(constant).equals(name)) {
        return constant;
      }
    }
    throw new ProblemException(
        ProblemCode.INVALID_PARAMETER,
        "%s %s, got '%s'"
            .formatted(
                refusal,
                Arrays.stream(constants).map(WireNames::of).collect(Collectors.joining(", ")),
                name));
  }
}
