package dev.semanticid.format;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.core.vector.ElementType;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class NpyWriterTest {

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        // dictionaries and lengths that numpy 2.4 writes
        "<i4;2,3;(2, 3);128",
        "<f4;0,5;(0, 5);128",
        "<f8;7;(7,);128",
        "<f4;'';();128",
        "|i1;1234567,1;(1234567, 1);128",
      })
  void header_shape_isWhatNumpyWrites(String descr, String sizes, String shape, int length) {
    long[] axes =
        sizes.isEmpty()
            ? new long[0]
            : Arrays.stream(sizes.split(",", -1)).mapToLong(Long::parseLong).toArray();

    String header = new String(NpyWriter.header(descr, axes), ISO_8859_1);

    String start =
        "\u0093NUMPY\u0001\0v\0{'descr': '%s', 'fortran_order': False, 'shape': %s, }"
            .formatted(descr, shape);
    assertThat(header).isEqualTo(start + " ".repeat(length - 1 - start.length()) + "\n");
  }

  @Test
  void header_anyShape_isAlignedAndNeverExactlyFull() {
    for (int axes = 1; axes <= 32; axes++) {
      long[] shape = new long[axes];
      for (long size = 1; size > 0; size *= 10) {
        Arrays.fill(shape, size);
        byte[] header = NpyWriter.header("<i8", shape);
        assertThat(header.length % 64).isZero();
        assertThat(ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN).getShort(8))
            .isEqualTo((short) (header.length - 10));
        assertThat(header).endsWith('\n');
      }
    }
  }

  @Test
  void writeInts_matrix_isHeaderAndLittleEndianRows() throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    NpyWriter.writeInts(out, new int[] {1, -2, 0x01020304, 99}, 1, 3);

    byte[] header = NpyWriter.header("<i4", 1, 3);
    assertThat(out.toByteArray()).startsWith(header).hasSize(header.length + 12);
    assertThat(Arrays.copyOfRange(out.toByteArray(), header.length, out.size()))
        .containsExactly(1, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 4, 3, 2, 1);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 13, 4095, 4096, 4097, 10_001})
  void writeInts_anySize_holdsEveryElement(int rows) throws IOException {
    int[] data = new int[rows * 4];
    Arrays.setAll(data, i -> i * 0x9e3779b9);
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    NpyWriter.writeInts(out, data, rows, 4);

    int[] back = new int[data.length];
    int start = NpyWriter.header("<i4", rows, 4).length;
    ByteBuffer.wrap(out.toByteArray(), start, out.size() - start)
        .order(ByteOrder.LITTLE_ENDIAN)
        .asIntBuffer()
        .get(back);
    assertThat(back).isEqualTo(data);
    assertThat(out.size()).isEqualTo(start + 16 * rows);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 13, 5461, 5462, 10_001})
  void writeFloats_anySize_isReadBackBitForBit(int rows) throws IOException {
    float[] data = new float[rows * 3];
    for (int i = 0; i < data.length; i++) {
      data[i] = Float.intBitsToFloat(i * 0x9e3779b9 & ~0x40000000);
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    NpyWriter.writeFloats(out, data, rows, 3);

    ByteArrayInputStream in = new ByteArrayInputStream(out.toByteArray());
    assertThat(NpyHeader.read(in))
        .isEqualTo(new NpyHeader(ElementType.F4, List.of((long) rows, 3L), 128));
    float[] back = new float[data.length];
    ElementType.F4.decode(ByteBuffer.wrap(in.readAllBytes()), back.length, back, 0);
    assertThat(back).isEqualTo(data);
  }

  @Test
  void write_arrayTooShort_isIllegalWithBothNumbers() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    assertThatThrownBy(() -> NpyWriter.writeInts(out, new int[5], 2, 3))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContainingAll("6", "5");
    assertThatThrownBy(() -> NpyWriter.writeFloats(out, new float[5], 1 << 16, 1 << 16))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("4294967296");
    assertThatThrownBy(() -> NpyWriter.writeInts(out, new int[5], -1, -1))
        .isInstanceOf(IllegalArgumentException.class);
    assertThat(out.size()).isZero();
  }

  @Test
  void header_badArguments_areIllegal() {
    assertThatThrownBy(() -> NpyWriter.header("<f4', 'x': '", 1))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> NpyWriter.header("<f4", 1, -1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("[1, -1]");
    assertThatThrownBy(() -> NpyWriter.header("<f4", new long[33]))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
