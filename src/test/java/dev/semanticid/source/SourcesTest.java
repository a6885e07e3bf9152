package dev.semanticid.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.budget.ScratchFixture;
import dev.semanticid.core.vector.ElementType;
import dev.semanticid.core.vector.VectorReader;
import dev.semanticid.core.vector.VectorSource;
import dev.semanticid.format.FormatException;
import dev.semanticid.format.NpyWriter;
import dev.semanticid.parquet.Ids;
import dev.semanticid.parquet.ParquetFiles;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.source.SourceSpec.OnBadRow;
import dev.semanticid.source.SourceSpec.RawLayout;
import dev.semanticid.source.Staging.Staged;
import dev.semanticid.storage.Settings;
import dev.semanticid.storage.Storage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Random;
import java.util.Set;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Sources of real files: opened, read in order, copied where they cannot be mapped. */
class SourcesTest {

  private static final int D = 5;

  @TempDir private Path folder;
  private Path root = Path.of("");
  private @Nullable Storage storage;

  @BeforeEach
  void open() throws IOException {
    root = Files.createDirectories(folder.resolve("root")).toRealPath();
    storage = Settings.local(root);
  }

  @AfterEach
  void close() {
    if (storage != null) {
      storage.close();
    }
  }

  private Sources sources() {
    assertThat(storage).isNotNull();
    return new Sources(storage);
  }

  private SourceSpec spec(String name, @Nullable String idColumn) {
    return new SourceSpec("file://" + root.resolve(name), null, null, idColumn);
  }

  private OpenedSource opened(String name) throws IOException {
    return sources().open(spec(name, null));
  }

  private static float[][] rows(int count, int dimension, long seed) {
    var random = new Random(seed);
    float[][] rows = new float[count][dimension];
    for (float[] row : rows) {
      for (int i = 0; i < dimension; i++) {
        row[i] = (float) random.nextGaussian();
      }
    }
    return rows;
  }

  private static byte[] floats(float[][] rows, byte[] header) {
    int d = rows[0].length;
    ByteBuffer buffer =
        ByteBuffer.allocate(header.length + rows.length * d * Float.BYTES)
            .order(ByteOrder.LITTLE_ENDIAN);
    buffer.put(header);
    for (float[] row : rows) {
      for (float x : row) {
        buffer.putFloat(x);
      }
    }
    return buffer.array();
  }

  private void npy(String name, float[][] rows) throws IOException {
    byte[] header = NpyWriter.header("<f4", rows.length, rows[0].length);
    Files.write(root.resolve(name), floats(rows, header));
  }

  private static float[][] read(VectorReader reader, int most) throws IOException {
    var rows = new ArrayList<float[]>();
    int d = reader.dimension();
    float[] target = new float[most * d];
    for (int count = reader.read(target, 0, most);
        count > 0;
        count = reader.read(target, 0, most)) {
      for (int row = 0; row < count; row++) {
        rows.add(Arrays.copyOfRange(target, row * d, (row + 1) * d));
      }
    }
    return rows.toArray(float[][]::new);
  }

  private static float[][] read(VectorSource source) throws IOException {
    int count = Math.toIntExact(source.rows());
    int d = source.dimension();
    float[] target = new float[count * d];
    source.read(0, count, target, 0);
    float[][] rows = new float[count][];
    for (int row = 0; row < count; row++) {
      rows[row] = Arrays.copyOfRange(target, row * d, (row + 1) * d);
    }
    return rows;
  }

  private static float[][] concat(float[][] first, float[][] second) {
    float[][] both = Arrays.copyOf(first, first.length + second.length);
    System.arraycopy(second, 0, both, first.length, second.length);
    return both;
  }

  @Test
  void open_filesOfSeveralFormats_areOneSourceInTheOrderOfTheirNames() throws IOException {
    float[][] first = rows(30, D, 1);
    float[][] second = rows(23, D, 2);
    npy("part-1.npy", first);
    ParquetFiles.vectors(second).rowGroup(10).write(root.resolve("part-2.parquet"));
    OpenedSource source = opened("part-*");
    assertThat(source.dimension()).isEqualTo(D);
    assertThat(source.rows()).isEqualTo(53);
    assertThat(source.isMappable()).as("columns cannot be mapped").isFalse();
    float[][] expected = concat(first, second);
    for (int most : new int[] {1, 7, 100}) {
      try (VectorReader reader = source.reader()) {
        assertThat(read(reader, most)).isDeepEqualTo(expected);
      }
    }
    for (int skipped = 0; skipped <= 53; skipped++) {
      try (VectorReader reader = source.reader()) {
        reader.skip(skipped);
        assertThat(read(reader, 8)).isDeepEqualTo(Arrays.copyOfRange(expected, skipped, 53));
      }
    }
  }

  @Test
  void open_filesWithoutColumns_areMapped() throws IOException {
    npy("a.npy", rows(12, D, 3));
    npy("b.npy", rows(9, D, 4));
    OpenedSource source = opened("?.npy");
    assertThat(source.isMappable()).isTrue();
    try (VectorSource mapped = source.map()) {
      assertThat(mapped.rows()).isEqualTo(21);
      assertThat(read(mapped)).isDeepEqualTo(concat(rows(12, D, 3), rows(9, D, 4)));
    }
  }

  @Test
  void openFile_rawRows_haveTheGivenLayout() throws IOException {
    float[][] rows = rows(11, 3, 5);
    Path file = Files.write(root.resolve("rows.bin"), floats(rows, new byte[0]));
    OpenedSource source = sources().openFile(file, new RawLayout(ElementType.F4, 3));
    assertThat(source.rows()).isEqualTo(11);
    try (VectorReader reader = source.reader()) {
      assertThat(read(reader, 4)).isDeepEqualTo(rows);
    }
  }

  @Test
  void open_otherDimension_namesBothFiles() throws IOException {
    npy("one.npy", rows(3, D, 1));
    npy("two.npy", rows(3, D + 1, 1));
    assertThatThrownBy(() -> opened("*.npy"))
        .isInstanceOf(FormatException.class)
        .hasMessageContainingAll("expected dimension 5", "one.npy", "got 6", "two.npy");
  }

  @Test
  void identity_changesWithTheFiles() throws IOException {
    npy("one.npy", rows(3, D, 1));
    String before = opened("*.npy").identity();
    assertThat(opened("*.npy").identity()).isEqualTo(before);
    npy("two.npy", rows(3, D, 1));
    String more = opened("*.npy").identity();
    assertThat(more).isNotEqualTo(before);
    npy("one.npy", rows(4, D, 1));
    assertThat(opened("*.npy").identity()).isNotIn(before, more);
  }

  @Test
  void open_nothingThere_orOutsideTheRoot_isRefused() {
    problem(ProblemCode.SOURCE_NOT_FOUND, () -> opened("*.npy"));
    problem(
        ProblemCode.SOURCE_FORBIDDEN,
        () -> sources().open(new SourceSpec("file:///etc/hostname", null, null, null)));
  }

  @Test
  void ids_ofParquetFiles_areReadFileAfterFile() throws IOException {
    ParquetFiles.vectors(rows(6, D, 1))
        .ids(LongStream.range(100, 106).toArray())
        .write(root.resolve("a.parquet"));
    ParquetFiles.vectors(rows(4, D, 2))
        .ids(LongStream.range(200, 204).toArray())
        .write(root.resolve("b.parquet"));
    OpenedSource source = sources().open(spec("?.parquet", "id"));
    source.requireIds();
    var read = new ArrayList<Long>();
    try (IdReader ids = source.ids()) {
      assertThat(ids).isNotNull();
      var batch = new Ids(ids.type());
      for (int count = ids.read(batch, 3); count > 0; count = ids.read(batch, 3)) {
        Arrays.stream(batch.longs()).limit(count).forEach(read::add);
      }
    }
    assertThat(read).containsExactly(100L, 101L, 102L, 103L, 104L, 105L, 200L, 201L, 202L, 203L);
  }

  @Test
  void ids_ofOtherFiles_areNoneAndCannotBeAskedFor() throws IOException {
    npy("a.npy", rows(3, D, 1));
    assertThat(opened("a.npy").ids()).isNull();
    OpenedSource asked = sources().open(spec("a.npy", "id"));
    assertThatThrownBy(asked::requireIds)
        .isInstanceOf(FormatException.class)
        .hasMessageContaining("source.id_column");
  }

  @Test
  void stage_columns_areCopiedOnceAndGoWithTheJob() throws IOException {
    float[][] rows = rows(40, D, 9);
    rows[17][2] = Float.NaN;
    ParquetFiles.vectors(rows).write(root.resolve("rows.parquet"));
    OpenedSource source = opened("rows.parquet");
    try (var scratch = new ScratchFixture(folder.resolve("data"))) {
      var staging = new Staging(scratch.directory(), scratch.space());
      assertThat(staging.staged("job", D)).isNull();
      problem(
          ProblemCode.NON_FINITE_VALUE,
          () -> staging.stage(source, OnBadRow.FAIL, "job", done -> {}));
      var told = new ArrayList<Long>();
      Staged staged = staging.stage(source, OnBadRow.SKIP, "job", told::add);
      float[][] kept = concat(Arrays.copyOf(rows, 17), Arrays.copyOfRange(rows, 18, 40));
      try (VectorSource copy = staged.rows()) {
        assertThat(staged.skipped()).isEqualTo(1);
        assertThat(read(copy)).isDeepEqualTo(kept);
      }
      assertThat(told).last().isEqualTo(40L);
      try (VectorSource again = staging.staged("job", D)) {
        assertThat(again).isNotNull();
        assertThat(read(again)).isDeepEqualTo(kept);
      }
      staging.retain(Set.of("job"));
      assertThat(Files.exists(folder.resolve("data/staging/job.rows"))).isTrue();
      staging.discard("job");
      assertThat(staging.staged("job", D)).isNull();
      try (var left = Files.list(folder.resolve("data/staging"))) {
        assertThat(left).isEmpty();
      }
    }
  }

  @Test
  void stage_filesThatCanBeMapped_areNotCopied() throws IOException {
    float[][] rows = rows(40, D, 9);
    rows[3][0] = Float.POSITIVE_INFINITY;
    rows[39][4] = Float.NaN;
    npy("rows.npy", rows);
    try (var scratch = new ScratchFixture(folder.resolve("data"))) {
      var staging = new Staging(scratch.directory(), scratch.space());
      Staged staged = staging.stage(opened("rows.npy"), OnBadRow.SKIP, "job", done -> {});
      try (VectorSource mapped = staged.rows()) {
        assertThat(staged.skipped()).isEqualTo(2);
        assertThat(mapped.rows()).isEqualTo(38);
        assertThat(read(mapped))
            .isDeepEqualTo(concat(Arrays.copyOf(rows, 3), Arrays.copyOfRange(rows, 4, 39)));
      }
      assertThat(staging.staged("job", D)).isNull();
    }
  }

  /** A call that may fail. */
  @FunctionalInterface
  private interface Call {
    Object make() throws IOException;
  }

  private static void problem(ProblemCode code, Call call) {
    assertThatThrownBy(call::make)
        .isInstanceOfSatisfying(ProblemException.class, e -> assertThat(e.code()).isEqualTo(code));
  }
}
