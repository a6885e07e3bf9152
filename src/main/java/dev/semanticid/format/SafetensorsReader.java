package dev.semanticid.format;

import static dev.semanticid.format.FormatException.abbreviate;

import dev.semanticid.format.FormatException.Kind;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Reads a safetensors stream once from front to back: the header on construction, then each tensor
 * in the order of {@link #tensors()}, then {@link #finish()}. Not safe for several threads.
 *
 * @see <a href="https://github.com/huggingface/safetensors#format">the format</a>
 */
public final class SafetensorsReader {

  /** Longest header that is read: 1 MiB, where the reference implementation allows 100 MB. */
  public static final int MAX_HEADER_BYTES = 1 << 20;

  static final String METADATA = "__metadata__";

  private static final int CHUNK_BYTES = 64 << 10;

  private static final Map<String, Integer> BYTES_OF_DTYPE =
      Map.ofEntries(
          Map.entry("BOOL", 1),
          Map.entry("U8", 1),
          Map.entry("I8", 1),
          Map.entry("F8_E5M2", 1),
          Map.entry("F8_E4M3", 1),
          Map.entry("F8_E8M0", 1),
          Map.entry("I16", 2),
          Map.entry("U16", 2),
          Map.entry("F16", 2),
          Map.entry("BF16", 2),
          Map.entry("I32", 4),
          Map.entry("U32", 4),
          Map.entry("F32", 4),
          Map.entry("C64", 8),
          Map.entry("F64", 8),
          Map.entry("I64", 8),
          Map.entry("U64", 8));

  private final InputStream in;
  private final long headerBytes;
  private final Map<String, String> metadata;
  private final List<TensorInfo> tensors;
  private int next;

  /**
   * Reads and checks the header: the tensors must lie one behind the other from offset 0 on,
   * without holes and each as long as its shape says.
   *
   * @param in left at the first byte of the first tensor; never closed
   * @param maxDataBytes most bytes that all tensors may have together, 0 or more
   * @throws FormatException {@code TRUNCATED} if the stream ends within the header; {@code CORRUPT}
   *     if the header is not valid; {@code UNSUPPORTED} for an unknown element type or one of less
   *     than a byte; {@code TOO_LARGE} if the header is longer than {@link #MAX_HEADER_BYTES} or
   *     the tensors than {@code maxDataBytes}
   * @throws IOException if the stream fails
   * @throws IllegalArgumentException if {@code maxDataBytes} is negative
   */
  public SafetensorsReader(InputStream in, long maxDataBytes) throws IOException {
    this.in = Objects.requireNonNull(in, "in");
    if (maxDataBytes < 0) {
      throw new IllegalArgumentException("maxDataBytes must not be negative, got " + maxDataBytes);
    }
    byte[] lengthField = readExactly(Long.BYTES, "header length");
    long length = ByteBuffer.wrap(lengthField).order(ByteOrder.LITTLE_ENDIAN).getLong();
    if (Long.compareUnsigned(length, MAX_HEADER_BYTES) > 0) {
      throw new FormatException(
          Kind.TOO_LARGE,
          String.format(
              Locale.ROOT,
              "expected a safetensors header of at most %d bytes, got %s",
              MAX_HEADER_BYTES,
              Long.toUnsignedString(length)));
    }
    byte[] header = readExactly((int) length, "header");
    if (header.length == 0 || header[0] != '{') {
      throw new FormatException(
          Kind.CORRUPT,
          "expected a safetensors header that begins with {, got %s"
              .formatted(
                  header.length == 0
                      ? "0 bytes"
                      : String.format(Locale.ROOT, "byte 0x%02x", header[0])));
    }
    this.headerBytes = Long.BYTES + length;
    Map<String, JsonValue> members = members(JsonParser.parse(header), "safetensors header");
    this.metadata = metadata(members.get(METADATA));
    this.tensors = tensors(members);
    long dataBytes = dataBytes();
    if (dataBytes > maxDataBytes) {
      throw new FormatException(
          Kind.TOO_LARGE,
          String.format(
              Locale.ROOT,
              "expected at most %d bytes of tensors, got %d",
              maxDataBytes,
              dataBytes));
    }
  }

  /** The free-form entries of the header, in its order; empty if it has none. */
  public Map<String, String> metadata() {
    return metadata;
  }

  /** The tensors in the order of their offsets, which is the order to read them in. */
  public List<TensorInfo> tensors() {
    return tensors;
  }

  /** Where the first tensor begins, from the start of the stream. */
  public long dataOffset() {
    return headerBytes;
  }

  /** Bytes of all tensors. */
  public long dataBytes() {
    return tensors.isEmpty() ? 0 : tensors.getLast().end();
  }

  /**
   * Reads the next tensor.
   *
   * @return its elements, row-major
   * @throws FormatException {@code UNSUPPORTED} if it is not F32, in which case it may still be
   *     skipped; {@code TOO_LARGE} if it has more elements than an array; {@code TRUNCATED} if the
   *     stream ends within it
   * @throws IOException if the stream fails
   * @throws IllegalStateException if another tensor is the next
   */
  public float[] readFloats(TensorInfo tensor) throws IOException {
    float[] values = new float[elementsOfNext(tensor, "F32", Float.BYTES)];
    byte[] chunk = newChunk(tensor);
    ByteBuffer view = ByteBuffer.wrap(chunk).order(ByteOrder.LITTLE_ENDIAN);
    for (int done = 0; done < values.length; ) {
      int length = readChunk(tensor, (long) done * Float.BYTES, chunk) / Float.BYTES;
      view.asFloatBuffer().get(values, done, length);
      done += length;
    }
    next++;
    return values;
  }

  /**
   * Reads the next tensor.
   *
   * @return its elements, row-major
   * @throws FormatException {@code UNSUPPORTED} if it is not I64, in which case it may still be
   *     skipped; {@code TOO_LARGE} if it has more elements than an array; {@code TRUNCATED} if the
   *     stream ends within it
   * @throws IOException if the stream fails
   * @throws IllegalStateException if another tensor is the next
   */
  public long[] readLongs(TensorInfo tensor) throws IOException {
    long[] values = new long[elementsOfNext(tensor, "I64", Long.BYTES)];
    byte[] chunk = newChunk(tensor);
    ByteBuffer view = ByteBuffer.wrap(chunk).order(ByteOrder.LITTLE_ENDIAN);
    for (int done = 0; done < values.length; ) {
      int length = readChunk(tensor, (long) done * Long.BYTES, chunk) / Long.BYTES;
      view.asLongBuffer().get(values, done, length);
      done += length;
    }
    next++;
    return values;
  }

  /**
   * Passes over the next tensor, of whatever element type.
   *
   * @throws FormatException {@code TRUNCATED} if the stream ends within it
   * @throws IOException if the stream fails
   * @throws IllegalStateException if another tensor is the next
   */
  public void skip(TensorInfo tensor) throws IOException {
    checkNext(tensor);
    byte[] chunk = newChunk(tensor);
    for (long done = 0; done < tensor.bytes(); ) {
      done += readChunk(tensor, done, chunk);
    }
    next++;
  }

  /**
   * Checks that the stream ends with the last tensor.
   *
   * @throws FormatException {@code CORRUPT} if it goes on
   * @throws IOException if the stream fails
   * @throws IllegalStateException if a tensor has not been read or skipped
   */
  public void finish() throws IOException {
    if (next < tensors.size()) {
      throw new IllegalStateException(
          String.format(
              Locale.ROOT,
              "all %d tensors must be read or skipped first, got %d",
              tensors.size(),
              next));
    }
    if (in.read() != -1) {
      long expected = headerBytes + dataBytes();
      throw new FormatException(
          Kind.CORRUPT,
          String.format(
              Locale.ROOT,
              "expected a safetensors file of %d bytes, got at least %d",
              expected,
              expected + 1));
    }
  }

  private int elementsOfNext(TensorInfo tensor, String dtype, int width) throws FormatException {
    checkNext(tensor);
    if (!tensor.dtype().equals(dtype)) {
      throw new FormatException(
          Kind.UNSUPPORTED,
          "tensor %s: expected dtype %s, got %s"
              .formatted(abbreviate(tensor.name()), dtype, tensor.dtype()));
    }
    long elements = tensor.bytes() / width;
    int most = Integer.MAX_VALUE - 8;
    if (elements > most) {
      throw new FormatException(
          Kind.TOO_LARGE,
          String.format(
              Locale.ROOT,
              "tensor %s: expected at most %d elements, got %d",
              abbreviate(tensor.name()),
              most,
              elements));
    }
    return (int) elements;
  }

  private void checkNext(TensorInfo tensor) {
    Objects.requireNonNull(tensor, "tensor");
    if (next == tensors.size() || !tensors.get(next).equals(tensor)) {
      throw new IllegalStateException(
          "the next tensor is %s, got %s"
              .formatted(
                  next == tensors.size() ? "none" : tensors.get(next).name(), tensor.name()));
    }
  }

  private static byte[] newChunk(TensorInfo tensor) {
    return new byte[(int) Math.min(CHUNK_BYTES, tensor.bytes())];
  }

  private int readChunk(TensorInfo tensor, long done, byte[] chunk) throws IOException {
    int wanted = (int) Math.min(chunk.length, tensor.bytes() - done);
    int got = in.readNBytes(chunk, 0, wanted);
    if (got < wanted) {
      throw new FormatException(
          Kind.TRUNCATED,
          String.format(
              Locale.ROOT,
              "tensor %s: expected %d bytes, got %d",
              abbreviate(tensor.name()),
              tensor.bytes(),
              done + got));
    }
    return got;
  }

  private byte[] readExactly(int count, String what) throws IOException {
    byte[] bytes = in.readNBytes(count);
    if (bytes.length < count) {
      throw new FormatException(
          Kind.TRUNCATED,
          String.format(
              Locale.ROOT, "safetensors %s: expected %d bytes, got %d", what, count, bytes.length));
    }
    return bytes;
  }

  private static Map<String, String> metadata(@Nullable JsonValue value) throws FormatException {
    Map<String, String> metadata = new LinkedHashMap<>();
    if (value != null) {
      for (Map.Entry<String, JsonValue> entry : members(value, METADATA).entrySet()) {
        metadata.put(
            entry.getKey(), text(entry.getValue(), METADATA + "." + abbreviate(entry.getKey())));
      }
    }
    return Collections.unmodifiableMap(metadata);
  }

  private static List<TensorInfo> tensors(Map<String, JsonValue> members) throws FormatException {
    List<TensorInfo> tensors = new ArrayList<>(members.size());
    for (Map.Entry<String, JsonValue> entry : members.entrySet()) {
      if (!entry.getKey().equals(METADATA)) {
        tensors.add(
            tensor(
                entry.getKey(), members(entry.getValue(), "tensor " + abbreviate(entry.getKey()))));
      }
    }
    tensors.sort(Comparator.comparingLong(TensorInfo::begin).thenComparingLong(TensorInfo::end));
    long begin = 0;
    for (TensorInfo tensor : tensors) {
      if (tensor.begin() != begin) {
        throw new FormatException(
            Kind.CORRUPT,
            String.format(
                Locale.ROOT,
                "tensor %s: expected offset %d, where the one before ends, got %d",
                abbreviate(tensor.name()),
                begin,
                tensor.begin()));
      }
      begin = tensor.end();
    }
    return List.copyOf(tensors);
  }

  private static TensorInfo tensor(String name, Map<String, JsonValue> members)
      throws FormatException {
    String where = "tensor " + abbreviate(name);
    JsonValue dtypeValue = members.get("dtype");
    JsonValue shapeValue = members.get("shape");
    JsonValue offsetsValue = members.get("data_offsets");
    if (members.size() != 3 || dtypeValue == null || shapeValue == null || offsetsValue == null) {
      throw new FormatException(
          Kind.CORRUPT,
          "%s: expected dtype, shape and data_offsets, got %s"
              .formatted(where, abbreviate(members.keySet())));
    }
    List<Long> offsets = sizes(offsetsValue, where + " data_offsets");
    if (offsets.size() != 2 || offsets.getFirst() > offsets.getLast()) {
      throw new FormatException(
          Kind.CORRUPT,
          "%s: expected 2 ordered data_offsets, got %s".formatted(where, abbreviate(offsets)));
    }
    String dtype = text(dtypeValue, where + " dtype");
    Integer width = BYTES_OF_DTYPE.get(dtype);
    if (width == null) {
      throw new FormatException(
          Kind.UNSUPPORTED,
          "%s: expected a dtype such as F32 or I64, got %s".formatted(where, abbreviate(dtype)));
    }
    List<Long> shape = sizes(shapeValue, where + " shape");
    long bytes = width;
    try {
      for (long size : shape) {
        bytes = Math.multiplyExact(bytes, size);
      }
    } catch (ArithmeticException e) {
      throw new FormatException(
          Kind.CORRUPT,
          String.format(
              Locale.ROOT,
              "%s: expected at most %d bytes, got shape %s of %s",
              where,
              Long.MAX_VALUE,
              abbreviate(shape),
              dtype));
    }
    TensorInfo tensor = new TensorInfo(name, dtype, shape, offsets.getFirst(), offsets.getLast());
    if (tensor.bytes() != bytes) {
      throw new FormatException(
          Kind.CORRUPT,
          String.format(
              Locale.ROOT,
              "%s: expected %d bytes for shape %s of %s, got data_offsets %s",
              where,
              bytes,
              abbreviate(shape),
              dtype,
              offsets));
    }
    return tensor;
  }

  private static Map<String, JsonValue> members(JsonValue value, String where)
      throws FormatException {
    if (value instanceof JsonValue.Members members) {
      return members.byName();
    }
    throw mistyped(where, "an object", value);
  }

  private static String text(JsonValue value, String where) throws FormatException {
    if (value instanceof JsonValue.Text text) {
      return text.value();
    }
    throw mistyped(where, "a string", value);
  }

  private static List<Long> sizes(JsonValue value, String where) throws FormatException {
    if (!(value instanceof JsonValue.Items items)) {
      throw mistyped(where, "an array", value);
    }
    List<Long> sizes = new ArrayList<>(items.values().size());
    for (JsonValue item : items.values()) {
      sizes.add(size(item, where));
    }
    return sizes;
  }

  private static long size(JsonValue value, String where) throws FormatException {
    String wanted = "whole numbers from 0 to " + Long.MAX_VALUE;
    if (!(value instanceof JsonValue.Digits digits)) {
      throw mistyped(where, wanted, value);
    }
    try {
      long size = Long.parseLong(digits.literal());
      if (digits.literal().charAt(0) != '-') {
        return size;
      }
    } catch (NumberFormatException e) {
      // a fraction, an exponent, or more than 63 bits: refused below
    }
    throw mistyped(where, wanted, value);
  }

  private static FormatException mistyped(String where, String wanted, JsonValue value) {
    String got =
        switch (value) {
          case JsonValue.Members members ->
              String.format(Locale.ROOT, "an object of %d names", members.byName().size());
          case JsonValue.Items items ->
              String.format(Locale.ROOT, "an array of %d values", items.values().size());
          case JsonValue.Text text ->
              String.format(Locale.ROOT, "a string of %d characters", text.value().length());
          case JsonValue.Digits digits -> abbreviate(digits.literal());
          case JsonValue.Constant constant -> constant.name();
        };
    return new FormatException(
        Kind.CORRUPT, "%s: expected %s, got %s".formatted(where, wanted, got));
  }
}
