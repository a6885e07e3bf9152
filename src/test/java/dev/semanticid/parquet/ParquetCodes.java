package dev.semanticid.parquet;

import static java.util.Objects.requireNonNull;

import io.airlift.compress.zstd.ZstdDecompressor;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.parquet.bytes.BytesInput;
import org.apache.parquet.column.ColumnDescriptor;
import org.apache.parquet.column.Encoding;
import org.apache.parquet.column.impl.ColumnReaderImpl;
import org.apache.parquet.column.page.DataPage;
import org.apache.parquet.column.page.DataPageV1;
import org.apache.parquet.column.page.DictionaryPage;
import org.apache.parquet.column.page.PageReader;
import org.apache.parquet.column.statistics.Statistics;
import org.apache.parquet.format.ColumnMetaData;
import org.apache.parquet.format.CompressionCodec;
import org.apache.parquet.format.FileMetaData;
import org.apache.parquet.format.PageHeader;
import org.apache.parquet.format.Util;
import org.apache.parquet.io.api.PrimitiveConverter;
import org.apache.parquet.schema.PrimitiveType;
import org.apache.parquet.schema.PrimitiveType.PrimitiveTypeName;
import org.apache.parquet.schema.Types;
import org.jspecify.annotations.Nullable;

/**
 * A file of semantic IDs as parquet-java reads it, without any of the service's own reading.
 *
 * @param codes n × L
 * @param metadata the footer's key-value pairs
 */
public record ParquetCodes(int[][] codes, Map<String, String> metadata) {

  private static final int TAIL = 8;

  /** Reads the column {@code semantic_id}, whose lists have at least one code. */
  public static ParquetCodes read(byte[] file) throws IOException {
    int length = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).getInt(file.length - TAIL);
    FileMetaData footer =
        Util.readFileMetaData(
            new ByteArrayInputStream(file, file.length - TAIL - length, length), length);
    var metadata = new HashMap<String, String>();
    requireNonNull(footer.getKey_value_metadata())
        .forEach(pair -> metadata.put(pair.getKey(), pair.getValue()));
    var rows = new ArrayList<List<Integer>>();
    for (var group : requireNonNull(footer.getRow_groups())) {
      ColumnMetaData column = requireNonNull(group.getColumns()).get(1).getMeta_data();
      read(file, requireNonNull(column), rows);
    }
    int[][] codes =
        rows.stream()
            .map(row -> row.stream().mapToInt(code -> code).toArray())
            .toArray(int[][]::new);
    return new ParquetCodes(codes, metadata);
  }

  private static void read(byte[] file, ColumnMetaData column, List<List<Integer>> rows)
      throws IOException {
    String[] path = requireNonNull(column.getPath_in_schema()).toArray(String[]::new);
    if (!path[0].equals("semantic_id") || column.getCodec() != CompressionCodec.ZSTD) {
      throw new IOException("expected semantic_id, got " + column);
    }
    PrimitiveType type = Types.required(PrimitiveTypeName.INT32).named("element");
    var descriptor = new ColumnDescriptor(path, type, 1, 1);
    var pages = new Pages(file, column);
    var reader = new ColumnReaderImpl(descriptor, pages, new PrimitiveConverter() {}, null);
    IntStream.range(0, Math.toIntExact(column.getNum_values()))
        .forEach(i -> {
          if (reader.getCurrentRepetitionLevel() == 0) {
            rows.add(new ArrayList<>());
          }
          rows.getLast().add(reader.getInteger());
          reader.consume();
        });
  }

  /** The pages of one column. */
  private static final class Pages implements PageReader {

    private final ByteArrayInputStream in;
    private final long values;
    private @Nullable DictionaryPage dictionary;
    private @Nullable DataPage next;

    Pages(byte[] file, ColumnMetaData column) throws IOException {
      int begin =
          Math.toIntExact(
              column.isSetDictionary_page_offset()
                  ? column.getDictionary_page_offset()
                  : column.getData_page_offset());
      this.in =
          new ByteArrayInputStream(file, begin, Math.toIntExact(column.getTotal_compressed_size()));
      this.values = column.getNum_values();
      this.next = page();
    }

    @Override
    public @Nullable DictionaryPage readDictionaryPage() {
      return dictionary;
    }

    @Override
    public long getTotalValueCount() {
      return values;
    }

    @Override
    public @Nullable DataPage readPage() {
      DataPage page = next;
      try {
        next = page();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      return page;
    }

    private @Nullable DataPage page() throws IOException {
      while (in.available() > 0) {
        PageHeader header = Util.readPageHeader(in);
        byte[] from = in.readNBytes(header.getCompressed_page_size());
        byte[] bytes = new byte[header.getUncompressed_page_size()];
        new ZstdDecompressor().decompress(from, 0, from.length, bytes, 0, bytes.length);
        if (header.isSetData_page_header()) {
          var data = requireNonNull(header.getData_page_header());
          return new DataPageV1(
              BytesInput.from(bytes),
              data.getNum_values(),
              bytes.length,
              Statistics.createStats(Types.required(PrimitiveTypeName.INT32).named("element")),
              encoding(data.getRepetition_level_encoding()),
              encoding(data.getDefinition_level_encoding()),
              encoding(data.getEncoding()));
        }
        var words = requireNonNull(header.getDictionary_page_header());
        dictionary =
            new DictionaryPage(
                BytesInput.from(bytes), words.getNum_values(), encoding(words.getEncoding()));
      }
      return null;
    }

    private static Encoding encoding(org.apache.parquet.format.@Nullable Encoding encoding) {
      return Encoding.valueOf(requireNonNull(encoding).name());
    }
  }
}
