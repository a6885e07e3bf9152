package dev.semanticid.core.vector;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.BitSet;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class VectorBatchTest {

  private static final float[] BAD = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY};

  @ParameterizedTest
  @ValueSource(ints = {1, 3, 63, 64, 65, 200})
  void nonFiniteRows_anywhere_areThoseWithABadComponent(int d) {
    var random = new SplittableRandom(d);
    for (int round = 0; round < 50; round++) {
      int rows = random.nextInt(20);
      float[] data = new float[(rows + 1) * d];
      for (int i = 0; i < data.length; i++) {
        data[i] = random.nextBoolean() ? Float.MAX_VALUE : (float) random.nextGaussian();
      }
      data[rows * d] = Float.NaN; // behind the rows
      var expected = new BitSet();
      for (int i = random.nextInt(8); i > 0 && rows > 0; i--) {
        int row = random.nextInt(rows);
        data[row * d + random.nextInt(d)] = BAD[random.nextInt(BAD.length)];
        expected.set(row);
      }
      assertThat(VectorBatch.nonFiniteRows(data, rows, d)).isEqualTo(expected);
      assertThat(new VectorBatch(data, rows, d).firstNonFiniteRow())
          .isEqualTo(expected.nextSetBit(0));
    }
  }
}
