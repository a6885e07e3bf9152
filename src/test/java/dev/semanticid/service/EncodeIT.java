package dev.semanticid.service;

import static dev.semanticid.service.Bytes.concat;
import static dev.semanticid.service.ServiceClient.JSON;
import static dev.semanticid.service.ServiceClient.NPY;
import static dev.semanticid.service.ServiceClient.OCTETS;
import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.service.ServiceClient.Encoded;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Locale;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** {@code POST /encode}: every way in and out gives the codes of the definition. */
@ExtendWith(SharedService.Provider.class)
class EncodeIT {

  private static final int D = 16;

  /** Ordinary rows. */
  private static final float[][] ROWS = Embeddings.rows(150, D, 5);

  private static ServiceClient client;

  /** Version 1, active. */
  private static Codebook first;

  /** Version 2, alias {@code canary}. */
  private static Codebook second;

  @BeforeAll
  static void start(SharedService shared) {
    client = shared.client();
    float[][] training = Embeddings.rows(600, D, 1);
    client.train(ServiceClient.SMALL + "&seed=1", training);
    client.train(ServiceClient.SMALL + "&seed=2&activate=never", training);
    client.put("/codebooks/default/aliases/canary", "{\"version\": 2}").expect(200);
    first = client.download("default", 1);
    second = client.download("default", 2);
  }

  /** A format of embeddings: how rows are sent, and which float32 rows that denotes. */
  @SuppressWarnings("ImmutableEnumChecker")
  enum Input {
    JSON_ROWS(JSON, "", rows -> utf8("{\"embeddings\": " + Embeddings.json(rows) + "}")),
    JSON_BARE(JSON, "", rows -> utf8(Embeddings.json(rows))),
    JSON_CHARSET(
        "application/json; charset=UTF-8", "", rows -> utf8(" \n" + Embeddings.json(rows) + "\n")),
    OCTETS_DEFAULT(OCTETS, "", Embeddings::octets),
    OCTETS_F4(OCTETS, "dtype=f4", Embeddings::octets),
    OCTETS_F2(OCTETS, "dtype=f2", Embeddings::halves),
    OCTETS_BF16(OCTETS, "dtype=bf16", Embeddings::bfloats),
    NPY_F4(NPY, "", Embeddings::npy),
    NPY_F2(NPY, "", rows -> Embeddings.npy("<f2", Embeddings.halves(rows), rows.length, D)),
    NPY_F8(NPY, "", rows -> Embeddings.npy("<f8", Embeddings.doubles(rows), rows.length, D)),
    NPY_VERSION_2(
        NPY,
        "",
        rows ->
            Embeddings.npyOfHeader(
                String.format(
                    Locale.ROOT,
                    "{\"shape\":(%d,%d),\"fortran_order\":False,\"descr\":\"<f4\"}",
                    rows.length,
                    D),
                2,
                Embeddings.octets(rows)));

    private final String contentType;
    private final String query;

    @SuppressWarnings("ImmutableEnumChecker") // the methods keep nothing
    private final Function<float[][], byte[]> body;

    Input(String contentType, String query, Function<float[][], byte[]> body) {
      this.contentType = contentType;
      this.query = query;
      this.body = body;
    }

    float[][] denoted(float[][] rows) {
      return switch (this) {
        case OCTETS_F2, NPY_F2 ->
            map(rows, bits -> Float.float16ToFloat(Float.floatToFloat16(bits)));
        case OCTETS_BF16 ->
            map(rows, x -> Float.intBitsToFloat(Float.floatToRawIntBits(x) & 0xFFFF0000));
        default -> rows;
      };
    }

    private static float[][] map(float[][] rows, Function<Float, Float> function) {
      float[][] mapped = new float[rows.length][rows[0].length];
      for (int row = 0; row < rows.length; row++) {
        for (int i = 0; i < rows[row].length; i++) {
          mapped[row][i] = function.apply(rows[row][i]);
        }
      }
      return mapped;
    }
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  @ParameterizedTest
  @EnumSource
  void encode_everyFormatInAndOut_givesTheReferenceCodes(Input input) {
    int[][] expected = Embeddings.reference(first, input.denoted(ROWS));
    for (String accept : new String[] {JSON, OCTETS, NPY}) {
      Answer answer =
          client
              .post(
                  "/encode?" + input.query,
                  input.contentType,
                  input.body.apply(ROWS),
                  "Accept",
                  accept)
              .expect(200);
      assertThat(answer.header("Content-Type")).as(answer.toString()).startsWith(accept);
      assertThat(codes(answer, ROWS.length)).as("%s → %s", input, accept).isDeepEqualTo(expected);
    }
  }

  /** Codes of an answer in whichever format, which must name version 1. */
  private static int[][] codes(Answer answer, int rows) {
    String type = answer.header("Content-Type");
    if (type.startsWith(JSON)) {
      JsonNode json = answer.json();
      assertThat(json.propertyNames())
          .containsExactlyInAnyOrder("codebook", "version", "fingerprint", "semantic_ids");
      assertThat(json.path("codebook").asString()).isEqualTo("default");
      assertThat(json.path("version").asInt()).isEqualTo(1);
      assertThat(json.path("fingerprint").asString()).isEqualTo(first.fingerprint());
      return ServiceClient.codes(json.path("semantic_ids"));
    }
    assertThat(answer.header("X-Codebook")).isEqualTo("default");
    assertThat(answer.header("X-Codebook-Version")).isEqualTo("1");
    assertThat(answer.header("X-Codebook-Fingerprint")).isEqualTo(first.fingerprint());
    return ServiceClient.codes(
        type.startsWith(NPY) ? npyData(answer.body(), rows) : answer.body(), rows);
  }

  /** The elements of an int32 {@code .npy} file of three columns, its header checked. */
  private static byte[] npyData(byte[] file, int rows) {
    assertThat(Arrays.copyOf(file, 8))
        .isEqualTo(new byte[] {(byte) 0x93, 78, 85, 77, 80, 89, 1, 0});
    int length = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).getShort(8);
    assertThat((10 + length) % 64).isZero();
    assertThat(new String(file, 10, length, StandardCharsets.ISO_8859_1).replaceAll("\\s", ""))
        .isEqualTo(
            String.format(
                Locale.ROOT, "{'descr':'<i4','fortran_order':False,'shape':(%d,3),}", rows));
    byte[] data = Arrays.copyOfRange(file, 10 + length, file.length);
    assertThat(data).hasSize(4 * 3 * rows);
    return data;
  }

  @Test
  void encode_oneVectorWithoutItsBatch_isABatchOfOne() {
    float[] vector = ROWS[3];
    int[][] expected = Embeddings.reference(first, new float[][] {vector});
    String flat = Arrays.toString(vector);
    byte[] bytes = Embeddings.octets(new float[][] {vector});
    assertThat(codes(client.post("/encode", flat), 1)).isDeepEqualTo(expected);
    assertThat(codes(client.post("/encode", "{\"embeddings\": " + flat + "}"), 1))
        .isDeepEqualTo(expected);
    for (String accept : new String[] {JSON, OCTETS, NPY}) {
      Answer npy = client.post("/encode", NPY, Embeddings.npy("<f4", bytes, D), "Accept", accept);
      assertThat(codes(npy, 1)).isDeepEqualTo(expected);
    }
  }

  @Test
  void encode_awkwardRows_areExact() {
    float[] centroid = Arrays.copyOf(first.centroids(0).data(), D);
    float[] huge = new float[D];
    Arrays.fill(huge, 3e38f);
    float[] tiny = new float[D];
    Arrays.fill(tiny, Float.MIN_VALUE);
    float[] lopsided = new float[D];
    lopsided[0] = 1e30f;
    lopsided[D - 1] = -1e-30f;
    float[] minusZero = new float[D];
    Arrays.fill(minusZero, -0f);
    float[][] rows = {new float[D], minusZero, centroid, huge, tiny, lopsided, ROWS[0], ROWS[0]};
    int[][] expected = Embeddings.reference(first, rows);
    assertThat(client.encode("", rows).codes()).isDeepEqualTo(expected);
    assertThat(client.encodeJson("", rows).codes()).isDeepEqualTo(expected);
  }

  @Test
  void encode_aRowAloneOrInAnyBatch_hasTheSameCodes() {
    int[][] together = client.encode("", ROWS).codes();
    for (int row = 0; row < ROWS.length; row += 7) {
      assertThat(client.encode("", new float[][] {ROWS[row]}).codes()[0]).isEqualTo(together[row]);
    }
    for (int size : new int[] {2, 3, 5, 31, 64, 149}) {
      assertThat(client.encode("", Arrays.copyOfRange(ROWS, 1, 1 + size)).codes())
          .isDeepEqualTo(Arrays.copyOfRange(together, 1, 1 + size));
    }
  }

  @ParameterizedTest
  @CsvSource({"1, 1", "2, 2", "active, 1", "canary, 2"})
  void encode_versionByNumberOrAlias_usesAndNamesIt(String asked, int version) {
    Codebook codebook = version == 1 ? first : second;
    for (Encoded encoded :
        new Encoded[] {
          client.encode("version=" + asked, ROWS),
          client.encodeJson("codebook=default&version=" + asked, ROWS)
        }) {
      assertThat(encoded.codebook()).isEqualTo("default");
      assertThat(encoded.version()).isEqualTo(version);
      assertThat(encoded.fingerprint()).isEqualTo(codebook.fingerprint());
      assertThat(encoded.codes()).isDeepEqualTo(Embeddings.reference(codebook, ROWS));
    }
  }

  @Test
  void encode_anotherCodebook_isChosenByName() {
    Codebook other = Embeddings.codebook(D, 77, 5, 300);
    client.upload("Other.codebook_2-x", Embeddings.safetensors(other), true);
    Encoded encoded = client.encode("codebook=Other.codebook_2-x", ROWS);
    assertThat(encoded.codebook()).isEqualTo("Other.codebook_2-x");
    assertThat(encoded.version()).isEqualTo(1);
    assertThat(encoded.codes()).isDeepEqualTo(Embeddings.reference(other, ROWS));
  }

  @Test
  void encode_rawResiduals_areExact() {
    float[][] levels = {
      Embeddings.codebook(D, 3, 20).centroids(0).data(),
      Embeddings.codebook(D, 4, 9).centroids(0).data()
    };
    Codebook raw = Embeddings.rawCodebook(D, levels);
    client.upload("raw", Embeddings.safetensors(raw), true);
    assertThat(client.encode("codebook=raw", ROWS).codes())
        .isDeepEqualTo(Embeddings.reference(raw, ROWS));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      nullValues = "none",
      value = {
        "none | application/json",
        "*/* | application/json",
        "application/* | application/json",
        "application/json | application/json",
        "application/x-npy, application/json | application/x-npy",
        "application/octet-stream;q=0.5, application/x-npy;q=0.9 | application/x-npy",
        "application/octet-stream;q=0.9, application/x-npy;q=0.5 | application/octet-stream",
        "application/json;q=0.1, application/octet-stream | application/octet-stream",
        "text/html, application/octet-stream;q=0.001 | application/octet-stream",
        "text/html, */*;q=0.1 | application/json",
        "application/octet-stream;q=0, */*;q=0.1 | application/json",
      })
  void encode_accept_choosesTheAnswer(@Nullable String accept, String expected) {
    String[] headers = accept == null ? new String[0] : new String[] {"Accept", accept};
    Answer answer = client.post("/encode", OCTETS, Embeddings.octets(ROWS), headers).expect(200);
    assertThat(answer.header("Content-Type")).startsWith(expected);
  }

  /** RFC 9110, 12.5.1: of the ranges that match a format, the most specific one has its weight. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "application/json;q=0, */*",
        "*/*, application/json;q=0",
        "application/json;q=0.1, */*;q=0.5",
        "application/json;q=0.1, application/*;q=0.5, */*;q=0.9",
      })
  void encode_acceptWithAWildcard_givesTheSpecificRangeItsWeight(String accept) {
    Answer answer =
        client.post("/encode", OCTETS, Embeddings.octets(ROWS), "Accept", accept).expect(200);
    assertThat(answer.header("Content-Type")).as(accept).doesNotStartWith(JSON);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "text/html",
        "application/json;q=0",
        "*/*;q=0",
        "image/*, text/plain;q=0.4",
        "not a media type",
      })
  void encode_nothingAcceptable_isRefused(String accept) {
    client
        .post("/encode", OCTETS, Embeddings.octets(ROWS), "Accept", accept)
        .expectProblem(406, "NOT_ACCEPTABLE", "application/json", "application/x-npy");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "text/plain",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application",
      })
  void encode_otherContentType_isRefused(String contentType) {
    client
        .post("/encode", contentType, Embeddings.octets(ROWS))
        .expectProblem(415, "UNSUPPORTED_MEDIA_TYPE", contentType, "application/octet-stream");
  }

  @Test
  void encode_noContentType_isRefused() {
    client
        .send("POST", "/encode", Embeddings.octets(ROWS))
        .expectProblem(415, "UNSUPPORTED_MEDIA_TYPE", "application/json");
  }

  @Test
  void encode_chunkedBody_isReadToItsEnd() {
    byte[] body = Embeddings.octets(ROWS);
    try (var connection = new RawConnection(client.port())) {
      connection.head(
          "POST /encode",
          "Content-Type: " + OCTETS,
          "Accept: " + OCTETS,
          "Transfer-Encoding: chunked",
          "Connection: close");
      for (int begin = 0; begin < body.length; begin += 1001) {
        byte[] chunk = Arrays.copyOfRange(body, begin, Math.min(body.length, begin + 1001));
        connection.send(
            concat(utf8(String.format(Locale.ROOT, "%x\r\n", chunk.length)), chunk, utf8("\r\n")));
      }
      Answer answer = connection.send(utf8("0\r\n\r\n")).receive().expect(200);
      assertThat(codes(answer, ROWS.length)).isDeepEqualTo(Embeddings.reference(first, ROWS));
      assertThat(connection.isEnded()).isTrue();
    }
  }

  /**
   * The codebook has 1 and its two next neighbours for centroids, so the code says which float32 a
   * number was read as. The decimals lie so close to the middle of two float32 that they are the
   * middle as a float64, and would go to the even neighbour if they were rounded twice.
   */
  @ParameterizedTest
  @CsvSource({
    "1, 0",
    "1.0, 0",
    "10e-1, 0",
    "1.00000005960464477539062500, 0",
    "1.00000005960464477539062501, 1",
    "1.00000005960464477539062499, 0",
    "1.00000011920928955078125, 1",
    "1.00000017881393432617187499, 1",
    "1.00000017881393432617187500, 2",
    "1.00000017881393432617187501, 2",
    "100000017881393432617187499e-26, 1",
    "0.0000100000017881393432617187499E5, 1",
    "1.000000238418579101562, 2",
  })
  void encode_decimals_areRoundedOnceToFloat32(String decimal, int code) {
    float next = Math.nextUp(1f);
    float[] neighbours = {1f, next, Math.nextUp(next)};
    assertThat(Float.parseFloat(decimal))
        .as("the test's own expectation")
        .isEqualTo(neighbours[code]);
    if (client.get("/codebooks/rounding").status() == 404) {
      client.upload(
          "rounding", Embeddings.safetensors(Embeddings.rawCodebook(1, neighbours)), true);
    }
    JsonNode answer =
        client.post("/encode?codebook=rounding", "[[%s]]".formatted(decimal)).expect(200).json();
    assertThat(ServiceClient.codes(answer.path("semantic_ids")))
        .isDeepEqualTo(new int[][] {{code}});
  }

  /** What curl says unless it is told otherwise; the body must not be taken for a form. */
  @Test
  void encode_bodyThatCallsItselfAForm_isRefused() {
    for (byte[] body :
        new byte[][] {
          utf8(Embeddings.json(ROWS)), Embeddings.octets(ROWS), utf8("codebook=none")
        }) {
      client
          .post("/encode", "application/x-www-form-urlencoded", body)
          .expectProblem(415, "UNSUPPORTED_MEDIA_TYPE", "application/x-www-form-urlencoded");
    }
  }
}
