package dev.semanticid.format;

import static dev.semanticid.format.FormatException.abbreviate;

import dev.semanticid.core.vector.ByteSource;
import dev.semanticid.core.vector.ElementType;
import dev.semanticid.format.FormatException.Kind;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Where the rows of a file lie, one behind the other without gaps.
 *
 * @param fileBytes length of the file
 * @param dataOffset where the first row begins
 * @param elementType type of every component
 * @param rows number of rows
 * @param dimension components of a row
 */
public record RowLayout(
    long fileBytes, long dataOffset, ElementType elementType, long rows, int dimension) {

  private static final Map<String, ElementType> BY_DTYPE =
      Map.of(
          "F32", ElementType.F4,
          "F16", ElementType.F2,
          "BF16", ElementType.BF16,
          "F64", ElementType.F8);

  private static boolean startsWith(byte[] bytes, byte[] prefix) {
    return bytes.length >= prefix.length
        && Arrays.equals(bytes, 0, prefix.length, prefix, 0, prefix.length);
  }

  /**
   * The layout of a {@code .npy} or safetensors file, told apart by how they begin.
   *
   * @param tensor which tensor of a safetensors file, or null if it has only one of vectors
   * @throws FormatException if it is neither, is shorter or longer than it says, or has no such
   *     tensor; the message begins with the source's name
   * @throws IOException if it cannot be read
   */
  public static RowLayout read(ByteSource source, @Nullable String tensor) throws IOException {
    try {
      byte[] start = new byte[(int) Math.min(source.size(), 9)];
      source.read(0, start, 0, start.length);
      if (startsWith(start, NpyHeader.MAGIC)) {
        return npy(NpyHeader.read(stream(source)), source.size());
      }
      if (start.length == 9 && start[8] == '{') {
        return safetensors(new SafetensorsReader(stream(source), Long.MAX_VALUE), source, tensor);
      }
      throw new FormatException(
          Kind.UNSUPPORTED, "expected a .npy, .safetensors or .parquet file, it is none of these");
    } catch (FormatException e) {
      throw e.in(source.name());
    }
  }

  /** The layout behind a header, in a file of that length. */
  public static RowLayout npy(NpyHeader header, long fileBytes) throws FormatException {
    requireLength(
        fileBytes,
        header.fileBytes(),
        "shape %s of %s"
            .formatted(NpyHeader.python(header.shape()), header.elementType().wireName()));
    return new RowLayout(
        fileBytes, header.headerBytes(), header.elementType(), header.rows(), header.dimension());
  }

  private static RowLayout safetensors(
      SafetensorsReader reader, ByteSource source, @Nullable String name) throws FormatException {
    requireLength(
        source.size(),
        reader.dataOffset() + reader.dataBytes(),
        String.format(Locale.ROOT, "%d tensors", reader.tensors().size()));
    List<TensorInfo> found =
        reader.tensors().stream()
            .filter(tensor -> name == null ? isVectors(tensor) : tensor.name().equals(name))
            .toList();
    if (found.size() != 1) {
      throw new FormatException(
          Kind.UNSUPPORTED,
          "expected %s, the file has %s"
              .formatted(
                  name == null
                      ? "one tensor of vectors, or its name in source.tensor"
                      : "a tensor " + abbreviate(name),
                  abbreviate(
                      reader.tensors().stream()
                          .map(t -> t.name() + " " + t.dtype() + t.shape())
                          .toList())));
    }
    TensorInfo tensor = found.getFirst();
    ElementType type = BY_DTYPE.get(tensor.dtype());
    if (type == null || !isVectors(tensor)) {
      throw new FormatException(
          Kind.UNSUPPORTED,
          "expected vectors: F32, F16, BF16 or F64 of shape [n, d]; tensor %s is %s %s"
              .formatted(abbreviate(tensor.name()), tensor.dtype(), tensor.shape()));
    }
    return new RowLayout(
        source.size(),
        reader.dataOffset() + tensor.begin(),
        type,
        tensor.shape().getFirst(),
        Math.toIntExact(tensor.shape().getLast()));
  }

  private static boolean isVectors(TensorInfo tensor) {
    return BY_DTYPE.containsKey(tensor.dtype())
        && tensor.shape().size() == 2
        && tensor.shape().getLast() >= 1
        && tensor.shape().getLast() <= Integer.MAX_VALUE - 8;
  }

  private static void requireLength(long actual, long expected, String what)
      throws FormatException {
    if (actual != expected) {
      throw new FormatException(
          actual < expected ? Kind.TRUNCATED : Kind.CORRUPT,
          String.format(Locale.ROOT, "expected %d bytes for %s, got %d", expected, what, actual));
    }
  }

  /** The layout of a file that is nothing but rows. */
  public static RowLayout raw(long fileBytes, ElementType elementType, int dimension)
      throws FormatException {
    if (dimension < 1) {
      throw new IllegalArgumentException("dimension must be at least 1, got " + dimension);
    }
    long rowBytes = (long) dimension * elementType.bytes();
    if (fileBytes % rowBytes != 0) {
      throw new FormatException(
          Kind.CORRUPT,
          String.format(
              Locale.ROOT,
              "expected a multiple of %d bytes (%d components of %s), got %d",
              rowBytes,
              dimension,
              elementType.wireName(),
              fileBytes));
    }
    return new RowLayout(fileBytes, 0, elementType, fileBytes / rowBytes, dimension);
  }

  /** Bytes of a row in the file. */
  public long rowBytes() {
    return (long) dimension * elementType.bytes();
  }

  /** The source from its first byte on. */
  private static InputStream stream(ByteSource source) {
    return new InputStream() {
      private long position;

      @Override
      public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
      }

      @Override
      public int read(byte[] target, int offset, int length) throws IOException {
        int count = (int) Math.min(length, source.size() - position);
        if (count <= 0) {
          return length == 0 ? 0 : -1;
        }
        source.read(position, target, offset, count);
        position += count;
        return count;
      }
    };
  }
}
