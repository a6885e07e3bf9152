package dev.semanticid.core.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.Arrays;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The order in which training reads rows: every row once a pass, at random, from any place on. */
class RowOrderTest {

  private static long[] take(RowOrder order, int count) {
    return LongStream.generate(order::next).limit(count).toArray();
  }

  @Test
  void next_unshuffled_countsUpAgainAndAgain() {
    assertThat(take(new RowOrder(3, 5, false, 1), 7)).containsExactly(0, 1, 2, 0, 1, 2, 0);
  }

  /** Dimension 65,536 makes blocks of 4 rows and windows of 512. */
  @ParameterizedTest
  @CsvSource({"1, 4", "2, 4", "511, 65536", "512, 65536", "513, 65536", "5001, 65536", "3000, 384"})
  void next_shuffled_givesEveryRowOncePerPass(int rows, int dimension) {
    var order = new RowOrder(rows, dimension, true, 7);
    for (int pass = 0; pass < 3; pass++) {
      assertThat(order.position() % rows).isZero();
      long[] taken = take(order, rows);
      assertThat(order.pass()).isEqualTo(pass);
      Arrays.sort(taken);
      assertThat(taken).isEqualTo(LongStream.range(0, rows).toArray());
    }
  }

  @Test
  void next_shuffled_differsBySeedAndPass() {
    long[] first = take(new RowOrder(1000, 65536, true, 7), 2000);
    assertThat(take(new RowOrder(1000, 65536, true, 7), 2000)).isEqualTo(first);
    assertThat(take(new RowOrder(1000, 65536, true, 8), 2000)).isNotEqualTo(first);
    assertThat(Arrays.copyOf(first, 1000)).isNotEqualTo(Arrays.copyOfRange(first, 1000, 2000));
  }

  /** Data of one window are shuffled row by row: each place is as likely for each row. */
  @Test
  void next_dataOfOneWindow_isUniform() {
    int rows = 12;
    int[][] seen = new int[rows][rows];
    int passes = 24_000;
    var order = new RowOrder(rows, 1 << 17, true, 3);
    for (int pass = 0; pass < passes; pass++) {
      for (int place = 0; place < rows; place++) {
        seen[place][(int) order.next()]++;
      }
    }
    // 2,000 each, with a standard deviation of 43
    assertThat(Arrays.stream(seen).flatMapToInt(Arrays::stream).min().orElseThrow())
        .isGreaterThan(1_750);
    assertThat(Arrays.stream(seen).flatMapToInt(Arrays::stream).max().orElseThrow())
        .isLessThan(2_250);
  }

  /** Sorted data must not reach training as sorted batches. */
  @Test
  void next_dataOfManyWindows_mixesPlacesFarApart() {
    int rows = 100_000;
    long[] batch = take(new RowOrder(rows, 65536, true, 5), 256);
    long[] tenths = Arrays.stream(batch).map(row -> row * 10 / rows).sorted().distinct().toArray();
    assertThat(tenths).containsExactly(0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    long neighbours = 0;
    for (int i = 1; i < batch.length; i++) {
      neighbours += Math.abs(batch[i] - batch[i - 1]) < 4 ? 1 : 0;
    }
    assertThat(neighbours).isLessThan(20);
  }

  @ParameterizedTest
  @CsvSource({"true, 5001", "false, 5001", "true, 100"})
  void seek_anyPlace_goesOnAsIfNeverStopped(boolean shuffle, int rows) {
    var order = new RowOrder(rows, 65536, shuffle, 11);
    long[] all = take(order, 3 * rows);
    for (int at : new int[] {0, 1, 99, rows - 1, rows, rows + 50, 2 * rows, 3 * rows - 3}) {
      var walked = new RowOrder(rows, 65536, shuffle, 11);
      take(walked, at);
      var sought = new RowOrder(rows, 65536, shuffle, 11);
      take(sought, 17);
      sought.seek(walked.pass(), walked.position());
      int left = 3 * rows - at;
      assertThat(take(sought, left)).isEqualTo(Arrays.copyOfRange(all, at, at + left));
    }
  }

  @Test
  void seek_placeThatIsNot_isRefused() {
    var order = new RowOrder(10, 4, true, 1);
    assertThatIllegalArgumentException().isThrownBy(() -> order.seek(0, 11));
    assertThatIllegalArgumentException().isThrownBy(() -> order.seek(0, -1));
    assertThatIllegalArgumentException().isThrownBy(() -> order.seek(-1, 0));
  }

  /** Row numbers beyond an int, without memory for all of them. */
  @Test
  void next_moreRowsThanAnInt_staysInRange() {
    long rows = 5_000_000_000L;
    var order = new RowOrder(rows, 384, true, 2);
    long[] taken = take(order, 1000);
    assertThat(Arrays.stream(taken).min().orElseThrow()).isNotNegative();
    assertThat(Arrays.stream(taken).max().orElseThrow())
        .isLessThan(rows)
        .isGreaterThan(Integer.MAX_VALUE);
  }
}
