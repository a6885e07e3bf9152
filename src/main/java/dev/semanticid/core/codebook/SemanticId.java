package dev.semanticid.core.codebook;

import java.util.Arrays;
import java.util.stream.Collectors;

/** One item's hierarchical code {@code (k_0, …, k_{L−1})}, coarse to fine. */
public final class SemanticId {

  private final int[] codes;

  private SemanticId(int[] codes) {
    this.codes = codes;
  }

  /** Row {@code row} of an n × levels code matrix. */
  public static SemanticId ofRow(int[] codes, int row, int levels) {
    return new SemanticId(Arrays.copyOfRange(codes, row * levels, (row + 1) * levels));
  }

  /** The code of a level. */
  public int code(int level) {
    return codes[level];
  }

  /** Number of levels L. */
  public int levels() {
    return codes.length;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof SemanticId that && Arrays.equals(codes, that.codes);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(codes);
  }

  /** Codes joined by dashes: {@code 12-250-3}. */
  @Override
  public String toString() {
    return Arrays.stream(codes).mapToObj(Integer::toString).collect(Collectors.joining("-"));
  }
}
