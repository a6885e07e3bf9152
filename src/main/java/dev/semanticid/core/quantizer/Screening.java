package dev.semanticid.core.quantizer;

/** Whether to prove centroids wrong by 8-bit products before anything else; never changes codes. */
public enum Screening {
  /** Where it is measured to be faster. */
  AUTO,
  /** Wherever there are exact 8-bit products. */
  ALWAYS,
  /** By float32 products alone. */
  NEVER
}
