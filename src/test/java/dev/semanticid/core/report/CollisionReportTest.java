package dev.semanticid.core.report;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.SemanticId;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Counting of shared semantic IDs, against a map of them. */
class CollisionReportTest {

  @Test
  void of_handMadeCodes_countsGroups() {
    int[] codes = {
      0, 1, //
      2, 0, //
      0, 1, //
      2, 1, //
      2, 0, //
      0, 1, //
      1, 0,
    };
    assertThat(CollisionReport.of(codes, List.of(3, 2))).isEqualTo(new CollisionReport(7, 4, 5, 3));
  }

  @Test
  void of_noRows_isAllZero() {
    assertThat(CollisionReport.of(new int[0], List.of(3, 2)))
        .isEqualTo(new CollisionReport(0, 0, 0, 0));
  }

  @Test
  void of_oneRow_collidesWithNothing() {
    assertThat(CollisionReport.of(new int[] {1, 0, 4}, List.of(3, 2, 5)))
        .isEqualTo(new CollisionReport(1, 1, 0, 1));
  }

  static List<List<Integer>> widths() {
    return List.of(
        List.of(1),
        List.of(7),
        List.of(256, 256, 256),
        List.of(1, 1, 1, 5),
        List.of(1 << 20, 1 << 20, 1 << 20),
        List.of(1 << 20, 1 << 20, 1 << 20, 8),
        List.of(Integer.MAX_VALUE, Integer.MAX_VALUE, Integer.MAX_VALUE, Integer.MAX_VALUE),
        Collections.nCopies(64, 2),
        Collections.nCopies(63, 2),
        Collections.nCopies(40, 3),
        Collections.nCopies(200, 8192));
  }

  @ParameterizedTest
  @MethodSource("widths")
  void of_randomCodes_agreesWithCountingInAMap(List<Integer> widths) {
    var random = new SplittableRandom(1);
    int levels = widths.size();
    for (int n : new int[] {2, 1000}) {
      // rows differ in one level from a few shared ones, so groups differ in any level
      var shared = new ArrayList<int[]>();
      for (int s = 0; s < 20; s++) {
        shared.add(widths.stream().mapToInt(random::nextInt).toArray());
      }
      int[] codes = new int[n * levels];
      for (int row = 0; row < n; row++) {
        System.arraycopy(shared.get(random.nextInt(20)), 0, codes, row * levels, levels);
        int level = random.nextInt(levels);
        int width = widths.get(level);
        int code = codes[row * levels + level];
        codes[row * levels + level] = random.nextInt(4) == 0 ? width - 1 - code : code;
      }

      Map<SemanticId, Integer> groups = new HashMap<>();
      for (int row = 0; row < n; row++) {
        groups.merge(SemanticId.ofRow(codes, row, levels), 1, Integer::sum);
      }
      assertThat(CollisionReport.of(codes, widths))
          .isEqualTo(
              new CollisionReport(
                  n,
                  groups.size(),
                  groups.values().stream().filter(size -> size > 1).mapToInt(s -> s).sum(),
                  Collections.max(groups.values())));
    }
  }

  @Test
  void of_codesThatALongWouldConfuse_keepsThemApart() {
    // in base 2 and 64 bits the first code is worth 2⁶⁴ = 0
    int[] codes = new int[2 * 65];
    codes[0] = 1;
    assertThat(CollisionReport.of(codes, Collections.nCopies(65, 2)))
        .isEqualTo(new CollisionReport(2, 2, 0, 1));
  }
}
