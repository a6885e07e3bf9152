/**
 * Parquet files: {@link dev.semanticid.parquet.ParquetVectorReader} reads embeddings, {@link
 * dev.semanticid.parquet.ParquetIds} reads ids, {@link dev.semanticid.parquet.ParquetCodesWriter}
 * writes semantic IDs. The only package that imports the Parquet library; it knows nothing but the
 * core and formats.
 */
@NullMarked
package dev.semanticid.parquet;

import org.jspecify.annotations.NullMarked;
