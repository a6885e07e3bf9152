package dev.semanticid.format;

import java.io.IOException;
import java.io.OutputStream;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;

/**
 * Writes safetensors files. The same names, shapes, values and metadata give the same bytes, in
 * whatever order they are handed over: metadata are sorted by name, and tensors lie as the
 * reference implementation lays them, wider elements first and then by name, both in the order of
 * their UTF-8 bytes.
 *
 * @see <a href="https://github.com/huggingface/safetensors#format">the format</a>
 */
public final class SafetensorsWriter {

  private static final int CHUNK_BYTES = 64 << 10;

  private static final Comparator<String> UTF8_ORDER =
      (a, b) ->
          Arrays.compareUnsigned(
              a.getBytes(StandardCharsets.UTF_8), b.getBytes(StandardCharsets.UTF_8));

  private final List<Tensor> tensors;
  private final byte[] header;
  private final long dataBytes;

  private SafetensorsWriter(Map<String, String> metadata, List<Tensor> tensors) {
    this.tensors = sorted(tensors);
    this.header = header(metadata, this.tensors);
    this.dataBytes = this.tensors.stream().mapToLong(Tensor::bytes).sum();
  }

  /**
   * Writes a whole file.
   *
   * @param out is neither flushed nor closed
   * @param metadata free-form entries; may be empty, and is left out of the file then
   * @param tensors each with its own name
   * @throws IllegalArgumentException if two tensors share a name, one is called {@code
   *     __metadata__}, a string holds a lone surrogate, or the header exceeds {@link
   *     SafetensorsReader#MAX_HEADER_BYTES}
   * @throws IOException if the stream fails
   */
  public static void write(OutputStream out, Map<String, String> metadata, List<Tensor> tensors)
      throws IOException {
    new SafetensorsWriter(metadata, tensors).writeTo(out);
  }

  /**
   * Bytes of the file that {@link #write} would write.
   *
   * @throws IllegalArgumentException as {@link #write} does
   */
  public static long size(Map<String, String> metadata, List<Tensor> tensors) {
    SafetensorsWriter writer = new SafetensorsWriter(metadata, tensors);
    return writer.header.length + writer.dataBytes;
  }

  private void writeTo(OutputStream out) throws IOException {
    out.write(header);
    byte[] chunk = new byte[CHUNK_BYTES];
    ByteBuffer view = ByteBuffer.wrap(chunk).order(ByteOrder.LITTLE_ENDIAN);
    for (Tensor tensor : tensors) {
      int step = CHUNK_BYTES / tensor.width();
      for (int begin = 0; begin < tensor.length(); begin += step) {
        int count = Math.min(step, tensor.length() - begin);
        tensor.copyTo(view, begin, count);
        out.write(chunk, 0, count * tensor.width());
      }
    }
  }

  private static List<Tensor> sorted(List<Tensor> tensors) {
    Set<String> names = new HashSet<>();
    for (Tensor tensor : tensors) {
      if (!names.add(tensor.name)) {
        throw new IllegalArgumentException(
            "tensor names must differ, got %s twice".formatted(tensor.name));
      }
    }
    return tensors.stream()
        .sorted(
            Comparator.comparingInt(Tensor::width)
                .reversed()
                .thenComparing(tensor -> tensor.name, UTF8_ORDER))
        .toList();
  }

  private static byte[] header(Map<String, String> metadata, List<Tensor> tensors) {
    List<String> members = new ArrayList<>();
    if (!metadata.isEmpty()) {
      Map<String, String> sorted = new TreeMap<>(UTF8_ORDER);
      sorted.putAll(metadata);
      List<String> entries = new ArrayList<>();
      sorted.forEach((name, value) -> entries.add(quote(name) + ":" + quote(value)));
      members.add(quote(SafetensorsReader.METADATA) + ":{" + String.join(",", entries) + "}");
    }
    long begin = 0;
    for (Tensor tensor : tensors) {
      long end = begin + tensor.bytes();
      members.add(
          String.format(
              Locale.ROOT,
              "%s:{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%d,%d]}",
              quote(tensor.name),
              tensor.dtype(),
              tensor.shape.toString().replace(" ", ""),
              begin,
              end));
      begin = end;
    }
    byte[] json = utf8("{" + String.join(",", members) + "}");
    int padded = Math.ceilDiv(json.length, 8) * 8;
    if (padded > SafetensorsReader.MAX_HEADER_BYTES) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "the header may have at most %d bytes, got %d",
              SafetensorsReader.MAX_HEADER_BYTES,
              padded));
    }
    byte[] header = new byte[Long.BYTES + padded];
    Arrays.fill(header, (byte) ' ');
    ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN).putLong(padded).put(json);
    return header;
  }

  private static String quote(String text) {
    StringBuilder quoted = new StringBuilder(text.length() + 2).append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '"' -> quoted.append("\\\"");
        case '\\' -> quoted.append("\\\\");
        case '\b' -> quoted.append("\\b");
        case '\f' -> quoted.append("\\f");
        case '\n' -> quoted.append("\\n");
        case '\r' -> quoted.append("\\r");
        case '\t' -> quoted.append("\\t");
        default -> {
          if (c < ' ') {
            quoted.append(String.format(Locale.ROOT, "\\u%04x", (int) c));
          } else {
            quoted.append(c);
          }
        }
      }
    }
    return quoted.append('"').toString();
  }

  private static byte[] utf8(String text) {
    try {
      ByteBuffer encoded = StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(text));
      byte[] bytes = new byte[encoded.remaining()];
      encoded.get(bytes);
      return bytes;
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException("names and metadata must not hold lone surrogates", e);
    }
  }

  /**
   * A named tensor to be written. Its array is not copied and must not change until it is written.
   */
  public abstract static sealed class Tensor {

    private final String name;
    private final List<Long> shape;

    private Tensor(String name, long[] shape, int length) {
      this.name = Objects.requireNonNull(name, "name");
      this.shape = Arrays.stream(shape).boxed().toList();
      if (name.equals(SafetensorsReader.METADATA)) {
        throw new IllegalArgumentException("a tensor cannot be called " + name);
      }
      BigInteger elements =
          this.shape.stream().map(BigInteger::valueOf).reduce(BigInteger.ONE, BigInteger::multiply);
      if (Arrays.stream(shape).anyMatch(size -> size < 0)
          || !elements.equals(BigInteger.valueOf(length))) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "tensor %s: shape %s needs %d elements, the array has %d",
                name,
                this.shape,
                elements,
                length));
      }
    }

    /**
     * A tensor of type F32.
     *
     * @param data row-major, exactly as many elements as {@code shape} says
     * @param shape size of each axis, none for a scalar
     * @throws IllegalArgumentException if the shape does not fit the array, or the name is {@code
     *     __metadata__}
     */
    public static Tensor ofFloats(String name, float[] data, long... shape) {
      return new Floats(name, data, shape);
    }

    /**
     * A tensor of type I64.
     *
     * @param data row-major, exactly as many elements as {@code shape} says
     * @param shape size of each axis, none for a scalar
     * @throws IllegalArgumentException if the shape does not fit the array, or the name is {@code
     *     __metadata__}
     */
    public static Tensor ofLongs(String name, long[] data, long... shape) {
      return new Longs(name, data, shape);
    }

    abstract String dtype();

    /** Bytes of one element. */
    abstract int width();

    /** Number of elements. */
    abstract int length();

    /**
     * Copies {@code count} elements from {@code begin} on to the buffer's position, which stays.
     */
    abstract void copyTo(ByteBuffer target, int begin, int count);

    final long bytes() {
      return (long) length() * width();
    }
  }

  private static final class Floats extends Tensor {

    private final float[] data;

    Floats(String name, float[] data, long[] shape) {
      super(name, shape, data.length);
      this.data = data;
    }

    @Override
    String dtype() {
      return "F32";
    }

    @Override
    int width() {
      return Float.BYTES;
    }

    @Override
    int length() {
      return data.length;
    }

    @Override
    void copyTo(ByteBuffer target, int begin, int count) {
      target.asFloatBuffer().put(data, begin, count);
    }
  }

  private static final class Longs extends Tensor {

    private final long[] data;

    Longs(String name, long[] data, long[] shape) {
      super(name, shape, data.length);
      this.data = data;
    }

    @Override
    String dtype() {
      return "I64";
    }

    @Override
    int width() {
      return Long.BYTES;
    }

    @Override
    int length() {
      return data.length;
    }

    @Override
    void copyTo(ByteBuffer target, int begin, int count) {
      target.asLongBuffer().put(data, begin, count);
    }
  }
}
