package dev.semanticid.parquet;

/** What the ids of a column are. */
public enum IdType {
  /** Text in UTF-8. */
  STRING,
  /** Whole numbers of 64 bits; those of 32 bits are widened. */
  INT64
}
