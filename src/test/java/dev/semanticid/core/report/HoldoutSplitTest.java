package dev.semanticid.core.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import dev.semanticid.core.vector.InMemoryVectorSource;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.core.vector.VectorSource;
import java.io.IOException;
import java.util.BitSet;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which rows are held out: a share of them, decided one by one. */
class HoldoutSplitTest {

  private static BitSet heldOut(double fraction, long seed, int rows) {
    var split = new HoldoutSplit(fraction, seed);
    var held = new BitSet();
    IntStream.range(0, rows).filter(split::holdsOut).forEach(held::set);
    assertThat(split.count(rows)).isEqualTo(held.cardinality());
    return held;
  }

  @ParameterizedTest
  @ValueSource(doubles = {0.001, 0.05, 0.5, 0.99})
  void holdsOut_manyRows_isTheShareAskedFor(double fraction) {
    int rows = 200_000;
    for (long seed : new long[] {0, 1, 42, -1, Long.MIN_VALUE}) {
      double deviation = Math.sqrt(rows * fraction * (1 - fraction));
      assertThat((double) heldOut(fraction, seed, rows).cardinality())
          .as("seed %d", seed)
          .isCloseTo(rows * fraction, within(5 * deviation));
    }
  }

  /** Neighbours and rows at any distance a power of two are held out independently. */
  @Test
  void holdsOut_rowsAtAnyDistance_areIndependent() {
    int rows = 1 << 18;
    BitSet held = heldOut(0.25, 3, rows);
    for (int distance = 1; distance < rows / 2; distance *= 2) {
      int d = distance;
      long both = held.stream().filter(row -> row + d < rows && held.get(row + d)).count();
      double expected = (rows - distance) / 16.0;
      assertThat((double) both)
          .as("distance %d", distance)
          .isCloseTo(expected, within(6 * Math.sqrt(expected)));
    }
  }

  @Test
  void holdsOut_aRow_dependsOnSeedAndRowAlone() {
    BitSet held = heldOut(0.2, 7, 5000);
    assertThat(heldOut(0.2, 7, 9000).get(0, 5000)).isEqualTo(held);
    BitSet more = heldOut(0.3, 7, 5000);
    assertThat(held.stream()).as("a larger share keeps what is held out").allMatch(more::get);
    BitSet others = heldOut(0.2, 8, 5000);
    others.and(held);
    assertThat(others.cardinality()).isBetween(100, 300);
  }

  @Test
  void views_ofASource_areDisjointAndCompleteInItsOrder() throws IOException {
    float[] data = new float[3000];
    for (int i = 0; i < data.length; i++) {
      data[i] = i;
    }
    var split = new HoldoutSplit(0.3, 11);
    BitSet held = heldOut(0.3, 11, 3000);
    try (VectorSource all = new InMemoryVectorSource(VectorBatch.of(data, 1));
        VectorSource training = split.training(all);
        VectorSource heldOut = split.heldOut(all)) {
      assertThat(training.rows() + heldOut.rows()).isEqualTo(3000);
      assertThat(heldOut.rows()).isEqualTo(split.count(3000));
      assertThat(values(heldOut)).containsExactly(held.stream().asLongStream().toArray());
      assertThat(values(training))
          .containsExactly(LongStream.range(0, 3000).filter(i -> !held.get((int) i)).toArray());
    }
  }

  private static long[] values(VectorSource source) throws IOException {
    int rows = (int) source.rows();
    float[] values = new float[rows];
    source.read(0, rows, values, 0);
    return IntStream.range(0, rows).mapToLong(i -> (long) values[i]).toArray();
  }

  @Test
  void nothingHeldOut_isTheSourceItself() throws IOException {
    try (VectorSource all = new InMemoryVectorSource(VectorBatch.of(new float[9], 3))) {
      var split = new HoldoutSplit(0, 1);
      assertThat(split.training(all)).isSameAs(all);
      assertThat(split.count(3)).isZero();
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {-0.1, 1, 1.5, Double.NaN, Double.POSITIVE_INFINITY})
  void new_fractionThatIsNone_isRefused(double fraction) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new HoldoutSplit(fraction, 1))
        .withMessageContainingAll("holdout_fraction", "0", "1", "got " + fraction);
  }
}
