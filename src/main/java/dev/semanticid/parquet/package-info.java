/**
 * Parquet files: embeddings and ids read from them, semantic IDs written to them. The only package
 * that imports the Parquet library; knows nothing but the core.
 */
@NullMarked
package dev.semanticid.parquet;

import org.jspecify.annotations.NullMarked;
