package dev.semanticid.core.codebook;

import java.util.Collections;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * Where a codebook comes from: algorithm, settings, seed, data, software, as text. It travels with
 * the codebook through every format, and is no part of its fingerprint.
 *
 * @param values keys in lower snake case
 */
public record Provenance(SortedMap<String, String> values) {

  /** Nothing known. */
  public static final Provenance UNKNOWN = new Provenance(Collections.emptySortedMap());

  public Provenance {
    values = Collections.unmodifiableSortedMap(new TreeMap<>(values));
  }

  /** From any map. */
  public static Provenance of(Map<String, String> values) {
    return new Provenance(new TreeMap<>(values));
  }

  /** This provenance with one more value, or another one for the key. */
  public Provenance with(String key, String value) {
    var copy = new TreeMap<>(values);
    copy.put(key, value);
    return new Provenance(copy);
  }
}
