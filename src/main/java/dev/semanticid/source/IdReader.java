package dev.semanticid.source;

import dev.semanticid.core.vector.ByteSource;
import dev.semanticid.format.FormatException;
import dev.semanticid.format.FormatException.Kind;
import dev.semanticid.parquet.IdType;
import dev.semanticid.parquet.Ids;
import dev.semanticid.parquet.ParquetIds;
import dev.semanticid.source.OpenedSource.Part;
import java.io.IOException;
import java.util.List;

/** The ids of a source's rows, file after file. */
public final class IdReader implements AutoCloseable {

  private final List<Part> parts;
  private final String column;
  private int index;
  private ParquetIds current;
  private final IdType type;

  IdReader(List<Part> parts, String column) throws IOException {
    this.parts = parts;
    this.column = column;
    this.current = open(parts.getFirst());
    this.type = current.type();
  }

  private ParquetIds open(Part part) throws IOException {
    ByteSource source = part.file().open();
    try {
      return ParquetIds.open(source, column);
    } catch (IOException | RuntimeException | Error e) {
      source.close();
      throw e;
    }
  }

  /** Text or numbers. */
  public IdType type() {
    return type;
  }

  /**
   * Reads the next ids.
   *
   * @param batch receives them in place of what it held
   * @param most how many at most, 1 or more
   * @return how many; 0 behind the last one
   */
  public int read(Ids batch, int most) throws IOException {
    while (true) {
      int count = current.read(batch, most);
      if (count > 0 || index + 1 == parts.size()) {
        return count;
      }
      current.close();
      Part part = parts.get(++index);
      current = open(part);
      requireType(current, part);
    }
  }

  /** Opens all files, to see whether each has ids of the first one's type. */
  void requireAll() throws IOException {
    for (Part part : parts.subList(1, parts.size())) {
      try (ParquetIds ids = open(part)) {
        requireType(ids, part);
      }
    }
  }

  private void requireType(ParquetIds ids, Part part) throws FormatException {
    if (ids.type() != type) {
      throw new FormatException(
          Kind.UNSUPPORTED,
          "expected ids of type %s as in %s, got %s in %s"
              .formatted(type, parts.getFirst().file().uri(), ids.type(), part.file().uri()));
    }
  }

  @Override
  public void close() throws IOException {
    current.close();
  }
}
