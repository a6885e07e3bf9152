package dev.semanticid.format;

import static dev.semanticid.format.FormatAssertions.assertRefused;
import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.format.FormatException.Kind;
import dev.semanticid.format.SafetensorsWriter.Tensor;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsTest {

  private static final long UNBOUNDED = Long.MAX_VALUE;

  private static final Map<String, String> METADATA = Map.of("k\u0001\u007f", "v/ü\t");

  private static final List<Tensor> TENSORS =
      List.of(
          Tensor.ofFloats("level_1", new float[] {1, 2, 3, 4, 5, 6}, 3, 2),
          Tensor.ofFloats("level_0", new float[] {0.5f}, 1),
          Tensor.ofLongs("counts", new long[] {7, -1}, 2),
          Tensor.ofFloats("é\"\n", new float[0], 0, 3),
          Tensor.ofFloats("s", new float[] {2}));

  /** What safetensors 0.8.0 for Python saves for the tensors above. */
  private static final byte[] REFERENCE =
      file(
          """
          {"__metadata__":{"k\\u0001\u007f":"v/ü\\t"},\
          "counts":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},\
          "level_0":{"dtype":"F32","shape":[1],"data_offsets":[16,20]},\
          "level_1":{"dtype":"F32","shape":[3,2],"data_offsets":[20,44]},\
          "s":{"dtype":"F32","shape":[],"data_offsets":[44,48]},\
          "é\\"\\n":{"dtype":"F32","shape":[0,3],"data_offsets":[48,48]}}\
          """
              + " ".repeat(7),
          bytes(
              0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
              0xff, 0xff, 0x00, 0x00, 0x00, 0x3f, 0x00, 0x00, 0x80, 0x3f, 0x00, 0x00, 0x00, 0x40,
              0x00, 0x00, 0x40, 0x40, 0x00, 0x00, 0x80, 0x40, 0x00, 0x00, 0xa0, 0x40, 0x00, 0x00,
              0xc0, 0x40, 0x00, 0x00, 0x00, 0x40));

  @Test
  void write_severalTensors_givesTheBytesOfTheReference() throws IOException {
    assertThat(ByteBuffer.wrap(REFERENCE).order(ByteOrder.LITTLE_ENDIAN).getLong())
        .isEqualTo(0x158);
    assertThat(write(METADATA, TENSORS)).isEqualTo(REFERENCE);
    assertThat(write(METADATA, TENSORS.reversed())).isEqualTo(REFERENCE);
    assertThat(SafetensorsWriter.size(METADATA, TENSORS)).isEqualTo(REFERENCE.length);
  }

  @Test
  void write_metadata_isSortedByUtf8() throws IOException {
    byte[] file = write(Map.of("b", "1", "a", "2", "\uffff", "3", "😀", "4", "B", "5"), List.of());
    assertThat(open(file).metadata().keySet()).containsExactly("B", "a", "b", "\uffff", "😀");
    assertThat(file.length % 8).isZero();
  }

  @Test
  void read_reference_givesMetadataAndTensorsInOrder() throws IOException {
    SafetensorsReader reader = open(REFERENCE);
    assertThat(reader.metadata()).isEqualTo(METADATA);
    assertThat(reader.dataBytes()).isEqualTo(48);
    List<TensorInfo> tensors = reader.tensors();
    assertThat(tensors)
        .containsExactly(
            new TensorInfo("counts", "I64", List.of(2L), 0, 16),
            new TensorInfo("level_0", "F32", List.of(1L), 16, 20),
            new TensorInfo("level_1", "F32", List.of(3L, 2L), 20, 44),
            new TensorInfo("s", "F32", List.of(), 44, 48),
            new TensorInfo("é\"\n", "F32", List.of(0L, 3L), 48, 48));
    assertThat(reader.readLongs(tensors.get(0))).containsExactly(7, -1);
    assertThat(reader.readFloats(tensors.get(1))).containsExactly(0.5f);
    reader.skip(tensors.get(2));
    assertThat(reader.readFloats(tensors.get(3))).containsExactly(2);
    assertThat(reader.readFloats(tensors.get(4))).isEmpty();
    reader.finish();
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 8191, 8192, 8193, 16_383, 16_384, 16_385, 50_001})
  void roundTrip_anySize_isBitForBit(int length) throws IOException {
    float[] floats = new float[length];
    long[] longs = new long[length];
    for (int i = 0; i < length; i++) {
      floats[i] = Float.intBitsToFloat(i * 0x9e3779b9 & ~0x40000000);
      longs[i] = i * 0x9e3779b97f4a7c15L;
    }
    byte[] file =
        write(
            Map.of(),
            List.of(
                Tensor.ofFloats("f", floats, length),
                Tensor.ofFloats("g", floats, 1, length, 1),
                Tensor.ofLongs("l", longs, length)));

    SafetensorsReader reader = new SafetensorsReader(new ByteArrayInputStream(file), 16L * length);
    List<TensorInfo> tensors = reader.tensors();
    assertThat(reader.metadata()).isEmpty();
    assertThat(reader.readLongs(tensors.get(0))).isEqualTo(longs);
    reader.skip(tensors.get(1));
    assertThat(reader.readFloats(tensors.get(2))).isEqualTo(floats);
    reader.finish();
  }

  @Test
  void read_noTensors_isEmpty() throws IOException {
    SafetensorsReader reader = open(file("{}", new byte[0]));
    assertThat(reader.tensors()).isEmpty();
    assertThat(reader.dataBytes()).isZero();
    reader.finish();
  }

  @Test
  void read_headerInOtherOrderUnpadded_sortsByOffset() throws IOException {
    SafetensorsReader reader =
        open(
            file(
                """
                { "b" : {"data_offsets":[2, 6],"shape":[1],"dtype":"F32"},
                  "z" : {"shape":[0],"data_offsets":[2, 2],"dtype":"F32"},
                  "a" : {"dtype":"BF16","data_offsets":[0, 2],"shape":[1, 1]} }\
                """,
                bytes(9, 9, 0, 0, 0x80, 0x3f)));
    assertThat(reader.tensors()).extracting(TensorInfo::name).containsExactly("a", "z", "b");
    reader.skip(reader.tensors().get(0));
    reader.skip(reader.tensors().get(1));
    assertThat(reader.readFloats(reader.tensors().get(2))).containsExactly(1f);
    reader.finish();
  }

  @Test
  void read_cutAnywhere_isTruncated() {
    for (int length = 0; length < REFERENCE.length; length++) {
      byte[] cut = Arrays.copyOf(REFERENCE, length);
      assertRefused(Kind.TRUNCATED, () -> readAll(cut)).contains("expected", "got");
    }
  }

  @Test
  void skip_cutTensor_isTruncatedWithBothNumbers() throws IOException {
    SafetensorsReader reader = open(Arrays.copyOf(REFERENCE, REFERENCE.length - 38));
    assertRefused(Kind.TRUNCATED, () -> reader.skip(reader.tensors().getFirst()))
        .contains("counts", "expected 16", "got 10");
  }

  @Test
  void finish_trailingByte_isCorruptWithBothNumbers() {
    assertRefused(Kind.CORRUPT, () -> readAll(Arrays.copyOf(REFERENCE, REFERENCE.length + 1)))
        .contains("expected a safetensors file of 400 bytes", "401");
  }

  @Test
  void read_anyByteChanged_parsesOrIsRefused() throws IOException {
    byte[] structural = "\0 \"\\{}[]:,-.019ex\u00ff".getBytes(ISO_8859_1);
    int parsed = 0;
    for (int at = 0; at < REFERENCE.length; at++) {
      for (int change = 0; change < 8 + structural.length; change++) {
        byte[] changed = REFERENCE.clone();
        changed[at] = change < 8 ? (byte) (changed[at] ^ 1 << change) : structural[change - 8];
        try {
          readAll(changed);
          parsed++;
        } catch (FormatException e) {
          assertThat(e).hasMessageContaining("expected");
        }
      }
    }
    assertThat(parsed).isGreaterThan(48 * (8 + structural.length));
  }

  @Test
  void read_moreDataThanAllowed_isTooLarge() throws IOException {
    assertThat(new SafetensorsReader(new ByteArrayInputStream(REFERENCE), 48).dataBytes())
        .isEqualTo(48);
    assertRefused(
            Kind.TOO_LARGE, () -> new SafetensorsReader(new ByteArrayInputStream(REFERENCE), 47))
        .contains("at most 47", "got 48");
    byte[] huge = file(tensor("F32", "[1000000000000]", "[0,4000000000000]"), new byte[0]);
    assertRefused(
            Kind.TOO_LARGE, () -> new SafetensorsReader(new ByteArrayInputStream(huge), 1L << 30))
        .contains("1073741824", "4000000000000");
    SafetensorsReader reader = open(huge);
    assertRefused(Kind.TOO_LARGE, () -> reader.readFloats(reader.tensors().getFirst()))
        .contains("1000000000000");
    assertThatThrownBy(() -> new SafetensorsReader(new ByteArrayInputStream(huge), -1))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @ParameterizedTest
  @CsvSource({"1048577,1048577", "-1,18446744073709551615", "4294967296,4294967296"})
  void read_longHeader_isTooLargeBeforeItIsRead(long length, String message) {
    byte[] file = REFERENCE.clone();
    ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).putLong(length);
    assertRefused(Kind.TOO_LARGE, () -> open(file)).contains("at most 1048576", "got " + message);
  }

  @Test
  void read_longestHeader_isRead() throws IOException {
    String header = "{}" + " ".repeat(SafetensorsReader.MAX_HEADER_BYTES - 2);
    assertThat(open(file(header, new byte[0])).tensors()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      quoteCharacter = '~',
      value = {
        // holes, overlaps and a start behind 0
        "{'a':{'dtype':'U8','shape':[1],'data_offsets':[1,2]}};offset 0, ; got 1",
        "{'a':{'dtype':'U8','shape':[1],'data_offsets':[0,1]},'b':{'dtype':'U8','shape':[1],"
            + "'data_offsets':[2,3]}};tensor b: expected offset 1;got 2",
        "{'a':{'dtype':'U8','shape':[2],'data_offsets':[0,2]},'b':{'dtype':'U8','shape':[2],"
            + "'data_offsets':[1,3]}};tensor b: expected offset 2;got 1",
        "{'a':{'dtype':'U8','shape':[2],'data_offsets':[0,2]},'b':{'dtype':'U8','shape':[2],"
            + "'data_offsets':[0,2]}};tensor b: expected offset 2;got 0",
        // sizes
        "{'a':{'dtype':'F32','shape':[1],'data_offsets':[0,8]}};expected 4 bytes;[0, 8]",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,4]}};expected 8 bytes;[0, 4]",
        "{'a':{'dtype':'F32','shape':[],'data_offsets':[0,0]}};expected 4 bytes;[0, 0]",
        "{'a':{'dtype':'U8','shape':[1],'data_offsets':[1,0]}};ordered;[1, 0]",
        "{'a':{'dtype':'U8','shape':[1],'data_offsets':[0]}};2 ordered;[0]",
        "{'a':{'dtype':'U8','shape':[1],'data_offsets':[0,1,1]}};2 ordered;[0, 1, 1]",
        "{'a':{'dtype':'U8','shape':[-1],'data_offsets':[0,1]}};whole numbers;-1",
        "{'a':{'dtype':'U8','shape':[-0],'data_offsets':[0,0]}};whole numbers;-0",
        "{'a':{'dtype':'U8','shape':[1.0],'data_offsets':[0,1]}};whole numbers;1.0",
        "{'a':{'dtype':'U8','shape':[1e0],'data_offsets':[0,1]}};whole numbers;1e0",
        "{'a':{'dtype':'U8','shape':['1'],'data_offsets':[0,1]}};whole numbers;a string",
        "{'a':{'dtype':'U8','shape':[18446744073709551617],'data_offsets':[0,1]}};"
            + "9223372036854775807;got 18446744073709551617",
        "{'a':{'dtype':'U8','shape':[1],'data_offsets':[0,9223372036854775808]}};"
            + "9223372036854775807;got 9223372036854775808",
        "{'a':{'dtype':'F32','shape':[4294967296,4294967296],'data_offsets':[0,0]}};"
            + "9223372036854775807;[4294967296, 4294967296]",
        "{'a':{'dtype':'I64','shape':[2305843009213693952],'data_offsets':[0,0]}};"
            + "9223372036854775807;[2305843009213693952]",
        // structure
        "{'a':{'dtype':'U8','shape':[1]}};data_offsets;[dtype, shape]",
        "{'a':{'shape':[1],'data_offsets':[0,1]}};dtype;[shape, data_offsets]",
        "{'a':{'dtype':'U8','data_offsets':[0,1]}};shape;[dtype, data_offsets]",
        "{'a':{'dtype':'U8','shape':[1],'data_offsets':[0,1],'x':0}};dtype;x]",
        "{'a':{'dtype':8,'shape':[1],'data_offsets':[0,1]}};a string;got 8",
        "{'a':{'dtype':'U8','shape':1,'data_offsets':[0,1]}};an array;got 1",
        "{'a':{'dtype':'U8','shape':[1],'data_offsets':{}}};an array;an object",
        "{'a':[]};an object;an array of 0",
        "{'a':null};an object;NULL",
        "{'__metadata__':null};an object;NULL",
        "{'__metadata__':{'a':1}};__metadata__.a: expected a string;got 1",
        "{'__metadata__':{'a':{}}};a string;an object",
        "{'__metadata__':{'a':'1','a':'1'}};once;again",
        "{'a':{},'a':{}};once;again",
        "{'__metadata__':{},'__metadata__':{}};once;again",
        "[];begins with {;0x5b",
        "~~;begins with {;0 bytes",
        "~ {}~;begins with {;0x20",
        "{}x;the end;'x'",
        "{;a string;the end",
      })
  void read_badHeader_isCorrupt(String header, String wanted, String got) {
    assertRefused(Kind.CORRUPT, () -> open(file(header.replace('\'', '"'), new byte[8])))
        .contains(wanted.strip(), got.strip());
  }

  @ParameterizedTest
  @ValueSource(strings = {"F4", "F6_E2M3", "f32", "float32", "", "I128"})
  void read_otherDtype_isUnsupported(String dtype) {
    assertRefused(Kind.UNSUPPORTED, () -> open(file(tensor(dtype, "[1]", "[0,1]"), new byte[1])))
        .endsWith("got " + dtype);
  }

  @Test
  void read_deepNesting_isCorrupt() {
    String header = "{\"a\":" + "[".repeat(500_000);
    assertRefused(Kind.CORRUPT, () -> open(file(header, new byte[0]))).contains("at most 16");
  }

  @Test
  void read_hugeNames_stayOutOfTheMessage() {
    String name = "n".repeat(100_000);
    assertRefused(
            Kind.CORRUPT,
            () ->
                open(
                    file(
                        tensor("U8", "[2]", "[0,1]").replace("\"a\"", "\"" + name + "\""),
                        new byte[1])))
        .hasSizeLessThan(300);
  }

  @Test
  void readFloats_otherDtype_isUnsupportedAndMayBeSkipped() throws IOException {
    SafetensorsReader reader = open(REFERENCE);
    TensorInfo counts = reader.tensors().get(0);
    TensorInfo level = reader.tensors().get(1);
    assertRefused(Kind.UNSUPPORTED, () -> reader.readFloats(counts))
        .contains("counts", "expected dtype F32", "got I64");
    reader.skip(counts);
    assertRefused(Kind.UNSUPPORTED, () -> reader.readLongs(level)).contains("level_0", "got F32");
    assertThat(reader.readFloats(level)).containsExactly(0.5f);
  }

  @Test
  void read_outOfOrder_isIllegalState() throws IOException {
    SafetensorsReader reader = open(REFERENCE);
    assertThatThrownBy(() -> reader.readFloats(reader.tensors().get(1)))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContainingAll("counts", "level_0");
    assertThatThrownBy(reader::finish)
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContainingAll("5", "0");
    SafetensorsReader empty = open(file("{}", new byte[0]));
    assertThatThrownBy(() -> empty.skip(reader.tensors().get(1)))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("none");
  }

  @Test
  void write_badTensors_areIllegal() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    Tensor a = Tensor.ofFloats("a", new float[1], 1);
    assertThatThrownBy(() -> SafetensorsWriter.write(out, Map.of(), List.of(a, a)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("a twice");
    assertThatThrownBy(
            () -> SafetensorsWriter.write(out, Map.of("k", "x".repeat(1 << 20)), List.of(a)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("1048576");
    assertThatThrownBy(() -> SafetensorsWriter.write(out, Map.of("k", "\ud800"), List.of(a)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("surrogates");
    assertThat(out.size()).isZero();
    assertThatThrownBy(() -> Tensor.ofFloats("__metadata__", new float[1], 1))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> Tensor.ofFloats("a", new float[5], 2, 3))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContainingAll("[2, 3]", "6", "5");
    assertThatThrownBy(() -> Tensor.ofLongs("a", new long[6], -2, -3))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> Tensor.ofLongs("a", new long[0], 1L << 32, 1L << 32))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("18446744073709551616");
  }

  @Test
  void tensorInfo_badOffsets_areIllegal() {
    assertThatThrownBy(() -> new TensorInfo("a", "F32", List.of(), 4, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("4 to 0");
  }

  private static void readAll(byte[] file) throws IOException {
    SafetensorsReader reader = new SafetensorsReader(new ByteArrayInputStream(file), 1 << 20);
    for (TensorInfo tensor : reader.tensors()) {
      switch (tensor.dtype()) {
        case "F32" -> assertThat(reader.readFloats(tensor)).hasSize((int) tensor.bytes() / 4);
        case "I64" -> assertThat(reader.readLongs(tensor)).hasSize((int) tensor.bytes() / 8);
        default -> reader.skip(tensor);
      }
    }
    reader.finish();
  }

  private static SafetensorsReader open(byte[] file) throws IOException {
    return new SafetensorsReader(new ByteArrayInputStream(file), UNBOUNDED);
  }

  private static byte[] write(Map<String, String> metadata, List<Tensor> tensors)
      throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    SafetensorsWriter.write(out, metadata, tensors);
    return out.toByteArray();
  }

  private static String tensor(String dtype, String shape, String offsets) {
    return "{\"a\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":%s}}"
        .formatted(dtype, shape, offsets);
  }

  private static byte[] file(String header, byte[] data) {
    byte[] json = header.getBytes(UTF_8);
    return ByteBuffer.allocate(8 + json.length + data.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(json.length)
        .put(json)
        .put(data)
        .array();
  }

  private static byte[] bytes(int... values) {
    byte[] bytes = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      bytes[i] = (byte) values[i];
    }
    return bytes;
  }
}
