package dev.semanticid.security;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/** What a client may do; none includes another. */
enum Scope {
  /** Encode and decode. */
  ENCODE,
  /** Train, and encode whole sources. */
  TRAIN,
  /** Upload and delete codebooks, and choose which one is served. */
  ADMIN;

  /** As keys and tokens name it. */
  String wireName() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** As Spring Security names what a token's scope gives. */
  String authority() {
    return "SCOPE_" + wireName();
  }

  static Optional<Scope> ofWireName(String name) {
    return Arrays.stream(values()).filter(scope -> scope.wireName().equals(name)).findFirst();
  }
}
