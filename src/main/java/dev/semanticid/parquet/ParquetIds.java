package dev.semanticid.parquet;

import dev.semanticid.core.vector.ByteSource;
import dev.semanticid.format.FormatException;
import dev.semanticid.format.FormatException.Kind;
import dev.semanticid.parquet.ParquetFile.Node;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import org.apache.parquet.bytes.ByteBufferInputStream;
import org.apache.parquet.bytes.BytesInput;
import org.apache.parquet.column.ColumnDescriptor;
import org.apache.parquet.column.Dictionary;
import org.apache.parquet.column.Encoding;
import org.apache.parquet.column.ValuesType;
import org.apache.parquet.column.page.DictionaryPage;
import org.apache.parquet.column.values.ValuesReader;
import org.apache.parquet.format.ConvertedType;
import org.apache.parquet.format.IntType;
import org.apache.parquet.format.LogicalType;
import org.apache.parquet.format.Type;
import org.apache.parquet.schema.PrimitiveType;
import org.apache.parquet.schema.PrimitiveType.PrimitiveTypeName;
import org.apache.parquet.schema.Types;
import org.jspecify.annotations.Nullable;

/**
 * The ids of a Parquet file, a column of strings, int32 or int64, in the order of the rows. Like
 * {@link ParquetVectorReader} it holds one page in memory, and works on the thread that calls. Used
 * by one thread at a time.
 */
public final class ParquetIds implements AutoCloseable {

  /** The columns that hold ids if nobody says which does, in the order in which they are tried. */
  private static final List<String> DEFAULT_NAMES = List.of("id", "item_id");

  private final ParquetFile file;
  private final Node leaf;
  private final IdType type;
  private final ColumnPages pages;
  private final ColumnDescriptor descriptor;

  private long row;
  private int group;
  private long rowOfGroup;
  private int at;
  private @Nullable ValuesReader values;
  private @Nullable Dictionary dictionary;
  private int dictionaryGroup = -1;

  private ParquetIds(ParquetFile file, Node leaf, IdType type) throws FormatException {
    this.file = file;
    this.leaf = leaf;
    this.type = type;
    this.pages = new ColumnPages(file, leaf);
    PrimitiveTypeName name =
        switch (Objects.requireNonNull(leaf.element().getType())) {
          case INT32 -> PrimitiveTypeName.INT32;
          case INT64 -> PrimitiveTypeName.INT64;
          default -> PrimitiveTypeName.BINARY;
        };
    PrimitiveType primitive = Types.required(name).named("id");
    this.descriptor = new ColumnDescriptor(new String[] {"id"}, primitive, 0, 0);
  }

  /**
   * Opens a file.
   *
   * @param source closed by {@link #close}, and not closed if this fails
   * @param column name of the column, with dots if it is in a struct
   * @throws FormatException beginning with the source's name; {@code UNSUPPORTED} if there is no
   *     such column of strings, int32 or int64; {@code TRUNCATED} or {@code CORRUPT} if the file is
   *     damaged
   * @throws IOException if the source cannot be read
   */
  public static ParquetIds open(ByteSource source, String column) throws IOException {
    Objects.requireNonNull(column, "column");
    ParquetFile file = ParquetFile.open(source);
    try {
      Optional<Node> node = find(file.fields(), column);
      Optional<IdType> type = node.flatMap(ParquetIds::idType);
      if (node.isEmpty() || type.isEmpty()) {
        throw new FormatException(
            Kind.UNSUPPORTED,
            "expected a column %s of string, int32 or int64, got %s; columns: %s"
                .formatted(
                    ParquetFile.shorten(column),
                    node.map(Node::typeName).orElse("none"),
                    file.columnsText()));
      }
      return new ParquetIds(file, node.get(), type.get());
    } catch (FormatException e) {
      throw e.in(source.name());
    }
  }

  /**
   * The column that holds the ids if nobody says which: {@code id} or {@code item_id}, the first of
   * them that there is with a type that is read here.
   *
   * @throws FormatException beginning with the source's name, if the file is damaged
   * @throws IOException if the source cannot be read
   */
  public static Optional<String> defaultColumn(ByteSource source) throws IOException {
    ParquetFile file = ParquetFile.open(source);
    return DEFAULT_NAMES.stream()
        .filter(name -> find(file.fields(), name).flatMap(ParquetIds::idType).isPresent())
        .findFirst();
  }

  /** What the ids are. */
  public IdType type() {
    return type;
  }

  /** Rows in all. */
  public long rows() {
    return file.rows();
  }

  /**
   * Reads the next ids.
   *
   * @param batch receives them in place of what it held
   * @param most how many at most, 1 or more
   * @return how many were read: {@code most}, or fewer towards the end, and 0 behind it
   * @throws FormatException beginning with the source's name, if an id is null or the file is
   *     damaged
   * @throws IOException if the source cannot be read
   */
  public int read(Ids batch, int most) throws IOException {
    if (most < 1 || batch.type() != type) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "expected a batch of %s for 1 or more, got one of %s for %d",
              type,
              batch.type(),
              most));
    }
    int count = (int) Math.min(most, rows() - row);
    batch.begin(count);
    pass(batch, count);
    return count;
  }

  /**
   * Passes over rows; whole row groups are not read at all.
   *
   * @param rows how many, at most as many as are left
   * @throws FormatException beginning with the source's name, if the file is damaged
   * @throws IOException if the source cannot be read
   */
  public void skip(long rows) throws IOException {
    if (rows < 0 || rows > rows() - row) {
      throw new IllegalArgumentException(
          String.format(Locale.ROOT, "expected 0 to %d rows to skip, got %d", rows() - row, rows));
    }
    long left = rows;
    while (left > 0) {
      long leftOfGroup = file.rowsOfGroup(group) - rowOfGroup;
      if (left >= leftOfGroup) {
        left -= leftOfGroup;
        row += leftOfGroup;
        group++;
        rowOfGroup = 0;
        at = 0;
        pages.seek(group);
      } else {
        pass(null, (int) Math.min(left, 1 << 20));
        left -= Math.min(left, 1 << 20);
      }
    }
  }

  @Override
  public void close() throws IOException {
    file.source().close();
  }

  private void pass(@Nullable Ids batch, int count) throws IOException {
    try {
      for (int i = 0; i < count; i++) {
        row(batch);
      }
    } catch (FormatException e) {
      throw e.in(file.name());
    } catch (LibraryException e) {
      throw ParquetFile.corrupt(
              String.format(Locale.ROOT, "row %d: ids that cannot be decoded: %s", row, e.cause))
          .in(file.name());
    }
  }

  private void row(@Nullable Ids batch) throws IOException {
    while (rowOfGroup == file.rowsOfGroup(group)) {
      group++;
      rowOfGroup = 0;
    }
    while (at == pages.count()) {
      at = 0;
      if (!pages.next()) {
        break;
      }
      values = null;
    }
    if (at == pages.count() || pages.group() != group) {
      throw ParquetFile.corrupt(
          String.format(
              Locale.ROOT,
              "row group %d: expected %d rows, got %d",
              group,
              file.rowsOfGroup(group),
              rowOfGroup));
    }
    boolean there = pages.definition()[at] == leaf.definition();
    if (!there && batch != null) {
      throw ParquetFile.corrupt(String.format(Locale.ROOT, "row %d: the id is null", row));
    }
    if (there) {
      value(batch);
    }
    at++;
    row++;
    rowOfGroup++;
    if (rowOfGroup == file.rowsOfGroup(group) && at < pages.count()) {
      throw ParquetFile.corrupt(
          String.format(
              Locale.ROOT, "row group %d: expected %d rows, got more", group, rowOfGroup));
    }
  }

  private void value(@Nullable Ids batch) throws FormatException {
    try {
      ValuesReader reader = values == null ? beginValues() : values;
      if (batch == null) {
        reader.skip();
      } else if (type == IdType.STRING) {
        batch.add(text(reader.readBytes().toByteBuffer()));
      } else if (descriptor.getPrimitiveType().getPrimitiveTypeName() == PrimitiveTypeName.INT32) {
        int value = reader.readInteger();
        batch.add(isUnsigned(leaf) ? Integer.toUnsignedLong(value) : value);
      } else {
        batch.add(reader.readLong());
      }
    } catch (FormatException e) {
      throw e;
    } catch (IOException | RuntimeException e) {
      throw new LibraryException(e);
    }
  }

  private ValuesReader beginValues() throws IOException {
    Encoding encoding = Encoding.valueOf(pages.encoding().name());
    ValuesReader reader;
    if (encoding.usesDictionary()) {
      reader = encoding.getDictionaryBasedValuesReader(descriptor, ValuesType.VALUES, dictionary());
    } else {
      reader = encoding.getValuesReader(descriptor, ValuesType.VALUES);
    }
    int present = 0;
    for (int i = 0; i < pages.count(); i++) {
      present += pages.definition()[i] == leaf.definition() ? 1 : 0;
    }
    reader.initFromPage(present, ByteBufferInputStream.wrap(pages.values().duplicate()));
    values = reader;
    return reader;
  }

  private Dictionary dictionary() throws IOException {
    Dictionary decoded = dictionary;
    if (decoded == null || dictionaryGroup != pages.group()) {
      ByteBuffer encoded = pages.dictionary();
      if (encoded == null) {
        throw ParquetFile.corrupt(
            String.format(
                Locale.ROOT,
                "row group %d: a page of indices without a dictionary",
                pages.group()));
      }
      // an entry has at least the 4 bytes of its length, or of the number itself
      if (pages.dictionaryCount() > encoded.remaining() / 4) {
        throw ParquetFile.corrupt(
            String.format(
                Locale.ROOT,
                "row group %d: expected a dictionary of %d ids, got %d bytes",
                pages.group(),
                pages.dictionaryCount(),
                encoded.remaining()));
      }
      decoded =
          Encoding.PLAIN.initDictionary(
              descriptor,
              new DictionaryPage(
                  BytesInput.from(encoded.duplicate()), pages.dictionaryCount(), Encoding.PLAIN));
      dictionary = decoded;
      dictionaryGroup = pages.group();
    }
    return decoded;
  }

  private String text(ByteBuffer bytes) throws FormatException {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
    } catch (CharacterCodingException e) {
      throw ParquetFile.corrupt(
          String.format(Locale.ROOT, "row %d: the id is not valid UTF-8", row));
    }
  }

  private static Optional<Node> find(List<Node> nodes, String path) {
    for (Node node : nodes) {
      if (node.path().equals(path)) {
        return Optional.of(node);
      }
      Optional<Node> inside = find(node.children(), path);
      if (inside.isPresent()) {
        return inside;
      }
    }
    return Optional.empty();
  }

  private static Optional<IdType> idType(Node node) {
    if (node.leaf() < 0 || node.repetition() > 0) {
      return Optional.empty();
    }
    Type type = node.element().getType();
    ConvertedType converted = node.element().getConverted_type();
    LogicalType logical = node.element().getLogicalType();
    if (type == Type.BYTE_ARRAY) {
      boolean text = converted == ConvertedType.UTF8 || (logical != null && logical.isSetSTRING());
      return text ? Optional.of(IdType.STRING) : Optional.empty();
    }
    if (type != Type.INT32 && type != Type.INT64) {
      return Optional.empty();
    }
    boolean other = logical != null && logical.isSet() && !logical.isSetINTEGER();
    if (converted != null) {
      other |= !converted.name().startsWith("INT_") && !converted.name().startsWith("UINT_");
    }
    boolean tooLarge = type == Type.INT64 && isUnsigned(node);
    return other || tooLarge ? Optional.empty() : Optional.of(IdType.INT64);
  }

  private static boolean isUnsigned(Node node) {
    LogicalType logical = node.element().getLogicalType();
    ConvertedType converted = node.element().getConverted_type();
    if (logical != null && logical.isSetINTEGER()) {
      IntType integer = logical.getINTEGER();
      return !integer.isIsSigned();
    }
    return converted != null && converted.name().startsWith("UINT_");
  }

  /** A failure of the library's decoders, which have no exception of their own. */
  private static final class LibraryException extends RuntimeException {
    private static final long serialVersionUID = 1;
    private final transient Exception cause;

    LibraryException(Exception cause) {
      super(cause);
      this.cause = cause;
    }
  }
}
