package dev.semanticid.parquet;

import dev.semanticid.core.vector.ByteSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
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
import org.apache.parquet.schema.Type;
import org.apache.parquet.schema.Types;
import org.jspecify.annotations.Nullable;

/** Writes Parquet files of vectors for tests: {@code ParquetFiles.vectors(rows).write(path)}. */
public final class ParquetFiles {

  /** The type of the components. */
  public enum Element {
    FLOAT,
    DOUBLE,
    FLOAT16
  }

  /** How a list is written. */
  public enum Shape {
    /** A group, a repeated group, the element: as the specification has it. */
    THREE_LEVELS,
    /** A group and a repeated element: as older writers do. */
    TWO_LEVELS,
    /** A repeated element alone: as protocol buffers do; knows no null row. */
    REPEATED
  }

  private final double[] @Nullable [] rows;
  private String column = "embedding";
  private Element element = Element.FLOAT;
  private Shape shape = Shape.THREE_LEVELS;
  private boolean required;
  private boolean secondColumn;
  private String idColumn = "id";
  private @Nullable String @Nullable [] stringIds;
  private long @Nullable [] longIds;
  private boolean int32Ids;
  private int nullRow = -1;
  private int nullComponent = -1;
  private CompressionCodec codec = CompressionCodec.UNCOMPRESSED;
  private long rowsOfGroup = Long.MAX_VALUE;
  private int pageBytes = 1 << 20;
  private WriterVersion version = WriterVersion.PARQUET_1_0;
  private boolean dictionary = true;
  private boolean split;

  private ParquetFiles(double[] @Nullable [] rows) {
    this.rows = rows;
  }

  /** A file of these rows; null is a null row, and they may differ in length. */
  public static ParquetFiles vectors(float[] @Nullable [] rows) {
    double[][] doubles = new double[rows.length][];
    for (int i = 0; i < rows.length; i++) {
      float[] row = rows[i];
      if (row != null) {
        doubles[i] = new double[row.length];
        for (int j = 0; j < row.length; j++) {
          doubles[i][j] = row[j];
        }
      }
    }
    return new ParquetFiles(doubles);
  }

  /** The same, with more digits than a float has. */
  public static ParquetFiles vectors(double[] @Nullable [] rows) {
    return new ParquetFiles(rows);
  }

  /** Names the column; else it is {@code embedding}. */
  public ParquetFiles column(String name) {
    column = name;
    return this;
  }

  public ParquetFiles element(Element type) {
    element = type;
    return this;
  }

  public ParquetFiles shape(Shape shape) {
    this.shape = shape;
    return this;
  }

  /** Neither rows nor components may be null. */
  public ParquetFiles required() {
    required = true;
    return this;
  }

  /** Writes the vectors twice, the second time as a column {@code second}. */
  public ParquetFiles secondColumn() {
    secondColumn = true;
    return this;
  }

  /** A column of ids before the vectors; null is a null id. */
  public ParquetFiles ids(@Nullable String... ids) {
    stringIds = ids;
    return this;
  }

  /** A column of int64 ids before the vectors. */
  public ParquetFiles ids(long... ids) {
    longIds = ids;
    return this;
  }

  /** Writes the numbers as int32. */
  public ParquetFiles int32Ids() {
    int32Ids = true;
    return this;
  }

  /** Names the column of ids; else it is {@code id}. */
  public ParquetFiles idColumn(String name) {
    idColumn = name;
    return this;
  }

  /** Makes one component null. */
  public ParquetFiles nullComponent(int row, int component) {
    nullRow = row;
    nullComponent = component;
    return this;
  }

  public ParquetFiles snappy() {
    codec = CompressionCodec.SNAPPY;
    return this;
  }

  public ParquetFiles zstd() {
    codec = CompressionCodec.ZSTD;
    return this;
  }

  /** Rows of a row group; else there is one group. */
  public ParquetFiles rowGroup(long rows) {
    rowsOfGroup = rows;
    return this;
  }

  /** Bytes after which a page ends; else 1 MiB. */
  public ParquetFiles page(int bytes) {
    pageBytes = bytes;
    return this;
  }

  /** Data pages and encodings of version 2. */
  public ParquetFiles version2() {
    version = WriterVersion.PARQUET_2_0;
    return this;
  }

  /** Without dictionaries, which else are used while they pay. */
  public ParquetFiles plain() {
    dictionary = false;
    return this;
  }

  /** BYTE_STREAM_SPLIT in place of PLAIN. */
  public ParquetFiles split() {
    dictionary = false;
    split = true;
    return this;
  }

  /** Writes the file. */
  public void write(Path path) throws IOException {
    ParquetProperties properties =
        ParquetProperties.builder()
            .withWriterVersion(version)
            .withPageSize(pageBytes)
            .withMinRowCountForPageSizeCheck(1)
            .withMaxRowCountForPageSizeCheck(16)
            .withDictionaryEncoding(dictionary)
            .withByteStreamSplitEncoding(split)
            .build();
    try (ColumnsWriter file =
        new ColumnsWriter(
            path, schema(), properties, codec, Map.of(), rowsOfGroup, Long.MAX_VALUE)) {
      for (int row = 0; row < rows.length; row++) {
        int at = 0;
        if (stringIds != null || longIds != null) {
          writeId(file.column(at++), row);
        }
        writeVector(file.column(at++), row);
        if (secondColumn) {
          writeVector(file.column(at), row);
        }
        file.endRow();
      }
      file.finish();
    }
  }

  private MessageType schema() {
    var message = Types.buildMessage();
    if (stringIds != null) {
      message
          .optional(PrimitiveTypeName.BINARY)
          .as(LogicalTypeAnnotation.stringType())
          .named(idColumn);
    } else if (longIds != null) {
      message
          .required(int32Ids ? PrimitiveTypeName.INT32 : PrimitiveTypeName.INT64)
          .named(idColumn);
    }
    message.addField(vectorField(column));
    if (secondColumn) {
      message.addField(vectorField("second"));
    }
    return message.named("vectors");
  }

  private Type vectorField(String name) {
    Type.Repetition optional = required ? Type.Repetition.REQUIRED : Type.Repetition.OPTIONAL;
    return switch (shape) {
      case THREE_LEVELS ->
          Types.buildGroup(optional)
              .as(LogicalTypeAnnotation.listType())
              .addField(Types.repeatedGroup().addField(component(optional)).named("list"))
              .named(name);
      case TWO_LEVELS ->
          Types.buildGroup(optional)
              .as(LogicalTypeAnnotation.listType())
              .addField(component(Type.Repetition.REPEATED))
              .named(name);
      case REPEATED -> component(Type.Repetition.REPEATED, name);
    };
  }

  private Type component(Type.Repetition repetition) {
    return component(repetition, "element");
  }

  private Type component(Type.Repetition repetition, String name) {
    return switch (element) {
      case FLOAT -> Types.primitive(PrimitiveTypeName.FLOAT, repetition).named(name);
      case DOUBLE -> Types.primitive(PrimitiveTypeName.DOUBLE, repetition).named(name);
      case FLOAT16 ->
          Types.primitive(PrimitiveTypeName.FIXED_LEN_BYTE_ARRAY, repetition)
              .length(2)
              .as(LogicalTypeAnnotation.float16Type())
              .named(name);
    };
  }

  private void writeId(ColumnWriter writer, int row) {
    if (stringIds != null) {
      String id = stringIds[row];
      if (id == null) {
        writer.writeNull(0, 0);
      } else {
        writer.write(Binary.fromString(id), 0, 1);
      }
    } else {
      long id = Objects.requireNonNull(longIds)[row];
      if (int32Ids) {
        writer.write((int) id, 0, 0);
      } else {
        writer.write(id, 0, 0);
      }
    }
  }

  private void writeVector(ColumnWriter writer, int row) {
    int list = required || shape == Shape.REPEATED ? 0 : 1;
    int present = list + 1 + (shape == Shape.THREE_LEVELS && !required ? 1 : 0);
    double[] vector = rows[row];
    if (vector == null) {
      writer.writeNull(0, list - 1);
    } else if (vector.length == 0) {
      writer.writeNull(0, list);
    } else {
      for (int i = 0; i < vector.length; i++) {
        int repetition = i == 0 ? 0 : 1;
        if (row == nullRow && i == nullComponent) {
          writer.writeNull(repetition, list + 1);
        } else {
          switch (element) {
            case FLOAT -> writer.write((float) vector[i], repetition, present);
            case DOUBLE -> writer.write(vector[i], repetition, present);
            case FLOAT16 -> writer.write(half(vector[i]), repetition, present);
          }
        }
      }
    }
  }

  private static Binary half(double value) {
    byte[] bytes = new byte[2];
    ByteBuffer.wrap(bytes)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putShort(Float.floatToFloat16((float) value));
    return Binary.fromConstantByteArray(bytes);
  }

  /** A source over an array. */
  public static ByteSource source(String name, byte[] bytes) {
    return new ByteSource() {
      @Override
      public String name() {
        return name;
      }

      @Override
      public long size() {
        return bytes.length;
      }

      @Override
      public void read(long position, byte[] target, int offset, int length) {
        Objects.checkFromIndexSize(position, length, (long) bytes.length);
        System.arraycopy(bytes, (int) position, target, offset, length);
      }

      @Override
      public void close() {
        // nothing is held
      }
    };
  }
}
