package dev.semanticid.parquet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.Trials;
import dev.semanticid.format.FormatException;
import dev.semanticid.format.FormatException.Kind;
import dev.semanticid.parquet.ParquetFiles.Element;
import dev.semanticid.parquet.ParquetFiles.Shape;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class ParquetVectorReaderTest {

  @TempDir private Path folder;

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 8, 65, 384})
  void read_everyShapeTypeAndEncoding_givesTheRows(int dimension) throws IOException {
    Random random = new Random(dimension);
    for (Shape shape : Shape.values()) {
      for (Element element : Element.values()) {
        for (int form = 0; form < 12; form++) {
          double[][] rows = rows(random, 5 + Trials.of(100), dimension, form % 3 == 0);
          ParquetFiles files = ParquetFiles.vectors(rows).shape(shape).element(element);
          files.page(dimension * 40 + 100).rowGroup(Trials.of(40) + 3);
          switch (form % 3) {
            case 0 -> files.snappy();
            case 1 -> files.plain();
            default -> files.split().zstd();
          }
          if (form / 3 % 2 == 1 && element != Element.FLOAT16) { // else DELTA_BYTE_ARRAY, not read
            files.version2();
          }
          if (form >= 6) {
            files.required();
          }
          assertReads(bytes(files), expected(rows, element, dimension), dimension, random);
        }
      }
    }
  }

  @Test
  void read_nullsAndOtherLengths_areRowsOfNaN() throws IOException {
    float[][] rows = new float[300][];
    Random random = new Random(5);
    for (int i = 0; i < rows.length; i++) {
      rows[i] = vector(random, 5);
    }
    rows[0] = nullRow();
    rows[3] = new float[] {};
    rows[17] = vector(random, 4);
    rows[18] = vector(random, 6);
    rows[99] = vector(random, 1000);
    rows[100] = nullRow();
    rows[299] = vector(random, 1);
    for (boolean version2 : new boolean[] {false, true}) {
      ParquetFiles files = ParquetFiles.vectors(rows).nullComponent(120, 2).page(300).rowGroup(100);
      byte[] bytes = bytes(version2 ? files.version2() : files);
      float[] target = new float[300 * 5];
      try (ParquetVectorReader reader = open(bytes)) {
        assertThat(reader.dimension()).isEqualTo(5);
        assertThat(reader.rows()).isEqualTo(300);
        assertThat(reader.read(target, 0, 1000)).isEqualTo(300);
        assertThat(reader.defect(0)).isEqualTo("x.parquet row 0 is null");
        assertThat(reader.defect(3)).isEqualTo("x.parquet row 3 has 0 components, expected 5");
        assertThat(reader.defect(17)).isEqualTo("x.parquet row 17 has 4 components, expected 5");
        assertThat(reader.defect(18)).isEqualTo("x.parquet row 18 has 6 components, expected 5");
        assertThat(reader.defect(99)).isEqualTo("x.parquet row 99 has 1000 components, expected 5");
        assertThat(reader.defect(100)).isEqualTo("x.parquet row 100 is null");
        assertThat(reader.defect(120)).isEqualTo("x.parquet row 120 has a component that is null");
        assertThat(reader.defect(299)).isEqualTo("x.parquet row 299 has 1 components, expected 5");
        assertThat(reader.defect(7))
            .isEqualTo("x.parquet row 7 holds NaN or a value outside float32");
        assertThat(reader.read(target, 0, 1)).isZero();
      }
      for (int i = 0; i < 300; i++) {
        float[] row = rows[i];
        float[] read = Arrays.copyOfRange(target, i * 5, i * 5 + 5);
        if (row == null || row.length != 5 || i == 120) {
          assertThat(read).as("row %d", i).containsOnly(Float.NaN);
        } else {
          assertThat(read).as("row %d", i).containsExactly(row);
        }
      }
    }
  }

  @Test
  void read_doublesBeyondFloat32_areInfinite() throws IOException {
    double[][] rows = {{0.1, 1e300}, {Double.NaN, -1e-300}};
    float[] target = new float[4];
    try (ParquetVectorReader reader =
        open(bytes(ParquetFiles.vectors(rows).element(Element.DOUBLE)))) {
      reader.read(target, 0, 2);
    }
    assertThat(target).containsExactly(0.1f, Float.POSITIVE_INFINITY, Float.NaN, -0.0f);
  }

  @Test
  void skip_anyNumberOfRows_thenReadsTheRest() throws IOException {
    Random random = new Random(1);
    double[][] rows = rows(random, 200, 9, false);
    byte[] bytes = bytes(ParquetFiles.vectors(rows).page(500).rowGroup(30).snappy());
    for (int skipped = 0; skipped <= 200; skipped += Trials.step()) {
      try (ParquetVectorReader reader = open(bytes)) {
        float[] target = new float[200 * 9];
        int before = random.nextInt(skipped + 1);
        if (before > 0) {
          assertThat(reader.read(target, 0, before)).isEqualTo(before);
        }
        reader.skip(skipped - before);
        assertThat(reader.read(target, 0, 200)).isEqualTo(200 - skipped);
        for (int i = skipped; i < 200; i++) {
          for (int j = 0; j < 9; j++) {
            assertThat(target[(i - skipped) * 9 + j]).isEqualTo((float) rows[i][j]);
          }
        }
        assertThatThrownBy(() -> reader.skip(1)).isInstanceOf(IllegalArgumentException.class);
      }
    }
  }

  @Test
  void open_wrongColumns_areNamed() throws IOException {
    float[][] rows = {{1, 2}};
    byte[] two = bytes(ParquetFiles.vectors(rows).ids(7).secondColumn());
    assertThatThrownBy(() -> open(two))
        .isInstanceOf(FormatException.class)
        .hasMessage(
            "x.parquet: expected 1 column of lists of float or double, got 2 (embedding, second);"
                + " columns: id: int64, embedding: list<float>, second: list<float>");
    assertThatThrownBy(() -> ParquetVectorReader.open(ParquetFiles.source("x", two), "id"))
        .isInstanceOf(FormatException.class)
        .hasMessageContaining("expected column id to be of lists of float or double, got 0");
    try (ParquetVectorReader reader =
        ParquetVectorReader.open(ParquetFiles.source("x", two), "second")) {
      assertThat(reader.column()).isEqualTo("second");
    }
  }

  @Test
  void open_noRowsOrNoVector_isRefused() throws IOException {
    byte[] empty = bytes(ParquetFiles.vectors(new float[0][]));
    assertThatThrownBy(() -> open(empty))
        .isInstanceOf(FormatException.class)
        .hasMessage("x.parquet: expected at least 1 row, got 0");
    byte[] nulls = bytes(ParquetFiles.vectors(new float[][] {nullRow(), {}}));
    assertThatThrownBy(() -> open(nulls))
        .isInstanceOf(FormatException.class)
        .hasMessage(
            "x.parquet: column embedding: expected vectors, got 2 rows that are null or empty");
  }

  @Test
  void open_notParquet_isRefused() {
    assertThatThrownBy(() -> open(new byte[3]))
        .isInstanceOfSatisfying(
            FormatException.class, e -> assertThat(e.kind()).isEqualTo(Kind.TRUNCATED))
        .hasMessage("x.parquet: expected a Parquet file of at least 12 bytes, got 3");
    assertThatThrownBy(() -> open(new byte[100]))
        .isInstanceOf(FormatException.class)
        .hasMessageContaining("that begins with PAR1, got bytes 00 00 00 00");
  }

  @ParameterizedTest
  @EnumSource(Damage.class)
  void read_damagedFiles_raiseNothingElse(Damage damage) throws IOException {
    Random random = new Random(3);
    List<byte[]> files = new ArrayList<>();
    double[][] rows = rows(random, 60, 4, true);
    files.add(bytes(ParquetFiles.vectors(rows).page(200).rowGroup(25).snappy()));
    files.add(bytes(ParquetFiles.vectors(rows).page(200).zstd().version2()));
    files.add(bytes(ParquetFiles.vectors(rows).split().element(Element.DOUBLE)));
    for (byte[] whole : files) {
      int footer = footerBytes(whole);
      int tries = damage == Damage.CUT ? whole.length : Trials.of(1500);
      for (int i = 0; i < tries; i++) {
        byte[] bytes = damage.apply(whole, i, footer, random);
        try (ParquetVectorReader reader = open(bytes)) {
          float[] target = new float[reader.dimension() * 16];
          for (long left = Math.min(reader.rows(), 1000); left > 0; left -= 16) {
            if (reader.read(target, 0, 16) == 0) {
              break;
            }
          }
        } catch (FormatException e) {
          assertThat(e).hasMessageStartingWith("x.parquet: ");
        }
      }
    }
  }

  /** What is done to a file. */
  enum Damage {
    CUT,
    FOOTER,
    PAGES;

    byte[] apply(byte[] whole, int index, int footer, Random random) {
      byte[] bytes = whole.clone();
      if (this == CUT) {
        return Arrays.copyOf(whole, index);
      }
      int flips = 1 + random.nextInt(2);
      for (int i = 0; i < flips; i++) {
        int at =
            this == FOOTER
                ? whole.length - 8 - footer + random.nextInt(footer + 8)
                : random.nextInt(whole.length - 8 - footer);
        bytes[at] ^= (byte) (1 << random.nextInt(8));
      }
      return bytes;
    }
  }

  private static int footerBytes(byte[] file) {
    int at = file.length - 8;
    return (file[at] & 0xff) | (file[at + 1] & 0xff) << 8 | (file[at + 2] & 0xff) << 16;
  }

  private static void assertReads(byte[] bytes, float[] expected, int dimension, Random random)
      throws IOException {
    try (ParquetVectorReader reader = open(bytes)) {
      assertThat(reader.dimension()).isEqualTo(dimension);
      int rows = expected.length / dimension;
      assertThat(reader.rows()).isEqualTo(rows);
      float[] target = new float[expected.length + 3];
      int done = 0;
      while (done < rows) {
        int most = 1 + random.nextInt(50);
        int got = reader.read(target, 3 + done * dimension, Math.min(most, rows - done));
        assertThat(got).isEqualTo(Math.min(most, rows - done));
        done += got;
      }
      assertThat(Arrays.copyOfRange(target, 3, target.length)).containsExactly(expected);
    }
  }

  private static float[] expected(double[][] rows, Element element, int dimension) {
    float[] expected = new float[rows.length * dimension];
    for (int i = 0; i < expected.length; i++) {
      float value = (float) rows[i / dimension][i % dimension];
      expected[i] =
          element == Element.FLOAT16 ? Float.float16ToFloat(Float.floatToFloat16(value)) : value;
    }
    return expected;
  }

  private static double[][] rows(Random random, int count, int dimension, boolean repeating) {
    double[][] rows = new double[count][dimension];
    for (double[] row : rows) {
      for (int i = 0; i < dimension; i++) {
        row[i] = repeating ? random.nextInt(5) : random.nextGaussian();
      }
    }
    return rows;
  }

  private static float[] vector(Random random, int length) {
    float[] vector = new float[length];
    for (int i = 0; i < length; i++) {
      vector[i] = random.nextFloat();
    }
    return vector;
  }

  @SuppressWarnings("NullAway") // a row of the file, not of the array's type
  private static float[] nullRow() {
    float @Nullable [] none = null;
    return none;
  }

  private byte[] bytes(ParquetFiles files) throws IOException {
    Path path = folder.resolve("file.parquet");
    files.write(path);
    return Files.readAllBytes(path);
  }

  private static ParquetVectorReader open(byte[] bytes) throws IOException {
    return ParquetVectorReader.open(ParquetFiles.source("x.parquet", bytes), null);
  }
}
