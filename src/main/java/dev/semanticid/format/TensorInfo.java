package dev.semanticid.format;

import java.util.List;
import java.util.Locale;
import java.util.Objects;

/**
 * Where a tensor lies in a safetensors file.
 *
 * @param name unique in the file
 * @param dtype element type as safetensors names it, such as {@code F32}
 * @param shape size of each axis; empty for a scalar
 * @param begin first byte, counted from the start of the data
 * @param end one past the last byte, counted from the start of the data
 */
public record TensorInfo(String name, String dtype, List<Long> shape, long begin, long end) {

  public TensorInfo {
    Objects.requireNonNull(name, "name");
    Objects.requireNonNull(dtype, "dtype");
    shape = List.copyOf(shape);
    if (begin < 0 || end < begin) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "offsets must be ordered and not negative, got %d to %d", begin, end));
    }
  }

  /** Bytes of the tensor. */
  public long bytes() {
    return end - begin;
  }
}
