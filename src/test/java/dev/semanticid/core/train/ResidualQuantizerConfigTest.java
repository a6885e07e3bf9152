package dev.semanticid.core.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.semanticid.core.codebook.CodebookSettings;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What settings beyond the reference algorithm's are refused. */
class ResidualQuantizerConfigTest {

  private static final ResidualQuantizerConfig REFERENCE = ResidualQuantizerConfig.reference(8);

  private static ResidualQuantizerConfig notLayerWise() {
    return new ResidualQuantizerConfig(
        8, List.of(4, 4), 10, 10, 5, 0.5, true, false, true, true, CentroidInitializer.RANDOM, 1);
  }

  @Test
  void reference_isGreedyMiniBatchNeitherRefinedNorBalanced() {
    assertThat(REFERENCE.algorithm()).isEqualTo(Algorithm.MINIBATCH_KMEANS);
    assertThat(REFERENCE.tolerance()).isEqualTo(1e-4);
    assertThat(REFERENCE.refine()).isZero();
    assertThat(REFERENCE.beamSize()).isEqualTo(1);
    assertThat(REFERENCE.balance()).isFalse();
    assertThat(REFERENCE.codebookSettings()).isEqualTo(new CodebookSettings(true));
  }

  @Test
  void with_othersThanTheReference_keepsTheRest() {
    ResidualQuantizerConfig config = REFERENCE.with(Algorithm.LLOYD, 0, 1000, 64, false);
    assertThat(config.refine()).isEqualTo(1000);
    assertThat(config.codebookSettings()).isEqualTo(new CodebookSettings(true, 64));
    assertThat(config.with(Algorithm.MINIBATCH_KMEANS, 1e-4, 0, 1, false)).isEqualTo(REFERENCE);
  }

  @ParameterizedTest
  @ValueSource(doubles = {-1e-9, 1, 2, Double.NaN, Double.POSITIVE_INFINITY})
  void with_toleranceOutOfRange_isRefusedWithIt(double tolerance) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> REFERENCE.with(Algorithm.LLOYD, tolerance, 0, 1, false))
        .withMessageContainingAll("tolerance", "[0, 1)", Double.toString(tolerance));
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 1001, Integer.MAX_VALUE})
  void with_roundsOutOfRange_isRefusedWithThem(int refine) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> REFERENCE.with(Algorithm.LLOYD, 0, refine, 1, false))
        .withMessageContainingAll("refine", "0 to 1000", "got " + refine);
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 0, 65})
  void with_beamOutOfRange_isRefusedWithIt(int beam) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> REFERENCE.with(Algorithm.LLOYD, 0, 0, beam, false))
        .withMessageContainingAll("beam_size", "1 to 64", "got " + beam);
  }

  @ParameterizedTest
  @CsvSource({"1,1", "0,2", "3,64"})
  void with_balanceAndRefinementOrABeam_isRefusedWithBoth(int refine, int beam) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> REFERENCE.with(Algorithm.LLOYD, 0, refine, beam, true))
        .withMessageContainingAll("balance", "refine " + refine, "beam_size " + beam);
    assertThat(REFERENCE.with(Algorithm.LLOYD, 0, 0, 1, true).balance()).isTrue();
  }

  @ParameterizedTest
  @CsvSource({"LLOYD,false", "LLOYD,true", "MINIBATCH_KMEANS,true"})
  void with_lloydOrBalanceNotLayerWise_isRefused(Algorithm algorithm, boolean balance) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> notLayerWise().with(algorithm, 0, 0, 1, balance))
        .withMessageContaining("train_layer_wise must be true");
    assertThat(notLayerWise().with(Algorithm.MINIBATCH_KMEANS, 0, 2, 4, false).refine())
        .isEqualTo(2);
  }

  @ParameterizedTest
  @CsvSource({
    "LLOYD,1000000,2048,3,false,60",
    "LLOYD,1,2048,1,true,20",
    "MINIBATCH_KMEANS,1,2048,1,false,30",
    "MINIBATCH_KMEANS,20480,2048,3,false,300",
    "MINIBATCH_KMEANS,20480,2048,3,true,90",
    "MINIBATCH_KMEANS,100000000,2048,3,false,3000"
  })
  void defaultMaxSteps_perAlgorithm_isAsDocumented(
      Algorithm algorithm, long rows, int batch, int levels, boolean further, int steps) {
    assertThat(ResidualQuantizerConfig.defaultMaxSteps(algorithm, rows, batch, levels, further))
        .isEqualTo(steps);
  }
}
