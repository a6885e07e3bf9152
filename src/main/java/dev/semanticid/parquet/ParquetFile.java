package dev.semanticid.parquet;

import dev.semanticid.core.vector.ByteSource;
import dev.semanticid.format.FormatException;
import dev.semanticid.format.FormatException.Kind;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.apache.parquet.format.ColumnChunk;
import org.apache.parquet.format.ColumnMetaData;
import org.apache.parquet.format.ConvertedType;
import org.apache.parquet.format.FieldRepetitionType;
import org.apache.parquet.format.FileMetaData;
import org.apache.parquet.format.LogicalType;
import org.apache.parquet.format.RowGroup;
import org.apache.parquet.format.SchemaElement;
import org.apache.parquet.format.Type;
import org.apache.parquet.format.Util;
import org.jspecify.annotations.Nullable;

/** The footer of a Parquet file: its columns and where their pages lie. Immutable. */
final class ParquetFile {

  /** Longest footer that is read: 64 MiB. */
  private static final int MAX_FOOTER_BYTES = 64 << 20;

  private static final String MAGIC = "PAR1";
  private static final int TAIL_BYTES = 8;
  private static final int MAX_DEPTH = 64;

  private final ByteSource source;
  private final long rows;
  private final long dataEnd;
  private final List<RowGroup> rowGroups;
  private final List<Node> fields;

  /**
   * A field of the schema.
   *
   * @param path names from the top down, with dots between them
   * @param definition level from which on the field is there
   * @param repetition how many repeated fields there are down to this one
   * @param leaf index among the columns of a row group, −1 for a group
   */
  record Node(
      String path,
      SchemaElement element,
      int definition,
      int repetition,
      int leaf,
      List<Node> children) {

    boolean isRepeated() {
      return element.getRepetition_type() == FieldRepetitionType.REPEATED;
    }

    boolean isList() {
      LogicalType logical = element.getLogicalType();
      return element.getConverted_type() == ConvertedType.LIST
          || (logical != null && logical.isSetLIST());
    }

    boolean isFloat16() {
      LogicalType logical = element.getLogicalType();
      return element.getType() == Type.FIXED_LEN_BYTE_ARRAY
          && element.getType_length() == 2
          && logical != null
          && logical.isSetFLOAT16();
    }

    /** The type as a message may name it: {@code list<float>}, {@code int64}, {@code struct}. */
    String typeName() {
      if (leaf >= 0) {
        String name = isRepeated() ? "list<%s>" : "%s";
        return name.formatted(primitiveName());
      }
      if (isList() && children.size() == 1) {
        Node repeated = children.getFirst();
        Node item =
            repeated.leaf < 0 && repeated.children.size() == 1
                ? repeated.children.getFirst()
                : repeated;
        return "list<%s>".formatted(item.leaf >= 0 ? item.primitiveName() : item.typeName());
      }
      return isRepeated() ? "list<struct>" : "struct";
    }

    private String primitiveName() {
      LogicalType logical = element.getLogicalType();
      ConvertedType converted = element.getConverted_type();
      if (isFloat16()) {
        return "float16";
      }
      if (converted == ConvertedType.UTF8 || (logical != null && logical.isSetSTRING())) {
        return "string";
      }
      if (converted != null) {
        return converted.name().toLowerCase(Locale.ROOT);
      }
      if (logical != null && logical.isSet()) {
        return logical.getSetField().getFieldName().toLowerCase(Locale.ROOT);
      }
      return String.valueOf(element.getType()).toLowerCase(Locale.ROOT);
    }
  }

  private ParquetFile(ByteSource source, long dataEnd, FileMetaData metadata)
      throws FormatException {
    this.source = source;
    this.dataEnd = dataEnd;
    this.rows = metadata.getNum_rows();
    // both are required fields, which the parser checks
    this.rowGroups = Objects.requireNonNull(metadata.getRow_groups());
    this.fields = new SchemaWalk(Objects.requireNonNull(metadata.getSchema())).fields();
    long sum = 0;
    for (RowGroup group : rowGroups) {
      if (group.getNum_rows() < 0 || sum + group.getNum_rows() < sum) {
        throw corrupt("expected row groups of 0 or more rows, got " + group.getNum_rows());
      }
      sum += group.getNum_rows();
    }
    if (sum != rows) {
      throw corrupt(
          String.format(
              Locale.ROOT, "expected %d rows as the footer says, got row groups of %d", rows, sum));
    }
  }

  /**
   * Reads the footer.
   *
   * @throws FormatException with the source's name: {@code TRUNCATED} or {@code CORRUPT} if there
   *     is no valid footer, {@code UNSUPPORTED} if it is encrypted, {@code TOO_LARGE} if it is
   *     longer than 64 MiB
   * @throws IOException if the source cannot be read
   */
  static ParquetFile open(ByteSource source) throws IOException {
    try {
      return read(source);
    } catch (FormatException e) {
      throw e.in(source.name());
    }
  }

  private static ParquetFile read(ByteSource source) throws IOException {
    long size = source.size();
    if (size < MAGIC.length() + TAIL_BYTES) {
      throw new FormatException(
          Kind.TRUNCATED,
          String.format(
              Locale.ROOT,
              "expected a Parquet file of at least %d bytes, got %d",
              MAGIC.length() + TAIL_BYTES,
              size));
    }
    byte[] head = new byte[MAGIC.length()];
    source.read(0, head, 0, head.length);
    byte[] tail = new byte[TAIL_BYTES];
    source.read(size - TAIL_BYTES, tail, 0, TAIL_BYTES);
    String begin = new String(head, StandardCharsets.ISO_8859_1);
    String end = new String(tail, 4, 4, StandardCharsets.ISO_8859_1);
    if (end.equals("PARE")) {
      throw new FormatException(Kind.UNSUPPORTED, "expected a plain footer, got an encrypted one");
    }
    if (!begin.equals(MAGIC)) {
      throw new FormatException(
          Kind.CORRUPT,
          "expected a Parquet file that begins with %s, got bytes %s"
              .formatted(MAGIC, hex(head, 0)));
    }
    if (!end.equals(MAGIC)) {
      throw new FormatException(
          Kind.TRUNCATED,
          "expected a Parquet file that ends with %s, got bytes %s".formatted(MAGIC, hex(tail, 4)));
    }
    int length = ByteBuffer.wrap(tail).order(ByteOrder.LITTLE_ENDIAN).getInt();
    long most = size - MAGIC.length() - TAIL_BYTES;
    if (length < 0 || length > most) {
      throw new FormatException(
          Kind.CORRUPT,
          String.format(
              Locale.ROOT,
              "expected a footer of at most %d bytes, got %s",
              most,
              Integer.toUnsignedString(length)));
    }
    if (length > MAX_FOOTER_BYTES) {
      throw new FormatException(
          Kind.TOO_LARGE,
          String.format(
              Locale.ROOT,
              "expected a footer of at most %d bytes, got %d",
              MAX_FOOTER_BYTES,
              length));
    }
    byte[] footer = new byte[length];
    long footerBegin = size - TAIL_BYTES - length;
    source.read(footerBegin, footer, 0, length);
    FileMetaData metadata;
    try {
      metadata = Util.readFileMetaData(new ByteArrayInputStream(footer), Math.max(length, 1));
    } catch (IOException | RuntimeException e) {
      throw new FormatException(Kind.CORRUPT, "the footer cannot be parsed: " + e.getMessage());
    }
    if (metadata.isSetEncryption_algorithm()) {
      throw new FormatException(Kind.UNSUPPORTED, "expected plain columns, got encrypted ones");
    }
    return new ParquetFile(source, footerBegin, metadata);
  }

  ByteSource source() {
    return source;
  }

  String name() {
    return source.name();
  }

  long rows() {
    return rows;
  }

  /** First byte behind the pages. */
  long dataEnd() {
    return dataEnd;
  }

  int rowGroups() {
    return rowGroups.size();
  }

  long rowsOfGroup(int group) {
    return rowGroups.get(group).getNum_rows();
  }

  /** The fields of the top level. */
  List<Node> fields() {
    return fields;
  }

  /** The columns and their types, for messages: {@code id: int64, embedding: list<float>}. */
  String columnsText() {
    var text = new StringBuilder();
    for (Node field : fields) {
      if (text.length() > 400) {
        return text.append(", …").toString();
      }
      text.append(text.isEmpty() ? "" : ", ")
          .append(shorten(field.path()))
          .append(": ")
          .append(field.typeName());
    }
    return text.isEmpty() ? "none" : text.toString();
  }

  /**
   * Where a column lies in a row group.
   *
   * @throws FormatException without the source's name, if it is not in this file or contradicts the
   *     schema
   */
  ColumnMetaData chunk(int group, Node leaf) throws FormatException {
    List<ColumnChunk> chunks = Objects.requireNonNull(rowGroups.get(group).getColumns());
    if (leaf.leaf() >= chunks.size()) {
      throw corrupt(
          String.format(
              Locale.ROOT,
              "row group %d: expected more than %d columns, got %d",
              group,
              leaf.leaf(),
              chunks.size()));
    }
    ColumnChunk chunk = chunks.get(leaf.leaf());
    String elsewhere = chunk.getFile_path();
    if (elsewhere != null && !elsewhere.isEmpty()) {
      throw new FormatException(
          Kind.UNSUPPORTED,
          String.format(
              Locale.ROOT,
              "row group %d: expected the column in this file, got one in another",
              group));
    }
    if (chunk.isSetCrypto_metadata()) {
      throw new FormatException(
          Kind.UNSUPPORTED,
          String.format(Locale.ROOT, "row group %d: expected a plain column", group));
    }
    ColumnMetaData metadata = chunk.getMeta_data();
    if (metadata == null) {
      throw corrupt(String.format(Locale.ROOT, "row group %d: a column without metadata", group));
    }
    if (metadata.getType() != leaf.element().getType()) {
      throw corrupt(
          String.format(
              Locale.ROOT,
              "row group %d: expected %s as the schema says, got %s",
              group,
              leaf.element().getType(),
              metadata.getType()));
    }
    return metadata;
  }

  static FormatException corrupt(String message) {
    return new FormatException(Kind.CORRUPT, message);
  }

  static String shorten(String text) {
    return text.length() <= 80 ? text : text.substring(0, 80) + "…";
  }

  private static String hex(byte[] bytes, int from) {
    return String.format(
        Locale.ROOT,
        "%02x %02x %02x %02x",
        bytes[from],
        bytes[from + 1],
        bytes[from + 2],
        bytes[from + 3]);
  }

  /** Makes a tree of the list of elements, which has each group before its fields. */
  private static final class SchemaWalk {

    private final List<SchemaElement> elements;
    private int at;
    private int leaves;

    SchemaWalk(List<SchemaElement> elements) {
      this.elements = elements;
    }

    List<Node> fields() throws FormatException {
      if (elements.isEmpty()) {
        throw corrupt("expected a schema, got none");
      }
      List<Node> fields = children(next(), "", 0, 0, 0);
      if (at < elements.size()) {
        throw corrupt(
            String.format(
                Locale.ROOT, "expected a schema of %d elements, got %d", at, elements.size()));
      }
      return fields;
    }

    private SchemaElement next() throws FormatException {
      if (at == elements.size()) {
        throw corrupt(String.format(Locale.ROOT, "expected a schema of more than %d elements", at));
      }
      return elements.get(at++);
    }

    private List<Node> children(
        SchemaElement parent, String path, int definition, int repetition, int depth)
        throws FormatException {
      if (depth > MAX_DEPTH) {
        throw corrupt(
            String.format(Locale.ROOT, "expected a schema of at most %d levels", MAX_DEPTH));
      }
      List<Node> children = new ArrayList<>();
      for (int i = 0; i < parent.getNum_children(); i++) {
        children.add(node(path, definition, repetition, depth));
      }
      return Collections.unmodifiableList(children);
    }

    private Node node(String parentPath, int parentDefinition, int parentRepetition, int depth)
        throws FormatException {
      SchemaElement element = next();
      String name = Objects.requireNonNullElse(element.getName(), "");
      String path = parentPath.isEmpty() ? name : parentPath + "." + name;
      @Nullable FieldRepetitionType type = element.getRepetition_type();
      if (type == null) {
        throw corrupt("column %s: no repetition type".formatted(shorten(path)));
      }
      int definition = parentDefinition + (type == FieldRepetitionType.REQUIRED ? 0 : 1);
      int repetition = parentRepetition + (type == FieldRepetitionType.REPEATED ? 1 : 0);
      if (element.getNum_children() > 0) {
        List<Node> children = children(element, path, definition, repetition, depth + 1);
        return new Node(path, element, definition, repetition, -1, children);
      }
      if (element.isSetType()) {
        return new Node(path, element, definition, repetition, leaves++, List.of());
      }
      throw corrupt("column %s: neither a known type nor fields".formatted(shorten(path)));
    }
  }
}
