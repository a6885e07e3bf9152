package dev.semanticid.core.codebook;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a codebook refuses, and that its fingerprint covers exactly what decides codes. */
@Isolated("it sets the locale")
class CodebookTest {

  private static final CodebookSettings NORMALIZED = new CodebookSettings(true);
  private static final CodebookSettings RAW = new CodebookSettings(false);

  private static List<float[]> levels() {
    return List.of(new float[] {1f, -2f, 0.5f, -0f, 1e-40f, 3.25f}, new float[] {0.1f, 7f, -1e30f});
  }

  private static Codebook codebook(CodebookSettings settings, int d, List<float[]> levels) {
    return Codebook.of(settings, d, levels, Provenance.UNKNOWN);
  }

  /** The digests were computed with Python's struct and hashlib. */
  @ParameterizedTest
  @CsvSource({
    "true,  f523afc23b667379848d8325c1badd8aedc15f3e7f136aca807183cf091e8a82",
    "false, 62d5e00e54d12557ff1bfd4968c90b44df86dd38e2cef55e5e618bd51f810417"
  })
  void fingerprint_smallCodebook_isTheGoldenOne(boolean normalize, String golden) {
    assertThat(codebook(new CodebookSettings(normalize), 3, levels()).fingerprint())
        .isEqualTo(golden);
  }

  @Test
  void fingerprint_ofAnySize_isTheDigestOfHeaderAndLittleEndianComponents() {
    var random = new SplittableRandom(5);
    int d = 7;
    // around the sizes at which a 64 KiB buffer is just full, or has something left over
    for (int width : new int[] {1, 2340, 2341, 2 * 2341, 5000}) {
      var levels = List.of(random(random, width * d), random(random, 3 * d));
      String header =
          "semantic-id codebook 1\nnormalize_residuals=false\nlevel_0 F32 [%s,7]\nlevel_1 F32 [3,7]\n"
              .replace("%s", Integer.toString(width));
      assertThat(codebook(RAW, d, levels).fingerprint()).isEqualTo(digest(header, levels));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"ar-EG-u-nu-arab", "hi-IN-u-nu-deva", "tr-TR", "de-DE"})
  void fingerprint_underAnyLocale_isTheSame(String language) {
    String expected = codebook(NORMALIZED, 3, levels()).fingerprint();
    Locale before = Locale.getDefault();
    try {
      Locale.setDefault(Locale.forLanguageTag(language));
      assertThat(codebook(NORMALIZED, 3, levels()).fingerprint()).isEqualTo(expected);
    } finally {
      Locale.setDefault(before);
    }
  }

  @Test
  void fingerprint_oneComponentChanged_changes() {
    String fingerprint = codebook(NORMALIZED, 3, levels()).fingerprint();
    for (int l = 0; l < 2; l++) {
      for (int i = 0; i < levels().get(l).length; i++) {
        List<float[]> changed = levels();
        changed.get(l)[i] = Math.nextUp(changed.get(l)[i]);
        assertThat(codebook(NORMALIZED, 3, changed).fingerprint())
            .as("level %d component %d one ulp up", l, i)
            .isNotEqualTo(fingerprint);
      }
    }
    List<float[]> zero = levels();
    zero.getFirst()[3] = 0f;
    assertThat(codebook(NORMALIZED, 3, zero).fingerprint())
        .as("0 instead of −0")
        .isNotEqualTo(fingerprint);
  }

  @Test
  void fingerprint_sameComponentsInAnotherShapeOrSetting_differs() {
    float[] six = {1, 2, 3, 4, 5, 6};
    var fingerprints =
        List.of(
            codebook(NORMALIZED, 1, List.of(six)).fingerprint(),
            codebook(RAW, 1, List.of(six)).fingerprint(),
            codebook(NORMALIZED, 2, List.of(six)).fingerprint(),
            codebook(NORMALIZED, 3, List.of(six)).fingerprint(),
            codebook(NORMALIZED, 6, List.of(six)).fingerprint(),
            codebook(NORMALIZED, 1, split(six, 2)).fingerprint(),
            codebook(NORMALIZED, 1, split(six, 3)).fingerprint(),
            codebook(NORMALIZED, 2, split(six, 2)).fingerprint(),
            codebook(NORMALIZED, 2, split(six, 4)).fingerprint());
    assertThat(fingerprints).doesNotHaveDuplicates();
  }

  @Test
  void fingerprint_otherProvenanceOrTrainingState_staysTheSame() {
    Codebook codebook = codebook(NORMALIZED, 3, levels());
    Codebook other =
        codebook
            .withProvenance(Provenance.of(Map.of("seed", "7")))
            .withTrainingState(
                new TrainingState(List.of(new long[] {4, 5}, new long[] {9}), List.of(1.0, 0.5)));
    assertThat(other.fingerprint()).isEqualTo(codebook.fingerprint());
    assertThat(other.provenance().values()).containsExactly(Map.entry("seed", "7"));
    assertThat(other.trainingState()).isNotNull();
    assertThat(other.withProvenance(Provenance.UNKNOWN).trainingState()).isNotNull();
    assertThat(codebook.trainingState()).isNull();
  }

  @Test
  void fingerprint_otherBeamOrWeights_differs() {
    var weights = List.of(new float[] {0.5f, 0}, new float[1]);
    var others = List.of(new float[] {0, 0.5f}, new float[1]);
    assertThat(
            List.of(
                codebook(NORMALIZED, 3, levels()).fingerprint(),
                codebook(new CodebookSettings(true, 2), 3, levels()).fingerprint(),
                codebook(new CodebookSettings(true, 22), 3, levels()).fingerprint(),
                codebook(new CodebookSettings(false, 2), 3, levels()).fingerprint(),
                weighted(NORMALIZED, weights).fingerprint(),
                weighted(NORMALIZED, others).fingerprint(),
                weighted(RAW, weights).fingerprint()))
        .doesNotHaveDuplicates();
  }

  @Test
  void fingerprint_weightsThatAreAllZero_isThatWithoutAny() {
    String none = codebook(NORMALIZED, 3, levels()).fingerprint();
    Codebook zero = weighted(NORMALIZED, List.of(new float[] {0, -0f}, new float[1]));
    assertThat(zero.fingerprint()).isEqualTo(none);
    assertThat(zero.weighted()).isFalse();
    assertThat(codebook(new CodebookSettings(true, 1), 3, levels()).fingerprint()).isEqualTo(none);
    Codebook beam = weighted(new CodebookSettings(true, 4), List.of(new float[2], new float[1]));
    assertThat(beam.settings().beamSize()).isEqualTo(4);
  }

  /** As docs/codebook-format.md specifies it. */
  @Test
  void fingerprint_weightsOrABeam_isTheDigestOfHeaderAndTensors() {
    String shapes = "level_0 F32 [2,3]\nlevel_1 F32 [1,3]\n";
    String beam = "semantic-id codebook 1\nnormalize_residuals=true\nbeam_size=5\n" + shapes;
    assertThat(codebook(new CodebookSettings(true, 5), 3, levels()).fingerprint())
        .isEqualTo(digest(beam, levels()));
    var weights = List.of(new float[] {0.5f, -2}, new float[1]);
    String header =
        "semantic-id codebook 1\nnormalize_residuals=false\n"
            + shapes
            + "weight_0 F32 [2]\nweight_1 F32 [1]\n";
    var tensors =
        List.of(levels().getFirst(), levels().getLast(), weights.getFirst(), weights.getLast());
    assertThat(weighted(RAW, weights).fingerprint()).isEqualTo(digest(header, tensors));
  }

  @Test
  void of_weightsOfAnotherShapeOrWithABeam_isRefusedWithItsNumbers() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> weighted(NORMALIZED, List.of(new float[] {1, 0})))
        .withMessageContainingAll("1 levels", "2");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> weighted(NORMALIZED, List.of(new float[2], new float[] {1, 2})))
        .withMessageContainingAll("level 1", "2 weights", "1 centroids");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> weighted(NORMALIZED, List.of(new float[] {0, -1.1e30f}, new float[1])))
        .withMessageContainingAll("level 0 weight 1", "-1.1E30", "1.0E30");
    assertThatIllegalArgumentException()
        .isThrownBy(() ->
            weighted(new CodebookSettings(true, 7), List.of(new float[] {0, 1}, new float[1])))
        .withMessageContaining("beam_size 7");
    for (int beam : new int[] {0, -3, 65}) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new CodebookSettings(true, beam))
          .withMessageContainingAll("1 to 64", "got " + beam);
    }
  }

  private static Codebook weighted(CodebookSettings settings, List<float[]> weights) {
    return Codebook.of(settings, 3, levels(), weights, Provenance.UNKNOWN);
  }

  @Test
  void of_levelsOfDifferentWidth_tellsTheirShape() {
    Codebook codebook = codebook(RAW, 3, levels());
    assertThat(codebook.dimension()).isEqualTo(3);
    assertThat(codebook.levels()).isEqualTo(2);
    assertThat(codebook.widths()).containsExactly(2, 1);
    assertThat(codebook.settings()).isEqualTo(RAW);
    assertThat(codebook.centroids(1).data()).containsExactly(0.1f, 7f, -1e30f);
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
  void of_nonFiniteComponent_namesLevelAndCentroid(float bad) {
    var levels = List.of(new float[6], new float[12]);
    levels.get(1)[11] = bad;
    assertThatIllegalArgumentException()
        .isThrownBy(() -> codebook(NORMALIZED, 3, levels))
        .withMessageContaining("level 1 centroid 3")
        .withMessageContaining(Float.toString(bad));
  }

  @Test
  void of_noLevelsOrNoCentroidsOrRaggedOnes_isRefusedWithItsNumbers() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> codebook(NORMALIZED, 3, List.of()))
        .withMessageContaining("at least one level");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> codebook(NORMALIZED, 3, List.of(new float[3], new float[0])))
        .withMessageContainingAll("level 1", "0 components", "dimension 3");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> codebook(NORMALIZED, 3, List.of(new float[7])))
        .withMessageContainingAll("level 0", "7 components", "dimension 3");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> codebook(NORMALIZED, 0, List.of(new float[3])))
        .withMessageContaining("got 0");
  }

  @Test
  void withTrainingState_ofAnotherShape_isRefusedWithBothNumbers() {
    Codebook codebook = codebook(NORMALIZED, 3, levels());
    assertThatIllegalArgumentException()
        .isThrownBy(
            () -> codebook.withTrainingState(new TrainingState(List.of(new long[2]), List.of(1.0))))
        .withMessageContainingAll("1 levels", "of 2");
    assertThatIllegalArgumentException()
        .isThrownBy(() ->
            codebook.withTrainingState(
                new TrainingState(List.of(new long[2], new long[5]), List.of(1.0, 1.0))))
        .withMessageContainingAll("level 1", "5 counts", "1 centroids");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new TrainingState(List.of(new long[2], new long[1]), List.of(1.0)))
        .withMessageContainingAll("2 levels", "of 1");
  }

  private static List<float[]> split(float[] components, int first) {
    return List.of(
        Arrays.copyOf(components, first), Arrays.copyOfRange(components, first, components.length));
  }

  private static float[] random(SplittableRandom random, int length) {
    float[] values = new float[length];
    for (int i = 0; i < length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private static String digest(String header, List<float[]> levels) {
    int components = levels.stream().mapToInt(level -> level.length).sum();
    ByteBuffer bytes = ByteBuffer.allocate(4 * components).order(ByteOrder.LITTLE_ENDIAN);
    for (float[] level : levels) {
      for (float component : level) {
        bytes.putFloat(component);
      }
    }
    try {
      MessageDigest sha256 = MessageDigest.getInstance("SHA-256");
      sha256.update(header.getBytes(StandardCharsets.US_ASCII));
      return HexFormat.of().formatHex(sha256.digest(bytes.array()));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }
}
