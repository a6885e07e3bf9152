package dev.semanticid.core.vector;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.BitSet;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Rows kept by a rule, against a list of them. */
class FilteredVectorSourceTest {

  private static VectorSource counting(int rows) {
    float[] data = new float[2 * rows];
    for (int i = 0; i < data.length; i++) {
      data[i] = i;
    }
    return new InMemoryVectorSource(VectorBatch.of(data, 2));
  }

  /** 256 rows are a block; some blocks keep nothing. */
  @ParameterizedTest
  @CsvSource({"1, 1", "255, 0.5", "256, 0.5", "257, 0.5", "2000, 0.001", "2000, 0.1", "1024, 1"})
  void read_anyRange_givesTheRowsKept(int rows, double share) throws IOException {
    var random = new SplittableRandom(rows);
    var kept = new BitSet();
    for (int row = 0; row < rows; row++) {
      kept.set(row, random.nextDouble() < share);
    }
    kept.set(rows - 1);
    int[] left = kept.stream().toArray();
    try (var source = new FilteredVectorSource(counting(rows), row -> kept.get((int) row))) {
      assertThat(source.rows()).isEqualTo(left.length);
      assertThat(source.dimension()).isEqualTo(2);
      for (int round = 0; round < 200; round++) {
        int first = random.nextInt(left.length + 1);
        int count = random.nextInt(left.length - first + 1);
        float[] target = new float[2 * count + 1];
        source.read(first, count, target, 1);
        for (int i = 0; i < count; i++) {
          assertThat(target[1 + 2 * i]).isEqualTo(2f * left[first + i]);
          assertThat(target[2 + 2 * i]).isEqualTo(2f * left[first + i] + 1);
          assertThat(source.describe(first + i)).contains("row " + left[first + i] + " of");
        }
      }
    }
  }

  @Test
  void read_rowsThatAreNot_isRefused() throws IOException {
    try (var source = new FilteredVectorSource(counting(600), row -> row % 3 == 0)) {
      for (int[] range : new int[][] {{200, 1}, {-1, 1}, {199, 2}, {0, 201}}) {
        assertThatThrownBy(() -> source.read(range[0], range[1], new float[500], 0))
            .isInstanceOf(IndexOutOfBoundsException.class);
      }
      assertThatThrownBy(() -> source.describe(200)).isInstanceOf(IndexOutOfBoundsException.class);
    }
    try (var nothing = new FilteredVectorSource(counting(600), row -> false)) {
      assertThat(nothing.rows()).isZero();
      nothing.read(0, 0, new float[0], 0);
    }
  }
}
