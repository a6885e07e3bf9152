package dev.semanticid.encode;

import java.util.EnumSet;
import java.util.Set;
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
      includes.add(WireNames.constant(Include.class, name.strip(), "include may list"));
    }
    return includes;
  }
}
