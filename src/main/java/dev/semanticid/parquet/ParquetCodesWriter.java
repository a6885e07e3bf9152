package dev.semanticid.parquet;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import org.apache.parquet.column.ColumnWriter;
import org.apache.parquet.column.ParquetProperties;
import org.apache.parquet.column.ParquetProperties.WriterVersion;
import org.apache.parquet.format.CompressionCodec;
import org.apache.parquet.io.api.Binary;
import org.apache.parquet.schema.LogicalTypeAnnotation;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.PrimitiveType.PrimitiveTypeName;
import org.apache.parquet.schema.Types;

/**
 * Writes semantic IDs to a Parquet file: a column {@code id} of strings or int64 and a column
 * {@code semantic_id} of lists of int32, neither with nulls, compressed by zstd. The same rows and
 * metadata make the same bytes, however they are split into calls. At most about 64 MiB are held in
 * memory. Used by one thread at a time.
 *
 * <p>A file is valid only after {@link #finish}, so that one whose writing failed is not taken for
 * a whole one.
 */
public final class ParquetCodesWriter implements Closeable {

  private static final long ROWS_OF_GROUP = 1_000_000;
  private static final long BYTES_OF_GROUP = 64 << 20;

  private final IdType idType;
  private final int levels;
  private final ColumnsWriter file;

  private ParquetCodesWriter(IdType idType, int levels, ColumnsWriter file) {
    this.idType = idType;
    this.levels = levels;
    this.file = file;
  }

  /**
   * Creates the file, or empties it if there is one.
   *
   * @param levels codes of a semantic ID, 1 or more
   * @param metadata the footer's key-value pairs, written in the order of the keys
   * @throws IOException if the file cannot be written
   */
  public static ParquetCodesWriter create(
      Path path, IdType idType, int levels, Map<String, String> metadata) throws IOException {
    Objects.requireNonNull(idType, "idType");
    if (levels < 1) {
      throw new IllegalArgumentException("levels must be at least 1, got " + levels);
    }
    ParquetProperties properties =
        ParquetProperties.builder()
            .withWriterVersion(WriterVersion.PARQUET_1_0)
            .withDictionaryEncoding("id", false)
            .build();
    return new ParquetCodesWriter(
        idType,
        levels,
        new ColumnsWriter(
            path,
            schema(idType),
            properties,
            CompressionCodec.ZSTD,
            metadata,
            ROWS_OF_GROUP,
            BYTES_OF_GROUP));
  }

  private static MessageType schema(IdType idType) {
    var message = Types.buildMessage();
    if (idType == IdType.STRING) {
      message.required(PrimitiveTypeName.BINARY).as(LogicalTypeAnnotation.stringType()).named("id");
    } else {
      message.required(PrimitiveTypeName.INT64).named("id");
    }
    return message
        .requiredList()
        .requiredElement(PrimitiveTypeName.INT32)
        .named("semantic_id")
        .named("semantic_ids");
  }

  /**
   * Writes rows.
   *
   * @param ids in the first {@code count} places
   * @param codes {@code levels} for each id, row-major
   * @throws IOException if the file cannot be written
   * @throws IllegalStateException if the ids are to be {@link IdType#INT64}
   */
  public void write(String[] ids, int[] codes, int count) throws IOException {
    check(IdType.STRING, ids.length, codes, count);
    for (int i = 0; i < count; i++) {
      file.column(0).write(Binary.fromString(ids[i]), 0, 0);
      row(codes, i);
    }
  }

  /**
   * Writes rows.
   *
   * @param ids in the first {@code count} places
   * @param codes {@code levels} for each id, row-major
   * @throws IOException if the file cannot be written
   * @throws IllegalStateException if the ids are to be {@link IdType#STRING}
   */
  public void write(long[] ids, int[] codes, int count) throws IOException {
    check(IdType.INT64, ids.length, codes, count);
    for (int i = 0; i < count; i++) {
      file.column(0).write(ids[i], 0, 0);
      row(codes, i);
    }
  }

  /** Rows written so far. */
  public long rows() {
    return file.rows();
  }

  /**
   * Writes the footer; nothing can be written afterwards.
   *
   * @throws IOException if the file cannot be written
   */
  public void finish() throws IOException {
    file.finish();
  }

  /** Closes the file, which is of no use without {@link #finish}. */
  @Override
  public void close() throws IOException {
    file.close();
  }

  private void row(int[] codes, int row) throws IOException {
    ColumnWriter column = file.column(1);
    for (int level = 0; level < levels; level++) {
      column.write(codes[row * levels + level], level == 0 ? 0 : 1, 1);
    }
    file.endRow();
  }

  private void check(IdType given, int ids, int[] codes, int count) {
    if (given != idType) {
      throw new IllegalStateException("the ids are to be %s, got %s".formatted(idType, given));
    }
    if (count < 0 || count > ids || (long) count * levels > codes.length) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%d rows of %d codes need as many ids and %d codes, got %d and %d",
              count,
              levels,
              (long) count * levels,
              ids,
              codes.length));
    }
  }
}
