package dev.semanticid.budget;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Space is reserved before it is written, within a bound, and comes back with the file. */
class ScratchSpaceTest {

  private static final long MB = 1 << 20;

  @TempDir private Path data;
  private final List<ScratchFixture> opened = new ArrayList<>();

  private ScratchSpace scratch(String... settings) {
    var fixture = new ScratchFixture(data, settings);
    opened.add(fixture);
    return fixture.space();
  }

  @AfterEach
  void close() throws IOException {
    for (ScratchFixture fixture : opened) {
      fixture.close();
    }
  }

  private static void requireNoRoom(Runnable reserves, String... named) {
    assertThatThrownBy(reserves::run)
        .satisfies(e ->
            assertThat(((ProblemException) e).code()).isEqualTo(ProblemCode.INSUFFICIENT_STORAGE))
        .hasMessageContainingAll(named);
  }

  @Test
  void reserve_moreThanAllowed_isRefusedAndReservesNothing() throws IOException {
    ScratchSpace scratch = scratch("max-size=100MB", "keep-free=0B");
    Path folder = scratch.folder("spool", Set.of());
    scratch.reserve(folder.resolve("a"), 60 * MB);
    requireNoRoom(
        () -> scratch.reserve(folder.resolve("b"), 41 * MB),
        Long.toString(41 * MB),
        Long.toString(60 * MB),
        "semantic-id.scratch.max-size");
    assertThat(scratch.reservedBytes()).isEqualTo(60 * MB);
    scratch.reserve(folder.resolve("b"), 40 * MB);
    scratch.delete(folder.resolve("a"));
    scratch.reserve(folder.resolve("b"), 100 * MB);
    scratch.delete(folder.resolve("b"));
    assertThat(scratch.reservedBytes()).isZero();
  }

  /** A file may say that it has any number of rows. */
  @Test
  void reserve_hugeNumber_isRefused() {
    ScratchSpace scratch = scratch();
    Path folder = scratch.folder("spool", Set.of());
    requireNoRoom(
        () -> scratch.reserve(folder.resolve("a"), Long.MAX_VALUE),
        "semantic-id.scratch.keep-free");
    assertThat(scratch.reservedBytes()).isZero();
  }

  @Test
  void reserve_diskNearlyFull_leavesWhatTheDatabaseNeeds() throws IOException {
    long free = Files.getFileStore(data).getUsableSpace();
    ScratchSpace scratch = scratch("keep-free=" + (free - 500 * MB) + "B");
    Path folder = scratch.folder("spool", Set.of());
    scratch.reserve(folder.resolve("a"), 200 * MB);
    requireNoRoom(
        () -> scratch.reserve(folder.resolve("b"), 400 * MB), "semantic-id.scratch.keep-free");
  }

  @Test
  void file_complete_givesBackWhatItDoesNotHave() throws IOException {
    ScratchSpace scratch = scratch("max-size=100MB", "keep-free=0B");
    Path folder = scratch.folder("spool", Set.of());
    try (var file = new ScratchFile(scratch, folder.resolve("a"))) {
      file.write(new byte[1000]);
      assertThat(scratch.reservedBytes()).isEqualTo(16 * MB);
      assertThat(file.finish()).hasSize(64);
    }
    assertThat(scratch.reservedBytes()).isEqualTo(1000);
    scratch.moved(folder.resolve("a"), folder.resolve("b"));
    assertThat(scratch.reservedBytes()).isEqualTo(1000);
  }

  @Test
  void folder_filesOfAnEarlierProcess_areDeletedOrCounted() throws IOException {
    Path spool = Files.createDirectories(data.resolve("spool"));
    Files.write(spool.resolve("kept.rows"), new byte[300]);
    Files.write(spool.resolve("orphan.rows"), new byte[500]);
    ScratchSpace scratch = scratch();
    scratch.folder("spool", Set.of("kept"));
    assertThat(spool.resolve("orphan.rows")).doesNotExist();
    assertThat(scratch.reservedBytes()).isEqualTo(300);
  }

  @Test
  void beginUpload_asManyAsMayAreUnderWay_isRefused() {
    ScratchSpace scratch = scratch("max-uploads=2");
    ScratchSpace.Upload first = scratch.beginUpload();
    scratch.beginUpload();
    assertThatThrownBy(scratch::beginUpload)
        .satisfies(e -> assertThat(((ProblemException) e).code()).isEqualTo(ProblemCode.OVERLOADED))
        .hasMessageContainingAll("2 uploads", "semantic-id.scratch.max-uploads");
    first.close();
    first.close();
    scratch.beginUpload();
    assertThatThrownBy(scratch::beginUpload).isInstanceOf(ProblemException.class);
  }
}
