package dev.semanticid.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.semanticid.budget.ScratchFixture;
import dev.semanticid.core.vector.ElementType;
import dev.semanticid.format.NpyWriter;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.source.SourceSpec.OnBadRow;
import dev.semanticid.source.SourceSpec.RawLayout;
import dev.semanticid.train.UploadSpool.Upload;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Uploads on their way to the disk: whole and as they came, or refused and gone. */
class UploadSpoolTest {

  private static final int D = 3;
  private static final int ROWS = 40_000;

  @TempDir private Path folder;
  private final List<String> shapes = new ArrayList<>();
  private final List<AutoCloseable> opened = new ArrayList<>();
  private List<UploadSpool> spools = List.of();

  @BeforeEach
  void open() {
    var scratch = new ScratchFixture(folder);
    opened.add(scratch);
    spools = List.of(new UploadSpool(scratch.directory(), scratch.space()));
  }

  @AfterEach
  void close() throws Exception {
    for (AutoCloseable each : opened) {
      each.close();
    }
  }

  private UploadSpool spool() {
    return spools.getFirst();
  }

  private void shape(long rows, int dimension) {
    shapes.add(rows + "×" + dimension);
  }

  private static byte[] data(float last) {
    ByteBuffer data = ByteBuffer.allocate(ROWS * D * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < ROWS * D; i++) {
      data.putFloat(i == ROWS * D - 1 ? last : i);
    }
    return data.array();
  }

  private static byte[] npy(byte[] data) {
    byte[] header = NpyWriter.header("<f4", ROWS, D);
    byte[] file = Arrays.copyOf(header, header.length + data.length);
    System.arraycopy(data, 0, file, header.length, data.length);
    return file;
  }

  private static String sha256(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }

  private Upload npyUpload(byte[] body, OnBadRow onBadRow) throws IOException {
    return spool().npy(ScratchFixture.body(body, body.length), onBadRow, this::shape);
  }

  private Upload rawUpload(byte[] body, long announced, OnBadRow onBadRow) throws IOException {
    return spool()
        .raw(ScratchFixture.body(body, announced), ElementType.F4, D, onBadRow, this::shape);
  }

  private List<String> files() throws IOException {
    try (var files = Files.list(folder.resolve("spool"))) {
      return files.map(file -> String.valueOf(file.getFileName())).toList();
    }
  }

  private void refused(ProblemCode code, ThrowingCallable upload, String... named)
      throws IOException {
    ProblemException problem = catchThrowableOfType(ProblemException.class, upload);
    assertThat(problem).as("a problem with code %s", code).isNotNull();
    assertThat(problem.code()).as(problem.detail()).isEqualTo(code);
    assertThat(problem.detail()).contains(named);
    assertThat(files()).isEmpty();
  }

  @Test
  void npy_wholeFile_isKeptAsItCame() throws IOException {
    byte[] body = npy(data(1));
    Upload upload = npyUpload(body, OnBadRow.FAIL);
    assertThat(upload.raw()).isNull();
    assertThat(upload.digest()).isEqualTo(sha256(body));
    assertThat(shapes).containsExactly("40000×3");
    assertThat(spool().file(upload.name())).hasBinaryContent(body);
    spool().discard(upload.name());
    assertThat(files()).isEmpty();
  }

  @Test
  void raw_announcedOrNot_isKeptWithItsLayout() throws IOException {
    byte[] body = data(1);
    for (long announced : new long[] {body.length, -1}) {
      Upload upload = rawUpload(body, announced, OnBadRow.FAIL);
      assertThat(upload.raw()).isEqualTo(new RawLayout(ElementType.F4, D));
      assertThat(upload.digest()).isEqualTo(sha256(body));
      assertThat(spool().file(upload.name())).hasBinaryContent(body);
    }
    assertThat(files()).hasSize(2);
  }

  @Test
  void npy_moreOrLessThanItsHeaderSays_isRefused() throws IOException {
    byte[] body = npy(data(1));
    refused(
        ProblemCode.MALFORMED_BODY,
        () -> npyUpload(Arrays.copyOf(body, body.length - 1), OnBadRow.FAIL),
        "480000 bytes of data, 479999 came");
    refused(
        ProblemCode.MALFORMED_BODY,
        () -> npyUpload(Arrays.copyOf(body, body.length + 1), OnBadRow.FAIL),
        "480000 bytes of data, more came");
    refused(
        ProblemCode.MALFORMED_BODY,
        () -> npyUpload(new byte[100], OnBadRow.FAIL),
        "not a readable .npy file");
  }

  @Test
  void raw_noWholeRows_isRefused() throws IOException {
    byte[] body = Arrays.copyOf(data(1), 25);
    for (long announced : new long[] {25, -1}) {
      refused(
          ProblemCode.MALFORMED_BODY, () -> rawUpload(body, announced, OnBadRow.FAIL), "25", "12");
    }
  }

  @Test
  void row_withNaN_isRefusedByNumberOrKept() throws IOException {
    byte[] data = data(Float.NaN);
    refused(ProblemCode.NON_FINITE_VALUE, () -> npyUpload(npy(data), OnBadRow.FAIL), "row 39999");
    refused(
        ProblemCode.NON_FINITE_VALUE,
        () -> rawUpload(data, data.length, OnBadRow.FAIL),
        "row 39999");
    assertThat(npyUpload(npy(data), OnBadRow.SKIP).digest()).isEqualTo(sha256(npy(data)));
  }

  @Test
  void shape_thatWillNotDo_isRefusedBeforeTheRows() throws IOException {
    byte[] body = npy(data(1));
    var read = new int[1];
    refused(
        ProblemCode.TOO_FEW_ROWS,
        () ->
            spool()
                .npy(
                    ScratchFixture.body(body, body.length),
                    OnBadRow.FAIL,
                    (rows, dimension) -> {
                      read[0]++;
                      throw new ProblemException(ProblemCode.TOO_FEW_ROWS, rows + " rows");
                    }),
        "40000 rows");
    assertThat(read[0]).isEqualTo(1);
  }

  @Test
  void retain_someNames_deletesTheOthers() throws IOException {
    String kept = npyUpload(npy(data(1)), OnBadRow.FAIL).name();
    npyUpload(npy(data(2)), OnBadRow.FAIL);
    spool().retain(Set.of(kept));
    assertThat(files()).containsExactly(kept);
  }
}
