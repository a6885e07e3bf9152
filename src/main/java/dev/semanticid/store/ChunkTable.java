package dev.semanticid.store;

import java.io.InputStream;
import java.io.OutputStream;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.springframework.jdbc.core.simple.JdbcClient;

/**
 * A table that keeps long byte sequences in pieces, which no database minds: a key, {@code
 * position} and {@code bytes}.
 */
public final class ChunkTable {

  /** Of what is written; longer ones, of earlier releases, are read as well. A reader holds one. */
  private static final int CHUNK_BYTES = 1 << 20;

  /** What a chunk begins with; a checkpoint now and then shall not take as much as a codebook. */
  private static final int FIRST_BYTES = 64 << 10;

  private final JdbcClient jdbc;
  private final String insert;
  private final String select;
  private final String delete;

  /**
   * @param table name of the table
   * @param key names of the columns that name a sequence
   */
  public ChunkTable(JdbcClient jdbc, String table, String... key) {
    this.jdbc = jdbc;
    String columns = String.join(", ", key);
    String places = String.join(", ", Collections.nCopies(key.length + 2, "?"));
    String where = Stream.of(key).map(k -> k + " = ?").collect(Collectors.joining(" AND "));
    this.insert =
        "INSERT INTO %s (%s, position, bytes) VALUES (%s)".formatted(table, columns, places);
    this.select = "SELECT bytes FROM %s WHERE %s AND position = ?".formatted(table, where);
    this.delete = "DELETE FROM %s WHERE %s".formatted(table, where);
  }

  /** Writes a sequence that is not there yet; to be closed, within the caller's transaction. */
  public OutputStream write(Object... key) {
    return new ChunkOutputStream(key);
  }

  /** Reads a sequence, which is empty if it is not there. */
  public InputStream read(Object... key) {
    return new ChunkInputStream(key);
  }

  /** Removes a sequence. */
  public void delete(Object... key) {
    jdbc.sql(delete).params(List.of(key)).update();
  }

  private static List<Object> with(Object[] key, Object... more) {
    return Stream.concat(Arrays.stream(key), Arrays.stream(more)).toList();
  }

  /** Collects bytes into chunks, which grow as needed, and inserts each as it fills. */
  private final class ChunkOutputStream extends OutputStream {

    private final Object[] key;
    private byte[] chunk = new byte[FIRST_BYTES];
    private int filled;
    private int position;

    ChunkOutputStream(Object[] key) {
      this.key = key;
    }

    @Override
    public void write(int b) {
      write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) {
      Objects.checkFromIndexSize(offset, length, bytes.length);
      int done = 0;
      while (done < length) {
        if (filled == chunk.length) {
          chunk = Arrays.copyOf(chunk, Math.min(CHUNK_BYTES, 2 * filled));
        }
        int count = Math.min(length - done, chunk.length - filled);
        System.arraycopy(bytes, offset + done, chunk, filled, count);
        filled += count;
        done += count;
        if (filled == CHUNK_BYTES) {
          insert();
        }
      }
    }

    @Override
    public void close() {
      if (filled > 0) {
        insert();
      }
    }

    private void insert() {
      jdbc.sql(insert).params(with(key, position++, Arrays.copyOf(chunk, filled))).update();
      filled = 0;
    }
  }

  /** Reads chunk after chunk. */
  private final class ChunkInputStream extends InputStream {

    private final Object[] key;
    private byte[] chunk = {};
    private int read;
    private int position;

    ChunkInputStream(Object[] key) {
      this.key = key;
    }

    private boolean exhausted() {
      if (read == chunk.length) {
        chunk =
            jdbc.sql(select)
                .params(with(key, position++))
                .query((row, index) -> row.getBytes(1))
                .optional()
                .orElse(new byte[0]);
        read = 0;
      }
      return chunk.length == 0;
    }

    @Override
    public int read() {
      return exhausted() ? -1 : chunk[read++] & 0xFF;
    }

    @Override
    public int read(byte[] target, int offset, int length) {
      Objects.checkFromIndexSize(offset, length, target.length);
      if (length == 0) {
        return 0;
      }
      if (exhausted()) {
        return -1;
      }
      int count = Math.min(length, chunk.length - read);
      System.arraycopy(chunk, read, target, offset, count);
      read += count;
      return count;
    }
  }
}
