package dev.semanticid.core.vector;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.IOException;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Rows left out, against a list without them. */
class SkippingVectorSourceTest {

  private static VectorSource counting(int rows) {
    float[] data = new float[2 * rows];
    for (int i = 0; i < data.length; i++) {
      data[i] = i;
    }
    return new InMemoryVectorSource(VectorBatch.of(data, 2));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 5, 20, 39, 40})
  void read_anyRange_leavesTheRowsOut(int skippedRows) throws IOException {
    var random = new SplittableRandom(skippedRows);
    for (int round = 0; round < 50; round++) {
      int[] order = IntStream.range(0, 40).toArray();
      for (int i = 0; i < 40; i++) {
        int j = random.nextInt(i + 1);
        int kept = order[i];
        order[i] = order[j];
        order[j] = kept;
      }
      long[] skipped = Arrays.stream(order, 0, skippedRows).sorted().asLongStream().toArray();
      int[] left = Arrays.stream(order, skippedRows, 40).sorted().toArray();
      try (var source = new SkippingVectorSource(counting(40), skipped)) {
        assertThat(source.rows()).isEqualTo(left.length);
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
  void new_rowsThatAreNot_isRefused() {
    for (long[] skipped : new long[][] {{-1}, {40}, {3, 3}, {4, 2}}) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new SkippingVectorSource(counting(40), skipped));
    }
  }
}
