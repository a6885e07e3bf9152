package dev.semanticid.parquet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.Trials;
import dev.semanticid.format.FormatException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ParquetIdsTest {

  private static final int ROWS = 500;

  @TempDir private Path folder;

  @Test
  void read_stringsOfEveryEncoding_givesThemInOrder() throws IOException {
    String[] unique = new String[ROWS];
    String[] few = new String[ROWS];
    for (int i = 0; i < ROWS; i++) {
      unique[i] = "item-é-" + i * 7919L;
      few[i] = i % 3 == 0 ? "" : "x" + i % 5;
    }
    for (String[] ids : new String[][] {unique, few}) {
      for (int form = 0; form < 4; form++) {
        ParquetFiles files = files().ids(ids).page(700).rowGroup(190).zstd();
        files = form % 2 == 1 ? files.version2() : files;
        byte[] bytes = bytes(form >= 2 ? files.plain() : files);
        for (int skip : new int[] {0, 1, 189, 190, 400, 500}) {
          try (ParquetIds reader = open(bytes, "id")) {
            assertThat(reader.type()).isEqualTo(IdType.STRING);
            assertThat(reader.rows()).isEqualTo(ROWS);
            reader.skip(skip);
            Ids batch = new Ids(IdType.STRING);
            for (int done = skip; done < ROWS; done += batch.count()) {
              assertThat(reader.read(batch, 64)).isEqualTo(Math.min(64, ROWS - done));
              assertThat(Arrays.copyOf(batch.strings(), batch.count()))
                  .containsExactly(Arrays.copyOfRange(ids, done, done + batch.count()));
            }
            assertThat(reader.read(batch, 1)).isZero();
            assertThatThrownBy(batch::longs).isInstanceOf(IllegalStateException.class);
          }
        }
      }
    }
  }

  @Test
  void read_numbers_areWidened() throws IOException {
    long[] ids = new long[ROWS];
    for (int i = 0; i < ROWS; i++) {
      ids[i] = (i - 250L) * 1_000_003;
    }
    for (int form = 0; form < 8; form++) {
      ParquetFiles files = files().ids(ids).idColumn("item_id").page(500).rowGroup(201);
      files = form % 2 == 1 ? files.version2() : files;
      files = form / 2 % 2 == 1 ? files.plain() : files;
      byte[] bytes = bytes(form >= 4 ? files.int32Ids() : files);
      assertThat(ParquetIds.defaultColumn(ParquetFiles.source("x", bytes))).hasValue("item_id");
      try (ParquetIds reader = open(bytes, "item_id")) {
        Ids batch = new Ids(IdType.INT64);
        assertThat(reader.read(batch, 1000)).isEqualTo(ROWS);
        assertThat(Arrays.copyOf(batch.longs(), ROWS)).containsExactly(ids);
      }
    }
  }

  @Test
  void read_nullId_isRefused() throws IOException {
    @Nullable String[] ids = new String[ROWS];
    Arrays.fill(ids, "a");
    ids[77] = null;
    byte[] bytes = bytes(files().ids(ids).page(100));
    try (ParquetIds reader = open(bytes, "id")) {
      Ids batch = new Ids(IdType.STRING);
      assertThat(reader.read(batch, 77)).isEqualTo(77);
      assertThatThrownBy(() -> reader.read(batch, 1))
          .isInstanceOf(FormatException.class)
          .hasMessage("x.parquet: row 77: the id is null");
    }
  }

  @Test
  void open_otherColumn_isNamed() throws IOException {
    byte[] bytes = bytes(files());
    assertThatThrownBy(() -> open(bytes, "sku"))
        .isInstanceOf(FormatException.class)
        .hasMessage(
            "x.parquet: expected a column sku of string, int32 or int64, got none; columns:"
                + " embedding: list<float>");
    assertThatThrownBy(() -> open(bytes, "embedding"))
        .isInstanceOf(FormatException.class)
        .hasMessageContaining("got list<float>");
    assertThat(ParquetIds.defaultColumn(ParquetFiles.source("x", bytes))).isEmpty();
  }

  @Test
  void read_damagedFiles_raiseNothingElse() throws IOException {
    String[] ids = new String[ROWS];
    for (int i = 0; i < ROWS; i++) {
      ids[i] = "id" + i % 60;
    }
    Random random = new Random(9);
    ParquetFiles[] all = {
      files().ids(ids).page(300), files().ids(ids).page(300).plain().version2().zstd()
    };
    for (ParquetFiles files : all) {
      byte[] whole = bytes(files);
      for (int i = 0; i < Trials.of(1500); i++) {
        byte[] bytes = whole.clone();
        bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
        bytes = random.nextInt(4) == 0 ? Arrays.copyOf(bytes, random.nextInt(bytes.length)) : bytes;
        try (ParquetIds reader = open(bytes, "id")) {
          Ids batch = new Ids(reader.type());
          int left = 100;
          while (left-- > 0 && reader.read(batch, 16) > 0) {
            assertThat(batch.count()).isPositive();
          }
        } catch (FormatException e) {
          assertThat(e).hasMessageStartingWith("x.parquet: ");
        }
      }
    }
  }

  private static ParquetFiles files() {
    float[][] rows = new float[ROWS][];
    Arrays.fill(rows, new float[] {1, 2});
    return ParquetFiles.vectors(rows);
  }

  private byte[] bytes(ParquetFiles files) throws IOException {
    Path path = folder.resolve("file.parquet");
    files.write(path);
    return Files.readAllBytes(path);
  }

  private static ParquetIds open(byte[] bytes, String column) throws IOException {
    return ParquetIds.open(ParquetFiles.source("x.parquet", bytes), column);
  }
}
