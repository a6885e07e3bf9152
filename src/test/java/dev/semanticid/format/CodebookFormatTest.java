package dev.semanticid.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.CodebookSettings;
import dev.semanticid.core.codebook.Provenance;
import dev.semanticid.format.FormatException.Kind;
import dev.semanticid.format.SafetensorsWriter.Tensor;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Codebooks with weights or a beam as files, and files that are refused. */
class CodebookFormatTest {

  private static final CodebookSettings GREEDY = new CodebookSettings(true);

  private static List<float[]> levels() {
    return List.of(new float[] {1, 2, 3, 4, 5, 6}, new float[] {7, 8, 9});
  }

  private static List<float[]> weights() {
    return List.of(new float[] {0.25f, -1e-30f}, new float[] {1e30f});
  }

  private static Codebook codebook(CodebookSettings settings, List<float[]> weights) {
    return Codebook.of(settings, 3, levels(), weights, Provenance.of(Map.of("seed", "7")));
  }

  @ParameterizedTest
  @CsvSource({"1,false,1", "1,true,2", "2,false,2", "64,false,2"})
  void write_anyCodebook_readsAsTheSame(int beam, boolean weighted, String version)
      throws IOException {
    Codebook codebook =
        codebook(new CodebookSettings(false, beam), weighted ? weights() : List.of());
    byte[] bytes = bytes(codebook);
    assertThat(CodebookFormat.size(codebook)).isEqualTo(bytes.length);
    assertThat(new SafetensorsReader(new ByteArrayInputStream(bytes), 1 << 20).metadata())
        .containsEntry("format_version", version)
        .satisfies(metadata ->
            assertThat(metadata.get("beam_size"))
                .isEqualTo(beam == 1 ? null : Integer.toString(beam)));
    Codebook read = read(bytes);
    assertThat(read.fingerprint()).isEqualTo(codebook.fingerprint());
    assertThat(read.settings()).isEqualTo(codebook.settings());
    assertThat(read.weighted()).isEqualTo(weighted);
    assertThat(read.provenance().values()).containsEntry("seed", "7");
    for (int l = 0; l < 2; l++) {
      assertThat(read.centroids(l).data()).isEqualTo(levels().get(l));
      assertThat(read.centroids(l).weights()).isEqualTo(codebook.centroids(l).weights());
    }
    assertThat(bytes(read)).isEqualTo(bytes);
  }

  @Test
  void write_weightsThatAreAllZero_areNone() throws IOException {
    Codebook zero = codebook(GREEDY, List.of(new float[2], new float[] {-0f}));
    assertThat(bytes(zero)).isEqualTo(bytes(codebook(GREEDY, List.of())));
  }

  @Test
  void read_withoutBeamSize_isGreedy() throws IOException {
    assertThat(read(file(metadata(), levels(), List.of())).settings().beamSize()).isEqualTo(1);
  }

  @ParameterizedTest
  @ValueSource(strings = {"0", "65", "-1", "x", "", "1.5", "99999999999"})
  void read_beamSizeOutOfRange_isRefusedWithBoth(String beam) {
    Map<String, String> metadata = metadata();
    metadata.put("beam_size", beam);
    assertRefused(
        file(metadata, levels(), List.of()), Kind.UNSUPPORTED, "beam_size must be 1 to 64", beam);
  }

  @Test
  void read_weightsAndABeam_isRefused() {
    Map<String, String> metadata = metadata();
    metadata.put("beam_size", "5");
    assertRefused(file(metadata, levels(), weights()), Kind.CORRUPT, "weights", "beam_size 5");
  }

  @Test
  void read_weightsOfSomeLevels_isRefusedWithBothNumbers() {
    assertRefused(
        file(metadata(), levels(), weights().subList(0, 1)), Kind.CORRUPT, "1 of 2 levels");
  }

  @Test
  void read_weightsOfALevelTooMany_isRefusedByName() {
    var three = new ArrayList<>(weights());
    three.add(new float[1]);
    assertRefused(file(metadata(), levels(), three), Kind.CORRUPT, "weight_2");
  }

  @Test
  void read_weightsOfAnotherLength_isRefusedWithBoth() {
    assertRefused(
        file(metadata(), levels(), List.of(new float[3], new float[1])),
        Kind.CORRUPT,
        "level 0",
        "3 weights",
        "2 centroids");
  }

  @ParameterizedTest
  @ValueSource(floats = {1.0001e30f, -1.0001e30f, Float.NaN, Float.POSITIVE_INFINITY})
  void read_weightBeyondTheLargest_isRefusedWithBoth(float bad) {
    assertRefused(
        file(metadata(), levels(), List.of(new float[] {0, bad}, new float[1])),
        Kind.CORRUPT,
        "level 0 weight 1",
        Float.toString(bad),
        "1.0E30");
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
  void read_centroidThatIsNotFinite_isRefusedByName(float bad) {
    var levels = List.of(new float[] {1, 2, 3, 4, bad, 6}, new float[3]);
    assertRefused(
        file(metadata(), levels, List.of()),
        Kind.CORRUPT,
        "level 0 centroid 1",
        Float.toString(bad));
  }

  @ParameterizedTest
  @ValueSource(strings = {"0", "3", "x"})
  void read_otherVersion_isRefusedWithBoth(String version) {
    Map<String, String> metadata = metadata();
    metadata.put("format_version", version);
    assertRefused(
        file(metadata, levels(), List.of()), Kind.UNSUPPORTED, "format_version is", version, "2");
  }

  /** Whoever changes a weight or the beam in a file has another codebook. */
  @Test
  void read_fingerprintOfOtherWeightsOrBeam_isRefused() {
    Map<String, String> metadata = metadata();
    metadata.put("fingerprint", codebook(GREEDY, weights()).fingerprint());
    var others = List.of(new float[] {0.25f, 0}, new float[] {1e30f});
    assertRefused(file(metadata, levels(), others), Kind.CORRUPT, "fingerprint");
    metadata.put("fingerprint", codebook(GREEDY, List.of()).fingerprint());
    metadata.put("beam_size", "5");
    assertRefused(file(metadata, levels(), List.of()), Kind.CORRUPT, "fingerprint");
  }

  private static Map<String, String> metadata() {
    return new TreeMap<>(Map.of("normalize_residuals", "true"));
  }

  private static byte[] file(
      Map<String, String> metadata, List<float[]> levels, List<float[]> weights) {
    var tensors = new ArrayList<Tensor>();
    for (int l = 0; l < levels.size(); l++) {
      tensors.add(Tensor.ofFloats("level_" + l, levels.get(l), levels.get(l).length / 3, 3));
    }
    for (int l = 0; l < weights.size(); l++) {
      tensors.add(Tensor.ofFloats("weight_" + l, weights.get(l), weights.get(l).length));
    }
    var out = new ByteArrayOutputStream();
    try {
      SafetensorsWriter.write(out, metadata, tensors);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
    return out.toByteArray();
  }

  private static void assertRefused(byte[] file, Kind kind, String... parts) {
    assertThatThrownBy(() -> read(file))
        .isInstanceOfSatisfying(FormatException.class, e -> assertThat(e.kind()).isEqualTo(kind))
        .hasMessageContainingAll(parts);
  }

  private static byte[] bytes(Codebook codebook) throws IOException {
    var out = new ByteArrayOutputStream();
    CodebookFormat.write(codebook, out);
    return out.toByteArray();
  }

  private static Codebook read(byte[] bytes) throws IOException {
    return CodebookFormat.read(new ByteArrayInputStream(bytes), 1 << 20);
  }
}
