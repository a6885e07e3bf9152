package dev.semanticid.storage;

import dev.semanticid.core.vector.ElementType;
import dev.semanticid.core.vector.VectorSource;
import dev.semanticid.format.FormatException;
import dev.semanticid.format.FormatException.Kind;
import dev.semanticid.format.NpyHeader;
import dev.semanticid.format.RowLayout;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The rows of one memory-mapped file of any size. Reads come from several threads at once; a read
 * after {@link #close} raises {@link IllegalStateException}.
 */
public final class FileVectorSource implements VectorSource {

  /*
   * A mapped file that someone shortens shows itself in two ways: pages wholly behind the new end
   * raise InternalError when touched, and the rest of the last page reads as zeros without a word.
   * Hence each read also compares the length of the file, through a RandomAccessFile because a
   * FileChannel is closed for good when a thread that uses it is interrupted. Elements are copied
   * out in bulk before they are decoded, never fetched one by one from the mapping: compiled code
   * may deliver the InternalError of a single fetch late, outside of the try block.
   */

  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private static final int CHUNK_BYTES = 64 << 10;

  private final Path path;
  private final RandomAccessFile file;
  private final long fileBytes;
  private final Arena arena;
  private final MemorySegment mapping;
  private final long dataOffset;
  private final ElementType elementType;
  private final long rows;
  private final int dimension;
  private final AtomicBoolean closed = new AtomicBoolean();

  @SuppressWarnings("MustBeClosedChecker") // close() closes the arena
  private FileVectorSource(Path path, RandomAccessFile file, RowLayout layout) throws IOException {
    this.path = path;
    this.file = file;
    this.fileBytes = layout.fileBytes();
    this.dataOffset = layout.dataOffset();
    this.elementType = layout.elementType();
    this.rows = layout.rows();
    this.dimension = layout.dimension();
    Arena opened = Arena.ofShared();
    try {
      this.mapping = file.getChannel().map(MapMode.READ_ONLY, 0, fileBytes, opened);
    } catch (Throwable e) {
      opened.close();
      throw e;
    }
    this.arena = opened;
  }

  /**
   * Opens a NumPy file; see {@link NpyHeader} for what is read.
   *
   * @throws FormatException as {@link NpyHeader#read} does; {@code TRUNCATED} if the file is
   *     shorter than its header says, {@code CORRUPT} if it is longer
   * @throws IOException if the file cannot be opened or mapped
   */
  public static FileVectorSource openNpy(Path path) throws IOException {
    return open(
        path,
        file ->
            RowLayout.npy(
                NpyHeader.read(Channels.newInputStream(file.getChannel())), file.length()));
  }

  /**
   * Opens a file that is nothing but rows.
   *
   * @param elementType type of every component, little-endian
   * @param dimension components of a row, 1 or more
   * @throws FormatException {@code CORRUPT} if the file is not a whole number of rows
   * @throws IOException if the file cannot be opened or mapped
   * @throws IllegalArgumentException if {@code dimension} is below 1
   */
  public static FileVectorSource openRaw(Path path, ElementType elementType, int dimension)
      throws IOException {
    Objects.requireNonNull(elementType, "elementType");
    if (dimension < 1) {
      throw new IllegalArgumentException("dimension must be at least 1, got " + dimension);
    }
    return open(path, file -> RowLayout.raw(file.length(), elementType, dimension));
  }

  /**
   * Opens a file whose layout is known.
   *
   * @throws FormatException {@code CORRUPT} if it does not have the layout's length any more
   * @throws IOException if the file cannot be opened or mapped
   */
  public static FileVectorSource open(Path path, RowLayout layout) throws IOException {
    return open(
        path,
        file -> {
          if (file.length() != layout.fileBytes()) {
            throw new FormatException(
                Kind.CORRUPT,
                String.format(
                    Locale.ROOT,
                    "expected %d bytes as when its header was read, got %d",
                    layout.fileBytes(),
                    file.length()));
          }
          return layout;
        });
  }

  @Override
  public int dimension() {
    return dimension;
  }

  @Override
  public long rows() {
    return rows;
  }

  /** The type of the components in the file. */
  public ElementType elementType() {
    return elementType;
  }

  @Override
  public void read(long firstRow, int count, float[] target, int offset) throws IOException {
    Objects.checkFromIndexSize(firstRow, count, rows);
    Objects.checkFromIndexSize((long) offset, (long) count * dimension, (long) target.length);
    checkOpen();
    long from = dataOffset + firstRow * dimension * elementType.bytes();
    int components = count * dimension;
    long nowBytes;
    try {
      if (elementType == ElementType.F4) {
        MemorySegment.copy(mapping, FLOAT, from, target, offset, components);
      } else {
        decode(from, components, target, offset);
      }
      nowBytes = file.length();
    } catch (InternalError e) {
      throw new IOException(
          String.format(
              Locale.ROOT,
              "%s: expected %d bytes as when it was opened, a read of rows %d to %d found them"
                  + " gone",
              path,
              fileBytes,
              firstRow,
              firstRow + count),
          e);
    } catch (IOException e) {
      checkOpen();
      throw e;
    }
    if (nowBytes != fileBytes) {
      throw new IOException(
          String.format(
              Locale.ROOT,
              "%s: expected %d bytes as when it was opened, got %d",
              path,
              fileBytes,
              nowBytes));
    }
  }

  @Override
  public void willRead(long firstRow, int count) {
    Objects.checkFromIndexSize(firstRow, count, rows);
    checkOpen();
    long rowBytes = (long) dimension * elementType.bytes();
    PageAdvice.willNeed(mapping, dataOffset + firstRow * rowBytes, count * rowBytes);
  }

  @Override
  public String description() {
    return path.toString();
  }

  /**
   * Unmaps the file. A read that another thread has under way fails with {@link
   * IllegalStateException}.
   */
  @Override
  public void close() throws IOException {
    if (closed.compareAndSet(false, true)) {
      try (file) {
        arena.close();
      }
    }
  }

  private void decode(long from, int components, float[] target, int offset) {
    int width = elementType.bytes();
    int chunkElements = Math.min(components, CHUNK_BYTES / width);
    ByteBuffer chunk = ByteBuffer.allocate(chunkElements * width);
    MemorySegment copy = MemorySegment.ofBuffer(chunk);
    for (int done = 0; done < components; done += chunkElements) {
      int length = Math.min(chunkElements, components - done);
      MemorySegment.copy(mapping, from + (long) done * width, copy, 0, (long) length * width);
      elementType.decode(chunk.clear(), length, target, offset + done);
    }
  }

  private void checkOpen() {
    if (closed.get()) {
      throw new IllegalStateException(path + " is closed");
    }
  }

  private static FileVectorSource open(Path path, LayoutReader reader) throws IOException {
    RandomAccessFile file = new RandomAccessFile(path.toFile(), "r");
    try {
      return new FileVectorSource(path, file, reader.read(file));
    } catch (FormatException e) {
      file.close();
      throw e.in(path.toString());
    } catch (Throwable e) {
      file.close();
      throw e;
    }
  }

  @FunctionalInterface
  private interface LayoutReader {
    RowLayout read(RandomAccessFile file) throws IOException;
  }
}
