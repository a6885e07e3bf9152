package dev.semanticid.storage;

import static dev.semanticid.storage.Refusals.assertFails;
import static dev.semanticid.storage.Refusals.assertProblem;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpServer;
import dev.semanticid.core.vector.ByteSource;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.service.S3Server;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;

/** Objects of a real S3 server, which checks signatures. Every test has a folder of its own. */
class S3StorageTest {

  /** The least that S3 takes as a part that is not the last. */
  static final int PART_BYTES = 5 << 20;

  private static final String BUCKET = "vectors";
  private static final String JOB = "0c1d-job";

  private static S3Server server;
  private static Storage storage;

  @TempDir private Path temp;

  @BeforeAll
  static void start() {
    server = S3Server.start();
    server.createBucket(BUCKET);
    server.createBucket("other");
    storage = storage(S3Server.credentials());
  }

  @AfterAll
  static void stop() {
    storage.close();
    server.close();
  }

  private static Storage storage(AwsCredentialsProvider credentials, String... settings) {
    String[] all =
        Arrays.copyOf(
            new String[] {
              "s3.endpoint", server.endpoint().toString(), "s3.allowed", "s3://vectors,s3://nobody"
            },
            4 + settings.length);
    System.arraycopy(settings, 0, all, 4, settings.length);
    return Settings.storage(Settings.of(null, all), credentials);
  }

  /** With settings that make failures quick. */
  private static Storage storageAt(int port) {
    return Settings.storage(
        Settings.of(
            null,
            "s3.endpoint",
            "http://127.0.0.1:" + port,
            "s3.allowed",
            "s3://vectors",
            "s3.connect-timeout",
            "1s",
            "s3.socket-timeout",
            "300ms"),
        S3Server.credentials());
  }

  private static DataFile only(String key) {
    List<DataFile> found = storage.find("s3://vectors/" + key);
    assertThat(found).hasSize(1);
    return found.getFirst();
  }

  private Path file(byte[] content) throws IOException {
    return Files.write(temp.resolve("result"), content);
  }

  @Test
  void find_objectAndGlob_areInTheOrderOfKeys() {
    for (String name : List.of("b.npy", "a.npy", "Z ü+%2F.npy", "c.txt", "deeper/d.npy")) {
      server.put(BUCKET, "find/" + name, Settings.bytes(name.length(), 1));
    }
    server.put(BUCKET, "findings.npy", new byte[1]);
    DataFile file = only("find/a.npy");
    assertThat(file.uri()).isEqualTo("s3://vectors/find/a.npy");
    assertThat(file.size()).isEqualTo(5);
    assertThat(file.path()).isEmpty();
    List<DataFile> found = storage.find("s3://vectors/find/*.npy");
    assertThat(found)
        .extracting(DataFile::uri)
        .containsExactly(
            "s3://vectors/find/Z ü+%2F.npy", "s3://vectors/find/a.npy", "s3://vectors/find/b.npy");
    assertThat(found.get(1).identity()).isEqualTo(file.identity());
    assertThat(only("find/Z ü+%2F.npy").identity()).isEqualTo(found.getFirst().identity());
    assertThat(storage.find("s3://vectors/find/[bc].{npy,txt}")).hasSize(2);
    assertThat(storage.find("s3://vectors/find*")).hasSize(1);
    assertProblem(
        ProblemCode.SOURCE_NOT_FOUND, () -> storage.find("s3://vectors/find/*/d.npy"), "*/d.npy");
    assertProblem(ProblemCode.SOURCE_INVALID, () -> storage.find("s3://vectors/find/["), "[");
  }

  @Test
  void find_moreThanAPage_findsAll() {
    IntStream.range(0, 1005)
        .parallel()
        .forEach(i -> server.put(BUCKET, String.format(Locale.ROOT, "pages/%04d", i), new byte[0]));
    assertThat(storage.find("s3://vectors/pages/*"))
        .extracting(DataFile::uri)
        .containsExactlyElementsOf(
            IntStream.range(0, 1005).mapToObj("s3://vectors/pages/%04d"::formatted).toList());
  }

  @Test
  void find_nothing_isRefused() {
    assertProblem(
        ProblemCode.SOURCE_NOT_FOUND,
        () -> storage.find("s3://vectors/none/x.npy"),
        "s3://vectors/none/x.npy",
        "no such object");
    assertProblem(
        ProblemCode.SOURCE_NOT_FOUND,
        () -> storage.find("s3://vectors/none/*.npy"),
        "s3://vectors/none/*.npy");
    assertProblem(ProblemCode.SOURCE_NOT_FOUND, () -> storage.find("s3://nobody/x"), "nobody");
    assertProblem(
        ProblemCode.SOURCE_NOT_FOUND, () -> storage.find("s3://nobody/*"), "no bucket nobody");
    for (String source :
        List.of(
            "s3:",
            "s3:/vectors/x",
            "s3://",
            "s3://vectors",
            "s3://vectors/",
            "s3:///x",
            "s3://vectors/folder/",
            "s3://user:secret@vectors/x",
            "s3://vectors/a\u0000b")) {
      assertProblem(ProblemCode.UNSUPPORTED_SOURCE, () -> storage.find(source), "s3://bucket/key");
    }
  }

  @Test
  void find_elsewhere_isForbidden() {
    server.put(BUCKET, "data/x", new byte[1]);
    server.put(BUCKET, "database/x", new byte[1]);
    try (Storage some =
        storage(
            S3Server.credentials(), "s3.allowed", "s3://vectors/data,s3://vectors/in/,s3://o")) {
      assertThat(some.find("s3://vectors/data/x")).hasSize(1);
      assertThat(some.find("s3://vectors/data/*")).hasSize(1);
      assertProblem(ProblemCode.SOURCE_NOT_FOUND, () -> some.find("s3://vectors/data"));
      assertProblem(ProblemCode.SOURCE_NOT_FOUND, () -> some.find("s3://vectors/data/%2e%2e/x"));
      for (String place :
          List.of(
              "s3://vectors/database/x",
              "s3://vectors/database",
              "s3://vectors/in",
              "s3://vectors/x",
              "s3://other/x",
              "s3://other/data/x",
              "s3://vectors/data/../x",
              "s3://vectors/data/..",
              "s3://vectors/data/./x",
              "s3://vectors/data/..\\x",
              "s3://vectors//data/x",
              "s3://../vectors/data/x")) {
        assertProblem(ProblemCode.SOURCE_FORBIDDEN, () -> some.find(place), place);
        assertProblem(ProblemCode.SOURCE_FORBIDDEN, () -> some.destination(place), place);
      }
      for (String glob :
          List.of(
              "s3://vectors/dat*",
              "s3://vectors/data*",
              "s3://vectors/*",
              "s3://vectors/database/*",
              "s3://other/*")) {
        assertProblem(ProblemCode.SOURCE_FORBIDDEN, () -> some.find(glob), glob);
      }
    }
    try (Storage off = Settings.local(temp)) {
      assertProblem(
          ProblemCode.SOURCE_FORBIDDEN, () -> off.find("s3://vectors/x"), "semantic-id.s3.allowed");
      assertProblem(
          ProblemCode.SOURCE_FORBIDDEN,
          () -> off.destination("s3://vectors/x"),
          "semantic-id.s3.allowed");
    }
  }

  @Test
  void read_anyRanges_areTheBytes() throws IOException {
    byte[] content = Settings.bytes((1 << 20) + 13, 2);
    server.put(BUCKET, "ranges", content);
    var random = new Random(3);
    try (ByteSource source = only("ranges").open()) {
      assertThat(source.size()).isEqualTo(content.length);
      assertThat(source.name()).isEqualTo("s3://vectors/ranges");
      for (int i = 0; i < 30; i++) {
        int from = random.nextInt(content.length);
        int length = random.nextInt(content.length - from + 1);
        byte[] target = new byte[length + 2];
        source.read(from, target, 1, length);
        assertThat(Arrays.equals(target, 1, length + 1, content, from, from + length)).isTrue();
      }
    }
  }

  @Test
  void read_fromStartToEnd_areTheBytes() throws IOException {
    byte[] content = Settings.bytes((37 << 20) + 11, 4);
    server.put(BUCKET, "sequential", content);
    for (int length : new int[] {4 << 20, (5 << 20) + 3, (16 << 20) - 1}) {
      try (ByteSource source = only("sequential").open()) {
        byte[] all = new byte[content.length];
        for (int from = 0; from < all.length; from += length) {
          source.read(from, all, from, Math.min(length, all.length - from));
        }
        assertThat(Arrays.equals(all, content)).isTrue();
      }
    }
  }

  @Test
  void read_emptyObject_hasNoBytes() throws IOException {
    server.put(BUCKET, "empty", new byte[0]);
    try (ByteSource source = only("empty").open()) {
      assertThat(source.size()).isZero();
      source.read(0, new byte[0], 0, 0);
      assertThatThrownBy(() -> source.read(0, new byte[1], 0, 1))
          .isInstanceOf(IndexOutOfBoundsException.class);
    }
  }

  @Test
  void read_replacedOrDeletedObject_isRefused() throws IOException {
    server.put(BUCKET, "changing", Settings.bytes(100, 5));
    DataFile found = only("changing");
    try (ByteSource source = found.open()) {
      source.read(0, new byte[10], 0, 10);
      server.put(BUCKET, "changing", Settings.bytes(100, 6));
      assertThat(only("changing").identity()).isNotEqualTo(found.identity());
      for (int i = 0; i < 2; i++) {
        assertFails(
            ProblemCode.SOURCE_CHANGED,
            () -> source.read(10, new byte[10], 0, 10),
            "s3://vectors/changing");
      }
      server.delete(BUCKET, "changing");
      assertFails(
          ProblemCode.SOURCE_NOT_FOUND,
          () -> source.read(10, new byte[10], 0, 10),
          "s3://vectors/changing");
    }
  }

  @Test
  void credentials_thatAreWrong_areDenied() throws IOException {
    server.put(BUCKET, "denied", new byte[1]);
    for (AwsCredentialsProvider wrong :
        List.of(
            Settings.credentials(S3Server.ACCESS_KEY, "wrong-secret"),
            Settings.credentials("wrong-key", S3Server.SECRET_KEY))) {
      try (Storage other = storage(wrong)) {
        for (String source : List.of("s3://vectors/denied", "s3://vectors/*")) {
          assertThatThrownBy(() -> other.find(source))
              .hasMessageNotContainingAny("wrong-secret", S3Server.SECRET_KEY);
          assertProblem(ProblemCode.SOURCE_ACCESS_DENIED, () -> other.find(source), "HTTP 403");
        }
        Destination destination = other.destination("s3://vectors/denied/out");
        assertFails(ProblemCode.SOURCE_ACCESS_DENIED, destination::exists);
        Path finished = file(new byte[1]);
        assertFails(ProblemCode.SOURCE_ACCESS_DENIED, () -> destination.publish(finished, JOB));
        assertThat(finished).exists();
      }
    }
  }

  @Test
  void server_thatIsNotThere_isUnavailableSoon() throws IOException {
    int port;
    try (var socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = socket.getLocalPort();
    }
    try (Storage nowhere = storageAt(port)) {
      long start = System.nanoTime();
      assertProblem(
          ProblemCode.SOURCE_UNAVAILABLE,
          () -> nowhere.find("s3://vectors/x"),
          "http://127.0.0.1:" + port,
          "refused");
      assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofMinutes(2));
    }
  }

  @Test
  void server_thatIsSilentOrFails_isUnavailableAfterRetries() throws IOException {
    try (var silent = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        Storage nothing = storageAt(silent.getLocalPort())) {
      assertProblem(
          ProblemCode.SOURCE_UNAVAILABLE,
          () -> nothing.find("s3://vectors/x"),
          "s3://vectors/x",
          "timed out");
    }
    var requests = new AtomicInteger();
    HttpServer failing = HttpServer.create(loopback(), 0);
    failing.createContext(
        "/",
        exchange -> {
          requests.incrementAndGet();
          exchange.sendResponseHeaders(503, -1);
          exchange.close();
        });
    failing.start();
    try (Storage nothing = storageAt(failing.getAddress().getPort())) {
      assertProblem(
          ProblemCode.SOURCE_UNAVAILABLE, () -> nothing.find("s3://vectors/x"), "HTTP 503");
      assertThat(requests.get()).isEqualTo(3);
    } finally {
      failing.stop(0);
    }
  }

  /** A server that breaks off its first answer to a range, and ignores ranges at the last. */
  @Test
  void read_brokenAnswers_areAskedForAgain() throws IOException {
    byte[] content = Settings.bytes(100_000, 7);
    var gets = new AtomicInteger();
    HttpServer flaky = HttpServer.create(loopback(), 0);
    flaky.createContext(
        "/vectors/x",
        exchange -> {
          var headers = exchange.getResponseHeaders();
          headers.set("ETag", "\"one\"");
          if (exchange.getRequestMethod().equals("HEAD")) {
            headers.set("Content-Length", Integer.toString(content.length));
            exchange.sendResponseHeaders(200, -1);
            exchange.close();
            return;
          }
          int get = gets.incrementAndGet();
          boolean ranged = get <= 2;
          exchange.sendResponseHeaders(ranged ? 206 : 200, ranged ? 50_000 : content.length);
          exchange.getResponseBody().write(content, 0, get == 1 ? 20_000 : 50_000);
          // Closing without having sent all breaks the connection.
          exchange.close();
        });
    flaky.start();
    try (Storage other = storageAt(flaky.getAddress().getPort());
        ByteSource source = other.find("s3://vectors/x").getFirst().open()) {
      byte[] half = new byte[50_000];
      source.read(0, half, 0, half.length);
      assertThat(half).isEqualTo(Arrays.copyOf(content, half.length));
      assertThat(gets.get()).isEqualTo(2);
      assertFails(
          ProblemCode.SOURCE_UNAVAILABLE,
          () -> source.read(70_000, half, 0, 10),
          "expected bytes 70000 to 70009",
          "got 100000");
    } finally {
      flaky.stop(0);
    }
  }

  private static InetSocketAddress loopback() {
    return new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
  }

  @Test
  void publish_filesOfAnySize_areThereWhole() throws IOException {
    for (int size : new int[] {0, 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES, 12_345_678}) {
      String key = "published/ö " + size;
      byte[] content = Settings.bytes(size, size);
      Path finished = file(content);
      Destination destination = storage.destination("s3://vectors/" + key);
      assertThat(destination.uri()).isEqualTo("s3://vectors/" + key);
      assertThat(destination.exists()).isFalse();
      destination.publish(finished, JOB);
      assertThat(destination.exists()).isTrue();
      assertThat(finished).doesNotExist();
      assertThat(Arrays.equals(server.get(BUCKET, key).orElseThrow(), content)).isTrue();
      assertThat(server.uploads(BUCKET)).doesNotContain(key);

      Path again = file(new byte[] {1, 2, 3});
      assertFails(ProblemCode.DESTINATION_EXISTS, () -> destination.publish(again, JOB), key);
      assertThat(again).exists();
      assertThat(Arrays.equals(server.get(BUCKET, key).orElseThrow(), content)).isTrue();
    }
  }

  /** A server that refuses an object as being there already, first somebody else's, then ours. */
  @Test
  void publish_refusedAsThere_isOursOnlyIfItSaysSo() throws IOException {
    var upload = new AtomicReference<>("");
    var ours = new AtomicBoolean();
    HttpServer raced = HttpServer.create(loopback(), 0);
    raced.createContext(
        "/vectors/x",
        exchange -> {
          exchange.getRequestBody().readAllBytes();
          if (exchange.getRequestMethod().equals("PUT")) {
            assertThat(exchange.getRequestHeaders().getFirst("If-None-Match")).isEqualTo("*");
            upload.set(exchange.getRequestHeaders().getFirst("x-amz-meta-semantic-id-upload"));
            exchange.sendResponseHeaders(412, -1);
          } else if (upload.get().isEmpty()) {
            exchange.sendResponseHeaders(404, -1);
          } else {
            exchange
                .getResponseHeaders()
                .set("x-amz-meta-semantic-id-upload", ours.get() ? upload.get() : "another");
            exchange.sendResponseHeaders(200, -1);
          }
          exchange.close();
        });
    raced.start();
    try (Storage other = storageAt(raced.getAddress().getPort())) {
      Destination destination = other.destination("s3://vectors/x");
      Path finished = file(new byte[100]);
      assertFails(ProblemCode.DESTINATION_EXISTS, () -> destination.publish(finished, JOB));
      assertThat(finished).exists();
      upload.set("");
      ours.set(true);
      destination.publish(finished, JOB);
      assertThat(finished).doesNotExist();
    } finally {
      raced.stop(0);
    }
  }

  @Test
  void publish_failure_leavesNothing() throws IOException {
    Path finished = file(new byte[PART_BYTES + 1]);
    assertFails(
        ProblemCode.DESTINATION_INVALID,
        () -> storage.destination("s3://nobody/x").publish(finished, JOB),
        "nobody");
    assertThat(finished).exists();
  }

  @Test
  void discard_unfinishedUploads_areThoseOfTheKeyOnly() throws IOException {
    server.beginUpload(BUCKET, "left/out");
    server.beginUpload(BUCKET, "left/out");
    server.beginUpload(BUCKET, "left/out2");
    Destination destination = storage.destination("s3://vectors/left/out");
    destination.discard(JOB);
    assertThat(server.uploads(BUCKET)).contains("left/out2").doesNotContain("left/out");
    destination.discard(JOB);
    assertThat(destination.exists()).isFalse();
  }

  @Test
  void destination_thatCannotBeOne_isRefused() {
    for (String place : List.of("s3://vectors", "s3://vectors/x/", "s3://vectors/x*", "s3:x")) {
      assertProblem(ProblemCode.DESTINATION_INVALID, () -> storage.destination(place), place);
    }
  }
}
