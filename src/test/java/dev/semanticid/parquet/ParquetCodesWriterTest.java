package dev.semanticid.parquet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ParquetCodesWriterTest {

  private static final Map<String, String> METADATA = Map.of("codebook", "b", "version", "3");

  @TempDir private Path folder;

  @Test
  void write_sameRowsInOtherBatches_givesTheSameBytes() throws IOException {
    byte[] whole = written("a", 5000, 5000);
    assertThat(written("b", 5000, 5000)).isEqualTo(whole);
    assertThat(written("c", 5000, 77)).isEqualTo(whole);
    assertThat(written("d", 4999, 77)).isNotEqualTo(whole);
  }

  @Test
  void write_strings_canBeReadAgain() throws IOException {
    byte[] bytes = written("a", 3000, 100);
    try (ParquetIds reader = ParquetIds.open(ParquetFiles.source("x", bytes), "id")) {
      Ids batch = new Ids(IdType.STRING);
      assertThat(reader.read(batch, 5000)).isEqualTo(3000);
      assertThat(Arrays.copyOf(batch.strings(), 3000)).containsExactly(ids(3000));
    }
  }

  @Test
  void write_moreThanARowGroup_canBeReadAgain() throws IOException {
    Path path = folder.resolve("long.parquet");
    int rows = 1_000_000;
    long[] ids = new long[rows];
    Arrays.setAll(ids, i -> i * 3L);
    try (ParquetCodesWriter writer = ParquetCodesWriter.create(path, IdType.INT64, 1, Map.of())) {
      writer.write(ids, new int[rows], rows);
      writer.write(ids, new int[rows], 5);
      assertThat(writer.rows()).isEqualTo(rows + 5);
      writer.finish();
    }
    byte[] bytes = Files.readAllBytes(path);
    assertThat(ParquetFile.open(ParquetFiles.source("x", bytes)).rowGroups()).isEqualTo(2);
    try (ParquetIds reader = ParquetIds.open(ParquetFiles.source("x", bytes), "id")) {
      Ids batch = new Ids(IdType.INT64);
      reader.skip(rows - 1);
      assertThat(reader.read(batch, 10)).isEqualTo(6);
      assertThat(Arrays.copyOf(batch.longs(), 3)).containsExactly((rows - 1) * 3L, 0, 3);
    }
  }

  @Test
  void close_withoutFinish_leavesNoValidFile() throws IOException {
    Path path = folder.resolve("half.parquet");
    try (ParquetCodesWriter writer = ParquetCodesWriter.create(path, IdType.STRING, 2, METADATA)) {
      writer.write(new String[] {"a"}, new int[] {1, 2}, 1);
      assertThatThrownBy(() -> writer.write(new long[1], new int[2], 1))
          .isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(() -> writer.write(new String[] {"a", "b"}, new int[3], 2))
          .isInstanceOf(IllegalArgumentException.class);
    }
    byte[] bytes = Files.readAllBytes(path);
    assertThatThrownBy(() -> ParquetFile.open(ParquetFiles.source("x", bytes)))
        .isInstanceOf(IOException.class);
  }

  private byte[] written(String name, int rows, int batch) throws IOException {
    Path path = folder.resolve(name);
    int[] codes = new Random(4).ints(rows * 3L, 0, 256).toArray();
    String[] ids = ids(rows);
    try (ParquetCodesWriter writer = ParquetCodesWriter.create(path, IdType.STRING, 3, METADATA)) {
      for (int i = 0; i < rows; i += batch) {
        int end = Math.min(rows, i + batch);
        writer.write(
            Arrays.copyOfRange(ids, i, end), Arrays.copyOfRange(codes, i * 3, end * 3), end - i);
      }
      writer.finish();
    }
    return Files.readAllBytes(path);
  }

  private static String[] ids(int rows) {
    String[] ids = new String[rows];
    Arrays.setAll(ids, i -> "item-" + i);
    return ids;
  }
}
