package dev.semanticid.format;

import static dev.semanticid.format.FormatAssertions.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.core.vector.ElementType;
import dev.semanticid.format.FormatException.Kind;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class NpyHeaderTest {

  private static final String SMALL =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5), }  \n";

  @Test
  void read_numpyFile_givesTypeShapeAndSizes() throws IOException {
    // numpy 2.4: np.save of zeros((0, 5), '<f4')
    String dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 5), }";
    byte[] file = npy(1, dictionary + " ".repeat(117 - dictionary.length()) + "\n");

    NpyHeader header = NpyHeader.read(new ByteArrayInputStream(file));

    assertThat(file).hasSize(128).startsWith(0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, 0x76, 0);
    assertThat(header).isEqualTo(new NpyHeader(ElementType.F4, List.of(0L, 5L), 128));
    assertThat(header.rows()).isZero();
    assertThat(header.dimension()).isEqualTo(5);
    assertThat(header.dataBytes()).isZero();
    assertThat(header.fileBytes()).isEqualTo(128);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void read_anyVersion_consumesExactlyTheHeader(int version) throws IOException {
    ByteArrayOutputStream file = new ByteArrayOutputStream();
    file.writeBytes(npy(version, SMALL));
    file.writeBytes(new byte[] {1, 2, 3});
    ByteArrayInputStream in = new ByteArrayInputStream(file.toByteArray());

    NpyHeader header = NpyHeader.read(in);

    assertThat(in.readAllBytes()).containsExactly(1, 2, 3);
    assertThat(header.headerBytes()).isEqualTo(file.size() - 3);
    assertThat(header.rows()).isEqualTo(3);
    assertThat(header.dimension()).isEqualTo(5);
    assertThat(header.dataBytes()).isEqualTo(60);
  }

  @ParameterizedTest
  @CsvSource({"<f2,F2,14", "<f4,F4,28", "<f8,F8,56"})
  void read_oneAxis_isOneRow(String descr, ElementType type, long bytes) throws IOException {
    NpyHeader header =
        read("{'descr': '%s', 'fortran_order': False, 'shape': (7,), }".formatted(descr));

    assertThat(header.elementType()).isEqualTo(type);
    assertThat(header.rows()).isEqualTo(1);
    assertThat(header.dimension()).isEqualTo(7);
    assertThat(header.dataBytes()).isEqualTo(bytes);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{'shape':(3,5),'fortran_order':False,'descr':'<f4'}",
        "{\"descr\": \"<f4\", \"fortran_order\": False, \"shape\": (3, 5,)}",
        " { 'descr' : '<f4' ,\t'fortran_order' : False , 'shape' : ( 3 , 5 ) , } \r\n",
      })
  void read_otherSpelling_isTheSameHeader(String dictionary) throws IOException {
    assertThat(read(dictionary).shape()).containsExactly(3L, 5L);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        ">f4", "=f4", "|f4", "f4", "<i4", "|O", "<V2", "<f16", "<c8", "|u1", "", "float32"
      })
  void read_otherType_isUnsupportedAndNamed(String descr) {
    assertRefused(
            Kind.UNSUPPORTED,
            () ->
                read("{'descr': '%s', 'fortran_order': False, 'shape': (3, 5), }".formatted(descr)))
        .contains("'<f4'", "got '" + descr + "'");
  }

  @Test
  void read_structuredType_isUnsupportedAndNamed() {
    assertRefused(
            Kind.UNSUPPORTED,
            () -> read("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (3,), }"))
        .contains("[('x', '<f4')]");
  }

  @Test
  void read_fortranOrder_isUnsupportedWithAdvice() {
    assertRefused(
            Kind.UNSUPPORTED,
            () -> read("{'descr': '<f4', 'fortran_order': True, 'shape': (3, 5), }"))
        .contains("numpy.ascontiguousarray");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "();UNSUPPORTED;0 axes",
        "(2, 3, 4);UNSUPPORTED;3 axes: (2, 3, 4)",
        "(0,);UNSUPPORTED;(0,)",
        "(3, 0);UNSUPPORTED;(3, 0)",
        "(4294967296, 4294967296);CORRUPT;(4294967296, 4294967296)",
        "(2305843009213693952, 1);CORRUPT;9223372036854775807",
        "(2305843009213693951, 1);CORRUPT;9223372036854775807",
        "(9223372036854775808, 1);CORRUPT;got 9223372036854775808",
        "(99999999999999999999999, 1);CORRUPT;got 99999999999999999999999",
        "(1, 2147483648);TOO_LARGE;2147483647",
        "(0, 2147483648);TOO_LARGE;2147483648",
        "(-1, 3);CORRUPT;'-'",
        "(3);CORRUPT;','",
        "3;CORRUPT;'('",
        "[3, 5];CORRUPT;'('",
        "(3, 5;CORRUPT;got '}'",
        "(3,, 5);CORRUPT;a size",
        "(,);CORRUPT;a size",
        "(03, 5);CORRUPT;a size",
        "(3.0, 5);CORRUPT;got '.'",
        "(3L, 5);CORRUPT;got 'L'",
        "(٣, 5);CORRUPT;a size",
        "None;CORRUPT;'('",
      })
  void read_otherShape_isRefused(String shape, Kind kind, String message) {
    String dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }".formatted(shape);
    assertRefused(kind, () -> NpyHeader.read(new ByteArrayInputStream(npy(3, dictionary))))
        .contains(message);
  }

  @Test
  void read_shapeOfManyAxes_isRefusedInAShortMessage() {
    assertRefused(
            Kind.UNSUPPORTED,
            () ->
                read(
                    "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }"
                        .formatted("1, ".repeat(20_000))))
        .contains("20000 axes")
        .hasSizeLessThan(200);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "{",
        "{}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'shape': (3, 5)}",
        "{'fortran_order': False, 'shape': (3, 5)}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3, 5)}",
        "{'descr': '<f4', 'fortran_order': False, 'fortran_order': False, 'shape': (3, 5)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5), 'shape': (3, 5)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5), 'extra': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5)} x",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5),, }",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (3, 5)}",
        "{'descr': '<f4', 'fortran_order': false, 'shape': (3, 5)}",
        "{'descr': '<f4\", 'fortran_order': False, 'shape': (3, 5)}",
        "{'descr': '<\\x66\\x34', 'fortran_order': False, 'shape': (3, 5)}",
        "{'descr': 4, 'fortran_order': False, 'shape': (3, 5)}",
        "{'descr' '<f4', 'fortran_order': False, 'shape': (3, 5)}",
        "{'descr': '<f4' 'fortran_order': False, 'shape': (3, 5)}",
        "dict(descr='<f4', fortran_order=False, shape=(3, 5))",
      })
  void read_otherDictionary_isCorrupt(String dictionary) {
    assertRefused(Kind.CORRUPT, () -> read(dictionary)).contains("expected", "got");
  }

  @Test
  void read_malformedUtf8_isCorrupt() {
    byte[] file = npy(3, SMALL);
    file[file.length - 2] = (byte) 0xff;
    assertRefused(Kind.CORRUPT, () -> NpyHeader.read(new ByteArrayInputStream(file)))
        .contains("UTF-8");
  }

  @Test
  void read_otherMagic_isCorrupt() {
    byte[] file = npy(1, SMALL);
    file[0] = 'P';
    assertRefused(Kind.CORRUPT, () -> NpyHeader.read(new ByteArrayInputStream(file)))
        .contains("\\x93NUMPY", "\\x50");
  }

  @ParameterizedTest
  @CsvSource({"0,0", "4,0", "1,1", "2,1", "255,255"})
  void read_otherVersion_isUnsupported(int major, int minor) {
    byte[] file = npy(1, SMALL);
    file[6] = (byte) major;
    file[7] = (byte) minor;
    assertRefused(Kind.UNSUPPORTED, () -> NpyHeader.read(new ByteArrayInputStream(file)))
        .contains("got " + major + "." + minor);
  }

  @ParameterizedTest
  @ValueSource(ints = {NpyHeader.MAX_DICTIONARY_BYTES + 1, Integer.MAX_VALUE, -1})
  void read_longDictionary_isTooLargeBeforeItIsRead(int length) {
    byte[] file = npy(2, SMALL);
    ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).putInt(8, length);
    assertRefused(Kind.TOO_LARGE, () -> NpyHeader.read(new ByteArrayInputStream(file)))
        .contains("at most 65536", "got " + Integer.toUnsignedLong(length));
  }

  @Test
  void read_longestDictionary_isRead() throws IOException {
    String dictionary = SMALL + " ".repeat(NpyHeader.MAX_DICTIONARY_BYTES - SMALL.length());
    NpyHeader header = NpyHeader.read(new ByteArrayInputStream(npy(2, dictionary)));
    assertThat(header.headerBytes()).isEqualTo(12 + 65536);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void read_cutAnywhere_isTruncated(int version) {
    byte[] file = npy(version, SMALL);
    for (int length = 0; length < file.length; length++) {
      byte[] cut = Arrays.copyOf(file, length);
      assertRefused(Kind.TRUNCATED, () -> NpyHeader.read(new ByteArrayInputStream(cut)))
          .contains("expected", "got");
    }
  }

  @Test
  void read_anyByteReplaced_parsesOrIsRefused() throws IOException {
    byte[] file = npy(2, SMALL);
    int parsed = 0;
    for (int at = 0; at < file.length; at++) {
      for (int value = 0; value < 256; value++) {
        byte[] changed = file.clone();
        changed[at] = (byte) value;
        try {
          NpyHeader.read(new ByteArrayInputStream(changed));
          parsed++;
        } catch (FormatException e) {
          assertThat(e).hasMessageContaining("expected");
        }
      }
    }
    assertThat(parsed).isGreaterThan(file.length);
  }

  @Test
  void constructor_badShape_isIllegal() {
    assertThatThrownBy(() -> new NpyHeader(ElementType.F4, List.of(-1L, 3L), 128))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("(-1, 3)");
    assertThatThrownBy(() -> new NpyHeader(ElementType.F4, List.of(), 128))
        .isInstanceOf(IllegalArgumentException.class);
  }

  private static NpyHeader read(String dictionary) throws IOException {
    return NpyHeader.read(new ByteArrayInputStream(npy(2, dictionary)));
  }

  private static byte[] npy(int version, String dictionary) {
    byte[] text = dictionary.getBytes(StandardCharsets.UTF_8);
    ByteBuffer file =
        ByteBuffer.allocate((version == 1 ? 10 : 12) + text.length).order(ByteOrder.LITTLE_ENDIAN);
    file.put(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', (byte) version, 0});
    if (version == 1) {
      file.putShort((short) text.length);
    } else {
      file.putInt(text.length);
    }
    return file.put(text).array();
  }
}
