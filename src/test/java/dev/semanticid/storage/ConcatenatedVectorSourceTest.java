package dev.semanticid.storage;

import static dev.semanticid.format.FormatAssertions.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.core.vector.VectorSource;
import dev.semanticid.format.FormatException.Kind;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class ConcatenatedVectorSourceTest {

  @Test
  void read_everyRange_crossesPartsAndPassesOverEmptyOnes() throws IOException {
    List<CountingSource> parts = new ArrayList<>();
    long start = 0;
    for (int rows : new int[] {0, 3, 0, 0, 1, 5, 0}) {
      parts.add(new CountingSource("part" + parts.size(), start, rows, 2));
      start += rows;
    }
    try (ConcatenatedVectorSource source = ConcatenatedVectorSource.of(parts)) {
      assertThat(source.rows()).isEqualTo(9);
      assertThat(source.dimension()).isEqualTo(2);
      assertThat(source.description()).isEqualTo("7 sources from part0 to part6");
      for (int first = 0; first <= 9; first++) {
        for (int count = 0; first + count <= 9; count++) {
          float[] target = new float[2 * count + 2];
          source.read(first, count, target, 1);
          float[] expected = new float[2 * count + 2];
          for (int i = 0; i < 2 * count; i++) {
            expected[i + 1] = 2 * first + i;
          }
          assertThat(target).isEqualTo(expected);
        }
      }
    }
    assertThat(parts).allMatch(part -> part.closed);
  }

  @Test
  void read_rowsBeyondInt_findsThePart() throws IOException {
    long many = 3_000_000_000L;
    List<CountingSource> parts =
        List.of(new CountingSource("a", 0, many, 1), new CountingSource("b", 100, many, 1));
    try (ConcatenatedVectorSource source = ConcatenatedVectorSource.of(parts)) {
      float[] target = new float[2];
      source.read(many - 1, 2, target, 0);
      assertThat(target).containsExactly((float) (many - 1), 100f);
      source.read(2 * many - 1, 1, target, 0);
      assertThat(target[0]).isEqualTo((float) (many + 99));
    }
  }

  @Test
  void read_outsideRowsOrTarget_isOutOfBounds() throws IOException {
    try (ConcatenatedVectorSource source =
        ConcatenatedVectorSource.of(List.of(new CountingSource("a", 0, 3, 2)))) {
      assertThat(source.description()).isEqualTo("a");
      assertThatThrownBy(() -> source.read(2, 2, new float[9], 0))
          .isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> source.read(0, 2, new float[3], 0))
          .isInstanceOf(IndexOutOfBoundsException.class);
    }
  }

  @Test
  void of_otherDimension_isUnsupportedNamingBoth() {
    CountingSource first = new CountingSource("first.npy", 0, 3, 2);
    CountingSource second = new CountingSource("second.npy", 3, 3, 4);
    assertRefused(Kind.UNSUPPORTED, () -> ConcatenatedVectorSource.of(List.of(first, second)))
        .contains("dimension 2", "first.npy", "got 4", "second.npy");
    assertThat(first.closed).isFalse();
  }

  @Test
  void of_rowsOverflow_isTooLarge() {
    CountingSource huge = new CountingSource("huge", 0, Long.MAX_VALUE, 2);
    assertRefused(Kind.TOO_LARGE, () -> ConcatenatedVectorSource.of(List.of(huge, huge)))
        .contains("9223372036854775807");
  }

  @Test
  void of_nothing_isIllegal() {
    assertThatThrownBy(() -> ConcatenatedVectorSource.of(List.of()))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void close_failingParts_closesAllAndKeepsEveryFailure() throws IOException {
    CountingSource good = new CountingSource("good", 0, 1, 1);
    CountingSource bad = new CountingSource("bad", 0, 1, 1);
    CountingSource worse = new CountingSource("worse", 0, 1, 1);
    bad.failsToClose = true;
    worse.failsToClose = true;
    ConcatenatedVectorSource source = ConcatenatedVectorSource.of(List.of(bad, worse, good));
    assertThatThrownBy(source::close)
        .isInstanceOf(IOException.class)
        .hasMessage("bad")
        .satisfies(e -> assertThat(Arrays.stream(e.getSuppressed())).hasSize(1));
    assertThat(good.closed).isTrue();
  }

  /** Component c of row r is {@code (start + r) · dimension + c}. */
  private static final class CountingSource implements VectorSource {

    private final String name;
    private final long start;
    private final long rows;
    private final int dimension;
    private boolean closed;
    private boolean failsToClose;

    CountingSource(String name, long start, long rows, int dimension) {
      this.name = name;
      this.start = start;
      this.rows = rows;
      this.dimension = dimension;
    }

    @Override
    public int dimension() {
      return dimension;
    }

    @Override
    public long rows() {
      return rows;
    }

    @Override
    public void read(long firstRow, int count, float[] target, int offset) {
      for (int i = 0; i < count * dimension; i++) {
        target[offset + i] = (start + firstRow) * dimension + i;
      }
    }

    @Override
    public String description() {
      return name;
    }

    @Override
    public void close() throws IOException {
      closed = true;
      if (failsToClose) {
        throw new IOException(name);
      }
    }
  }
}
