package dev.semanticid.parquet;

import io.airlift.compress.Compressor;
import io.airlift.compress.snappy.SnappyCompressor;
import io.airlift.compress.zstd.ZstdCompressor;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.zip.CRC32;
import org.apache.parquet.Version;
import org.apache.parquet.bytes.BytesInput;
import org.apache.parquet.column.ColumnDescriptor;
import org.apache.parquet.column.ColumnWriteStore;
import org.apache.parquet.column.ColumnWriter;
import org.apache.parquet.column.Encoding;
import org.apache.parquet.column.ParquetProperties;
import org.apache.parquet.column.page.DictionaryPage;
import org.apache.parquet.column.page.PageWriteStore;
import org.apache.parquet.column.page.PageWriter;
import org.apache.parquet.column.statistics.SizeStatistics;
import org.apache.parquet.column.statistics.Statistics;
import org.apache.parquet.column.statistics.geospatial.GeospatialStatistics;
import org.apache.parquet.format.ColumnChunk;
import org.apache.parquet.format.ColumnMetaData;
import org.apache.parquet.format.ColumnOrder;
import org.apache.parquet.format.CompressionCodec;
import org.apache.parquet.format.ConvertedType;
import org.apache.parquet.format.DataPageHeader;
import org.apache.parquet.format.DataPageHeaderV2;
import org.apache.parquet.format.DictionaryPageHeader;
import org.apache.parquet.format.FieldRepetitionType;
import org.apache.parquet.format.FileMetaData;
import org.apache.parquet.format.Float16Type;
import org.apache.parquet.format.KeyValue;
import org.apache.parquet.format.ListType;
import org.apache.parquet.format.LogicalType;
import org.apache.parquet.format.PageHeader;
import org.apache.parquet.format.PageType;
import org.apache.parquet.format.RowGroup;
import org.apache.parquet.format.SchemaElement;
import org.apache.parquet.format.StringType;
import org.apache.parquet.format.Type;
import org.apache.parquet.format.TypeDefinedOrder;
import org.apache.parquet.format.Util;
import org.apache.parquet.schema.GroupType;
import org.apache.parquet.schema.LogicalTypeAnnotation;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.PrimitiveType;
import org.jspecify.annotations.Nullable;

/**
 * Writes the pages that the library encodes, and the footer, to a file. A row group's pages are
 * held in memory, compressed, until the group is full.
 */
final class ColumnsWriter implements Closeable {

  private static final byte[] MAGIC = "PAR1".getBytes(StandardCharsets.ISO_8859_1);
  private static final int SIZE_CHECK_ROWS = 1024;

  private final MessageType schema;
  private final ParquetProperties properties;
  private final CompressionCodec codec;
  private final Map<String, String> metadata;
  private final long rowsOfGroup;
  private final long bytesOfGroup;
  private final OutputStream out;
  private final List<RowGroup> groups = new ArrayList<>();
  private final List<Chunk> chunks = new ArrayList<>();
  private final List<ColumnWriter> columns = new ArrayList<>();

  private @Nullable ColumnWriteStore store;
  private long position;
  private long rows;
  private long rowsNow;
  private boolean finished;

  /**
   * @param codec UNCOMPRESSED, SNAPPY or ZSTD
   * @param rowsOfGroup most rows of a row group
   * @param bytesOfGroup bytes in memory at which a row group ends
   */
  ColumnsWriter(
      Path file,
      MessageType schema,
      ParquetProperties properties,
      CompressionCodec codec,
      Map<String, String> metadata,
      long rowsOfGroup,
      long bytesOfGroup)
      throws IOException {
    this.schema = schema;
    this.properties = properties;
    this.codec = codec;
    this.metadata = new TreeMap<>(metadata);
    this.rowsOfGroup = rowsOfGroup;
    this.bytesOfGroup = bytesOfGroup;
    this.out = new BufferedOutputStream(Files.newOutputStream(file), 1 << 16);
    write(MAGIC);
    begin();
  }

  /** Receives the values of a column in the row that is being written. */
  ColumnWriter column(int index) {
    return columns.get(index);
  }

  /** Ends a row, to which each column must have written something. */
  void endRow() throws IOException {
    ColumnWriteStore current = store;
    if (current == null) {
      throw new IllegalStateException("nothing can be written behind the footer");
    }
    current.endRecord();
    rowsNow++;
    if (rowsNow == rowsOfGroup
        || (rowsNow % SIZE_CHECK_ROWS == 0 && bufferedBytes(current) >= bytesOfGroup)) {
      endGroup();
      begin();
    }
  }

  long rows() {
    return rows + rowsNow;
  }

  /** Writes what is held back, and the footer. */
  void finish() throws IOException {
    if (finished) {
      return;
    }
    endGroup();
    finished = true;
    FileMetaData footer = new FileMetaData(1, elements(schema), rows, groups);
    footer.setCreated_by(Version.FULL_VERSION);
    footer.setColumn_orders(
        Collections.nCopies(chunks.size(), ColumnOrder.TYPE_ORDER(new TypeDefinedOrder())));
    List<KeyValue> pairs = new ArrayList<>();
    metadata.forEach((key, value) -> pairs.add(new KeyValue(key).setValue(value)));
    if (!pairs.isEmpty()) {
      footer.setKey_value_metadata(pairs);
    }
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    Util.writeFileMetaData(footer, bytes);
    int length = bytes.size();
    write(bytes.toByteArray());
    write(
        new byte[] {
          (byte) length, (byte) (length >> 8), (byte) (length >> 16), (byte) (length >> 24)
        });
    write(MAGIC);
    out.flush();
  }

  @Override
  public void close() throws IOException {
    ColumnWriteStore current = store;
    store = null;
    if (current != null) {
      current.close();
    }
    out.close();
  }

  private void begin() {
    chunks.clear();
    columns.clear();
    for (ColumnDescriptor column : schema.getColumns()) {
      chunks.add(new Chunk(column));
    }
    PageWriteStore pages = column -> chunks.get(schema.getColumns().indexOf(column));
    ColumnWriteStore begun = properties.newColumnWriteStore(schema, pages);
    for (ColumnDescriptor column : schema.getColumns()) {
      columns.add(begun.getColumnWriter(column));
    }
    store = begun;
    rowsNow = 0;
  }

  private long bufferedBytes(ColumnWriteStore current) {
    long bytes = current.getBufferedSize();
    for (Chunk chunk : chunks) {
      bytes += chunk.getMemSize();
    }
    return bytes;
  }

  private void endGroup() throws IOException {
    ColumnWriteStore current = store;
    store = null;
    if (current == null) {
      return;
    }
    if (rowsNow > 0) {
      current.flush();
      long begin = position;
      List<ColumnChunk> written = new ArrayList<>();
      long uncompressed = 0;
      for (Chunk chunk : chunks) {
        ColumnMetaData column = chunk.writeTo(this);
        uncompressed += column.getTotal_uncompressed_size();
        written.add(
            new ColumnChunk(column.getData_page_offset()).setMeta_data(column).setFile_offset(0));
      }
      groups.add(
          new RowGroup(written, uncompressed, rowsNow)
              .setFile_offset(begin)
              .setTotal_compressed_size(position - begin)
              .setOrdinal((short) Math.min(groups.size(), Short.MAX_VALUE)));
    }
    current.close();
    rows += rowsNow;
    rowsNow = 0;
  }

  private void write(byte[] bytes) throws IOException {
    out.write(bytes);
    position += bytes.length;
  }

  private void write(ByteArrayOutputStream bytes) throws IOException {
    bytes.writeTo(out);
    position += bytes.size();
  }

  private static byte[] bytesOf(BytesInput input) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(Math.toIntExact(input.size()));
    input.writeAllTo(bytes);
    return bytes.toByteArray();
  }

  private static List<SchemaElement> elements(MessageType schema) {
    List<SchemaElement> elements = new ArrayList<>();
    elements.add(new SchemaElement(schema.getName()).setNum_children(schema.getFieldCount()));
    collect(schema, elements);
    return elements;
  }

  private static void collect(GroupType group, List<SchemaElement> elements) {
    for (org.apache.parquet.schema.Type field : group.getFields()) {
      SchemaElement element =
          new SchemaElement(field.getName())
              .setRepetition_type(FieldRepetitionType.valueOf(field.getRepetition().name()));
      annotate(element, field.getLogicalTypeAnnotation());
      elements.add(element);
      if (field.isPrimitive()) {
        PrimitiveType primitive = field.asPrimitiveType();
        element.setType(formatType(primitive));
        if (primitive.getTypeLength() > 0) {
          element.setType_length(primitive.getTypeLength());
        }
      } else {
        element.setNum_children(field.asGroupType().getFieldCount());
        collect(field.asGroupType(), elements);
      }
    }
  }

  private static Type formatType(PrimitiveType type) {
    return switch (type.getPrimitiveTypeName()) {
      case BINARY -> Type.BYTE_ARRAY;
      default -> Type.valueOf(type.getPrimitiveTypeName().name());
    };
  }

  private static void annotate(SchemaElement element, @Nullable LogicalTypeAnnotation annotation) {
    switch (annotation) {
      case null -> {
        // a plain type
      }
      case LogicalTypeAnnotation.StringLogicalTypeAnnotation _ ->
          element
              .setConverted_type(ConvertedType.UTF8)
              .setLogicalType(LogicalType.STRING(new StringType()));
      case LogicalTypeAnnotation.ListLogicalTypeAnnotation _ ->
          element
              .setConverted_type(ConvertedType.LIST)
              .setLogicalType(LogicalType.LIST(new ListType()));
      case LogicalTypeAnnotation.Float16LogicalTypeAnnotation _ ->
          element.setLogicalType(LogicalType.FLOAT16(new Float16Type()));
      default -> throw new IllegalArgumentException("a type that is not written: " + annotation);
    }
  }

  /** A column in the row group that is being written. */
  private final class Chunk implements PageWriter {

    private final ColumnDescriptor column;
    private final ByteArrayOutputStream pages = new ByteArrayOutputStream();
    private final ByteArrayOutputStream dictionary = new ByteArrayOutputStream();
    private final TreeSet<org.apache.parquet.format.Encoding> encodings = new TreeSet<>();
    private final @Nullable Compressor compressor;
    private @Nullable Statistics<?> statistics;
    private long values;
    private long uncompressed;

    Chunk(ColumnDescriptor column) {
      this.column = column;
      this.compressor =
          switch (codec) {
            case UNCOMPRESSED -> null;
            case SNAPPY -> new SnappyCompressor();
            case ZSTD -> new ZstdCompressor();
            default -> throw new IllegalArgumentException("a compression not written: " + codec);
          };
    }

    @Override
    @SuppressWarnings("deprecation") // which the library does not call, but still declares
    public void writePage(
        BytesInput bytes,
        int valueCount,
        Statistics<?> pageStatistics,
        Encoding repetition,
        Encoding definition,
        Encoding encoding)
        throws IOException {
      writePage(bytes, valueCount, 0, pageStatistics, repetition, definition, encoding);
    }

    @Override
    public void writePage(
        BytesInput bytes,
        int valueCount,
        int rowCount,
        Statistics<?> pageStatistics,
        Encoding repetition,
        Encoding definition,
        Encoding encoding)
        throws IOException {
      byte[] plain = bytesOf(bytes);
      DataPageHeader header =
          new DataPageHeader(
              valueCount, formatted(encoding), formatted(definition), formatted(repetition));
      page(
          pages,
          new PageHeader(PageType.DATA_PAGE, plain.length, 0).setData_page_header(header),
          new byte[0],
          plain);
      end(valueCount, pageStatistics);
    }

    @Override
    public void writePageV2(
        int rowCount,
        int nullCount,
        int valueCount,
        BytesInput repetition,
        BytesInput definition,
        Encoding encoding,
        BytesInput data,
        Statistics<?> pageStatistics)
        throws IOException {
      byte[] levels = bytesOf(BytesInput.concat(repetition, definition));
      byte[] plain = bytesOf(data);
      DataPageHeaderV2 header =
          new DataPageHeaderV2(
              valueCount,
              nullCount,
              rowCount,
              formatted(encoding),
              (int) definition.size(),
              (int) repetition.size());
      header.setIs_compressed(compressor != null);
      page(
          pages,
          new PageHeader(PageType.DATA_PAGE_V2, levels.length + plain.length, 0)
              .setData_page_header_v2(header),
          levels,
          plain);
      end(valueCount, pageStatistics);
    }

    @Override
    public void writePage(
        BytesInput bytes,
        int valueCount,
        int rowCount,
        Statistics<?> pageStatistics,
        @Nullable SizeStatistics sizes,
        @Nullable GeospatialStatistics places,
        Encoding repetition,
        Encoding definition,
        Encoding encoding)
        throws IOException {
      writePage(bytes, valueCount, rowCount, pageStatistics, repetition, definition, encoding);
    }

    @Override
    public void writePageV2(
        int rowCount,
        int nullCount,
        int valueCount,
        BytesInput repetition,
        BytesInput definition,
        Encoding encoding,
        BytesInput data,
        Statistics<?> pageStatistics,
        @Nullable SizeStatistics sizes,
        @Nullable GeospatialStatistics places)
        throws IOException {
      writePageV2(
          rowCount, nullCount, valueCount, repetition, definition, encoding, data, pageStatistics);
    }

    @Override
    public void writeDictionaryPage(DictionaryPage entries) throws IOException {
      byte[] plain = bytesOf(entries.getBytes());
      DictionaryPageHeader header =
          new DictionaryPageHeader(entries.getDictionarySize(), formatted(entries.getEncoding()));
      page(
          dictionary,
          new PageHeader(PageType.DICTIONARY_PAGE, plain.length, 0)
              .setDictionary_page_header(header),
          new byte[0],
          plain);
    }

    @Override
    public long getMemSize() {
      return (long) pages.size() + dictionary.size();
    }

    @Override
    public long allocatedSize() {
      return getMemSize();
    }

    @Override
    public String memUsageString(String prefix) {
      return prefix + " " + getMemSize();
    }

    ColumnMetaData writeTo(ColumnsWriter writer) throws IOException {
      long begin = writer.position;
      writer.write(dictionary);
      long data = writer.position;
      writer.write(pages);
      ColumnMetaData written =
          new ColumnMetaData(
              formatType(column.getPrimitiveType()),
              List.copyOf(encodings),
              List.of(column.getPath()),
              codec,
              values,
              uncompressed,
              writer.position - begin,
              data);
      if (data > begin) {
        written.setDictionary_page_offset(begin);
      }
      Statistics<?> all = statistics;
      if (all != null && all.hasNonNullValue() && column.getMaxRepetitionLevel() == 0) {
        written.setStatistics(
            new org.apache.parquet.format.Statistics()
                .setMin_value(all.getMinBytes())
                .setMax_value(all.getMaxBytes())
                .setNull_count(all.getNumNulls()));
      }
      return written;
    }

    private void end(int valueCount, @Nullable Statistics<?> pageStatistics) {
      values += valueCount;
      if (pageStatistics != null) {
        if (statistics == null) {
          statistics = pageStatistics.copy();
        } else {
          statistics.mergeStatistics(pageStatistics);
        }
      }
    }

    /** Writes a page: header, levels as they are, data compressed. */
    private void page(ByteArrayOutputStream target, PageHeader header, byte[] levels, byte[] plain)
        throws IOException {
      byte[] compressed = plain;
      int length = plain.length;
      if (compressor != null) {
        compressed = new byte[compressor.maxCompressedLength(plain.length)];
        length = compressor.compress(plain, 0, plain.length, compressed, 0, compressed.length);
      }
      CRC32 crc = new CRC32();
      crc.update(levels);
      crc.update(compressed, 0, length);
      header.setCompressed_page_size(levels.length + length).setCrc((int) crc.getValue());
      int before = target.size();
      Util.writePageHeader(header, target);
      uncompressed += target.size() - before + levels.length + plain.length;
      target.write(levels);
      target.write(compressed, 0, length);
    }

    private org.apache.parquet.format.Encoding formatted(Encoding encoding) {
      var formatted = org.apache.parquet.format.Encoding.valueOf(encoding.name());
      encodings.add(formatted);
      return formatted;
    }
  }
}
