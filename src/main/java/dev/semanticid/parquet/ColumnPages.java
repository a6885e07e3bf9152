package dev.semanticid.parquet;

import dev.semanticid.core.vector.ByteSource;
import dev.semanticid.format.FormatException;
import dev.semanticid.format.FormatException.Kind;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Locale;
import java.util.Objects;
import java.util.zip.CRC32;
import org.apache.parquet.format.ColumnMetaData;
import org.apache.parquet.format.DataPageHeader;
import org.apache.parquet.format.DataPageHeaderV2;
import org.apache.parquet.format.DictionaryPageHeader;
import org.apache.parquet.format.Encoding;
import org.apache.parquet.format.PageHeader;
import org.apache.parquet.format.Util;
import org.jspecify.annotations.Nullable;

/**
 * The pages of one column in the order of the file, with one of them in memory at a time: the
 * memory follows the largest page, not the row group. Used by one thread at a time.
 */
final class ColumnPages {

  /** Largest page that is read, compressed or not: 256 MiB. Writers make pages of 1 MiB. */
  static final int MAX_PAGE_BYTES = 256 << 20;

  /** Most values of a page that is read. */
  static final int MAX_PAGE_VALUES = 1 << 26;

  private static final int READ_BYTES = 4 << 20;

  private final ParquetFile file;
  private final ParquetFile.Node leaf;
  private final RunLengthDecoder levels = new RunLengthDecoder();
  private final Window window;

  private int group = -1;
  private boolean firstOfGroup;
  private PageCodec codec;
  private long valuesLeft;

  private byte[] page = {};
  private int count;
  private byte[] repetition = {};
  private byte[] definition = {};
  private Encoding encoding = Encoding.PLAIN;
  private ByteBuffer values = ByteBuffer.allocate(0);
  private int dictionaryCount;
  private @Nullable ByteBuffer dictionary;

  ColumnPages(ParquetFile file, ParquetFile.Node leaf) throws FormatException {
    this.file = file;
    this.leaf = leaf;
    this.window = new Window(file.source());
    this.codec = PageCodec.of(org.apache.parquet.format.CompressionCodec.UNCOMPRESSED);
  }

  /**
   * Moves to the next data page, of the next row group if need be.
   *
   * @return whether there is one
   * @throws FormatException without the source's name, if the page is damaged or cannot be read
   *     here
   */
  boolean next() throws IOException {
    firstOfGroup = false;
    count = 0;
    while (valuesLeft == 0) {
      if (group + 1 >= file.rowGroups()) {
        return false;
      }
      begin(group + 1);
    }
    while (!readPage()) {
      // a dictionary or an index: the data come behind it
    }
    return true;
  }

  /** Lets {@link #next} go on with the first page of a row group. */
  void seek(int nextGroup) {
    group = nextGroup - 1;
    valuesLeft = 0;
    count = 0;
  }

  /** The row group of the page. */
  int group() {
    return group;
  }

  /** Whether the page is the first one of its row group. */
  boolean isFirstOfGroup() {
    return firstOfGroup;
  }

  /** Levels of the page. */
  int count() {
    return count;
  }

  /** {@link #count} repetition levels; undefined for a column that is not repeated. */
  byte[] repetition() {
    return repetition;
  }

  /** {@link #count} definition levels; zero for a column that is always there. */
  byte[] definition() {
    return definition;
  }

  Encoding encoding() {
    return encoding;
  }

  /** The encoded values, valid until the next page; little-endian, with an array behind it. */
  ByteBuffer values() {
    return values;
  }

  /** The row group's dictionary, PLAIN, valid for as long as this object; null if it has none. */
  @Nullable ByteBuffer dictionary() {
    return dictionary;
  }

  /** Entries of the dictionary. */
  int dictionaryCount() {
    return dictionaryCount;
  }

  private void begin(int nextGroup) throws IOException {
    group = nextGroup;
    firstOfGroup = true;
    dictionary = null;
    dictionaryCount = 0;
    ColumnMetaData chunk = file.chunk(group, leaf);
    codec = PageCodec.of(chunk.getCodec());
    long begin = chunk.getData_page_offset();
    if (chunk.isSetDictionary_page_offset() && chunk.getDictionary_page_offset() > 0) {
      begin = Math.min(begin, chunk.getDictionary_page_offset());
    }
    long length = chunk.getTotal_compressed_size();
    if (begin < 4 || length < 0 || length > file.dataEnd() - begin) {
      throw ParquetFile.corrupt(
          String.format(
              Locale.ROOT,
              "row group %d: expected pages between bytes 4 and %d, got %d bytes from %d on",
              group,
              file.dataEnd(),
              length,
              begin));
    }
    if (chunk.getNum_values() < 0) {
      throw ParquetFile.corrupt(
          String.format(
              Locale.ROOT,
              "row group %d: expected 0 or more values, got %d",
              group,
              chunk.getNum_values()));
    }
    valuesLeft = chunk.getNum_values();
    window.reset(begin, begin + length);
  }

  /** Reads a page; false if it was not one of data. */
  private boolean readPage() throws IOException {
    PageHeader header = window.header(group);
    int compressed = header.getCompressed_page_size();
    int uncompressed = header.getUncompressed_page_size();
    if (compressed < 0 || uncompressed < 0) {
      throw ParquetFile.corrupt(
          String.format(
              Locale.ROOT,
              "row group %d: expected a page of 0 or more bytes, got %d",
              group,
              Math.min(compressed, uncompressed)));
    }
    if (Math.max(compressed, uncompressed) > MAX_PAGE_BYTES) {
      throw new FormatException(
          Kind.TOO_LARGE,
          String.format(
              Locale.ROOT,
              "row group %d: expected pages of at most %d bytes, got %d",
              group,
              MAX_PAGE_BYTES,
              Math.max(compressed, uncompressed)));
    }
    int at = window.take(compressed, group);
    if (header.isSetCrc()) {
      CRC32 crc = new CRC32();
      crc.update(window.bytes(), at, compressed);
      if ((int) crc.getValue() != header.getCrc()) {
        throw ParquetFile.corrupt(
            String.format(
                Locale.ROOT,
                "row group %d: expected a page with CRC %08x, got %08x",
                group,
                header.getCrc(),
                (int) crc.getValue()));
      }
    }
    try {
      return switch (Objects.requireNonNull(header.getType())) { // checked by Window.header
        case DATA_PAGE -> {
          dataPage(header.getData_page_header(), at, compressed, uncompressed);
          yield true;
        }
        case DATA_PAGE_V2 -> {
          dataPageV2(header.getData_page_header_v2(), at, compressed, uncompressed);
          yield true;
        }
        case DICTIONARY_PAGE -> {
          dictionaryPage(header.getDictionary_page_header(), at, compressed, uncompressed);
          yield false;
        }
        case INDEX_PAGE -> false;
      };
    } catch (IndexOutOfBoundsException e) {
      throw ParquetFile.corrupt(
          String.format(Locale.ROOT, "row group %d: %s", group, e.getMessage()));
    }
  }

  private void dictionaryPage(
      @Nullable DictionaryPageHeader header, int at, int compressed, int uncompressed)
      throws FormatException {
    if (header == null || header.getNum_values() < 0 || dictionary != null) {
      throw ParquetFile.corrupt(
          String.format(Locale.ROOT, "row group %d: a dictionary out of place", group));
    }
    byte[] entries = new byte[uncompressed];
    codec.decompress(window.bytes(), at, compressed, entries, 0, uncompressed);
    dictionary = ByteBuffer.wrap(entries).order(ByteOrder.LITTLE_ENDIAN);
    dictionaryCount = header.getNum_values();
  }

  private void dataPage(@Nullable DataPageHeader header, int at, int compressed, int uncompressed)
      throws FormatException {
    if (header == null) {
      throw ParquetFile.corrupt(
          String.format(Locale.ROOT, "row group %d: a page without its header", group));
    }
    beginLevels(header.getNum_values());
    byte[] bytes = window.bytes();
    int begin = at;
    if (!codec.isNone()) {
      page = grown(page, uncompressed);
      codec.decompress(bytes, at, compressed, page, 0, uncompressed);
      bytes = page;
      begin = 0;
    } else if (compressed != uncompressed) {
      throw ParquetFile.corrupt(
          String.format(
              Locale.ROOT,
              "row group %d: expected a page of %d bytes, got %d",
              group,
              uncompressed,
              compressed));
    }
    int end = begin + uncompressed;
    if (leaf.repetition() > 0) {
      begin =
          sizedLevels(
              bytes,
              begin,
              end,
              header.getRepetition_level_encoding(),
              leaf.repetition(),
              repetition);
    }
    if (leaf.definition() > 0) {
      begin =
          sizedLevels(
              bytes,
              begin,
              end,
              header.getDefinition_level_encoding(),
              leaf.definition(),
              definition);
    }
    finish(bytes, begin, end, header.getEncoding());
  }

  private void dataPageV2(
      @Nullable DataPageHeaderV2 header, int at, int compressed, int uncompressed)
      throws FormatException {
    if (header == null) {
      throw ParquetFile.corrupt(
          String.format(Locale.ROOT, "row group %d: a page without its header", group));
    }
    beginLevels(header.getNum_values());
    int repetitionBytes = header.getRepetition_levels_byte_length();
    int definitionBytes = header.getDefinition_levels_byte_length();
    long levelBytes = (long) repetitionBytes + definitionBytes;
    if (repetitionBytes < 0
        || definitionBytes < 0
        || levelBytes > Math.min(compressed, uncompressed)) {
      throw ParquetFile.corrupt(
          String.format(
              Locale.ROOT,
              "row group %d: expected levels of at most %d bytes, got %d",
              group,
              Math.min(compressed, uncompressed),
              levelBytes));
    }
    int begin = at;
    if (leaf.repetition() > 0) {
      levels(window.bytes(), begin, repetitionBytes, leaf.repetition(), repetition);
    }
    begin += repetitionBytes;
    if (leaf.definition() > 0) {
      levels(window.bytes(), begin, definitionBytes, leaf.definition(), definition);
    }
    begin += definitionBytes;
    int end = at + compressed;
    byte[] bytes = window.bytes();
    boolean plain = codec.isNone() || (header.isSetIs_compressed() && !header.isIs_compressed());
    if (!plain && end > begin) {
      int wanted = uncompressed - (int) levelBytes;
      page = grown(page, wanted);
      codec.decompress(bytes, begin, end - begin, page, 0, wanted);
      bytes = page;
      begin = 0;
      end = wanted;
    }
    finish(bytes, begin, end, header.getEncoding());
  }

  private void beginLevels(int pageValues) throws FormatException {
    if (pageValues < 0 || pageValues > valuesLeft) {
      throw ParquetFile.corrupt(
          String.format(
              Locale.ROOT,
              "row group %d: expected a page of at most %d values, got %d",
              group,
              valuesLeft,
              pageValues));
    }
    if (pageValues > MAX_PAGE_VALUES) {
      throw new FormatException(
          Kind.TOO_LARGE,
          String.format(
              Locale.ROOT,
              "row group %d: expected pages of at most %d values, got %d",
              group,
              MAX_PAGE_VALUES,
              pageValues));
    }
    valuesLeft -= pageValues;
    count = pageValues;
    if (definition.length < count) {
      definition = new byte[count];
      repetition = new byte[leaf.repetition() > 0 ? count : 0];
    }
  }

  /** Decodes levels with their length before them. */
  private int sizedLevels(
      byte[] bytes, int begin, int end, @Nullable Encoding kind, int most, byte[] target)
      throws FormatException {
    if (kind != Encoding.RLE) {
      throw new FormatException(
          Kind.UNSUPPORTED,
          String.format(Locale.ROOT, "row group %d: expected levels in RLE, got %s", group, kind));
    }
    if (end - begin < 4) {
      throw ParquetFile.corrupt(
          String.format(Locale.ROOT, "row group %d: a page without its levels", group));
    }
    int length = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getInt(begin);
    if (length < 0 || length > end - begin - 4) {
      throw ParquetFile.corrupt(
          String.format(
              Locale.ROOT,
              "row group %d: expected levels of at most %d bytes, got %d",
              group,
              end - begin - 4,
              length));
    }
    levels(bytes, begin + 4, length, most, target);
    return begin + 4 + length;
  }

  private void levels(byte[] bytes, int begin, int length, int most, byte[] target)
      throws FormatException {
    int width = 32 - Integer.numberOfLeadingZeros(most);
    levels.reset(bytes, begin, begin + length, width);
    levels.read(target, 0, count);
    if (Integer.bitCount(most + 1) != 1) {
      for (int i = 0; i < count; i++) {
        if (target[i] > most) {
          throw ParquetFile.corrupt(
              String.format(
                  Locale.ROOT,
                  "row group %d: expected levels of at most %d, got %d",
                  group,
                  most,
                  target[i]));
        }
      }
    }
  }

  private void finish(byte[] bytes, int begin, int end, @Nullable Encoding kind)
      throws FormatException {
    if (kind == null) {
      throw ParquetFile.corrupt(
          String.format(Locale.ROOT, "row group %d: a page of an unknown encoding", group));
    }
    encoding = kind;
    values = ByteBuffer.wrap(bytes, begin, end - begin).slice().order(ByteOrder.LITTLE_ENDIAN);
  }

  private static byte[] grown(byte[] array, int length) {
    return array.length >= length ? array : new byte[Math.max(length, 64 << 10)];
  }

  /** The bytes of a column in a row group, read ahead in pieces. */
  private static final class Window extends InputStream {

    private final ByteSource source;
    private byte[] buffer = {};
    private long next;
    private long end;
    private int at;
    private int limit;

    Window(ByteSource source) {
      this.source = source;
    }

    void reset(long begin, long end) {
      this.next = begin;
      this.end = end;
      this.at = 0;
      this.limit = 0;
    }

    byte[] bytes() {
      return buffer;
    }

    PageHeader header(int group) throws IOException {
      fill(1);
      if (at == limit) {
        throw ParquetFile.corrupt(
            String.format(Locale.ROOT, "row group %d: fewer pages than announced", group));
      }
      PageHeader header;
      try {
        header = Util.readPageHeader(this);
      } catch (IOException | RuntimeException e) {
        for (Throwable cause = e; cause != null; cause = cause.getCause()) {
          if (cause instanceof SourceException inner) {
            throw inner.failure;
          }
        }
        throw ParquetFile.corrupt(
            String.format(
                Locale.ROOT,
                "row group %d: a page header cannot be parsed: %s",
                group,
                e.getMessage()));
      }
      if (header.getType() == null) {
        throw ParquetFile.corrupt(
            String.format(Locale.ROOT, "row group %d: a page of an unknown type", group));
      }
      return header;
    }

    /** Makes the next bytes be in the buffer and passes over them; where they begin. */
    int take(int length, int group) throws IOException {
      if (length > limit - at + (end - next)) {
        throw ParquetFile.corrupt(
            String.format(
                Locale.ROOT,
                "row group %d: expected a page of %d bytes, got %d",
                group,
                length,
                limit - at + (end - next)));
      }
      fill(length);
      int begin = at;
      at += length;
      return begin;
    }

    /** Reads ahead until {@code wanted} bytes are there, or the end is. */
    private void fill(int wanted) throws IOException {
      if (limit - at >= wanted) {
        return;
      }
      int kept = limit - at;
      long left = end - next;
      int room = (int) Math.min(kept + left, Math.max(READ_BYTES, (long) wanted));
      if (buffer.length < room) {
        buffer = Arrays.copyOfRange(buffer, at, at + room);
      } else {
        System.arraycopy(buffer, at, buffer, 0, kept);
      }
      at = 0;
      limit = kept;
      int length = room - kept;
      source.read(next, buffer, kept, length);
      next += length;
      limit = room;
    }

    @Override
    public int read() throws IOException {
      fillForHeader();
      return at < limit ? buffer[at++] & 0xff : -1;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
      fillForHeader();
      int n = Math.min(length, limit - at);
      if (n <= 0) {
        return length == 0 ? 0 : -1;
      }
      System.arraycopy(buffer, at, target, offset, n);
      at += n;
      return n;
    }

    /** A failure of the source must not pass for a damaged header. */
    private void fillForHeader() throws IOException {
      if (at == limit && next < end) {
        try {
          fill(1);
        } catch (IOException e) {
          throw new SourceException(e);
        }
      }
    }
  }

  private static final class SourceException extends IOException {
    private static final long serialVersionUID = 1;
    private final transient IOException failure;

    SourceException(IOException failure) {
      this.failure = failure;
    }
  }
}
