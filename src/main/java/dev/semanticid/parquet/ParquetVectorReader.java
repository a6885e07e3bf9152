package dev.semanticid.parquet;

import dev.semanticid.core.vector.ByteSource;
import dev.semanticid.core.vector.ElementType;
import dev.semanticid.core.vector.VectorReader;
import dev.semanticid.format.FormatException;
import dev.semanticid.format.FormatException.Kind;
import dev.semanticid.parquet.ParquetFile.Node;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import org.apache.parquet.format.Type;
import org.jspecify.annotations.Nullable;

/**
 * The vectors of a Parquet file's column of lists, of float, double or float16. Everything happens
 * on the thread that calls; of the file one page is in memory at a time, so that the memory follows
 * the size of a page (1 MiB with most writers, at most 256 MiB) and not that of a row group.
 */
public final class ParquetVectorReader implements VectorReader {

  /** Longest list that is taken for a vector. */
  private static final int MAX_DIMENSION = 1 << 20;

  private static final int NULL_ROW = -1;
  private static final int NULL_COMPONENT = -2;

  private final ParquetFile file;
  private final VectorColumn column;
  private final ColumnPages pages;
  private final FloatValues values;
  private final int dimension;
  private final byte[] repeated;
  private final byte[] present;

  private int at;
  private long row;
  private int group;
  private long rowOfGroup;

  private long[] defectRows = {};
  private int[] defects = {};
  private int defectCount;
  private long defectsTo;

  /**
   * A column of lists.
   *
   * @param path of the list, with dots between the names
   * @param list definition level from which on there is a list
   */
  private record VectorColumn(String path, Node leaf, ElementType type, int list) {}

  private ParquetVectorReader(ParquetFile file, VectorColumn column) throws IOException {
    this.file = file;
    this.column = column;
    this.pages = new ColumnPages(file, column.leaf);
    this.values = new FloatValues(column.type);
    this.dimension = firstLength();
    this.repeated = new byte[dimension];
    Arrays.fill(repeated, (byte) 1);
    this.present = new byte[dimension];
    Arrays.fill(present, (byte) column.leaf.definition());
    enter(0);
  }

  /**
   * Opens a file. The dimension is the length of the first list that is not empty.
   *
   * @param source closed by {@link #close}, and not closed if this fails
   * @param column name of the column, with dots if it is in a struct; null: the only one of this
   *     kind
   * @throws FormatException beginning with the source's name; {@code UNSUPPORTED} if there is no
   *     such column, none or several to choose from, no row or no vector, or an encoding or
   *     compression that is not read here; {@code TRUNCATED} or {@code CORRUPT} if the file is
   *     damaged; {@code TOO_LARGE} if its pages are
   * @throws IOException if the source cannot be read
   */
  public static ParquetVectorReader open(ByteSource source, @Nullable String column)
      throws IOException {
    Objects.requireNonNull(source, "source");
    ParquetFile file = ParquetFile.open(source);
    try {
      if (file.rows() == 0) {
        throw new FormatException(Kind.UNSUPPORTED, "expected at least 1 row, got 0");
      }
      return new ParquetVectorReader(file, column(file, column));
    } catch (FormatException e) {
      throw e.in(source.name());
    } catch (IndexOutOfBoundsException e) {
      throw damaged(e).in(source.name());
    }
  }

  /** Whether a file begins like a Parquet file. */
  public static boolean isParquet(ByteSource source) throws IOException {
    byte[] start = new byte[4];
    if (source.size() < start.length) {
      return false;
    }
    source.read(0, start, 0, start.length);
    return Arrays.equals(start, new byte[] {'P', 'A', 'R', '1'});
  }

  /** The name of the column that is read. */
  public String column() {
    return column.path;
  }

  @Override
  public int dimension() {
    return dimension;
  }

  @Override
  public long rows() {
    return file.rows();
  }

  /**
   * {@inheritDoc}
   *
   * @throws FormatException beginning with the source's name, if the file is damaged
   */
  @Override
  public int read(float[] target, int offset, int most) throws IOException {
    if (most < 1) {
      throw new IllegalArgumentException("most must be at least 1, got " + most);
    }
    int count = (int) Math.min(most, rows() - row);
    Objects.checkFromIndexSize((long) offset, (long) count * dimension, (long) target.length);
    defectCount = 0;
    defectsTo = row + count;
    pass(target, offset, count);
    return count;
  }

  /**
   * {@inheritDoc}
   *
   * <p>Whole row groups are not read at all.
   *
   * @throws FormatException beginning with the source's name, if the file is damaged
   */
  @Override
  public void skip(long rows) throws IOException {
    if (rows < 0 || rows > rows() - row) {
      throw new IllegalArgumentException(
          String.format(Locale.ROOT, "expected 0 to %d rows to skip, got %d", rows() - row, rows));
    }
    defectCount = 0;
    long left = rows;
    while (left > 0) {
      long leftOfGroup = file.rowsOfGroup(group) - rowOfGroup;
      if (left >= leftOfGroup) {
        left -= leftOfGroup;
        row += leftOfGroup;
        enter(group + 1);
      } else {
        int count = (int) Math.min(left, 1 << 20);
        pass(null, 0, count);
        left -= count;
      }
    }
    defectsTo = row;
  }

  @Override
  public String defect(long row) {
    int index = Arrays.binarySearch(defectRows, 0, defectCount, row);
    String where = String.format(Locale.ROOT, "%s row %d ", file.name(), row);
    if (index < 0 || row >= defectsTo) {
      return where + "holds NaN or a value outside float32";
    }
    return where
        + switch (defects[index]) {
          case NULL_ROW -> "is null";
          case NULL_COMPONENT -> "has a component that is null";
          default ->
              String.format(
                  Locale.ROOT, "has %d components, expected %d", defects[index], dimension);
        };
  }

  @Override
  public void close() throws IOException {
    file.source().close();
  }

  /** Before the first row of a group; the pages of the groups before are left alone. */
  private void enter(int nextGroup) {
    pages.seek(nextGroup);
    group = nextGroup;
    rowOfGroup = 0;
    at = 0;
  }

  private void pass(float @Nullable [] target, int offset, int count) throws IOException {
    try {
      for (int i = 0; i < count; i++) {
        row(target, offset + i * dimension);
      }
    } catch (FormatException e) {
      throw e.in(file.name());
    } catch (IndexOutOfBoundsException e) {
      throw damaged(e).in(file.name());
    }
  }

  private static FormatException damaged(IndexOutOfBoundsException e) {
    return ParquetFile.corrupt("a page holds less than it announces: " + e.getMessage());
  }

  /** Reads a row, or passes over it, and finds its end, which may take the next page. */
  private void row(float @Nullable [] target, int offset) throws IOException {
    beginRow();
    long length = 0;
    int defect = 0;
    boolean begun = isWholeVector();
    if (begun) {
      take(target, offset, dimension);
      length = dimension;
      at += dimension;
    }
    while (!begun || continues()) {
      begun = true;
      int end = endOfRow(at + 1);
      while (at < end) {
        int count = presentUntil(end) - at;
        if (length + count <= dimension && defect == 0) {
          take(target, offset + (int) length, count);
        } else {
          values.skip(count);
        }
        length += count;
        at += count;
        if (at < end) {
          int level = pages.definition()[at++];
          if (level > column.list) {
            length++;
            defect = NULL_COMPONENT;
          } else if (level < column.list) {
            defect = NULL_ROW;
          }
        }
      }
    }
    if (target != null && (defect != 0 || length != dimension)) {
      Arrays.fill(target, offset, offset + dimension, Float.NaN);
      note(defect != 0 ? defect : (int) Math.min(length, Integer.MAX_VALUE));
    }
    row++;
    rowOfGroup++;
    if (rowOfGroup == file.rowsOfGroup(group) && pages.group() == group && at < pages.count()) {
      throw ParquetFile.corrupt(
          String.format(
              Locale.ROOT, "row group %d: expected %d rows, got more", group, rowOfGroup));
    }
  }

  /** Goes to the first level of the next row, which is where the one before ended. */
  private void beginRow() throws IOException {
    while (rowOfGroup == file.rowsOfGroup(group)) {
      group++;
      rowOfGroup = 0;
    }
    while (at == pages.count()) {
      if (!nextPage()) {
        break;
      }
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
    if (pages.repetition()[at] != 0) {
      throw ParquetFile.corrupt(
          String.format(Locale.ROOT, "row group %d: begins within a row", group));
    }
  }

  /** Whether the next level, of the next page if need be, belongs to the same row. */
  private boolean continues() throws IOException {
    while (at == pages.count()) {
      if (!nextPage() || pages.isFirstOfGroup()) {
        return false;
      }
    }
    return pages.repetition()[at] != 0;
  }

  private boolean nextPage() throws IOException {
    at = 0;
    if (!pages.next()) {
      return false;
    }
    values.begin(pages);
    return true;
  }

  /** Whether the next levels are those of a list of the right length, or of the begin of one. */
  private boolean isWholeVector() {
    int end = at + dimension;
    return end <= pages.count()
        && Arrays.mismatch(pages.repetition(), at + 1, end, repeated, 1, dimension) < 0
        && Arrays.mismatch(pages.definition(), at, end, present, 0, dimension) < 0;
  }

  /** The first level from {@code from} on that begins a row, or the end of the page. */
  private int endOfRow(int from) {
    byte[] levels = pages.repetition();
    for (int i = from; i < pages.count(); i += dimension) {
      int n = Math.min(dimension, pages.count() - i);
      int first = Arrays.mismatch(levels, i, i + n, repeated, 0, n);
      if (first >= 0) {
        return i + first;
      }
    }
    return pages.count();
  }

  /** The first level that has no value, or {@code end}. */
  private int presentUntil(int end) {
    byte[] levels = pages.definition();
    for (int i = at; i < end; i += dimension) {
      int n = Math.min(dimension, end - i);
      int first = Arrays.mismatch(levels, i, i + n, present, 0, n);
      if (first >= 0) {
        return i + first;
      }
    }
    return end;
  }

  private void take(float @Nullable [] target, int offset, int count) {
    if (target == null) {
      values.skip(count);
    } else {
      values.read(target, offset, count);
    }
  }

  private void note(int defect) {
    if (defectCount == defectRows.length) {
      int length = Math.max(16, 2 * defectCount);
      defectRows = Arrays.copyOf(defectRows, length);
      defects = Arrays.copyOf(defects, length);
    }
    defectRows[defectCount] = row;
    defects[defectCount++] = defect;
  }

  private int firstLength() throws IOException {
    long length = 0;
    boolean ended = false;
    while (!ended && pages.next()) {
      ended = pages.isFirstOfGroup() && length > 0;
      for (int i = 0; i < pages.count() && !ended; i++) {
        ended = pages.repetition()[i] == 0 && length > 0;
        if (!ended && pages.definition()[i] > column.list) {
          length++;
        }
      }
    }
    if (length == 0) {
      throw new FormatException(
          Kind.UNSUPPORTED,
          String.format(
              Locale.ROOT,
              "column %s: expected vectors, got %d rows that are null or empty",
              ParquetFile.shorten(column.path),
              file.rows()));
    }
    if (length > MAX_DIMENSION) {
      throw new FormatException(
          Kind.TOO_LARGE,
          String.format(
              Locale.ROOT,
              "column %s: expected vectors of at most %d components, got %d",
              ParquetFile.shorten(column.path),
              MAX_DIMENSION,
              length));
    }
    return (int) length;
  }

  private static VectorColumn column(ParquetFile file, @Nullable String name)
      throws FormatException {
    List<VectorColumn> all = new ArrayList<>();
    collect(file.fields(), all);
    List<VectorColumn> fitting =
        name == null ? all : all.stream().filter(c -> c.path.equals(name)).toList();
    if (fitting.size() == 1) {
      return fitting.getFirst();
    }
    String wanted =
        name == null
            ? "1 column of lists of float or double"
            : "column %s to be of lists of float or double".formatted(ParquetFile.shorten(name));
    throw new FormatException(
        Kind.UNSUPPORTED,
        String.format(
            Locale.ROOT,
            "expected %s, got %d%s; columns: %s",
            wanted,
            fitting.size(),
            name == null && !fitting.isEmpty() ? " (%s)".formatted(names(fitting)) : "",
            file.columnsText()));
  }

  private static String names(List<VectorColumn> columns) {
    return String.join(
        ", ", columns.stream().limit(20).map(c -> ParquetFile.shorten(c.path)).toList());
  }

  private static void collect(List<Node> nodes, List<VectorColumn> columns) {
    for (Node node : nodes) {
      Optional<VectorColumn> found = vectors(node);
      if (found.isPresent()) {
        columns.add(found.get());
      } else if (node.repetition() == 0 && !node.isList()) {
        collect(node.children(), columns);
      }
    }
  }

  /**
   * The three ways to write a list: a group with a repeated group with the element in it, a group
   * with a repeated element, and a repeated element alone.
   */
  private static Optional<VectorColumn> vectors(Node node) {
    Node leaf = node;
    if (node.isList() && node.repetition() == 0 && node.children().size() == 1) {
      leaf = node.children().getFirst();
      if (leaf.isRepeated() && leaf.children().size() == 1) {
        leaf = leaf.children().getFirst();
      }
    }
    if (leaf.leaf() < 0 || leaf.repetition() != 1) {
      return Optional.empty();
    }
    int list = node.isRepeated() ? node.definition() - 1 : node.definition();
    Node column = leaf;
    return elementType(leaf).map(type -> new VectorColumn(node.path(), column, type, list));
  }

  private static Optional<ElementType> elementType(Node leaf) {
    Type type = leaf.element().getType();
    if (type == Type.FLOAT) {
      return Optional.of(ElementType.F4);
    }
    if (type == Type.DOUBLE) {
      return Optional.of(ElementType.F8);
    }
    return leaf.isFloat16() ? Optional.of(ElementType.F2) : Optional.empty();
  }
}
