package dev.semanticid.storage;

import static dev.semanticid.storage.Refusals.assertFails;
import static dev.semanticid.storage.Refusals.assertProblem;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.core.vector.ByteSource;
import dev.semanticid.problem.PlainText;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.store.DataDirectory;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Files below the data root. */
class LocalStorageTest {

  private static final String JOB = "0c1d-job";

  private Path root;
  private Path outside;
  private Storage storage;

  @BeforeEach
  void makeFolders(@TempDir Path temp) throws IOException {
    root = Files.createDirectory(temp.resolve("a root+")).toRealPath();
    outside = Files.createDirectory(temp.resolve("a root+sibling")).toRealPath();
    storage = Settings.local(root);
  }

  private String uri(String name) {
    return "file://" + root + "/" + name;
  }

  private Path write(String name, byte[] content) throws IOException {
    return Files.write(root.resolve(name), content);
  }

  private DataFile only(String name) {
    List<DataFile> found = storage.find(uri(name));
    assertThat(found).hasSize(1);
    return found.getFirst();
  }

  private List<String> names() throws IOException {
    try (Stream<Path> files = Files.list(root)) {
      return files.map(file -> String.valueOf(file.getFileName())).sorted().toList();
    }
  }

  @Test
  void find_fileAndGlob_areInTheOrderOfNames() throws IOException {
    for (String name : List.of("b.npy", "a.npy", "c.txt", "Z.npy")) {
      write(name, name.getBytes(StandardCharsets.UTF_8));
    }
    Files.createDirectory(root.resolve("deeper"));
    write("deeper/d.npy", new byte[3]);
    write(".semantic-id-job-00000000.tmp", new byte[1]);
    DataFile file = only("a.npy");
    assertThat(file.path()).contains(root.resolve("a.npy"));
    assertThat(file.size()).isEqualTo(5);
    assertThat(file.uri()).startsWith("file:///").endsWith("/a.npy").contains("a%20root+");
    assertThat(storage.find(file.uri())).isEqualTo(List.of(file));
    assertThat(storage.find(uri("*.npy")))
        .extracting(found -> found.path().orElseThrow().getFileName().toString())
        .containsExactly("Z.npy", "a.npy", "b.npy");
    assertThat(storage.find(uri("[bc].{npy,txt}"))).hasSize(2);
    Files.delete(root.resolve("deeper/d.npy"));
    Files.delete(root.resolve("deeper"));
    assertThat(storage.find(uri("*"))).hasSize(4);
  }

  @Test
  void find_elsewhere_isForbidden() throws IOException {
    Files.write(outside.resolve("secret.npy"), new byte[1]);
    Files.createSymbolicLink(root.resolve("link.npy"), outside.resolve("secret.npy"));
    Files.createSymbolicLink(root.resolve("folder"), outside);
    for (String source :
        List.of(
            "file://" + outside + "/secret.npy",
            "file://" + outside + "/*",
            uri("../" + outside.getFileName() + "/secret.npy"),
            uri("%2e%2e/" + outside.getFileName() + "/secret.npy"),
            uri("link.npy"),
            uri("link*"),
            uri("folder/secret.npy"),
            uri("folder/*"))) {
      assertProblem(ProblemCode.SOURCE_FORBIDDEN, () -> storage.find(source), source, "data-root");
    }
    assertProblem(
        ProblemCode.SOURCE_FORBIDDEN,
        () -> Settings.local(null).find(uri("x")),
        "file: sources are off");
  }

  /** Whether or not there is something behind a link, the answer is the same to the letter. */
  @Test
  void find_linksThatLeadOutside_tellNothing() throws IOException {
    Files.write(outside.resolve("secret.npy"), new byte[1]);
    Path locked = Files.createDirectory(outside.resolve("locked"));
    Files.write(locked.resolve("x.npy"), new byte[1]);
    Files.setPosixFilePermissions(locked, PosixFilePermissions.fromString("---------"));
    for (String target :
        List.of(
            "secret.npy",
            "missing.npy",
            "missing/missing.npy",
            "secret.npy/child",
            "locked/x.npy",
            "locked/missing.npy",
            "self",
            "n".repeat(300))) {
      Path link = root.resolve("link.npy");
      Files.deleteIfExists(link);
      Files.deleteIfExists(outside.resolve("self"));
      Files.createSymbolicLink(outside.resolve("self"), outside.resolve("self"));
      Files.createSymbolicLink(link, outside.resolve(target));
      for (String source : List.of("link.npy", "link*", "*", "link.npy/child", "link.npy/*")) {
        assertForbidden(source);
      }
      assertForbiddenDestination("link.npy/out");
    }
    Files.delete(root.resolve("link.npy"));
    Files.createSymbolicLink(root.resolve("folder"), outside);
    Files.createSymbolicLink(root.resolve("folder2"), Path.of("..", "not-there"));
    for (String place :
        List.of(
            "folder/secret.npy",
            "folder/missing.npy",
            "folder/../" + outside.getFileName() + "/secret.npy",
            "folder/../" + outside.getFileName() + "/missing.npy",
            "folder/../missing/missing.npy",
            "folder2/secret.npy",
            "folder2/../missing",
            "../" + outside.getFileName() + "/secret.npy",
            "../" + outside.getFileName() + "/missing.npy",
            "../missing/x")) {
      assertForbidden(place);
      assertForbiddenDestination(place);
    }
    assertForbidden("folder/*");
    assertForbidden("folder/none*");
    assertForbidden("../*");
    assertForbidden("../missing/*");
  }

  /** Where a link leads nowhere is not told either: it may be outside. */
  @Test
  void find_linkThatCannotBeResolved_isForbidden() throws IOException {
    Files.createSymbolicLink(root.resolve("self.npy"), root.resolve("self.npy"));
    Files.createSymbolicLink(root.resolve("one.npy"), Path.of("two.npy"));
    Files.createSymbolicLink(root.resolve("two.npy"), Path.of("one.npy"));
    Files.createSymbolicLink(root.resolve("dangling.npy"), Path.of("missing.npy"));
    Files.createSymbolicLink(root.resolve("deep.npy"), Path.of("missing", "missing.npy"));
    for (String name : List.of("self", "one", "two", "dangling", "deep")) {
      assertForbidden(name + ".npy");
      assertForbidden(name + "*");
      assertForbidden(name + ".npy/x");
      assertForbiddenDestination(name + ".npy/x");
    }
  }

  @Test
  void find_linksWithin_lead() throws IOException {
    Files.createDirectories(root.resolve("deep/er"));
    write("deep/er/a.npy", new byte[3]);
    write("b.npy", new byte[4]);
    Files.createSymbolicLink(root.resolve("relative"), Path.of("deep", "er"));
    Files.createSymbolicLink(root.resolve("absolute"), root.resolve("deep"));
    Files.createSymbolicLink(root.resolve("chain"), Path.of("absolute/er/../../relative"));
    Files.createSymbolicLink(root.resolve("deep/er/up.npy"), Path.of("../../b.npy"));
    Files.createSymbolicLink(root.resolve("home"), root);
    Path a = root.resolve("deep/er/a.npy");
    for (String name :
        List.of(
            "relative/a.npy",
            "absolute/er/a.npy",
            "chain/a.npy",
            "chain/a*",
            "relative/../er/a.npy",
            "relative/.././er//a.npy",
            "home/home/deep/er/a.npy",
            "../" + root.getFileName() + "/deep/er/a.npy")) {
      assertThat(only(name).path()).as(name).contains(a);
    }
    assertThat(only("chain/up.npy").path()).contains(root.resolve("b.npy"));
    assertThat(storage.find(uri("chain/*"))).hasSize(2);
    // Behind a link the parent is that of its target, as the kernel has it.
    assertProblem(ProblemCode.SOURCE_NOT_FOUND, () -> storage.find(uri("relative/../b.npy")));
    assertProblem(ProblemCode.SOURCE_NOT_FOUND, () -> storage.find(uri("relative/none.npy")));
    assertProblem(ProblemCode.SOURCE_NOT_FOUND, () -> storage.find(uri("none/../b.npy")));
    assertProblem(ProblemCode.SOURCE_INVALID, () -> storage.find(uri("b.npy/../b.npy")));
    assertProblem(ProblemCode.SOURCE_INVALID, () -> storage.find(uri("relative")));
    assertThat(storage.destination(uri("chain/out")).uri()).endsWith("/deep/er/out");
    assertProblem(
        ProblemCode.DESTINATION_INVALID, () -> storage.destination(uri("relative/none/out")));
  }

  /** The folder that is configured may itself be behind a link, which lies elsewhere. */
  @Test
  void find_rootBehindALink_isReachedByBothNames() throws IOException {
    Path alias = Files.createSymbolicLink(outside.resolve("alias"), root);
    write("a.npy", new byte[3]);
    Files.createSymbolicLink(root.resolve("b.npy"), alias.resolve("a.npy"));
    Storage aliased = Settings.local(alias);
    for (Path way : List.of(alias, root)) {
      for (String name : List.of("a.npy", "b.npy", "a*")) {
        assertThat(aliased.find("file://" + way + "/" + name).getFirst().path())
            .contains(root.resolve("a.npy"));
      }
    }
    assertProblem(
        ProblemCode.SOURCE_FORBIDDEN, () -> aliased.find("file://" + outside + "/none.npy"));
    assertProblem(
        ProblemCode.SOURCE_FORBIDDEN, () -> aliased.find("file://" + alias + "/../none.npy"));
  }

  /** A path over a link elsewhere is good if it ends below the root; on the way nothing is told. */
  @Test
  void find_linkElsewhereThatLeadsInside_leads() throws IOException {
    Files.createDirectory(root.resolve("deeper"));
    write("deeper/a.npy", new byte[3]);
    Path link = Files.createSymbolicLink(outside.resolve("link"), root.resolve("deeper"));
    for (String name : List.of("a.npy", "a*")) {
      assertThat(storage.find("file://" + link + "/" + name).getFirst().path())
          .contains(root.resolve("deeper/a.npy"));
    }
    assertProblem(ProblemCode.SOURCE_FORBIDDEN, () -> storage.find("file://" + link + "/none"));
    Files.createDirectory(outside.resolve("there"));
    for (String name : List.of("there", "none")) {
      assertProblem(
          ProblemCode.SOURCE_FORBIDDEN,
          () -> storage.find("file://%s/%s/../link/a.npy".formatted(outside, name)));
    }
  }

  private void assertForbidden(String name) {
    assertThatThrownBy(() -> storage.find(uri(name)))
        .as(name)
        .isInstanceOfSatisfying(
            ProblemException.class,
            problem -> {
              assertThat(problem.code()).as(name).isEqualTo(ProblemCode.SOURCE_FORBIDDEN);
              assertThat(problem.detail())
                  .isEqualTo("the source %s is not below semantic-id.data-root", uri(name));
            });
  }

  private void assertForbiddenDestination(String name) {
    assertThatThrownBy(() -> storage.destination(uri(name)))
        .as(name)
        .isInstanceOfSatisfying(
            ProblemException.class,
            problem -> {
              assertThat(problem.code()).as(name).isEqualTo(ProblemCode.SOURCE_FORBIDDEN);
              assertThat(problem.detail())
                  .isEqualTo("the destination %s is not below semantic-id.data-root", uri(name));
            });
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"a\nb", "a%0Ab", "a%0d%0aINFO b", "a%7f", "a%C2%85", "a%e2%80%a8b", "a\u2029b"})
  void addresses_withLineBreaksOrControlCharacters_areRefused(String name) throws IOException {
    assertProblem(ProblemCode.UNSUPPORTED_SOURCE, () -> storage.find(uri(name)), "control");
    assertProblem(ProblemCode.UNSUPPORTED_SOURCE, () -> storage.find(uri(name + "/*")), "control");
    for (String place : List.of(name, name + "/out", "x/" + name)) {
      assertThatThrownBy(() -> storage.destination(uri(place)))
          .isInstanceOfSatisfying(
              ProblemException.class,
              problem -> {
                assertThat(problem.code()).isEqualTo(ProblemCode.DESTINATION_INVALID);
                assertThat(PlainText.isOneLine(problem.detail())).isTrue();
              });
    }
    assertThat(names()).isEmpty();
  }

  @Test
  void addresses_longerThanPathsAre_areRefusedWithBothLengths() {
    String name = "x/".repeat(3000);
    assertProblem(ProblemCode.UNSUPPORTED_SOURCE, () -> storage.find(uri(name)), 4096);
    assertProblem(
        ProblemCode.DESTINATION_INVALID, () -> storage.destination(uri(name + "x")), 4096);
  }

  @Test
  @Timeout(120)
  void find_hostileGlobs_comeToAnEnd() throws IOException {
    write("a".repeat(250) + "c", new byte[1]);
    for (String glob : List.of("*".repeat(200) + "b", "*a".repeat(12) + "b", "{*a,*}".repeat(80))) {
      assertThatCode(() -> storage.find(uri(glob + "b"))).isInstanceOf(ProblemException.class);
    }
    assertProblem(
        ProblemCode.SOURCE_INVALID, () -> storage.find(uri("*".repeat(513))), "512", "513");
    assertProblem(ProblemCode.SOURCE_INVALID, () -> storage.find(uri("{a")), "missing '}'");
  }

  @Test
  void find_nothing_isRefused() {
    assertProblem(ProblemCode.SOURCE_NOT_FOUND, () -> storage.find(uri("x.npy")), "x.npy");
    assertProblem(ProblemCode.SOURCE_NOT_FOUND, () -> storage.find(uri("*.npy")), "*.npy");
    for (String source : List.of("http://host/x", "x.npy", "", "jar:file:/x!/y", "S3://b/k")) {
      assertProblem(
          ProblemCode.UNSUPPORTED_SOURCE, () -> storage.find(source), "file:///", "s3://");
    }
  }

  @Test
  void identity_changesWithTheContentOnly() throws IOException {
    Path file = write("x", new byte[10]);
    String before = only("x").identity();
    assertThat(only("x").identity()).isEqualTo(before);
    write("x", new byte[11]);
    assertThat(only("x").identity()).isNotEqualTo(before);
    write("x", new byte[10]);
    Files.setLastModifiedTime(file, FileTime.fromMillis(1));
    String touched = only("x").identity();
    assertThat(touched).isNotEqualTo(before);
    Path other = write("y", new byte[10]);
    Files.setLastModifiedTime(other, FileTime.fromMillis(1));
    Files.move(other, file, StandardCopyOption.ATOMIC_MOVE);
    assertThat(only("x").identity()).isNotEqualTo(touched);
  }

  @Test
  void read_ranges_areTheBytes() throws IOException {
    byte[] content = Settings.bytes((3 << 20) + 17, 1);
    write("x", content);
    var random = new Random(2);
    try (ByteSource source = only("x").open()) {
      assertThat(source.size()).isEqualTo(content.length);
      assertThat(source.name()).isEqualTo(root.resolve("x").toString());
      for (int i = 0; i < 50; i++) {
        int from = random.nextInt(content.length);
        int length = random.nextInt(content.length - from + 1);
        byte[] target = new byte[length + 2];
        source.read(from, target, 1, length);
        assertThat(Arrays.equals(target, 1, length + 1, content, from, from + length)).isTrue();
        assertThat(target[0]).isZero();
        assertThat(target[length + 1]).isZero();
      }
      byte[] one = new byte[1];
      source.read(content.length, one, 1, 0);
      assertThatThrownBy(() -> source.read(content.length, one, 0, 1))
          .isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> source.read(0, one, 0, 2))
          .isInstanceOf(IndexOutOfBoundsException.class);
    }
    ByteSource closed = only("x").open();
    closed.close();
    assertThatThrownBy(() -> closed.read(0, new byte[1], 0, 1))
        .isInstanceOf(IllegalStateException.class);
  }

  @Test
  void read_shortenedFile_namesBothSizes() throws IOException {
    Path file = write("x", new byte[100]);
    try (ByteSource source = only("x").open()) {
      Files.write(file, new byte[40], StandardOpenOption.TRUNCATE_EXISTING);
      for (int from : new int[] {0, 30, 50}) {
        assertFails(
            ProblemCode.SOURCE_CHANGED,
            () -> source.read(from, new byte[30], 0, 30),
            "expected 100 bytes",
            "got 40");
      }
    }
  }

  @Test
  void read_replacedOrDeletedFile_isRefused() throws IOException {
    Path file = write("x", new byte[100]);
    DataFile found = only("x");
    try (ByteSource source = found.open()) {
      Files.move(write("y", new byte[100]), file, StandardCopyOption.ATOMIC_MOVE);
      assertFails(
          ProblemCode.SOURCE_CHANGED,
          () -> source.read(0, new byte[1], 0, 1),
          found.identity(),
          only("x").identity());
      assertFails(ProblemCode.SOURCE_CHANGED, found::open);
      Files.delete(file);
      assertFails(ProblemCode.SOURCE_NOT_FOUND, () -> source.read(0, new byte[1], 0, 1));
      assertFails(ProblemCode.SOURCE_NOT_FOUND, found::open);
    }
  }

  @Test
  void read_interruptedThread_disturbsNobody() throws Exception {
    byte[] content = Settings.bytes(1 << 20, 3);
    write("x", content);
    try (ByteSource source = only("x").open();
        var threads = Executors.newFixedThreadPool(4)) {
      Callable<Boolean> reader =
          () -> {
            boolean kept = true;
            for (int i = 0; i < 200; i++) {
              byte[] target = new byte[content.length];
              if (i % 3 == 0) {
                Thread.currentThread().interrupt();
              }
              source.read(0, target, 0, target.length);
              kept &= Thread.interrupted() == (i % 3 == 0) && Arrays.equals(target, content);
            }
            return kept;
          };
      for (Future<Boolean> read :
          threads.invokeAll(IntStream.range(0, 4).mapToObj(i -> reader).toList())) {
        assertThat(read.get()).isTrue();
      }
    }
  }

  @Test
  void publish_sameFileSystem_movesTheFile() throws IOException {
    publishes(outside.resolve("result"));
  }

  @Test
  void publish_otherFileSystem_movesTheFile() throws IOException {
    Path memory = Path.of("/dev/shm");
    Assumptions.assumeTrue(
        Files.isWritable(memory) && !Files.getFileStore(memory).equals(Files.getFileStore(root)));
    Path file = Files.createTempFile(memory, "semantic-id", ".test");
    try {
      publishes(file);
    } finally {
      Files.deleteIfExists(file);
    }
  }

  private void publishes(Path finished) throws IOException {
    byte[] content = Settings.bytes((2 << 20) + 1, 4);
    Files.write(finished, content);
    Destination destination = storage.destination(uri("out%2b.bin"));
    assertThat(destination.uri()).endsWith("/out+.bin");
    assertThat(destination.exists()).isFalse();
    destination.publish(finished, JOB);
    assertThat(destination.exists()).isTrue();
    assertThat(finished).doesNotExist();
    assertThat(names()).containsExactly("out+.bin");
    assertThat(root.resolve("out+.bin")).hasBinaryContent(content);

    Files.write(finished, new byte[1]);
    assertFails(
        ProblemCode.DESTINATION_EXISTS, () -> destination.publish(finished, JOB), "out+.bin");
    assertThat(finished).hasBinaryContent(new byte[1]);
    assertThat(root.resolve("out+.bin")).hasBinaryContent(content);
    assertThat(names()).containsExactly("out+.bin");
  }

  /** A job's files are their owner's alone, its results are for those whom the folder lets in. */
  @Test
  void publish_privateFile_getsTheModeOfANewFile() throws IOException {
    Files.createFile(root.resolve("usual"));
    Set<PosixFilePermission> usual = Files.getPosixFilePermissions(root.resolve("usual"));
    Path finished = outside.resolve("result");
    DataDirectory.create(finished, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE).close();
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(finished)))
        .isEqualTo("rw-------");
    storage.destination(uri("out")).publish(finished, JOB);
    assertThat(Files.getPosixFilePermissions(root.resolve("out")))
        .isEqualTo(usual)
        .contains(PosixFilePermission.OTHERS_READ);
    assertThat(names()).containsExactly("out", "usual");
  }

  /** What somebody put where the unfinished file goes is replaced, and not written through. */
  @Test
  void publish_linkInTheWay_isReplaced() throws IOException {
    Path victim = Files.write(outside.resolve("victim"), new byte[] {7});
    Path finished = Files.write(outside.resolve("result"), new byte[] {1});
    Destination destination = storage.destination(uri("out"));
    Files.createSymbolicLink(((LocalDestination) destination).unfinished(JOB), victim);
    destination.publish(finished, JOB);
    assertThat(victim).hasBinaryContent(new byte[] {7});
    assertThat(root.resolve("out")).hasBinaryContent(new byte[] {1});
    assertThat(names()).containsExactly("out");
  }

  /** Neither where the link leads nor whether there is something. */
  @Test
  void publish_folderReplacedByALink_tellsNothing() throws IOException {
    Path finished = Files.write(outside.resolve("result"), new byte[1]);
    Path folder = Files.createDirectory(root.resolve("folder"));
    Destination destination = storage.destination(uri("folder/out"));
    Files.delete(folder);
    var answers = new HashSet<String>();
    for (Path target :
        List.of(outside, outside.resolve("none"), outside.resolve("result"), folder)) {
      Files.createSymbolicLink(folder, target);
      assertThatThrownBy(() -> destination.publish(finished, JOB))
          .isInstanceOfSatisfying(
              StorageException.class, e -> answers.add(String.valueOf(e.getMessage())));
      Files.delete(folder);
    }
    assertThat(answers).hasSize(1);
    assertThat(answers.iterator().next())
        .doesNotContain(String.valueOf(outside.getFileName()) + "/");
  }

  @Test
  void publish_emptyResult_isAnEmptyFile() throws IOException {
    Path finished = Files.createFile(outside.resolve("result"));
    storage.destination(uri("empty")).publish(finished, JOB);
    assertThat(root.resolve("empty")).isEmptyFile();
    try (ByteSource source = only("empty").open()) {
      source.read(0, new byte[0], 0, 0);
      assertThat(source.size()).isZero();
    }
  }

  @Test
  void publish_severalAtOnce_oneWins() throws Exception {
    try (var threads = Executors.newFixedThreadPool(4)) {
      for (int round = 0; round < 20; round++) {
        Destination destination = storage.destination(uri("out" + round));
        List<Callable<Boolean>> jobs =
            IntStream.range(0, 4)
                .mapToObj(i ->
                    (Callable<Boolean>)
                        () -> {
                          Path finished =
                              Files.write(outside.resolve("r" + i), new byte[] {(byte) i});
                          try {
                            destination.publish(finished, "job-" + i);
                            return true;
                          } catch (StorageException e) {
                            assertThat(e.code()).isEqualTo(ProblemCode.DESTINATION_EXISTS);
                            assertThat(finished).exists();
                            return false;
                          }
                        })
                .toList();
        int won = 0;
        for (Future<Boolean> job : threads.invokeAll(jobs)) {
          won += job.get() ? 1 : 0;
        }
        assertThat(won).isEqualTo(1);
      }
    }
    assertThat(names()).hasSize(20);
  }

  @Test
  void publish_folderThatIsGoneOrALink_isRefused() throws IOException {
    Path finished = Files.write(outside.resolve("result"), new byte[1]);
    Path folder = Files.createDirectory(root.resolve("folder"));
    Destination destination = storage.destination(uri("folder/out"));
    Files.delete(folder);
    assertFails(ProblemCode.DESTINATION_INVALID, () -> destination.publish(finished, JOB));
    Files.createSymbolicLink(folder, outside);
    assertFails(ProblemCode.DESTINATION_INVALID, () -> destination.publish(finished, JOB));
    assertThat(finished).exists();
    assertThat(outside.resolve("out")).doesNotExist();
  }

  @Test
  void publish_danglingLink_isSomethingThere() throws IOException {
    Path finished = Files.write(outside.resolve("result"), new byte[1]);
    Files.createSymbolicLink(root.resolve("out"), outside.resolve("not-there"));
    Destination destination = storage.destination(uri("out"));
    assertThat(destination.exists()).isTrue();
    assertFails(ProblemCode.DESTINATION_EXISTS, () -> destination.publish(finished, JOB));
    assertThat(outside.resolve("not-there")).doesNotExist();
  }

  @Test
  void discard_leftoversOfACrash_areThoseOfTheJobAndPlaceOnly() throws IOException {
    Path finished = Files.write(outside.resolve("result"), new byte[1]);
    Destination destination = storage.destination(uri("out"));
    destination.discard(JOB);
    Path mine = ((LocalDestination) destination).unfinished(JOB);
    Path others = ((LocalDestination) destination).unfinished("other");
    Path elsewhere = ((LocalDestination) storage.destination(uri("out2"))).unfinished(JOB);
    for (Path left : List.of(mine, others, elsewhere)) {
      assertThat(left.getParent()).isEqualTo(root);
      Files.write(left, new byte[3]);
    }
    assertProblem(ProblemCode.SOURCE_NOT_FOUND, () -> storage.find(uri("*")));
    destination.discard(JOB);
    assertThat(mine).doesNotExist();
    assertThat(others).exists();
    assertThat(elsewhere).exists();
    // And what is left is no obstacle.
    Files.write(mine, new byte[3]);
    destination.publish(finished, JOB);
    assertThat(root.resolve("out")).hasBinaryContent(new byte[1]);
    assertThat(mine).doesNotExist();
    destination.discard(JOB);
    assertThat(root.resolve("out")).exists();
  }

  @Test
  void destination_thatCannotBeOne_isRefused() throws IOException {
    write("file", new byte[1]);
    Files.createSymbolicLink(root.resolve("link"), outside);
    for (String place :
        List.of(
            uri("no/folder/x"),
            uri("file/x"),
            uri("x*"),
            uri("x[1]"),
            uri("x/"),
            uri(".."),
            uri("%2e%2e"),
            "file:x",
            "file://host/x",
            "http://host/x",
            "x",
            "")) {
      assertProblem(ProblemCode.DESTINATION_INVALID, () -> storage.destination(place));
    }
    for (String place :
        List.of(
            "file://" + outside + "/x",
            uri("link/x"),
            uri("../x"),
            uri("../" + outside.getFileName() + "/x"),
            uri("%2e%2e/x"),
            "file:///not/there/x",
            "file:///")) {
      assertProblem(
          ProblemCode.SOURCE_FORBIDDEN, () -> storage.destination(place), "destination", place);
    }
    assertProblem(
        ProblemCode.SOURCE_FORBIDDEN,
        () -> Settings.local(null).destination(uri("x")),
        "file: destinations are off");
  }
}
