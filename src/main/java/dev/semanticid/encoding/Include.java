package dev.semanticid.encoding;

import dev.semanticid.system.ProblemCode;
import dev.semanticid.system.ProblemException;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** What a JSON answer can hold besides semantic IDs. */
enum Include {
  /** The IDs as a recommender writes them. */
  TOKENS,
  /** ‖u − C_l[k_l]‖², per level. */
  DISTANCES,
  /** What the runner-up's squared distance is more, per level. */
  MARGINS,
  /** ‖r_l‖, per level. */
  NORMS,
  /** The vectors that the IDs stand for, by those norms. */
  RECONSTRUCTION;

  /** Those of a comma-separated list. */
  static Set<Include> ofList(@Nullable String list) {
    Set<Include> includes = EnumSet.noneOf(Include.class);
    if (list == null) {
      return includes;
    }
    for (String name : list.split(",", -1)) {
      includes.add(ofName(name.strip()));
    }
    return includes;
  }

  private static Include ofName(String name) {
    for (Include include : values()) {
      if (include.name().toLowerCase(Locale.ROOT).equals(name)) {
        return include;
      }
    }
    throw new ProblemException(
        ProblemCode.INVALID_PARAMETER,
        "include may list %s, got '%s'"
            .formatted(
                Arrays.stream(values())
                    .map(include -> include.name().toLowerCase(Locale.ROOT))
                    .collect(Collectors.joining(", ")),
                name));
  }
}
