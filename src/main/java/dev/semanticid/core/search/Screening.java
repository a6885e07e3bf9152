package dev.semanticid.core.search;

import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.Int8Backend;
import org.jspecify.annotations.Nullable;

/** Whether to prove centroids wrong by 8-bit products before anything else; never changes codes. */
public enum Screening {
  /** Where it is measured to be faster. */
  AUTO,
  /** Wherever there are exact 8-bit products. */
  ALWAYS,
  /** By float32 products alone. */
  NEVER;

  /** The 8-bit products to use for vectors of a dimension, or null. */
  public @Nullable Int8Backend int8(ComputeBackend backend, int dimension) {
    return this == NEVER || !Int8Screen.suits(dimension) ? null : backend.int8();
  }

  /** A new choice between searching by float32 and by 8-bit products. */
  public FasterWay choice() {
    return this == ALWAYS ? FasterWay.always(CertifiedSearch.INT8) : new FasterWay();
  }
}
