package dev.semanticid.source;

import dev.semanticid.core.vector.ByteSource;
import dev.semanticid.core.vector.VectorReader;
import dev.semanticid.core.vector.VectorSource;
import dev.semanticid.format.FormatException;
import dev.semanticid.format.FormatException.Kind;
import dev.semanticid.format.RowLayout;
import dev.semanticid.parquet.ParquetIds;
import dev.semanticid.storage.ConcatenatedVectorSource;
import dev.semanticid.storage.DataFile;
import dev.semanticid.storage.FileVectorSource;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** A source whose headers have been read: its shape is known, nothing is held open. */
public final class OpenedSource {

  private final List<Part> parts;
  private final SourceSpec spec;
  private final long rows;

  OpenedSource(SourceSpec spec, List<Part> parts) throws FormatException {
    this.spec = spec;
    this.parts = List.copyOf(parts);
    Part first = parts.getFirst();
    for (Part part : parts) {
      if (part.dimension() != first.dimension()) {
        throw new FormatException(
            Kind.UNSUPPORTED,
            String.format(
                Locale.ROOT,
                "expected dimension %d as in %s, got %d in %s",
                first.dimension(),
                first.file().uri(),
                part.dimension(),
                part.file().uri()));
      }
    }
    long sum = 0;
    for (Part part : parts) {
      if (part.rows() > Long.MAX_VALUE - sum) {
        throw new FormatException(
            Kind.TOO_LARGE,
            String.format(
                Locale.ROOT,
                "expected at most %d rows in all files, got %d before %s and %d in it",
                Long.MAX_VALUE,
                sum,
                part.file().uri(),
                part.rows()));
      }
      sum += part.rows();
    }
    this.rows = sum;
  }

  /**
   * One file or object.
   *
   * @param layout where its rows are; null in a Parquet file
   */
  record Part(DataFile file, @Nullable RowLayout layout, long rows, int dimension) {}

  /** Components of every row. */
  public int dimension() {
    return parts.getFirst().dimension();
  }

  /** Rows of all files. */
  public long rows() {
    return rows;
  }

  /** Changes when any of the files is replaced, or files come or go. */
  public String identity() {
    try {
      MessageDigest sha = MessageDigest.getInstance("SHA-256");
      for (Part part : parts) {
        String text = part.file().uri() + "\n" + part.file().identity() + "\n";
        sha.update(text.getBytes(StandardCharsets.UTF_8));
      }
      return HexFormat.of().formatHex(sha.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }

  /** Whether rows can be read in any order where they lie: files of this machine, not columnar. */
  public boolean isMappable() {
    return parts.stream().allMatch(p -> p.layout() != null && p.file().path().isPresent());
  }

  /** The rows in any order, memory-mapped; only if {@link #isMappable}. */
  public VectorSource map() throws IOException {
    var opened = new ArrayList<VectorSource>();
    try {
      for (Part part : parts) {
        RowLayout layout = part.layout();
        Path path = part.file().path().orElseThrow();
        if (layout == null) {
          throw new IllegalStateException(path + " cannot be mapped");
        }
        opened.add(FileVectorSource.open(path, layout));
      }
      return opened.size() == 1 ? opened.getFirst() : ConcatenatedVectorSource.of(opened);
    } catch (IOException | RuntimeException | Error e) {
      for (VectorSource source : opened) {
        source.close();
      }
      throw e;
    }
  }

  /** The rows one after the other, file after file. */
  public VectorReader reader() {
    return new PartsReader();
  }

  /** Tells ids of rows, file after file; null if they have none, and then rows are numbered. */
  public @Nullable IdReader ids() throws IOException {
    boolean parquet = parts.stream().allMatch(part -> part.layout() == null);
    if (!parquet) {
      if (spec.idColumn() != null) {
        throw new FormatException(
            Kind.UNSUPPORTED, "source.id_column is for Parquet files; others hold no ids");
      }
      return null;
    }
    String column = spec.idColumn();
    if (column == null) {
      try (ByteSource source = parts.getFirst().file().open()) {
        column = ParquetIds.defaultColumn(source).orElse(null);
      }
    }
    return column == null ? null : new IdReader(parts, column);
  }

  /**
   * Refuses ids that {@link #ids} could not tell: before the rows are worked on, not behind that.
   *
   * @throws FormatException if a file has no such column, or another type of ids than the first one
   */
  public void requireIds() throws IOException {
    try (IdReader ids = ids()) {
      if (ids != null) {
        ids.requireAll();
      }
    }
  }

  private final class PartsReader implements VectorReader {

    private int index;
    private long partBegin;
    private long next;
    private @Nullable VectorReader current;

    @Override
    public int dimension() {
      return OpenedSource.this.dimension();
    }

    @Override
    public long rows() {
      return OpenedSource.this.rows();
    }

    @Override
    public int read(float[] target, int offset, int most) throws IOException {
      while (index < parts.size()) {
        VectorReader reader = current();
        int count = reader.read(target, offset, most);
        if (count > 0) {
          next += count;
          return count;
        }
        nextPart();
      }
      return 0;
    }

    @Override
    public void skip(long rows) throws IOException {
      for (long left = rows; left > 0; ) {
        long inPart = partBegin + parts.get(index).rows() - next;
        long count = Math.min(left, inPart);
        if (count < inPart) {
          current().skip(count);
        }
        next += count;
        left -= count;
        if (count == inPart) {
          nextPart();
        }
      }
    }

    private VectorReader current() throws IOException {
      VectorReader reader = current;
      if (reader == null) {
        reader = Sources.reader(parts.get(index), spec);
        current = reader;
      }
      return reader;
    }

    private void nextPart() throws IOException {
      partBegin += parts.get(index).rows();
      index++;
      close();
    }

    /** Of a row of the part at hand, by its number there; a read never crosses parts. */
    @Override
    public String defect(long row) {
      VectorReader reader = current;
      if (reader == null) {
        throw new IllegalStateException("no row has been read");
      }
      return reader.defect(row - partBegin);
    }

    @Override
    public void close() throws IOException {
      VectorReader reader = current;
      current = null;
      if (reader != null) {
        reader.close();
      }
    }
  }
}
