package dev.semanticid.storage;

import static dev.semanticid.format.FormatAssertions.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.core.vector.ElementType;
import dev.semanticid.format.FormatException.Kind;
import dev.semanticid.format.NpyWriter;
import java.io.IOException;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class FileVectorSourceTest {

  @TempDir private Path folder;

  @ParameterizedTest
  @CsvSource({"1,1", "1,7", "13,5", "207,3", "702,129", "3,40000"})
  void read_npyOfAnySize_givesWhatWasWritten(int rows, int dimension) throws IOException {
    float[] data = data(rows * dimension);
    Path path = npy(data, rows, dimension);
    try (FileVectorSource source = FileVectorSource.openNpy(path)) {
      assertThat(source.rows()).isEqualTo(rows);
      assertThat(source.dimension()).isEqualTo(dimension);
      assertThat(source.elementType()).isEqualTo(ElementType.F4);
      assertThat(source.description()).isEqualTo(path.toString());
      float[] all = new float[data.length];
      source.read(0, rows, all, 0);
      assertThat(all).isEqualTo(data);
      float[] last = new float[dimension + 2];
      source.read(rows - 1, 1, last, 1);
      assertThat(last[0]).isZero();
      assertThat(last[dimension + 1]).isZero();
      assertThat(Arrays.copyOfRange(last, 1, dimension + 1))
          .isEqualTo(Arrays.copyOfRange(data, data.length - dimension, data.length));
    }
  }

  @Test
  void read_f2_decodesSubnormalsAndInfinities() throws IOException {
    int[] bits = {0x0000, 0x8000, 0x0001, 0x83ff, 0x0400, 0x3c00, 0xc000, 0x7bff, 0x7c00, 0xfc00};
    float[] expected = {
      0f,
      -0f,
      0x1p-24f,
      -0x3ffp-24f,
      0x1p-14f,
      1f,
      -2f,
      65504f,
      Float.POSITIVE_INFINITY,
      Float.NEGATIVE_INFINITY
    };
    assertThat(readShorts(ElementType.F2, bits)).isEqualTo(expected);
    assertThat(readShorts(ElementType.F2, 0x7e00)).containsExactly(Float.NaN);
  }

  @Test
  void read_bf16_decodesSubnormalsAndInfinities() throws IOException {
    int[] bits = {0x0000, 0x8000, 0x0001, 0x807f, 0x0080, 0x3f80, 0xc000, 0x7f7f, 0x7f80, 0xff80};
    float[] expected = {
      0f,
      -0f,
      0x1p-133f,
      -0x7fp-133f,
      Float.MIN_NORMAL,
      1f,
      -2f,
      0x1.fep127f,
      Float.POSITIVE_INFINITY,
      Float.NEGATIVE_INFINITY
    };
    assertThat(readShorts(ElementType.BF16, bits)).isEqualTo(expected);
    assertThat(readShorts(ElementType.BF16, 0x7fc0)).containsExactly(Float.NaN);
  }

  @Test
  void read_f8_roundsToNearest() throws IOException {
    double[] values = {
      0.1, -0.0, 1e-45, 1e-60, 1e39, -1e39, Double.NEGATIVE_INFINITY, Double.MIN_VALUE, 16777217.0
    };
    ByteBuffer bytes = ByteBuffer.allocate(values.length * 8).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asDoubleBuffer().put(values);
    Path path = Files.write(folder.resolve("f8.raw"), bytes.array());
    try (FileVectorSource source = FileVectorSource.openRaw(path, ElementType.F8, values.length)) {
      float[] row = new float[values.length];
      source.read(0, 1, row, 0);
      assertThat(row)
          .containsExactly(
              0.1f,
              -0f,
              Float.MIN_VALUE,
              0f,
              Float.POSITIVE_INFINITY,
              Float.NEGATIVE_INFINITY,
              Float.NEGATIVE_INFINITY,
              0f,
              16777216f);
    }
  }

  @ParameterizedTest
  @EnumSource
  void read_manyChunksOfAnyType_equalsDecodingInMemory(ElementType type) throws IOException {
    int dimension = 37;
    int rows = 4001;
    byte[] bytes = new byte[rows * dimension * type.bytes()];
    random().nextBytes(bytes);
    float[] expected = new float[rows * dimension];
    type.decode(ByteBuffer.wrap(bytes), expected.length, expected, 0);
    Path path = Files.write(folder.resolve("any.raw"), bytes);
    try (FileVectorSource source = FileVectorSource.openRaw(path, type, dimension)) {
      assertThat(source.rows()).isEqualTo(rows);
      float[] actual = new float[rows * dimension];
      source.read(0, 1, actual, 0);
      source.read(1, rows - 1, actual, dimension);
      assertThat(actual).isEqualTo(expected);
    }
  }

  @Test
  void read_outsideRowsOrTarget_isOutOfBounds() throws IOException {
    try (FileVectorSource source = FileVectorSource.openNpy(npy(data(15), 3, 5))) {
      float[] target = new float[15];
      for (int[] bad :
          new int[][] {{3, 1, 0}, {-1, 1, 0}, {0, 4, 0}, {0, -1, 0}, {0, 3, 1}, {0, 1, -1}}) {
        assertThatThrownBy(() -> source.read(bad[0], bad[1], target, bad[2]))
            .isInstanceOf(IndexOutOfBoundsException.class);
      }
      assertThatThrownBy(() -> source.read(Long.MAX_VALUE, 1, target, 0))
          .isInstanceOf(IndexOutOfBoundsException.class);
      source.read(3, 0, target, 15);
      assertThat(target).containsOnly(0f);
    }
  }

  @ParameterizedTest
  @EnumSource
  void read_afterClose_isIllegalState(ElementType type) throws IOException {
    Path path = Files.write(folder.resolve("closed.raw"), new byte[64]);
    FileVectorSource source = FileVectorSource.openRaw(path, type, 2);
    source.close();
    source.close();
    assertThatThrownBy(() -> source.read(0, 1, new float[2], 0))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("closed.raw");
    assertThatThrownBy(() -> source.read(0, 0, new float[2], 0))
        .isInstanceOf(IllegalStateException.class);
  }

  @Test
  void read_interruptedThread_stillReads() throws IOException {
    try (FileVectorSource source = FileVectorSource.openNpy(npy(data(15), 3, 5))) {
      float[] target = new float[15];
      Thread.currentThread().interrupt();
      try {
        source.read(0, 3, target, 0);
      } finally {
        assertThat(Thread.interrupted()).isTrue();
      }
      source.read(0, 3, target, 0);
      assertThat(target).isEqualTo(data(15));
    }
  }

  @ParameterizedTest
  @CsvSource({"F4,0", "F4,5000", "F4,1048572", "F8,0", "F8,5000", "F2,0", "BF16,1048575"})
  void read_fileShortenedMeanwhile_isIoException(ElementType type, long newBytes)
      throws IOException {
    int dimension = 32;
    Path path = Files.write(folder.resolve("shrinks.raw"), new byte[1 << 20]);
    try (FileVectorSource source = FileVectorSource.openRaw(path, type, dimension)) {
      int rows = Math.toIntExact(source.rows());
      float[] target = new float[rows * dimension];
      for (int i = 0; i < 20_000; i++) {
        source.read(i % rows, 1, target, 0);
      }
      try (FileChannel channel = FileChannel.open(path, StandardOpenOption.WRITE)) {
        channel.truncate(newBytes);
      }
      for (int count : new int[] {1, rows}) {
        assertThatThrownBy(() -> source.read(rows - count, count, target, 0))
            .isInstanceOf(IOException.class)
            .hasMessageContainingAll("shrinks.raw", "1048576");
      }
    }
  }

  @Test
  void read_severalThreads_eachGetsItsRows() throws Exception {
    int rows = 1000;
    int dimension = 17;
    float[] data = data(rows * dimension);
    try (FileVectorSource source = FileVectorSource.openNpy(npy(data, rows, dimension));
        ExecutorService threads = Executors.newFixedThreadPool(4)) {
      List<Future<Boolean>> results = new ArrayList<>();
      for (int t = 0; t < 4; t++) {
        int first = t * 31;
        results.add(
            threads.submit(() -> {
              boolean same = true;
              float[] target = new float[50 * dimension];
              for (int i = 0; i < 2000; i++) {
                int row = (first + i * 37) % (rows - 50);
                source.read(row, 50, target, 0);
                int from = row * dimension;
                same &= Arrays.equals(target, 0, target.length, data, from, from + target.length);
              }
              return same;
            }));
      }
      for (Future<Boolean> result : results) {
        assertThat(result.get()).isTrue();
      }
    }
  }

  @Test
  void close_whileOthersRead_makesThemFailWithIllegalState() throws Exception {
    float[] data = data(1 << 20);
    FileVectorSource source = FileVectorSource.openNpy(npy(data, 1 << 10, 1 << 10));
    AtomicBoolean started = new AtomicBoolean();
    try (ExecutorService thread = Executors.newSingleThreadExecutor()) {
      Future<?> reading =
          thread.submit(() -> {
            float[] target = new float[data.length];
            while (true) {
              source.read(0, 1 << 10, target, 0);
              started.set(true);
            }
          });
      while (!started.get()) {
        Thread.onSpinWait();
      }
      source.close();
      assertThatThrownBy(reading::get).hasCauseInstanceOf(IllegalStateException.class);
    }
  }

  @Test
  void read_sparseFileOf3GiB_reachesTheLastRow() throws IOException {
    int dimension = 1024;
    long fileBytes = 3L << 30;
    Path path = folder.resolve("sparse.raw");
    float[] expected = data(dimension);
    ByteBuffer lastRow = ByteBuffer.allocate(dimension * 4).order(ByteOrder.LITTLE_ENDIAN);
    lastRow.asFloatBuffer().put(expected);
    try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
      file.setLength(fileBytes);
      file.seek(fileBytes - lastRow.capacity());
      file.write(lastRow.array());
    }
    try (FileVectorSource source = FileVectorSource.openRaw(path, ElementType.F4, dimension)) {
      assertThat(source.rows()).isEqualTo(786_432);
      float[] target = new float[2 * dimension];
      source.read(source.rows() - 2, 2, target, 0);
      assertThat(Arrays.copyOf(target, dimension)).containsOnly(0f);
      assertThat(Arrays.copyOfRange(target, dimension, 2 * dimension)).isEqualTo(expected);
    }
  }

  @Test
  void openNpy_cutAnywhere_isTruncatedAndNamesTheFile() throws IOException {
    byte[] whole = Files.readAllBytes(npy(data(6), 2, 3));
    Path path = folder.resolve("cut.npy");
    for (int length = 0; length < whole.length; length++) {
      Files.write(path, Arrays.copyOf(whole, length));
      assertRefused(Kind.TRUNCATED, () -> FileVectorSource.openNpy(path))
          .contains("cut.npy", "expected", "got");
    }
    assertRefused(Kind.TRUNCATED, () -> FileVectorSource.openNpy(path)).contains("152", "151");
  }

  @Test
  void openNpy_trailingByte_isCorruptWithBothNumbers() throws IOException {
    Path path = npy(data(6), 2, 3);
    Files.write(path, new byte[1], StandardOpenOption.APPEND);
    assertRefused(Kind.CORRUPT, () -> FileVectorSource.openNpy(path))
        .contains(path.toString(), "expected 152", "got 153", "(2, 3)");
  }

  @Test
  void openNpy_noRows_isEmpty() throws IOException {
    try (FileVectorSource source = FileVectorSource.openNpy(npy(new float[0], 0, 3))) {
      assertThat(source.rows()).isZero();
      source.read(0, 0, new float[0], 0);
    }
  }

  @Test
  void openNpy_hugeClaim_isTruncated() throws IOException {
    Path path = folder.resolve("claim.npy");
    Files.write(path, NpyWriter.header("<f4", 1L << 40, 1 << 20));
    assertRefused(Kind.TRUNCATED, () -> FileVectorSource.openNpy(path))
        .contains("expected 4611686018427388032 bytes", "got 128");
  }

  @Test
  void openRaw_partialRow_isCorruptWithBothNumbers() throws IOException {
    Path path = Files.write(folder.resolve("partial.raw"), new byte[31]);
    assertRefused(Kind.CORRUPT, () -> FileVectorSource.openRaw(path, ElementType.F2, 5))
        .contains("partial.raw", "multiple of 10 bytes", "got 31");
    assertRefused(
            Kind.CORRUPT, () -> FileVectorSource.openRaw(path, ElementType.F8, Integer.MAX_VALUE))
        .contains("17179869176");
  }

  @Test
  void openRaw_emptyFile_hasNoRows() throws IOException {
    Path path = Files.write(folder.resolve("empty.raw"), new byte[0]);
    try (FileVectorSource source = FileVectorSource.openRaw(path, ElementType.F4, 5)) {
      assertThat(source.rows()).isZero();
    }
  }

  @Test
  void open_missingFileOrBadDimension_fails() {
    Path missing = folder.resolve("missing.npy");
    assertThatThrownBy(() -> FileVectorSource.openNpy(missing))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("missing.npy");
    assertThatThrownBy(() -> FileVectorSource.openRaw(missing, ElementType.F4, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("got 0");
  }

  private float[] readShorts(ElementType type, int... bits) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(bits.length * 2).order(ByteOrder.LITTLE_ENDIAN);
    for (int value : bits) {
      bytes.putShort((short) value);
    }
    Path path = Files.write(folder.resolve("shorts.raw"), bytes.array());
    try (FileVectorSource source = FileVectorSource.openRaw(path, type, bits.length)) {
      float[] row = new float[bits.length];
      source.read(0, 1, row, 0);
      return row;
    }
  }

  private Path npy(float[] data, int rows, int dimension) throws IOException {
    Path path = folder.resolve("rows.npy");
    try (OutputStream out = Files.newOutputStream(path)) {
      NpyWriter.writeFloats(out, data, rows, dimension);
    }
    return path;
  }

  private static float[] data(int length) {
    RandomGenerator random = random();
    float[] data = new float[length];
    for (int i = 0; i < length; i++) {
      data[i] = (float) random.nextGaussian();
    }
    return data;
  }

  private static RandomGenerator random() {
    return RandomGeneratorFactory.of("L64X128MixRandom").create(7);
  }
}
