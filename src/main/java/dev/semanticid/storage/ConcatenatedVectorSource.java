package dev.semanticid.storage;

import dev.semanticid.core.vector.VectorSource;
import dev.semanticid.format.FormatException;
import dev.semanticid.format.FormatException.Kind;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Several sources of one dimension, one after the other. */
public final class ConcatenatedVectorSource implements VectorSource {

  private final List<VectorSource> parts;
  private final long[] starts;

  private ConcatenatedVectorSource(List<VectorSource> parts, long[] starts) {
    this.parts = parts;
    this.starts = starts;
  }

  /**
   * Joins sources, which belong to the result from then on and are closed with it. If this method
   * fails, they stay with the caller, open.
   *
   * @param sources at least one; one of no rows is passed over
   * @throws FormatException {@code UNSUPPORTED} if the dimensions differ, {@code TOO_LARGE} if the
   *     rows overflow a long
   * @throws IllegalArgumentException if there are no sources
   */
  public static ConcatenatedVectorSource of(List<? extends VectorSource> sources)
      throws FormatException {
    List<VectorSource> parts = List.copyOf(sources);
    if (parts.isEmpty()) {
      throw new IllegalArgumentException("at least 1 source is needed, got 0");
    }
    VectorSource first = parts.getFirst();
    long[] starts = new long[parts.size() + 1];
    for (int i = 0; i < parts.size(); i++) {
      VectorSource part = parts.get(i);
      if (part.dimension() != first.dimension()) {
        throw new FormatException(
            Kind.UNSUPPORTED,
            String.format(
                Locale.ROOT,
                "expected dimension %d as in %s, got %d in %s",
                first.dimension(),
                first.description(),
                part.dimension(),
                part.description()));
      }
      try {
        starts[i + 1] = Math.addExact(starts[i], part.rows());
      } catch (ArithmeticException e) {
        throw new FormatException(
            Kind.TOO_LARGE,
            String.format(
                Locale.ROOT,
                "expected at most %d rows, got %d more behind %d in %s",
                Long.MAX_VALUE,
                part.rows(),
                starts[i],
                part.description()));
      }
    }
    return new ConcatenatedVectorSource(parts, starts);
  }

  @Override
  public int dimension() {
    return parts.getFirst().dimension();
  }

  @Override
  public long rows() {
    return starts[parts.size()];
  }

  @Override
  public void read(long firstRow, int count, float[] target, int offset) throws IOException {
    Objects.checkFromIndexSize(firstRow, count, rows());
    Objects.checkFromIndexSize((long) offset, (long) count * dimension(), (long) target.length);
    int part = partOf(firstRow);
    for (int done = 0; done < count; part++) {
      long inPart = firstRow + done - starts[part];
      int length = (int) Math.min(count - done, starts[part + 1] - starts[part] - inPart);
      if (length > 0) {
        parts.get(part).read(inPart, length, target, offset + done * dimension());
        done += length;
      }
    }
  }

  @Override
  public void willRead(long firstRow, int count) {
    Objects.checkFromIndexSize(firstRow, count, rows());
    int part = partOf(firstRow);
    for (int done = 0; done < count; part++) {
      long inPart = firstRow + done - starts[part];
      int length = (int) Math.min(count - done, starts[part + 1] - starts[part] - inPart);
      if (length > 0) {
        parts.get(part).willRead(inPart, length);
        done += length;
      }
    }
  }

  @Override
  public String description() {
    return parts.size() == 1
        ? parts.getFirst().description()
        : String.format(
            Locale.ROOT,
            "%d sources from %s to %s",
            parts.size(),
            parts.getFirst().description(),
            parts.getLast().description());
  }

  /** The row within its part. */
  @Override
  public String describe(long row) {
    Objects.checkIndex(row, rows());
    int part = partOf(row);
    while (starts[part + 1] == row) {
      part++;
    }
    return parts.get(part).describe(row - starts[part]);
  }

  /**
   * Closes every source, also when one of them fails to; the first failure is thrown with the
   * others suppressed.
   */
  @Override
  public void close() throws IOException {
    @Nullable IOException failure = null;
    for (VectorSource part : parts) {
      try {
        part.close();
      } catch (IOException e) {
        if (failure == null) {
          failure = e;
        } else {
          failure.addSuppressed(e);
        }
      }
    }
    if (failure != null) {
      throw failure;
    }
  }

  private int partOf(long row) {
    int found = Arrays.binarySearch(starts, row);
    // Parts without rows repeat a start, and any of them may be found; read() walks on from there.
    while (found > 0 && starts[found - 1] == row) {
      found--;
    }
    return found >= 0 ? found : -found - 2;
  }
}
