package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.JSON;
import static dev.semanticid.service.ServiceClient.NPY;
import static dev.semanticid.service.ServiceClient.OCTETS;
import static dev.semanticid.service.ServiceClient.SMALL;
import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Codebook;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Whatever is wrong with a request is said, with a stable code and both numbers; and then nothing
 * of it is kept, and the service goes on as before.
 */
class BadInputIT {

  private static final int D = 16;
  private static final int MOST_ROWS = 64;
  private static final float[][] ROWS = Embeddings.rows(20, D, 9);
  private static final float[] ROW = ROWS[0];

  private static ServiceProcess service;
  private static ServiceClient client;
  private static Path root;
  private static Path outside;
  private static Codebook codebook;
  private static String codebooks;
  private static String jobs;

  @BeforeAll
  static void start(@TempDir Path folder) throws IOException {
    root = Files.createDirectories(folder.resolve("root")).toRealPath();
    outside = Files.createDirectories(folder.resolve("outside")).toRealPath();
    layOutSources();
    service =
        ServiceProcess.start(
            folder.resolve("data"),
            "--semantic-id.data-root=" + root,
            "--semantic-id.encoding.max-rows=" + MOST_ROWS,
            "--semantic-id.encoding.max-body-size=64KB",
            "--semantic-id.training.max-upload-size=128KB",
            "--semantic-id.codebooks.max-upload-size=16KB");
    client = service.client();
    client.train(SMALL, Embeddings.rows(600, D, 1));
    codebook = client.download("default", 1);
    codebooks = client.get("/codebooks").text();
    jobs = client.get("/train").text();
  }

  private static void layOutSources() throws IOException {
    byte[] good = Embeddings.npy(Embeddings.rows(100, D, 2));
    Files.write(root.resolve("good.npy"), good);
    Files.write(outside.resolve("secret.npy"), good);
    Files.createSymbolicLink(root.resolve("link.npy"), outside.resolve("secret.npy"));
    Files.createSymbolicLink(root.resolve("folder"), outside);
    Files.createDirectories(root.resolve("directory.npy"));
    Path links = Files.createDirectories(root.resolve("links"));
    Files.write(links.resolve("a.npy"), good);
    Files.createSymbolicLink(links.resolve("b.npy"), outside.resolve("secret.npy"));
    Path mixed = Files.createDirectories(root.resolve("mixed"));
    Files.write(mixed.resolve("a.npy"), good);
    Files.write(mixed.resolve("b.npy"), Arrays.copyOf(good, good.length - 5));
    Path dimensions = Files.createDirectories(root.resolve("dimensions"));
    Files.write(dimensions.resolve("a.npy"), good);
    Files.write(dimensions.resolve("b.npy"), Embeddings.npy(Embeddings.rows(100, D - 1, 2)));
    Files.write(root.resolve("five.npy"), Embeddings.npy(Arrays.copyOf(ROWS, 5)));
    Files.write(root.resolve("none.npy"), Embeddings.npy("<f4", new byte[0], 0, D));
    Files.write(root.resolve("long.npy"), Arrays.copyOf(good, good.length + 1));
    Files.write(root.resolve("empty.npy"), new byte[0]);
    Files.writeString(root.resolve("text.npy"), "not numbers at all, whatever the name says");
    Files.write(
        root.resolve("big-endian.npy"),
        Embeddings.npy(">f4", Embeddings.octets(ROWS), ROWS.length, D));
  }

  @AfterAll
  static void stop() {
    service.close();
  }

  @AfterEach
  void nothingIsKeptAndTheServiceGoesOn() {
    Await.until(
        "the end of all jobs",
        () -> !client.get("/train").text().matches("(?s).*\"state\":\"(queued|running)\".*"),
        () -> client.get("/train").text());
    String codebooksBefore = codebooks;
    String jobsBefore = jobs;
    // A request that was wrongly accepted fails its own test, not all that follow.
    codebooks = client.get("/codebooks").text();
    jobs = client.get("/train").text();
    assertThat(codebooks).isEqualTo(codebooksBefore);
    assertThat(jobs).isEqualTo(jobsBefore);
    assertThat(service.spooled()).isEmpty();
    assertThat(client.encode("", ROWS).codes()).isDeepEqualTo(Embeddings.reference(codebook, ROWS));
  }

  /**
   * A request and the problem it must give.
   *
   * @param named what the problem's sentence must name
   */
  record Bad(
      String what,
      String path,
      String contentType,
      byte[] body,
      int status,
      String code,
      Object... named) {

    @Override
    public String toString() {
      return what;
    }
  }

  private static void refuse(Bad bad) {
    client.post(bad.path, bad.contentType, bad.body).expectProblem(bad.status, bad.code, bad.named);
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static Bad json(String body, int status, String code, Object... named) {
    String what = body.length() > 80 ? body.substring(0, 80) + "…" : body;
    return new Bad("encode " + what, "/encode", JSON, utf8(body), status, code, named);
  }

  /** A row as JSON whose component at {@code index} is another text. */
  private static String with(int index, String component) {
    String[] components = new String[D];
    Arrays.fill(components, "0.5");
    components[index] = component;
    return "[" + String.join(",", components) + "]";
  }

  private static String numbers(int count) {
    String[] components = new String[count];
    Arrays.fill(components, "0.5");
    return "[" + String.join(",", components) + "]";
  }

  private static float[] poisoned(float value) {
    float[] row = ROW.clone();
    row[3] = value;
    return row;
  }

  static Stream<Bad> badJson() {
    String row = numbers(D);
    String many = String.join(",", Collections.nCopies(MOST_ROWS + 1, row));
    return Stream.of(
        json("[" + numbers(D - 1) + "]", 422, "DIMENSION_MISMATCH", D, D - 1, "row 0"),
        json("[" + numbers(D + 1) + "]", 422, "DIMENSION_MISMATCH", D, D + 1, "row 0"),
        json(numbers(D + 3), 422, "DIMENSION_MISMATCH", D, D + 3),
        json("[[]]", 422, "DIMENSION_MISMATCH", D, 0),
        json("{\"embeddings\": [[]]}", 422, "DIMENSION_MISMATCH", D, 0),
        json("[%s,%s]".formatted(row, numbers(D - 2)), 400, "RAGGED_ROWS", D, D - 2, "row 1"),
        json("[%s,%s]".formatted(row, numbers(D + 2)), 400, "RAGGED_ROWS", D, D + 2, "row 1"),
        json("[%s,[]]".formatted(row), 400, "RAGGED_ROWS", D, 0, "row 1"),
        json("", 400, "MALFORMED_JSON"),
        json(" \n", 400, "MALFORMED_JSON"),
        json("{}", 400, "MALFORMED_JSON", "embeddings"),
        json("[]", 400, "EMPTY_BATCH"),
        json("{\"embeddings\": []}", 400, "EMPTY_BATCH"),
        json("{\"embeddings\": null}", 400, "MALFORMED_JSON", "null"),
        json("{\"embeddings\": \"AAAA\"}", 400, "MALFORMED_JSON", "a string"),
        json("{\"embeddings\": {\"0\": %s}}".formatted(row), 400, "MALFORMED_JSON", "an object"),
        json("[%s,null]".formatted(row), 400, "MALFORMED_JSON", "row 1", "null"),
        json("[%s,0.5]".formatted(row), 400, "MALFORMED_JSON", "row 1", "a number"),
        json("null", 400, "MALFORMED_JSON"),
        json("\"x\"", 400, "MALFORMED_JSON"),
        json("0.5", 400, "MALFORMED_JSON"),
        json("[" + with(2, "NaN") + "]", 400, "MALFORMED_JSON"),
        json("[" + with(2, "Infinity") + "]", 400, "MALFORMED_JSON"),
        json("[" + with(2, "-Infinity") + "]", 400, "MALFORMED_JSON"),
        json("[" + with(2, "+1") + "]", 400, "MALFORMED_JSON"),
        json("[" + with(2, ".5") + "]", 400, "MALFORMED_JSON"),
        json("[" + with(2, "5.") + "]", 400, "MALFORMED_JSON"),
        json("[" + with(2, "0x1") + "]", 400, "MALFORMED_JSON"),
        json("[" + with(2, "01") + "]", 400, "MALFORMED_JSON"),
        json("[" + with(2, "") + "]", 400, "MALFORMED_JSON"),
        json("[" + with(D - 1, "1,") + "]", 400, "MALFORMED_JSON"),
        json("[%s,]".formatted(row), 400, "MALFORMED_JSON"),
        json("[%s] // comment".formatted(row), 400, "MALFORMED_JSON"),
        json("[%s,%s]".formatted(row, with(2, "1e39")), 422, "NON_FINITE_VALUE", "row 1"),
        json("[" + with(2, "-1e39") + "]", 422, "NON_FINITE_VALUE", "row 0"),
        json("[" + with(2, "1e400") + "]", 422, "NON_FINITE_VALUE", "row 0"),
        json("[" + with(2, "3.4028236e38") + "]", 422, "NON_FINITE_VALUE", "row 0"),
        json("[" + with(2, "1e99999999999") + "]", 422, "NON_FINITE_VALUE", "row 0"),
        json("[" + with(2, "1" + "0".repeat(60)) + "]", 422, "NON_FINITE_VALUE", "row 0"),
        json("[" + with(2, "0." + "1".repeat(5000)) + "]", 400, "MALFORMED_JSON"),
        json("[" + with(2, "\"NaN\"") + "]", 400, "MALFORMED_JSON", "row 0", "component 2"),
        json("[" + with(2, "\"0.5\"") + "]", 400, "MALFORMED_JSON", "component 2", "a string"),
        json("[" + with(2, "null") + "]", 400, "MALFORMED_JSON", "component 2", "null"),
        json("[" + with(2, "true") + "]", 400, "MALFORMED_JSON", "component 2", "a boolean"),
        json("[" + with(2, "{}") + "]", 400, "MALFORMED_JSON", "component 2", "an object"),
        json("[" + with(2, "[1]") + "]", 400, "MALFORMED_JSON", "component 2", "an array"),
        json("[[%s]]".formatted(row), 400, "MALFORMED_JSON", "an array"),
        json("[".repeat(100), 400, "MALFORMED_JSON"),
        json("[".repeat(50_000), 400, "MALFORMED_JSON"),
        json("{\"a\":".repeat(10_000), 400, "UNKNOWN_PARAMETER"),
        json("[%s] x".formatted(row), 400, "MALFORMED_JSON"),
        json("[%s][]".formatted(row), 400, "MALFORMED_JSON"),
        json("{\"embeddings\": [%s]}}".formatted(row), 400, "MALFORMED_JSON"),
        json("{\"embeddings\": [%s]} {}".formatted(row), 400, "MALFORMED_JSON"),
        json(
            "{\"embeddings\": [%s], \"embeddings\": [%s]}".formatted(row, row),
            400,
            "MALFORMED_JSON",
            "embeddings"),
        json(
            "{\"embedding_model\": \"a\", \"embedding_model\": \"b\", \"embeddings\": [%s]}"
                .formatted(row),
            400,
            "MALFORMED_JSON",
            "embedding_model"),
        json(
            "{\"embeddings\": [%s], \"embedding_model\": 7}".formatted(row),
            400,
            "MALFORMED_JSON",
            "embedding_model"),
        json(
            "{\"embeddings\": [%s], \"nonsense\": 1}".formatted(row),
            400,
            "UNKNOWN_PARAMETER",
            "nonsense"),
        json("[%s]".formatted(many), 413, "PAYLOAD_TOO_LARGE", MOST_ROWS),
        json("[%s]%s".formatted(row, " ".repeat(70_000)), 413, "PAYLOAD_TOO_LARGE", 65_536));
  }

  @ParameterizedTest
  @MethodSource("badJson")
  void encode_badJson_isRefused(Bad bad) {
    refuse(bad);
  }

  @Test
  void encode_truncatedJson_isRefused() {
    String body = "{\"embeddings\": [%s, %s]}".formatted(numbers(D), with(1, "-1.25e-3"));
    for (int length = 0; length < body.length(); length += 3) {
      client.post("/encode", body.substring(0, length)).expectProblem(400, "MALFORMED_JSON");
    }
  }

  @Test
  void encode_jsonThatIsNotUtf8_isRefused() {
    byte[] body = utf8("{\"embeddings\": [%s], \"embedding_model\": \"??\"}".formatted(numbers(D)));
    body[body.length - 4] = (byte) 0xC3;
    body[body.length - 3] = (byte) 0x28;
    client.post("/encode", JSON, body).expectProblem(400, "MALFORMED_JSON");
  }

  private static Bad octets(
      String what, String query, byte[] body, int status, String code, Object... named) {
    return new Bad("encode " + what, "/encode?" + query, OCTETS, body, status, code, named);
  }

  static Stream<Bad> badOctets() {
    byte[] row = Embeddings.octets(new float[][] {ROW});
    byte[] half = Embeddings.halves(new float[][] {ROW});
    byte[] tooMany = Embeddings.octets(Embeddings.rows(MOST_ROWS + 1, D, 3));
    return Stream.of(
        octets("nothing", "", new byte[0], 400, "EMPTY_BATCH"),
        octets("odd length", "", Arrays.copyOf(row, 67), 400, "MALFORMED_BODY", 64, 67),
        octets("one byte", "", new byte[1], 400, "MALFORMED_BODY", 64, 1),
        octets("half a row", "", half, 400, "MALFORMED_BODY", 64, 32),
        octets("odd f2", "dtype=f2", Arrays.copyOf(half, 33), 400, "MALFORMED_BODY", 32, 33),
        octets("NaN", "", bytes(poisoned(Float.NaN)), 422, "NON_FINITE_VALUE", "row 1"),
        octets("+∞", "", bytes(poisoned(1f / 0)), 422, "NON_FINITE_VALUE", "row 1"),
        octets("−∞", "", bytes(poisoned(-1f / 0)), 422, "NON_FINITE_VALUE", "row 1"),
        octets(
            "f2 beyond",
            "dtype=f2",
            Embeddings.halves(new float[][] {ROW, poisoned(1e9f)}),
            422,
            "NON_FINITE_VALUE",
            "row 1"),
        octets(
            "bf16 NaN",
            "dtype=bf16",
            Embeddings.bfloats(new float[][] {ROW, poisoned(Float.NaN)}),
            422,
            "NON_FINITE_VALUE",
            "row 1"),
        octets("too many rows", "", tooMany, 413, "PAYLOAD_TOO_LARGE", MOST_ROWS, MOST_ROWS + 1),
        octets("too many bytes", "", new byte[70_000], 413, "PAYLOAD_TOO_LARGE", 65_536, 70_000),
        octets("dtype f8", "dtype=f8", row, 400, "INVALID_PARAMETER", "f8", "bf16"),
        octets("dtype F4", "dtype=F4", row, 400, "INVALID_PARAMETER", "F4"),
        octets("dtype twice", "dtype=f4&dtype=f2", row, 400, "INVALID_PARAMETER"),
        octets("unknown", "fromat=x", row, 400, "UNKNOWN_PARAMETER", "fromat", "dtype"),
        octets("codebook", "codebook=none", row, 404, "UNKNOWN_CODEBOOK", "none", "default"),
        octets("codebook ..", "codebook=../x", row, 400, "INVALID_PARAMETER", "codebook"),
        octets("codebook %00", "codebook=a%00b", row, 400, "INVALID_PARAMETER", "codebook"),
        octets("codebook twice", "codebook=a&codebook=b", row, 400, "INVALID_PARAMETER"),
        octets("version", "version=2", row, 404, "UNKNOWN_VERSION", "2", "[1]", "active"),
        octets("version 0", "version=0", row, 404, "UNKNOWN_VERSION", "0", "[1]"),
        octets("long version", "version=99999999999", row, 404, "UNKNOWN_VERSION", "[1]"),
        octets("alias", "version=canary", row, 404, "UNKNOWN_VERSION", "canary", "[active]"),
        octets("version -1", "version=-1", row, 400, "INVALID_PARAMETER", "version"),
        octets("version ..", "version=../1", row, 400, "INVALID_PARAMETER", "version"),
        new Bad(
            "encode dtype with JSON",
            "/encode?dtype=f4",
            JSON,
            utf8(numbers(D)),
            400,
            "INVALID_PARAMETER",
            "dtype"));
  }

  private static byte[] bytes(float[] second) {
    return Embeddings.octets(new float[][] {ROW, second});
  }

  @ParameterizedTest
  @MethodSource("badOctets")
  void encode_badOctetsOrQuery_isRefused(Bad bad) {
    refuse(bad);
  }

  /**
   * Files that no reader of {@code .npy} takes for embeddings; both {@code /encode} and {@code
   * /train} refuse them with MALFORMED_BODY.
   */
  static Stream<Bad> malformedNpy() {
    byte[] data = Embeddings.octets(ROWS);
    int n = ROWS.length;
    byte[] good = Embeddings.npy(ROWS);
    byte[] magic = good.clone();
    magic[0] = 0x50;
    byte[] version = good.clone();
    version[6] = 9;
    byte[] headerTooLong = good.clone();
    headerTooLong[9] = (byte) 0xFF;
    return Stream.of(
        npy("trailing byte", Arrays.copyOf(good, good.length + 1), data.length),
        npy("twice", Arrays.copyOf(good, 2 * good.length), data.length),
        npy(
            "Fortran order",
            header("<f4", "True", String.format(Locale.ROOT, "(%d, %d)", n, D)),
            "fortran_order"),
        npy(">f4", Embeddings.npy(">f4", data, n, D), "'>f4'"),
        npy("<i4", Embeddings.npy("<i4", data, n, D), "'<i4'"),
        npy("|O", Embeddings.npy("|O", data, n, D), "'|O'"),
        npy("<c8", Embeddings.npy("<c8", data, n / 2, D), "'<c8'"),
        npy("|u1", Embeddings.npy("|u1", data, 4L * n, D), "'|u1'"),
        npy(
            "structured",
            plain("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (20, 16)}"),
            "descr"),
        npy(
            "overflow",
            header("<f4", "False", String.format(Locale.ROOT, "(9223372036854775807, %d)", D)),
            "shape"),
        npy(
            "beyond a long",
            header("<f4", "False", String.format(Locale.ROOT, "(99999999999999999999, %d)", D))),
        npy("negative rows", header("<f4", "False", String.format(Locale.ROOT, "(-1, %d)", D))),
        npy(
            "negative dimension",
            header("<f4", "False", String.format(Locale.ROOT, "(%d, -16)", n))),
        npy("three axes", Embeddings.npy("<f4", data, 2, n / 2, D), "(2, 10, 16)"),
        npy("no axis", Embeddings.npy("<f4", Arrays.copyOf(data, 4))),
        npy("dimension 0", Embeddings.npy("<f4", new byte[0], n, 0), "(20, 0)"),
        npy("no shape", plain("{'descr': '<f4', 'fortran_order': False}")),
        npy("key twice", plain("{'descr': '<f4', 'descr': '<f4', 'shape': (1, 16)}")),
        npy("code", plain("{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,)}")),
        npy("no dictionary", plain("[1, 2, 3]")),
        npy("magic", magic),
        npy("version 9.0", version),
        npy("header longer than the file", headerTooLong),
        npy("text", utf8("these are no numbers")),
        npy("zip", utf8("PK\u0003\u0004 what numpy.savez writes")));
  }

  private static byte[] header(String descr, String fortran, String shape) {
    return plain(
        "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }".formatted(descr, fortran, shape));
  }

  private static byte[] plain(String dictionary) {
    return Embeddings.npyOfHeader(dictionary, 1, Embeddings.octets(ROWS));
  }

  private static Bad npy(String what, byte[] file, Object... named) {
    return new Bad(what, "", NPY, file, 400, "MALFORMED_BODY", named);
  }

  @ParameterizedTest
  @MethodSource("malformedNpy")
  void encodeAndTrain_malformedNpy_isRefused(Bad bad) {
    client.post("/encode", NPY, bad.body).expectProblem(bad.status, bad.code, bad.named);
    client
        .post("/train?codebook=new&" + SMALL, NPY, bad.body)
        .expectProblem(bad.status, bad.code, bad.named);
  }

  @Test
  void encodeAndTrain_truncatedNpy_isRefused() {
    byte[] good = Embeddings.npy(ROWS);
    for (int length = 0; length < good.length; length += length < 140 ? 3 : 97) {
      byte[] file = Arrays.copyOf(good, length);
      client.post("/encode", NPY, file).expectProblem(400, "MALFORMED_BODY");
      client.post("/train?codebook=new&" + SMALL, NPY, file).expectProblem(400, "MALFORMED_BODY");
    }
    byte[] cut = Arrays.copyOf(good, good.length - 7);
    int data = 4 * ROWS.length * D;
    client.post("/encode", NPY, cut).expectProblem(400, "MALFORMED_BODY", data, data - 7);
    client
        .post("/train?codebook=new&" + SMALL, NPY, cut)
        .expectProblem(400, "MALFORMED_BODY", data, data - 7);
  }

  private static Bad encodeNpy(String what, byte[] file, int status, String code, Object... named) {
    return new Bad("encode npy " + what, "/encode", NPY, file, status, code, named);
  }

  private static Bad trainNpy(
      String what, String query, byte[] file, int status, String code, Object... named) {
    String path = "/train?codebook=new&" + (query.isEmpty() ? SMALL : query);
    return new Bad("train npy " + what, path, NPY, file, status, code, named);
  }

  static Stream<Bad> badNpy() {
    byte[] narrow = Embeddings.npy(Embeddings.rows(20, D - 1, 3));
    byte[] nan = Embeddings.npy(new float[][] {ROW, ROW, poisoned(Float.NaN)});
    byte[] beyond = Embeddings.npy("<f8", doubleBytes(1e39), 1, D);
    byte[] none = Embeddings.npy("<f4", new byte[0], 0, D);
    byte[] many = Embeddings.npy(Embeddings.rows(MOST_ROWS + 1, D, 3));
    byte[] promised = header("<f4", "False", String.format(Locale.ROOT, "(1000000000000, %d)", D));
    byte[] nan20 =
        Embeddings.npy(
            Stream.concat(Arrays.stream(ROWS), Stream.of(poisoned(-1f / 0)))
                .toArray(float[][]::new));
    return Stream.of(
        encodeNpy("dimension", narrow, 422, "DIMENSION_MISMATCH", D, D - 1),
        encodeNpy(
            "vector's dimension",
            Embeddings.npy("<f4", new byte[60], 15),
            422,
            "DIMENSION_MISMATCH",
            D,
            15),
        encodeNpy("no rows", none, 400, "EMPTY_BATCH"),
        encodeNpy("NaN", nan, 422, "NON_FINITE_VALUE", "row 2"),
        encodeNpy("f8 beyond float32", beyond, 422, "NON_FINITE_VALUE", "row 0"),
        encodeNpy("too many rows", many, 413, "PAYLOAD_TOO_LARGE", MOST_ROWS, MOST_ROWS + 1),
        encodeNpy("promised rows", promised, 413, "PAYLOAD_TOO_LARGE", MOST_ROWS),
        trainNpy("no rows", "", none, 422, "TOO_FEW_ROWS", 8, 0),
        trainNpy(
            "few rows",
            SMALL.replace("=8", "=21"),
            Embeddings.npy(ROWS),
            422,
            "TOO_FEW_ROWS",
            21,
            20),
        trainNpy(
            "few for the widest",
            "codebook_width=4,21,8",
            Embeddings.npy(ROWS),
            422,
            "TOO_FEW_ROWS",
            21,
            20),
        trainNpy(
            "few for the default", "seed=1", Embeddings.npy(ROWS), 422, "TOO_FEW_ROWS", 256, 20),
        trainNpy(
            "dimension",
            SMALL + "&embedding_dim=17",
            Embeddings.npy(ROWS),
            422,
            "DIMENSION_MISMATCH",
            17,
            16),
        trainNpy("NaN", "", nan20, 422, "NON_FINITE_VALUE", "row 20"),
        trainNpy("promised rows", "", promised, 400, "MALFORMED_BODY", 64_000_000_000_000L),
        trainNpy("too long", "", new byte[140_000], 413, "PAYLOAD_TOO_LARGE", 131_072, 140_000),
        trainNpy(
            "dtype", SMALL + "&dtype=f4", Embeddings.npy(ROWS), 400, "INVALID_PARAMETER", "dtype"));
  }

  private static byte[] doubleBytes(double value) {
    var buffer = ByteBuffer.allocate(8 * D).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < D; i++) {
      buffer.putDouble(value);
    }
    return buffer.array();
  }

  @ParameterizedTest
  @MethodSource("badNpy")
  void encodeOrTrain_badNpy_isRefused(Bad bad) {
    refuse(bad);
  }

  @ParameterizedTest
  @ValueSource(strings = {"/encode", "/train?codebook=new&embedding_dim=16&" + SMALL})
  void encodeAndTrain_bodyShorterThanAnnounced_isRefused(String path) {
    byte[] body = Embeddings.octets(ROWS);
    for (int sent : new int[] {1, 63, 64, 640, 1279}) {
      client
          .sendRaw(path, OCTETS, "Content-Length: " + body.length, Arrays.copyOf(body, sent))
          .expectProblem(400, "MALFORMED_BODY", body.length, sent);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"/encode", "/train?codebook=new&" + SMALL})
  void encodeAndTrain_npyShorterThanAnnounced_isRefused(String path) {
    byte[] body = Embeddings.npy(ROWS);
    for (int sent : new int[] {0, 5, 100, 128, 1000}) {
      client
          .sendRaw(path, NPY, "Content-Length: " + body.length, Arrays.copyOf(body, sent))
          .expectProblem(400, "MALFORMED_BODY", body.length, sent);
    }
  }

  @Test
  void encode_jsonShorterThanAnnounced_isRefused() {
    byte[] body = utf8("[" + numbers(D) + "]");
    for (int sent = 0; sent < body.length; sent += 13) {
      Answer answer =
          client.sendRaw(
              "/encode", JSON, "Content-Length: " + body.length, Arrays.copyOf(body, sent));
      answer.expect(400);
      assertThat(answer.json().path("code").asString())
          .as(answer.toString())
          .isIn("MALFORMED_BODY", "MALFORMED_JSON");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"/encode", "/train?codebook=new&embedding_dim=16&" + SMALL})
  void encodeAndTrain_brokenChunks_areRefused(String path) {
    byte[] row = Embeddings.octets(new float[][] {ROW});
    String chunked = "Transfer-Encoding: chunked";
    byte[] unended = concat(utf8("40\r\n"), row, utf8("\r\n"));
    byte[] cut = concat(utf8("40\r\n"), Arrays.copyOf(row, 30));
    byte[] noLength = concat(utf8("xyz\r\n"), row, utf8("\r\n0\r\n\r\n"));
    byte[] odd = concat(utf8("3f\r\n"), Arrays.copyOf(row, 63), utf8("\r\n0\r\n\r\n"));
    for (byte[] body : List.of(unended, cut, noLength, odd)) {
      client.sendRaw(path, OCTETS, chunked, body).expectProblem(400, "MALFORMED_BODY");
    }
  }

  @Test
  void encode_chunkedBodyWithoutRows_isRefused() {
    client
        .sendRaw("/encode", OCTETS, "Transfer-Encoding: chunked", utf8("0\r\n\r\n"))
        .expectProblem(400, "EMPTY_BATCH");
  }

  @Test
  void encode_chunkedBodyTooLong_isRefused() {
    byte[] body = new byte[70_000];
    client
        .sendRaw(
            "/encode",
            OCTETS,
            "Transfer-Encoding: chunked",
            concat(utf8("11170\r\n"), body, utf8("\r\n0\r\n\r\n")))
        .expectProblem(413, "PAYLOAD_TOO_LARGE");
  }

  private static byte[] concat(byte[]... parts) {
    var all = new ByteArrayOutputStream();
    for (byte[] part : parts) {
      all.writeBytes(part);
    }
    return all.toByteArray();
  }

  @ParameterizedTest
  @ValueSource(strings = {"codebook=%zz", "codebook=%C3%28", "codebook=%", "%ff=1"})
  void encodeAndTrain_malformedQuery_isRefused(String query) {
    byte[] body = Embeddings.npy(ROWS);
    String length = "Content-Length: " + body.length;
    for (String path : List.of("/encode?", "/train?codebook=new&" + SMALL + "&")) {
      Answer answer = client.sendRaw(path + query, NPY, length, body).expect(400);
      assertThat(answer.header("Content-Type"))
          .as(answer.toString())
          .startsWith("application/problem+json");
    }
  }

  @Test
  void train_bodyThatCallsItselfAForm_isRefused() {
    String form = "application/x-www-form-urlencoded";
    client
        .post("/train?codebook=new&" + SMALL, form, Embeddings.npy(ROWS))
        .expectProblem(415, "UNSUPPORTED_MEDIA_TYPE", form);
    client
        .post("/codebooks/new/versions", form, Embeddings.safetensors(codebook))
        .expectProblem(415, "UNSUPPORTED_MEDIA_TYPE");
  }

  private static Bad query(String query, String code, Object... named) {
    return new Bad(
        "train ?" + query,
        "/train?codebook=new&" + query,
        NPY,
        Embeddings.npy(ROWS),
        400,
        code,
        named);
  }

  private static Bad invalid(String query, Object... named) {
    String name = query.substring(0, query.indexOf('='));
    return query(
        "codebook_width=8&".repeat(name.equals("codebook_width") ? 0 : 1) + query,
        "INVALID_PARAMETER",
        concatenated(name, named));
  }

  private static Object[] concatenated(Object first, Object... rest) {
    return Stream.concat(Stream.of(first), Arrays.stream(rest)).toArray();
  }

  static Stream<Bad> badParameters() {
    var bad = new ArrayList<Bad>();
    for (String whole :
        List.of(
            "num_hierarchies", "codebook_width", "init_buffer_size", "batch_size", "max_steps")) {
      for (String value : List.of("0", "-1", "1.5", "many", "", "99999999999", "true", "0x10")) {
        bad.add(invalid(whole + "=" + value, value));
      }
      bad.add(query("%s=8&%s=9".formatted(whole, whole), "INVALID_PARAMETER", whole));
    }
    for (String value : List.of("0", "-0.5", "1.5", "fast", "", "NaN", "1e400", "true")) {
      bad.add(invalid("learning_rate=" + value));
    }
    for (String flag :
        List.of("normalize_residuals", "train_layer_wise", "track_residuals", "shuffle")) {
      for (String value : List.of("yes", "1", "", "TRUE", "null")) {
        bad.add(invalid(flag + "=" + value, value));
      }
    }
    for (String value : List.of("1.5", "9223372036854775808", "x", "", "true")) {
      bad.add(invalid("seed=" + value, value));
    }
    for (String value : List.of("maybe", "", "true", "ALWAYS")) {
      bad.add(invalid("activate=" + value, value));
    }
    bad.add(invalid("num_hierarchies=65", 65));
    bad.add(invalid("codebook_width=8,", 8));
    bad.add(invalid("codebook_width=8,x", "x"));
    bad.add(invalid("codebook_width=8,0"));
    bad.add(invalid("codebook_width=8,8&num_hierarchies=3", 3, 2));
    bad.add(invalid("init_buffer_size=7", 8, 7));
    bad.add(invalid("batch_size=2147483647", 2147483647));
    bad.add(invalid("initializer=zufall", "zufall", "kmeans_plus_plus"));
    bad.add(invalid("algorithm=magic", "magic", "minibatch_kmeans"));
    bad.add(invalid("embedding_dim=x", "x"));
    bad.add(invalid("quality_gate.min_unique_ratio=high", "high"));
    bad.add(invalid("quality_gate.max_dead_codes=1.5", "1.5"));
    bad.add(query("nonsense=1", "UNKNOWN_PARAMETER", "nonsense", "codebook_width"));
    bad.add(query("quality_gate=1", "UNKNOWN_PARAMETER", "quality_gate"));
    bad.add(query("max_step=1", "UNKNOWN_PARAMETER", "max_step", "max_steps"));
    for (String name : BAD_NAMES) {
      bad.add(
          new Bad(
              "train codebook=" + name,
              "/train?%s&codebook=%s".formatted(SMALL, name),
              NPY,
              Embeddings.npy(ROWS),
              400,
              "INVALID_PARAMETER",
              "codebook"));
    }
    return bad.stream();
  }

  /** Names of codebooks, as they stand in a query, that must never reach a path or a log. */
  private static final List<String> BAD_NAMES =
      List.of(
          "",
          "..",
          ".hidden",
          "-x",
          "a/b",
          "..%2F..%2Fetc",
          "a%5Cb",
          "a%20b",
          "a%00b",
          "a%0Ab",
          "%C3%A4",
          "a:b",
          "a*b",
          "a'b",
          "a%22b",
          "a".repeat(65));

  @ParameterizedTest
  @MethodSource("badParameters")
  void train_badParameters_areRefused(Bad bad) {
    refuse(bad);
  }

  private static Bad trainOctets(
      String what, String query, byte[] body, int status, String code, Object... named) {
    return new Bad(
        "train octets " + what,
        "/train?codebook=new&%s&%s".formatted(SMALL, query),
        OCTETS,
        body,
        status,
        code,
        named);
  }

  static Stream<Bad> badTrainingOctets() {
    byte[] rows = Embeddings.octets(ROWS);
    byte[] odd = Arrays.copyOf(rows, rows.length - 3);
    byte[] few = Arrays.copyOf(rows, 5 * 64);
    return Stream.of(
        trainOctets("no dimension", "", rows, 400, "INVALID_PARAMETER", "embedding_dim"),
        trainOctets("dimension 0", "embedding_dim=0", rows, 400, "INVALID_PARAMETER", 0),
        trainOctets("dimension -4", "embedding_dim=-4", rows, 400, "INVALID_PARAMETER", -4),
        trainOctets("odd", "embedding_dim=16", odd, 400, "MALFORMED_BODY", 64, odd.length),
        trainOctets("nothing", "embedding_dim=16", new byte[0], 422, "TOO_FEW_ROWS", 8, 0),
        trainOctets("few", "embedding_dim=16", few, 422, "TOO_FEW_ROWS", 8, 5),
        trainOctets("dtype", "embedding_dim=16&dtype=f8", rows, 400, "INVALID_PARAMETER", "f8"),
        trainOctets(
            "NaN",
            "embedding_dim=16",
            concat(rows, bytes(poisoned(Float.NaN))),
            422,
            "NON_FINITE_VALUE",
            "row 21"),
        trainOctets(
            "too long",
            "embedding_dim=16",
            new byte[132_096],
            413,
            "PAYLOAD_TOO_LARGE",
            131_072,
            132_096));
  }

  @ParameterizedTest
  @MethodSource("badTrainingOctets")
  void train_badOctets_areRefused(Bad bad) {
    refuse(bad);
  }

  private static Bad trainJson(String body, int status, String code, Object... named) {
    String what = body.length() > 80 ? body.substring(0, 80) + "…" : body;
    return new Bad("train " + what, "/train", JSON, utf8(body), status, code, named);
  }

  /** A valid request with one more member. */
  private static String sourced(String member) {
    return "{\"codebook\": \"new\", \"source\": {\"uri\": \"file://%s/good.npy\"}, %s}"
        .formatted(root, member);
  }

  static Stream<Bad> badTrainingJson() {
    String width = "\"codebook_width\": 8, ";
    return Stream.of(
        trainJson("", 400, "MALFORMED_JSON"),
        trainJson("[]", 400, "MALFORMED_JSON"),
        trainJson("\"file:///x.npy\"", 400, "MALFORMED_JSON"),
        trainJson("null", 400, "MALFORMED_JSON"),
        trainJson("{", 400, "MALFORMED_JSON"),
        trainJson(sourced(width + "\"seed\": 1") + " x", 400, "MALFORMED_JSON"),
        trainJson(sourced(width + "\"seed\": 1") + "{}", 400, "MALFORMED_JSON"),
        trainJson(sourced(width + "\"learning_rate\": NaN"), 400, "MALFORMED_JSON"),
        trainJson(sourced(width + "\"seed\": 1, \"seed\": 2"), 400, "MALFORMED_JSON", "seed"),
        trainJson(
            sourced(width + "\"quality_gate\": {\"max_dead_codes\": 0, \"max_dead_codes\": 9}"),
            400,
            "MALFORMED_JSON",
            "max_dead_codes"),
        trainJson("{\"source\":".repeat(5000), 400, "MALFORMED_JSON"),
        trainJson("[".repeat(100_000), 400, "MALFORMED_JSON"),
        trainJson("{}" + " ".repeat(1 << 20), 413, "PAYLOAD_TOO_LARGE", 1 << 20),
        trainJson("{}", 400, "INVALID_PARAMETER", "source"),
        trainJson("{\"source\": {}}", 400, "INVALID_PARAMETER", "source"),
        trainJson("{\"source\": null}", 400, "INVALID_PARAMETER", "source"),
        trainJson("{\"source\": \"file:///x\"}", 400, "INVALID_PARAMETER", "source"),
        trainJson("{\"source\": {\"uri\": 7}}", 400, "INVALID_PARAMETER", "source.uri", 7),
        trainJson("{\"source\": {\"url\": \"file:///x\"}}", 400, "UNKNOWN_PARAMETER", "url", "uri"),
        trainJson(sourced("\"nonsense\": 1"), 400, "UNKNOWN_PARAMETER", "nonsense"),
        trainJson(sourced("\"dtype\": \"f4\""), 400, "UNKNOWN_PARAMETER", "dtype"),
        trainJson(
            sourced("\"quality_gate\": {\"x\": 1}"), 400, "UNKNOWN_PARAMETER", "x", "max_dead"),
        trainJson(sourced("\"quality_gate\": 1"), 400, "INVALID_PARAMETER", "quality_gate"),
        trainJson(
            sourced(width + "\"quality_gate\": {\"max_dead_codes\": \"0\"}"),
            400,
            "INVALID_PARAMETER",
            "quality_gate.max_dead_codes"),
        trainJson(sourced("\"codebook_width\": \"8\""), 400, "INVALID_PARAMETER", "\"8\""),
        trainJson(sourced("\"codebook_width\": []"), 400, "INVALID_PARAMETER", "codebook_width"),
        trainJson(sourced("\"codebook_width\": [8, 1.5]"), 400, "INVALID_PARAMETER", "1.5"),
        trainJson(sourced("\"codebook_width\": [8, null]"), 400, "INVALID_PARAMETER", "null"),
        trainJson(sourced("\"codebook_width\": {}"), 400, "INVALID_PARAMETER", "codebook_width"),
        trainJson(sourced(width + "\"seed\": \"42\""), 400, "INVALID_PARAMETER", "seed"),
        trainJson(sourced(width + "\"seed\": 1e3"), 400, "INVALID_PARAMETER", "seed"),
        trainJson(sourced(width + "\"shuffle\": \"true\""), 400, "INVALID_PARAMETER", "shuffle"),
        trainJson(sourced(width + "\"shuffle\": 1"), 400, "INVALID_PARAMETER", "shuffle"),
        trainJson(sourced(width + "\"activate\": true"), 400, "INVALID_PARAMETER", "activate"),
        trainJson(sourced(width + "\"initializer\": 3"), 400, "INVALID_PARAMETER", "initializer"),
        trainJson(sourced(width + "\"learning_rate\": 2"), 400, "INVALID_PARAMETER", "2"),
        trainJson(
            sourced(width + "\"embedding_model\": 3"), 400, "INVALID_PARAMETER", "embedding_model"),
        trainJson(
            "{\"codebook\": \"../x\", \"source\": {\"uri\": \"file://%s/good.npy\"}}"
                .formatted(root),
            400,
            "INVALID_PARAMETER",
            "codebook"),
        trainJson(sourced("\"codebook_width\": 101"), 422, "TOO_FEW_ROWS", 101, 100),
        trainJson(sourced(width + "\"embedding_dim\": 2048"), 422, "DIMENSION_MISMATCH", 2048, 16),
        new Bad(
            "train JSON with a query",
            "/train?seed=1",
            JSON,
            utf8(sourced("\"seed\": 1")),
            400,
            "UNKNOWN_PARAMETER",
            "seed"),
        new Bad(
            "train text",
            "/train",
            "text/plain",
            utf8("1 2 3"),
            415,
            "UNSUPPORTED_MEDIA_TYPE",
            "text/plain"));
  }

  @ParameterizedTest
  @MethodSource("badTrainingJson")
  void train_badJson_isRefused(Bad bad) {
    refuse(bad);
  }

  private static Bad source(String uri, int status, String code, Object... named) {
    String body =
        "{\"codebook\": \"new\", \"codebook_width\": 8, \"source\": {\"uri\": \"%s\"}}"
            .formatted(uri);
    return new Bad("source " + uri, "/train", JSON, utf8(body), status, code, named);
  }

  static Stream<Bad> badSources() {
    String name = String.valueOf(root.getFileName());
    String up = String.valueOf(outside.getFileName());
    String doubled = root.toString().replace("/", "//");
    return Stream.of(
        source("file:///etc/hostname", 403, "SOURCE_FORBIDDEN"),
        source("file://" + outside + "/secret.npy", 403, "SOURCE_FORBIDDEN"),
        source("file://" + outside + "/*.npy", 403, "SOURCE_FORBIDDEN"),
        source("file://" + outside + "/not-there.npy", 403, "SOURCE_FORBIDDEN"),
        source("file:///not/there/at/all.npy", 403, "SOURCE_FORBIDDEN"),
        source("file:///", 403, "SOURCE_FORBIDDEN"),
        source("file://%s/../%s/secret.npy".formatted(root, up), 403, "SOURCE_FORBIDDEN"),
        source("file://%s/../%s/*.npy".formatted(root, up), 403, "SOURCE_FORBIDDEN"),
        source("file://%s/links/../../%s/*.npy".formatted(root, up), 403, "SOURCE_FORBIDDEN"),
        source("file://%s/%%2e%%2e/%s/secret.npy".formatted(root, up), 403, "SOURCE_FORBIDDEN"),
        source("file://%s/%%2E%%2E%%2F%s/secret.npy".formatted(root, up), 403, "SOURCE_FORBIDDEN"),
        source("file://%s-sibling/x.npy".formatted(root), 403, "SOURCE_FORBIDDEN"),
        source("file://%s/link.npy".formatted(root), 403, "SOURCE_FORBIDDEN"),
        source("file://%s/folder/secret.npy".formatted(root), 403, "SOURCE_FORBIDDEN"),
        source("file://%s/folder/*.npy".formatted(root), 403, "SOURCE_FORBIDDEN"),
        source("file://%s/links/*.npy".formatted(root), 403, "SOURCE_FORBIDDEN"),
        source("file://%s/link*".formatted(root), 403, "SOURCE_FORBIDDEN"),
        source("s3://bucket/items.npy", 403, "SOURCE_FORBIDDEN", "semantic-id.s3.allowed"),
        source("ftp://host/items.npy", 422, "UNSUPPORTED_SOURCE", "ftp"),
        source("http://127.0.0.1/items.npy", 422, "UNSUPPORTED_SOURCE", "http"),
        source("jar:file:///x.jar!/y.npy", 422, "UNSUPPORTED_SOURCE", "jar"),
        source("/etc/hostname", 422, "UNSUPPORTED_SOURCE"),
        source("good.npy", 422, "UNSUPPORTED_SOURCE"),
        source("", 422, "UNSUPPORTED_SOURCE"),
        source("file:good.npy", 422, "UNSUPPORTED_SOURCE"),
        source("file://localhost%s/good.npy".formatted(root), 422, "UNSUPPORTED_SOURCE", "host"),
        source("file://evil/share/x.npy", 422, "UNSUPPORTED_SOURCE", "host"),
        source("file://%s/%%zz.npy".formatted(root), 422, "UNSUPPORTED_SOURCE"),
        source("file://%s/good.npy%%00.txt".formatted(root), 422, "UNSUPPORTED_SOURCE"),
        source("file://%s/missing.npy".formatted(root), 422, "SOURCE_NOT_FOUND", "missing.npy"),
        source("file://%s/no/folder.npy".formatted(root), 422, "SOURCE_NOT_FOUND"),
        source("file://%s/missing*.npy".formatted(root), 422, "SOURCE_NOT_FOUND", "missing*.npy"),
        source("file://%s/no/*.npy".formatted(root), 422, "SOURCE_NOT_FOUND"),
        source("file://%s/good.npy/x.npy".formatted(root), 422, "SOURCE_INVALID"),
        source("file://%s/directory.npy".formatted(root), 422, "SOURCE_INVALID", "directory.npy"),
        source("file://" + root, 422, "SOURCE_INVALID", name),
        source("file://%s/d*".formatted(root), 422, "SOURCE_INVALID"),
        source("file://%s/[".formatted(root), 422, "SOURCE_INVALID"),
        source("file://%s/mixed/*.npy".formatted(root), 422, "SOURCE_INVALID", "b.npy"),
        source("file://%s/dimensions/*.npy".formatted(root), 422, "SOURCE_INVALID", 16, 15),
        source("file://%s/long.npy".formatted(root), 422, "SOURCE_INVALID", "long.npy"),
        source("file://%s/empty.npy".formatted(root), 422, "SOURCE_INVALID", "empty.npy"),
        source("file://%s/text.npy".formatted(root), 422, "SOURCE_INVALID", "text.npy"),
        source("file://%s/big-endian.npy".formatted(root), 422, "SOURCE_INVALID", ">f4"),
        source("file://%s/none.npy".formatted(root), 422, "TOO_FEW_ROWS", 8, 0),
        source("file:%s/five.npy".formatted(doubled), 422, "UNSUPPORTED_SOURCE"),
        source("file://%s/five.npy".formatted(root), 422, "TOO_FEW_ROWS", 8, 5));
  }

  @ParameterizedTest
  @MethodSource("badSources")
  void train_badSource_isRefused(Bad bad) {
    refuse(bad);
  }

  private static Bad file(String what, byte[] file, Object... named) {
    return new Bad(
        "codebook " + what,
        "/codebooks/new/versions?activate=true",
        OCTETS,
        file,
        422,
        "INVALID_CODEBOOK",
        named);
  }

  private static final String META = "\"__metadata__\":{\"normalize_residuals\":\"true\"}";

  private static byte[] tensors(String header, int bytes) {
    return Embeddings.safetensors(header, new byte[bytes]);
  }

  static Stream<Bad> badCodebooks() {
    byte[] good = Embeddings.safetensors(Embeddings.codebook(4, 1, 3, 2));
    byte[] flipped = good.clone();
    flipped[flipped.length - 2] ^= 1;
    byte[] nan = concat(new byte[44], new byte[] {0, 0, (byte) 0xC0, 0x7F});
    byte[] infinite = concat(new byte[44], new byte[] {0, 0, (byte) 0x80, 0x7F});
    String level0 = "\"level_0\":{\"dtype\":\"F32\",\"shape\":[3,4],\"data_offsets\":[0,48]}";
    byte[] random = new byte[3000];
    new Random(1).nextBytes(random);
    byte[] longHeader = good.clone();
    longHeader[7] = 0x7F;
    return Stream.of(
        file("nothing", new byte[0]),
        file("random bytes", random),
        file("header of 2⁶³ bytes", longHeader),
        file("text", utf8("{\"level_0\": [[1, 2], [3, 4]]}")),
        file("pickle", concat(new byte[] {(byte) 0x80, 4}, utf8("cos\nsystem\n(S'true'\ntR."))),
        file("npy", Embeddings.npy(ROWS)),
        file("no metadata", tensors("{%s}".formatted(level0), 48), "normalize_residuals"),
        file(
            "no normalize_residuals",
            tensors("{\"__metadata__\":{\"x\":\"y\"},%s}".formatted(level0), 48),
            "normalize_residuals"),
        file(
            "normalize_residuals True",
            tensors(
                "{\"__metadata__\":{\"normalize_residuals\":\"True\"},%s}".formatted(level0), 48),
            "normalize_residuals",
            "True"),
        file(
            "newer format",
            tensors(
                "{\"__metadata__\":{\"normalize_residuals\":\"true\",\"format_version\":\"3\"},%s}"
                    .formatted(level0),
                48),
            "format_version",
            3,
            2),
        file("no tensors", tensors("{%s}".formatted(META), 0), "level_0"),
        file(
            "F16",
            tensors(
                "{%s,%s}".formatted(META, level0.replace("F32", "F16").replace("48", "24")), 24),
            "F32",
            "F16"),
        file(
            "F64",
            tensors(
                "{%s,%s}".formatted(META, level0.replace("F32", "F64").replace("48", "96")), 96),
            "F32",
            "F64"),
        file(
            "one axis",
            tensors("{%s,%s}".formatted(META, level0.replace("[3,4]", "[12]")), 48),
            "[12]"),
        file(
            "no centroids",
            tensors(
                "{%s,%s}".formatted(META, level0.replace("[3,4]", "[0,4]").replace("48", "0")), 0),
            "[0, 4]"),
        file(
            "level_1 alone",
            tensors("{%s,%s}".formatted(META, level0.replace("level_0", "level_1")), 48),
            "level_0"),
        file(
            "level_01",
            tensors("{%s,%s}".formatted(META, level0.replace("level_0", "level_01")), 48),
            "level_01"),
        file(
            "foreign names",
            tensors("{%s,%s}".formatted(META, level0.replace("level_0", "codebook.weight")), 48),
            "codebook.weight",
            "level_0"),
        file(
            "an extra tensor",
            tensors(
                "{%s,%s,\"extra\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[48,52]}}"
                    .formatted(META, level0),
                52),
            "extra"),
        file(
            "other dimension",
            tensors(
                "{%s,%s,\"level_1\":{\"dtype\":\"F32\",\"shape\":[1,5],\"data_offsets\":[48,68]}}"
                    .formatted(META, level0),
                68),
            4,
            5),
        file(
            "shape that overflows",
            tensors(
                "{%s,%s}".formatted(META, level0.replace("[3,4]", "[4611686018427387904,4]")), 48)),
        file(
            "shape against offsets",
            tensors("{%s,%s}".formatted(META, level0.replace("[3,4]", "[3,5]")), 48),
            48,
            60),
        file("tensor twice", tensors("{%s,%s,%s}".formatted(META, level0, level0), 48), "level_0"),
        file("NaN", Embeddings.safetensors("{%s,%s}".formatted(META, level0), nan), "level"),
        file("∞", Embeddings.safetensors("{%s,%s}".formatted(META, level0), infinite), "level"),
        file("another fingerprint", flipped, "fingerprint"),
        file("trailing byte", Arrays.copyOf(good, good.length + 1), good.length),
        new Bad(
            "codebook too large",
            "/codebooks/new/versions",
            OCTETS,
            new byte[17_000],
            413,
            "PAYLOAD_TOO_LARGE",
            16_384,
            17_000),
        new Bad(
            "codebook as JSON",
            "/codebooks/new/versions",
            JSON,
            good,
            415,
            "UNSUPPORTED_MEDIA_TYPE"),
        new Bad(
            "codebook activate=maybe",
            "/codebooks/new/versions?activate=maybe",
            OCTETS,
            good,
            400,
            "INVALID_PARAMETER"),
        new Bad(
            "codebook activte=true",
            "/codebooks/new/versions?activte=true",
            OCTETS,
            good,
            400,
            "UNKNOWN_PARAMETER",
            "activte"));
  }

  @ParameterizedTest
  @MethodSource("badCodebooks")
  void upload_badCodebook_isRefused(Bad bad) {
    refuse(bad);
  }

  @Test
  void upload_truncatedCodebook_isRefused() {
    byte[] good = Embeddings.safetensors(Embeddings.codebook(4, 1, 3, 2));
    for (int length = 0; length < good.length; length += 11) {
      client
          .post("/codebooks/new/versions", OCTETS, Arrays.copyOf(good, length))
          .expectProblem(422, "INVALID_CODEBOOK");
    }
  }

  @Test
  void upload_codebookShorterThanAnnounced_isRefused() {
    byte[] good = Embeddings.safetensors(Embeddings.codebook(4, 1, 3, 2));
    int sent = good.length - 20;
    client
        .sendRaw(
            "/codebooks/new/versions",
            OCTETS,
            "Content-Length: " + good.length,
            Arrays.copyOf(good, sent))
        .expectProblem(400, "MALFORMED_BODY", good.length, sent);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {".hidden", "-x", "a%20b", "a%0Ab", "%C3%A4", "a:b", "a*b", "a'b", "...", "a%22b"})
  void upload_badName_isRefused(String name) {
    byte[] good = Embeddings.safetensors(Embeddings.codebook(4, 1, 3, 2));
    client
        .post("/codebooks/%s/versions".formatted(name), OCTETS, good)
        .expectProblem(400, "INVALID_PARAMETER", "codebook");
    client
        .post("/codebooks/%s/versions".formatted("a".repeat(65)), OCTETS, good)
        .expectProblem(400, "INVALID_PARAMETER", "codebook");
  }

  /** What the server itself refuses or normalises before the service sees it. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "/codebooks/../versions",
        "/codebooks/%2e%2e/versions",
        "/codebooks/..%2F..%2Fetc/versions",
        "/codebooks/a%2Fb/versions",
        "/codebooks/a%5Cb/versions",
        "/codebooks/a%00b/versions",
        "/codebooks//versions",
        "/codebooks/default/versions/..",
      })
  void upload_pathTricks_reachNothing(String path) {
    byte[] good = Embeddings.safetensors(Embeddings.codebook(4, 1, 3, 2));
    Answer answer = client.sendRaw(path, OCTETS, "Content-Length: " + good.length, good);
    assertThat(answer.status()).as(answer.toString()).isIn(400, 404, 405);
    assertThat(answer.text()).doesNotContain("Exception", "org.apache", "java.");
  }

  @Test
  void request_unknownAddress_isNotFound() {
    client.get("/nope").expectProblem(404, "NOT_FOUND");
    client.post("/encode/nope", numbers(D)).expectProblem(404, "NOT_FOUND");
    client.get("/codebooks/default/versions/one").expectProblem(404, "NOT_FOUND");
    client.get("/codebooks/default/versions/1.pickle").expectProblem(404, "NOT_FOUND");
    client.get("/codebooks/none").expectProblem(404, "UNKNOWN_CODEBOOK", "none", "default");
    client
        .get("/codebooks/none/versions/1.safetensors")
        .expectProblem(404, "UNKNOWN_CODEBOOK", "none", "default");
    client.get("/codebooks/default/versions/2").expectProblem(404, "UNKNOWN_VERSION", "2", "[1]");
    client.delete("/codebooks/default/versions/2").expectProblem(404, "UNKNOWN_VERSION", "[1]");
    client.get("/train/nope").expectProblem(404, "UNKNOWN_JOB", "nope");
    client.delete("/train/nope").expectProblem(404, "UNKNOWN_JOB", "nope");
    client.get("/train?after=nope").expectProblem(404, "UNKNOWN_JOB", "nope");
    client.get("/train?limit=0").expectProblem(400, "INVALID_PARAMETER", "limit", 0, 200);
    client.get("/train?limit=x").expectProblem(400, "INVALID_PARAMETER", "limit");
  }

  @Test
  void request_wrongMethod_isRefusedAndNamesTheRightOne() {
    for (String path : List.of("/encode", "/codebooks/default/versions")) {
      Answer answer = client.get(path).expectProblem(405, "METHOD_NOT_ALLOWED", "GET");
      assertThat(answer.header("Allow")).contains("POST");
    }
    client.delete("/encode").expectProblem(405, "METHOD_NOT_ALLOWED", "DELETE");
    client.put("/train", "{}").expectProblem(405, "METHOD_NOT_ALLOWED", "PUT");
    client.post("/codebooks", "{}").expectProblem(405, "METHOD_NOT_ALLOWED", "POST");
    client.put("/codebooks/default", "{}").expectProblem(405, "METHOD_NOT_ALLOWED", "PUT");
    client.delete("/codebooks").expectProblem(405, "METHOD_NOT_ALLOWED", "DELETE");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "{",
        "[]",
        "5",
        "{}",
        "{\"version\": null}",
        "{\"version\": \"1\"}",
        "{\"version\": 1.5}",
        "{\"version\": 99999999999}",
        "{\"version\": true}",
        "{\"version\": 1, \"expected\": \"1\"}",
        "{\"version\": 1, \"nonsense\": 1}",
        "{\"version\": 1, \"version\": 1}",
        "{\"version\": 1} {}",
      })
  void alias_badBody_isRefused(String body) {
    Answer answer = client.put("/codebooks/default/aliases/active", body);
    answer.expect(400);
    assertThat(answer.header("Content-Type")).startsWith("application/problem+json");
    assertThat(answer.json().path("code").asString())
        .as(answer.toString())
        .isIn("INVALID_PARAMETER", "UNKNOWN_PARAMETER", "MALFORMED_JSON");
  }

  @Test
  void alias_brokenJson_isMalformedJson() {
    client
        .put("/codebooks/default/aliases/active", "{\"version\":")
        .expectProblem(400, "MALFORMED_JSON");
  }

  @Test
  void alias_badName_isRefused() {
    String body = "{\"version\": 1}";
    client
        .put("/codebooks/default/aliases/7", body)
        .expectProblem(400, "INVALID_PARAMETER", "alias", 7);
    client
        .put("/codebooks/default/aliases/.x", body)
        .expectProblem(400, "INVALID_PARAMETER", "alias");
    client.put("/codebooks/none/aliases/x", body).expectProblem(404, "UNKNOWN_CODEBOOK", "none");
    client
        .put("/codebooks/default/aliases/x", "{\"version\": 9}")
        .expectProblem(404, "UNKNOWN_VERSION", 9, "[1]");
  }
}
