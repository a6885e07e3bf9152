package dev.semanticid.service;

import static dev.semanticid.service.Bytes.concat;
import static dev.semanticid.service.Bytes.utf8;
import static dev.semanticid.service.Inference.HEADER;
import static dev.semanticid.service.Inference.binaryInput;
import static dev.semanticid.service.ServiceClient.JSON;
import static dev.semanticid.service.ServiceClient.OCTETS;
import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Codebook;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** {@code /v2}: the Open Inference Protocol as its documents and its official clients speak it. */
class InferenceIT {

  private static final int D = 8;
  private static final int MOST_ROWS = 200;
  private static final String INFER = "/v2/models/default/infer";

  /** What the recorded requests hold; each number is the same in all datatypes. */
  private static final float[][] RECORDED = {
    {0.5f, -1.25f, 2, 0.75f, -0.125f, 1.5f, -3, 0.25f},
    {-2, 0.375f, 1, -0.5f, 4, -1.75f, 0.0625f, 3.5f},
    {1, 1, -1, 0, 2.5f, -0.25f, 0.5f, -6},
  };

  private static final float[][] ROWS = Embeddings.rows(2, D, 4);
  private static final byte[] DATA = Embeddings.octets(ROWS);
  private static final float[][] MANY = Embeddings.rows(MOST_ROWS, D, 6);

  private static ServiceProcess service;
  private static ServiceClient client;

  /** Version 1 of {@code default}, which is active. */
  private static Codebook first;

  /** Version 2 of {@code default}, alias {@code canary}. */
  private static Codebook second;

  private static Answer metadataOfNothing;
  private static Answer readyOfNothing;
  private static Answer serverReadyOfNothing;
  private static Answer inferByNothing;

  @BeforeAll
  static void start(@TempDir Path folder) {
    service =
        ServiceProcess.start(
            folder.resolve("data"),
            "--semantic-id.encoding.max-rows=" + MOST_ROWS,
            "--semantic-id.encoding.max-body-size=2MB");
    client = service.client();
    metadataOfNothing = client.get("/v2/models/default");
    readyOfNothing = client.get("/v2/models/default/ready");
    serverReadyOfNothing = client.get("/v2/health/ready");
    inferByNothing = client.send("POST", INFER, utf8(request(jsonInput(ROWS))));
    first = Embeddings.codebook(D, 21, 40, 30, 20);
    second = Embeddings.codebook(D, 22, 9, 300);
    client.upload("default", Embeddings.safetensors(first), true);
    client.upload("default", Embeddings.safetensors(second), false);
    client.put("/codebooks/default/aliases/canary", "{\"version\": 2}").expect(200);
  }

  @AfterAll
  static void stop() {
    service.close();
  }

  @AfterEach
  void theServiceGoesOn() {
    assertThat(Inference.codes(infer(request(jsonInput(ROWS)))))
        .isDeepEqualTo(Embeddings.reference(first, ROWS));
  }

  private static String jsonInput(float[][] rows) {
    return Inference.jsonInput(rows.length, D, "FP32", Embeddings.json(rows));
  }

  private static String request(String input) {
    return "{\"inputs\":[%s]}".formatted(input);
  }

  /** As tritonclient does: no Content-Type. */
  private static Answer infer(String json) {
    return client.send("POST", INFER, utf8(json));
  }

  private static void expectError(Answer answer, int status, Object... named) {
    answer.expect(status);
    assertThat(answer.header("Content-Type")).as(answer.toString()).startsWith(JSON);
    JsonNode error = answer.json();
    assertThat(error.propertyNames()).as(answer.toString()).containsExactly("error");
    assertThat(error.path("error").isString()).as(answer.toString()).isTrue();
    assertThat(error.path("error").asString()).isNotBlank();
    for (Object name : named) {
      assertThat(error.path("error").asString()).contains(name.toString());
    }
  }

  @Test
  void server_always_saysWhatItIs() {
    JsonNode server = client.get("/v2").expect(200).json();
    assertThat(server.propertyNames()).containsExactlyInAnyOrder("name", "version", "extensions");
    assertThat(server.path("name").asString()).isEqualTo("semantic-id-service");
    assertThat(server.path("version").asString()).isNotBlank();
    assertThat(server.path("extensions").toString()).isEqualTo("[\"binary_tensor_data\"]");
  }

  @Test
  void health_running_isLiveAndReady() {
    assertThat(client.get("/v2/health/live").expect(200).text()).isEqualTo("{\"live\":true}");
    assertThat(client.get("/v2/health/ready").expect(200).text()).isEqualTo("{\"ready\":true}");
  }

  @Test
  void model_emptyStore_isNotReady() {
    readyOfNothing.expect(503);
    assertThat(readyOfNothing.json().path("ready").asBoolean(true)).isFalse();
    assertThat(readyOfNothing.json().path("name").asString()).isEqualTo("default");
    expectError(metadataOfNothing, 503);
    expectError(inferByNothing, 503);
    assertThat(inferByNothing.header("Retry-After")).isNotEmpty();
    assertThat(serverReadyOfNothing.expect(200).text()).isEqualTo("{\"ready\":true}");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "/versions/1", "/versions/2", "/versions/canary"})
  void modelReady_versionThatIsThere_isReady(String version) {
    JsonNode ready = client.get("/v2/models/default" + version + "/ready").expect(200).json();
    assertThat(ready.path("name").asString()).isEqualTo("default");
    assertThat(ready.path("ready").asBoolean(false)).isTrue();
  }

  @ParameterizedTest
  @ValueSource(strings = {"none/ready", "default/versions/3/ready", "default/versions/x/ready"})
  void modelReady_unknown_isNotFoundAndNotReady(String model) {
    Answer answer = client.get("/v2/models/" + model).expect(404);
    assertThat(answer.json().path("ready").asBoolean(false)).isFalse();
  }

  @ParameterizedTest
  @CsvSource({"'', 3", "/versions/1, 3", "/versions/2, 2", "/versions/canary, 2"})
  void model_metadata_namesItsTensors(String version, int levels) {
    JsonNode model = client.get("/v2/models/default" + version).expect(200).json();
    assertThat(model.path("name").asString()).isEqualTo("default");
    assertThat(model.path("platform").asString()).isNotBlank();
    assertThat(model.path("versions").valueStream().map(JsonNode::asString))
        .containsExactlyInAnyOrder("1", "2");
    assertThat(model.path("inputs").toString())
        .isEqualTo("[{\"name\":\"embeddings\",\"datatype\":\"FP32\",\"shape\":[-1,8]}]");
    assertThat(model.path("outputs").toString())
        .isEqualTo(
            String.format(
                Locale.ROOT,
                "[{\"name\":\"semantic_ids\",\"datatype\":\"INT32\",\"shape\":[-1,%d]}]",
                levels));
  }

  @ParameterizedTest
  @CsvSource({
    "GET, /v2/models/none",
    "GET, /v2/models/default/versions/3",
    "GET, /v2/models/default/versions/nope",
    "POST, /v2/models/none/infer",
    "POST, /v2/models/default/versions/3/infer",
    "POST, /v2/models/default/versions/nope/infer",
    "GET, /v2/nope",
    "GET, /v2/models",
    "GET, /v2/models/default/nope",
    "GET, /v2/health",
    "POST, /v2/models/default/generate",
    "POST, /v2/models/default/versions/1/infer/x",
  })
  void request_unknownModelVersionOrPath_isNotFound(String method, String path) {
    byte[] body = method.equals("POST") ? utf8(request(jsonInput(ROWS))) : new byte[0];
    expectError(client.send(method, path, body), 404);
  }

  @ParameterizedTest
  @CsvSource({
    "GET, /v2/models/default/infer, POST",
    "PUT, /v2/models/default/infer, POST",
    "DELETE, /v2/models/default/versions/1/infer, POST",
    "POST, /v2, GET",
    "POST, /v2/health/live, GET",
    "DELETE, /v2/models/default, GET",
  })
  void request_wrongMethod_isRefusedAndNamesTheRightOne(String method, String path, String right) {
    Answer answer = client.send(method, path, new byte[0]);
    expectError(answer, 405);
    assertThat(answer.header("Allow")).contains(right);
  }

  @ParameterizedTest
  @ValueSource(strings = {"GET", "POST"})
  void request_modelThatIsNoName_isRefused(String method) {
    String path = "/v2/models/a%20b" + (method.equals("POST") ? "/infer" : "");
    expectError(client.send(method, path, new byte[0]), 400, "codebook");
  }

  /** Requests as clients put them on the wire, with what a client asked for. */
  @ParameterizedTest
  @CsvSource({
    "kserve-json, 42, false",
    "kserve-python, d1b0c3f2-0a4c-4e53-9d5c-2d5c6f9b7a10, false",
    "triton-raw-body, , true",
    "tritonclient-binary, 42, true",
    "tritonclient-binary-fp16, , true",
    "tritonclient-binary-bf16, , false",
    "tritonclient-binary-fp64, , true",
    "tritonclient-deflate, 42, true",
    "tritonclient-gzip, 42, true",
    "tritonclient-json, a7f3, false",
    "tritonclient-json-in-binary-out, , true",
    "tritonclient-parameters, 17, true",
  })
  void infer_recordedRequest_givesTheReferenceCodes(
      String recorded, @Nullable String id, boolean binary) throws IOException {
    try (InputStream in =
            InferenceIT.class.getResourceAsStream("/inference/" + recorded + ".http");
        var connection = new RawConnection(client.port())) {
      byte[] bytes = Objects.requireNonNull(in).readAllBytes();
      // Twice on one connection, as clients with a pool do.
      for (int i = 0; i < 2; i++) {
        Answer answer = connection.send(bytes).receive();
        assertThat(Inference.codes(answer)).isDeepEqualTo(Embeddings.reference(first, RECORDED));
        assertThat(Inference.isBinary(answer)).isEqualTo(binary);
        expectHead(answer, id, "1");
      }
    }
  }

  private static void expectHead(Answer answer, @Nullable String id, String version) {
    JsonNode head = Inference.head(answer);
    if (id == null) {
      assertThat(head.propertyNames())
          .containsExactlyInAnyOrder("model_name", "model_version", "outputs");
    } else {
      assertThat(head.propertyNames())
          .containsExactlyInAnyOrder("model_name", "model_version", "id", "outputs");
      assertThat(head.path("id").asString()).isEqualTo(id);
    }
    assertThat(head.path("model_name").asString()).isEqualTo("default");
    assertThat(head.path("model_version").isString()).isTrue();
    assertThat(head.path("model_version").asString()).isEqualTo(version);
  }

  @ParameterizedTest
  @CsvSource({"'', 1", "/versions/1, 1", "/versions/2, 2", "/versions/canary, 2"})
  void infer_version_usesAndNamesIt(String path, String version) {
    Answer answer = client.post("/v2/models/default" + path + "/infer", request(jsonInput(ROWS)));
    assertThat(Inference.codes(answer))
        .isDeepEqualTo(Embeddings.reference(version.equals("1") ? first : second, ROWS));
    expectHead(answer, null, version);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "x", " ", "0042", "ä\\u00e4\\n\\\"", "null"})
  void infer_id_isEchoedAsItIs(String id) {
    Answer answer =
        infer("{\"id\":\"%s\",\"inputs\":[%s]}".formatted(id, jsonInput(ROWS))).expect(200);
    assertThat(answer.json().path("id").asString())
        .isEqualTo(id.replace("\\u00e4", "ä").replace("\\n", "\n").replace("\\\"", "\""));
  }

  /** The setting of the output overrides that of the request; without any, JSON. */
  @ParameterizedTest
  @CsvSource({
    "     ,      , false",
    "     , true , true",
    "     , false, false",
    "true ,      , true",
    "true , true , true",
    "true , false, false",
    "false,      , false",
    "false, true , true",
    "false, false, false",
  })
  void infer_outputSettings_decideTheForm(
      @Nullable String ofRequest, @Nullable String ofOutput, boolean binary) {
    String parameters =
        ofRequest == null
            ? ""
            : ",\"parameters\":{\"binary_data_output\":%s,\"priority\":1}".formatted(ofRequest);
    String output =
        ofOutput == null
            ? "{\"name\":\"semantic_ids\"}"
            : "{\"name\":\"semantic_ids\",\"parameters\":{\"x\":1,\"binary_data\":%s}}"
                .formatted(ofOutput);
    int[][] expected = Embeddings.reference(first, ROWS);
    for (String outputs : new String[] {",\"outputs\":[" + output + "]", ""}) {
      if (outputs.isEmpty() && ofOutput != null) {
        continue;
      }
      Answer fromJson =
          infer("{\"inputs\":[%s]%s%s}".formatted(jsonInput(ROWS), outputs, parameters));
      Answer fromBinary =
          Inference.send(
              client,
              INFER,
              "{\"inputs\":[%s]%s%s}"
                  .formatted(binaryInput(2, D, "FP32", DATA.length), outputs, parameters),
              DATA);
      for (Answer answer : new Answer[] {fromJson, fromBinary}) {
        assertThat(Inference.codes(answer)).isDeepEqualTo(expected);
        assertThat(Inference.isBinary(answer)).isEqualTo(binary);
      }
    }
  }

  @Test
  void infer_noOutputsListed_givesAll() {
    assertThat(
            Inference.codes(infer("{\"inputs\":[%s],\"outputs\":[]}".formatted(jsonInput(ROWS)))))
        .isDeepEqualTo(Embeddings.reference(first, ROWS));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 31, 33, 150, MOST_ROWS})
  void infer_anyNumberOfRows_givesTheReferenceCodes(int n) {
    float[][] rows = Arrays.copyOf(MANY, n);
    int[][] expected = Embeddings.reference(first, rows);
    String nested = Embeddings.json(rows);
    String flat = "[" + nested.replaceAll("[\\[\\]]", "") + "]";
    String spaced = nested.replace(",", " ,\n\t ").replace("[", "[ ").replace("]", "\r\n]");
    for (String datatype : new String[] {"FP32", "FP64"}) {
      for (String data : new String[] {nested, flat, spaced}) {
        assertThat(Inference.codes(infer(request(Inference.jsonInput(n, D, datatype, data)))))
            .isDeepEqualTo(expected);
      }
    }
    byte[] octets = Embeddings.octets(rows);
    assertThat(Inference.codes(binary(n, "FP32", octets))).isDeepEqualTo(expected);
    Answer raw = client.send("POST", INFER, octets, HEADER, "0");
    assertThat(Inference.codes(raw)).isDeepEqualTo(expected);
    assertThat(Inference.isBinary(raw)).isTrue();
    assertThat(Inference.codes(binary(n, "FP64", Embeddings.doubles(rows))))
        .isDeepEqualTo(expected);
    assertThat(Inference.codes(binary(n, "FP16", Embeddings.halves(rows))))
        .isDeepEqualTo(
            Embeddings.reference(
                first, map(rows, x -> Float.float16ToFloat(Float.floatToFloat16(x)))));
    assertThat(Inference.codes(binary(n, "BF16", Embeddings.bfloats(rows))))
        .isDeepEqualTo(
            Embeddings.reference(
                first,
                map(rows, x -> Float.intBitsToFloat(Float.floatToRawIntBits(x) & 0xFFFF0000))));
  }

  private static Answer binary(int rows, String datatype, byte[] data) {
    return Inference.send(
        client, INFER, request(binaryInput(rows, D, datatype, data.length)), data);
  }

  private static float[][] map(float[][] rows, UnaryOperator<Float> function) {
    float[][] mapped = new float[rows.length][rows[0].length];
    for (int row = 0; row < rows.length; row++) {
      for (int i = 0; i < rows[row].length; i++) {
        mapped[row][i] = function.apply(rows[row][i]);
      }
    }
    return mapped;
  }

  /** Members come in whatever order, and those that are not known mean nothing. */
  @Test
  void infer_otherOrderAndUnknownMembers_areTheSame() {
    int[][] expected = Embeddings.reference(first, ROWS);
    String json =
        """
        {"parameters":{"x":{"y":[1,null,{"z":"]}"}]}},"outputs":[{"name":"semantic_ids","shape":[1]}],
         "more":[[{}]],"inputs":[{"data":%s,"datatype":"FP32","parameters":{"tenant":"a"},
         "comment":"data","shape":[2,8],"name":"embeddings"}],"id":"last"}
        """
            .formatted(Embeddings.json(ROWS));
    Answer answer = infer(json);
    assertThat(Inference.codes(answer)).isDeepEqualTo(expected);
    expectHead(answer, "last", "1");
    String head =
        """
        {"inputs":[{"parameters":{"y":1,"binary_data_size":64},"shape":[2,8],"datatype":"FP32",
         "name":"embeddings"}]}  \n
        """;
    assertThat(Inference.codes(Inference.send(client, INFER, head, DATA))).isDeepEqualTo(expected);
  }

  @Test
  void infer_headerOverAllOfAJsonBody_isJson() {
    assertThat(
            Inference.codes(Inference.send(client, INFER, request(jsonInput(ROWS)), new byte[0])))
        .isDeepEqualTo(Embeddings.reference(first, ROWS));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {JSON, OCTETS, "application/x-www-form-urlencoded", "text/plain", "nonsense"})
  void infer_whateverContentType_isRead(String contentType) {
    int[][] expected = Embeddings.reference(first, ROWS);
    assertThat(Inference.codes(client.post(INFER, contentType, utf8(request(jsonInput(ROWS))))))
        .isDeepEqualTo(expected);
    assertThat(Inference.codes(client.post(INFER, contentType, DATA, HEADER, "0")))
        .isDeepEqualTo(expected);
  }

  @Test
  void infer_chunkedBinaryBody_isReadToItsEnd() {
    byte[] head = utf8(request(binaryInput(2, D, "FP32", DATA.length)));
    byte[] body = concat(head, DATA);
    try (var connection = new RawConnection(client.port())) {
      connection.head("POST " + INFER, "Transfer-Encoding: chunked", HEADER + ": " + head.length);
      for (int begin = 0; begin < body.length; begin += 37) {
        byte[] chunk = Arrays.copyOfRange(body, begin, Math.min(body.length, begin + 37));
        connection.send(
            concat(utf8(String.format(Locale.ROOT, "%x\r\n", chunk.length)), chunk, utf8("\r\n")));
      }
      assertThat(Inference.codes(connection.send(utf8("0\r\n\r\n")).receive()))
          .isDeepEqualTo(Embeddings.reference(first, ROWS));
    }
  }

  /**
   * A request that is refused with 400.
   *
   * @param headers names and values by turns
   * @param named what the sentence must name
   */
  record Bad(String what, byte[] body, String[] headers, Object... named) {

    @Override
    public String toString() {
      return what;
    }
  }

  private static Bad json(String body, Object... named) {
    String what = body.length() > 100 ? body.substring(0, 100) + "…" : body;
    return new Bad(what, utf8(body), new String[0], named);
  }

  private static Bad input(String input, Object... named) {
    return json(request(input), named);
  }

  private static Bad shaped(String shape, Object... named) {
    return input(
        "{\"name\":\"embeddings\",\"shape\":%s,\"datatype\":\"FP32\",\"data\":%s}"
            .formatted(shape, Embeddings.json(ROWS)),
        named);
  }

  private static Bad data(String data, Object... named) {
    return input(Inference.jsonInput(2, D, "FP32", data), named);
  }

  private static Bad typed(String datatype, Object... named) {
    return input(
        "{\"name\":\"embeddings\",\"shape\":[2,8],\"datatype\":%s,\"data\":%s}"
            .formatted(datatype, Embeddings.json(ROWS)),
        named);
  }

  private static Bad of(String what, String header, byte[] body, Object... named) {
    return new Bad(what, body, new String[] {HEADER, header}, named);
  }

  /** Binary data behind a head whose announced length is off. */
  private static Bad off(String what, int difference, Object... named) {
    byte[] head = utf8(request(binaryInput(2, D, "FP32", DATA.length)));
    return of(what, Integer.toString(head.length + difference), concat(head, DATA), named);
  }

  private static Bad binary(String what, String head, byte[] data, Object... named) {
    byte[] bytes = utf8(head);
    return of(what, Integer.toString(bytes.length), concat(bytes, data), named);
  }

  private static Bad sized(String what, String size, byte[] data, Object... named) {
    String head =
        """
        {"inputs":[{"name":"embeddings","shape":[2,8],"datatype":"FP32",\
        "parameters":{"binary_data_size":%s}}]}\
        """
            .formatted(size);
    return binary(what, head, data, named);
  }

  private static byte[] poisoned(String datatype) {
    ByteBuffer buffer = ByteBuffer.allocate(256).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < 16; i++) {
      boolean bad = i == 11;
      switch (datatype) {
        case "NaN FP32" -> buffer.putFloat(bad ? Float.NaN : 1);
        case "Inf FP32" -> buffer.putFloat(bad ? Float.POSITIVE_INFINITY : 1);
        case "NaN FP16" -> buffer.putShort(bad ? (short) 0x7E00 : (short) 0x3C00);
        case "Inf FP16" -> buffer.putShort(bad ? (short) 0xFC00 : (short) 0x3C00);
        case "NaN BF16" -> buffer.putShort(bad ? (short) 0x7FC0 : (short) 0x3F80);
        case "Inf BF16" -> buffer.putShort(bad ? (short) 0xFF80 : (short) 0x3F80);
        case "NaN FP64" -> buffer.putDouble(bad ? Double.NaN : 1);
        case "Inf FP64" -> buffer.putDouble(bad ? Double.NEGATIVE_INFINITY : 1);
        default -> buffer.putDouble(bad ? 1e39 : 1);
      }
    }
    return Arrays.copyOf(buffer.array(), buffer.position());
  }

  private static Bad poison(String what) {
    byte[] data = poisoned(what);
    String datatype = what.substring(what.indexOf(' ') + 1);
    return binary(what, request(binaryInput(2, D, datatype, data.length)), data, "row 1");
  }

  private static String numbers(int count, String each) {
    return String.join(",", Collections.nCopies(count, each));
  }

  static Stream<Bad> badHeaders() {
    byte[] head = utf8(request(binaryInput(2, D, "FP32", DATA.length)));
    byte[] body = concat(head, DATA);
    return Stream.of(
        of("header x", "x", body, HEADER, "'x'"),
        of("header -1", "-1", body, HEADER, "'-1'"),
        of("header +1", "+" + head.length, body, HEADER),
        of("header 1.5", "1.5", body, HEADER),
        of("header 0x50", "0x50", body, HEADER),
        of("header 1e2", "1e2", body, HEADER),
        of("header with a comma", head.length + "," + head.length, body, HEADER),
        of("header empty", "", body, HEADER),
        of("header 2⁶³", "9223372036854775808", body, HEADER),
        of("header 999999999", "999999999", body, 999_999_999, body.length),
        of(
            "header one beyond the body",
            Integer.toString(body.length + 1),
            body,
            body.length + 1,
            body.length),
        of("header over all of the body", Integer.toString(body.length), body),
        of("header over a mebibyte", "1048577", concat(new byte[1_100_000]), 1_048_576, 1_048_577),
        off("header one less than the JSON", -1),
        off("header 30 less than the JSON", -30),
        off("header one more than the JSON", 1),
        off("header 17 more than the JSON", 17),
        of("header 1", "1", body),
        of("header 0 and no body", "0", new byte[0]),
        of("header 0 and JSON", "0", Arrays.copyOf(body, 33), 33),
        of("header 0 and one byte less", "0", Arrays.copyOf(DATA, DATA.length - 1), 63),
        of("header 0 and one byte more", "0", Arrays.copyOf(DATA, DATA.length + 1), 65),
        of("header 0 and NaN", "0", poisoned("NaN FP32"), "row 1"),
        of("one byte too many", Integer.toString(head.length), concat(body, new byte[1])),
        of("a row too many", Integer.toString(head.length), concat(body, new byte[32])),
        of(
            "one byte missing",
            Integer.toString(head.length),
            Arrays.copyOf(body, body.length - 1),
            64,
            63),
        of("a row missing", Integer.toString(head.length), Arrays.copyOf(body, body.length - 32)),
        of("all data missing", Integer.toString(head.length), head, 64, 0),
        binary("surplus behind JSON", request(jsonInput(ROWS)), new byte[1]),
        new Bad("binary without the header", head, new String[0], HEADER),
        new Bad("binary body without the header", body, new String[0]),
        new Bad("not gzip", body, new String[] {"Content-Encoding", "gzip"}, "gzip"),
        new Bad("not deflate", body, new String[] {"Content-Encoding", "deflate"}),
        new Bad(
            "truncated gzip",
            Arrays.copyOf(Bytes.gzip(body), 60),
            new String[] {"Content-Encoding", "gzip", HEADER, Integer.toString(head.length)}),
        new Bad(
            "timeout 0",
            utf8(request(jsonInput(ROWS))),
            new String[] {"X-Request-Timeout-Ms", "0"},
            "X-Request-Timeout-Ms"));
  }

  static Stream<Bad> badBinary() {
    String good = binaryInput(2, D, "FP32", 64);
    return Stream.of(
        sized("size 68", "68", concat(DATA, new byte[4]), 64, 68),
        sized("size 60", "60", Arrays.copyOf(DATA, 60), 64, 60),
        sized("size 128 of 64", "128", DATA, 64, 128),
        sized("size 0", "0", new byte[0], 64),
        sized("size -1", "-1", DATA),
        sized("size -64", "-64", DATA),
        sized("size 64.0", "64.0", DATA),
        sized("size 6.4e1", "6.4e1", DATA),
        sized("size text", "\"64\"", DATA),
        sized("size null", "null", DATA),
        sized("size true", "true", DATA),
        sized("size 2⁵³", "9007199254740992", DATA),
        sized("size beyond a long", "99999999999999999999", DATA),
        binary("FP16 of FP32's size", request(binaryInput(2, D, "FP16", 64)), DATA, 32, 64),
        binary("FP64 of FP32's size", request(binaryInput(2, D, "FP64", 64)), DATA, 128, 64),
        binary("INT32", request(binaryInput(2, D, "INT32", 64)), DATA, "INT32"),
        binary("BYTES", request(binaryInput(2, D, "BYTES", 64)), DATA, "BYTES"),
        binary("shape [1,8]", request(binaryInput(1, D, "FP32", 64)), DATA),
        binary("shape [3,8]", request(binaryInput(3, D, "FP32", 64)), DATA),
        binary("shape [4,4]", request(binaryInput(4, 4, "FP32", 64)), DATA, "[4, 4]"),
        binary("shape [0,8]", request(binaryInput(0, D, "FP32", 0)), new byte[0], "[0, 8]"),
        binary("shape [-2,8]", request(binaryInput(-2, D, "FP32", 64)), DATA, "[-2, 8]"),
        binary("two inputs", "{\"inputs\":[%s,%s]}".formatted(good, good), concat(DATA, DATA)),
        binary("other name", request(good.replace("embeddings", "x")), DATA, "embeddings"),
        binary(
            "data and binary",
            request(
                """
                {"name":"embeddings","shape":[2,8],"datatype":"FP32",\
                "parameters":{"binary_data_size":64},"data":%s}\
                """
                    .formatted(Embeddings.json(ROWS))),
            DATA,
            "both"),
        binary(
            "data and binary of size 0",
            request(
                """
                {"name":"embeddings","shape":[2,8],"datatype":"FP32",\
                "parameters":{"binary_data_size":0},"data":%s}\
                """
                    .formatted(Embeddings.json(ROWS))),
            new byte[0]),
        binary("neither", request(good.replace("binary_data_size", "size")), DATA),
        binary("broken JSON", request(good).substring(1), DATA),
        binary("JSON that breaks off", request(good).substring(0, 40), DATA),
        binary("an array", "[]", DATA),
        binary("an empty object", "{}", DATA),
        binary("spaces", "    ", DATA),
        poison("NaN FP32"),
        poison("Inf FP32"),
        poison("NaN FP16"),
        poison("Inf FP16"),
        poison("NaN BF16"),
        poison("Inf BF16"),
        poison("NaN FP64"),
        poison("Inf FP64"),
        poison("beyond FP64"));
  }

  static Stream<Bad> badJson() {
    String good = jsonInput(ROWS);
    String rows = Embeddings.json(ROWS);
    String row = "[" + numbers(8, "0.5") + "]";
    return Stream.of(
        json(""),
        json(" \n"),
        json("{"),
        json("[]"),
        json("null"),
        json("42"),
        json("\"x\""),
        json("{}", "embeddings"),
        json("not JSON"),
        json(request(good) + "x"),
        json(request(good) + "{}"),
        json(request(good).substring(0, request(good).length() - 1)),
        json(request(good).replace(":", "=")),
        json("{\"inputs\":null}"),
        json("{\"inputs\":{}}"),
        json("{\"inputs\":[]}", "embeddings"),
        json("{\"inputs\":[null]}"),
        json("{\"inputs\":[[]]}"),
        json("{\"inputs\":[\"embeddings\"]}"),
        json("{\"inputs\":[{}]}", "embeddings"),
        json("{\"inputs\":[%s,%s]}".formatted(good, good)),
        json("{\"inputs\":[%s,{}]}".formatted(good)),
        json("{\"inputs\":[%s],\"inputs\":[%s]}".formatted(good, good)),
        json("{\"input\":[%s]}".formatted(good), "embeddings"),
        json("{\"id\":42,\"inputs\":[%s]}".formatted(good), "id"),
        json("{\"id\":null,\"inputs\":[%s]}".formatted(good), "id"),
        json("{\"id\":\"\\ud800\",\"inputs\":[%s]}".formatted(good)),
        json("{\"parameters\":[],\"inputs\":[%s]}".formatted(good)),
        json("{\"parameters\":{\"binary_data_output\":1},\"inputs\":[%s]}".formatted(good)),
        json("{\"parameters\":{\"binary_data_output\":\"true\"},\"inputs\":[%s]}".formatted(good)),
        input(good.replace("embeddings", "Embeddings"), "Embeddings", "embeddings"),
        input(good.replace("embeddings", "")),
        input(good.replace("\"embeddings\"", "null")),
        input(good.replace("\"embeddings\"", "1")),
        input(good.replace("\"name\":\"embeddings\",", ""), "embeddings"),
        input(good.replace("\"shape\":[2,8],", ""), "shape"),
        input(good.replace("\"datatype\":\"FP32\",", ""), "datatype"),
        input("{\"name\":\"embeddings\",\"shape\":[2,8],\"datatype\":\"FP32\"}", "data"),
        input(good.replace("\"data\":", "\"data\":%s,\"data\":".formatted(rows)), "data"),
        outputs("{}"),
        outputs("null"),
        outputs("[null]"),
        outputs("[{}]", "semantic_ids"),
        outputs("[{\"name\":\"codes\"}]", "codes", "semantic_ids"),
        outputs("[{\"name\":null}]"),
        outputs("[{\"name\":\"semantic_ids\"},{\"name\":\"semantic_ids\"}]", "semantic_ids"),
        outputs("[{\"name\":\"semantic_ids\"},{\"name\":\"x\"}]"),
        output("\"binary_data\":\"yes\"", "binary_data"),
        output("\"binary_data\":1", "binary_data"),
        output("\"binary_data\":null", "binary_data"),
        output("\"classification\":3", "classification"),
        output("\"shared_memory_region\":\"r\"", "shared_memory_region"),
        output("\"shared_memory_offset\":0", "shared_memory"),
        inputParameters("\"shared_memory_region\":\"r\",\"shared_memory_byte_size\":64", "shared"),
        inputParameters("\"shared_memory_byte_size\":64", "shared"),
        input(good.replace("\"data\"", "\"parameters\":null,\"data\"")),
        input(good.replace("\"data\"", "\"parameters\":[],\"data\"")),
        typed("\"FP16\"", "FP16"),
        typed("\"BF16\"", "BF16"),
        typed("\"fp32\"", "fp32"),
        typed("\"FP8\"", "FP8"),
        typed("\"INT32\"", "INT32"),
        typed("\"BYTES\"", "BYTES"),
        typed("\"\""),
        typed("null"),
        typed("32"),
        shaped("null"),
        shaped("\"[2,8]\""),
        shaped("16"),
        shaped("{}"),
        shaped("[]", "[]", 8),
        shaped("[16]", "[16]", 8),
        shaped("[2]"),
        shaped("[8,2]", "[8, 2]", 8),
        shaped("[4,4]", "[4, 4]", 8),
        shaped("[2,7]"),
        shaped("[2,9]"),
        shaped("[1,2,8]", "[1, 2, 8]"),
        shaped("[2,8,1]"),
        shaped("[1,1,1,1,1,1,1,2,8]"),
        shaped("[0,8]", "[0, 8]"),
        shaped("[-1,8]", "[-1, 8]"),
        shaped("[-2,-8]"),
        shaped("[2,-1]"),
        shaped("[2.0,8]"),
        shaped("[2,8.5]"),
        shaped("[\"2\",8]"),
        shaped("[2,null]"),
        shaped("[[2,8]]"),
        shaped("[1,8]", 8, 16),
        shaped("[3,8]", 24, 16),
        shaped("[2,8,]"),
        shaped("[2,99999999999999999999]"),
        data("null"),
        data("{}"),
        data("\"%s\"".formatted(rows)),
        data("0.5"),
        data("[]"),
        data("[[]]"),
        data("[[],[]]"),
        data("[[[0.5]]]"),
        data("[%s]".formatted(numbers(15, "0.5")), 16, 15),
        data("[%s]".formatted(numbers(17, "0.5")), 16, 17),
        data("[%s]".formatted(row), 16, 8),
        data("[%s,%s,%s]".formatted(row, row, row), 16, 24),
        data("[%s,[%s]]".formatted(row, numbers(7, "0.5")), "row 1", 7),
        data("[[%s],%s]".formatted(numbers(7, "0.5"), row), "row 0", 7),
        data("[%s,[%s]]".formatted(row, numbers(9, "0.5")), "row 1", 9),
        data("[%s,%s]".formatted(row, numbers(8, "0.5"))),
        data("[%s,%s]".formatted(numbers(8, "0.5"), row)),
        data("[%s,[%s]]".formatted(row, row)),
        data("[%s,,0.5]".formatted(numbers(14, "0.5"))),
        data("[%s,]".formatted(numbers(16, "0.5"))),
        element("NaN"),
        element("Infinity"),
        element("-Infinity"),
        element("\"0.5\""),
        element("\"NaN\""),
        element("null"),
        element("true"),
        element("{}"),
        element("01"),
        element(".5"),
        element("+1"),
        element("0x1"),
        element("1e39"),
        element("-3.4028236e38"),
        element("1e999"));
  }

  private static Bad element(String element) {
    return data("[%s,%s]".formatted(numbers(15, "0.5"), element));
  }

  private static Bad outputs(String outputs, Object... named) {
    return json("{\"outputs\":%s,\"inputs\":[%s]}".formatted(outputs, jsonInput(ROWS)), named);
  }

  private static Bad output(String parameters, Object... named) {
    return outputs(
        "[{\"name\":\"semantic_ids\",\"parameters\":{%s}}]".formatted(parameters), named);
  }

  private static Bad inputParameters(String parameters, Object... named) {
    return input(
        "{\"name\":\"embeddings\",\"shape\":[2,8],\"datatype\":\"FP32\",\"parameters\":{%s}}"
            .formatted(parameters),
        named);
  }

  @ParameterizedTest
  @MethodSource({"badHeaders", "badBinary", "badJson"})
  void infer_malformed_isRefusedWithAnError(Bad bad) {
    expectError(client.send("POST", INFER, bad.body, bad.headers), 400, bad.named);
  }

  @Test
  void infer_jsonThatIsNotUtf8_isRefused() {
    byte[] body = utf8("{\"id\":\"??\",\"inputs\":[%s]}".formatted(jsonInput(ROWS)));
    body[7] = (byte) 0xC3;
    body[8] = (byte) 0x28;
    expectError(client.send("POST", INFER, body), 400);
  }

  @Test
  void infer_everyPrefixOfAGoodRequest_isRefused() {
    String good = request(jsonInput(ROWS));
    for (int length = 0; length < good.length(); length += 5) {
      expectError(infer(good.substring(0, length)), 400);
    }
    byte[] head = utf8(request(binaryInput(2, D, "FP32", DATA.length)));
    byte[] body = concat(head, DATA);
    for (int length = 0; length < body.length; length += 5) {
      byte[] prefix = Arrays.copyOf(body, length);
      expectError(client.send("POST", INFER, prefix, HEADER, Integer.toString(head.length)), 400);
    }
  }

  @Test
  void infer_moreThanMayCome_isTooLarge() {
    String tooMany = numbers((MOST_ROWS + 1) * D, "0.5");
    expectError(
        infer(request(Inference.jsonInput(MOST_ROWS + 1, D, "FP32", "[" + tooMany + "]"))),
        413,
        MOST_ROWS);
    expectError(
        infer(request(Inference.jsonInput(1, D, "FP32", "[" + tooMany + "]"))), 413, MOST_ROWS);
    byte[] data = new byte[(MOST_ROWS + 1) * D * 4];
    expectError(binary(MOST_ROWS + 1, "FP32", data), 413, MOST_ROWS);
    expectError(client.send("POST", INFER, data, HEADER, "0"), 413, MOST_ROWS);
    expectError(infer(request(good("[9007199254740991,8]"))), 413, MOST_ROWS);
    byte[] large = new byte[(2 << 20) + 1];
    Arrays.fill(large, (byte) ' ');
    expectError(client.send("POST", INFER, large), 413, 2 << 20);
    expectError(
        client.send("POST", INFER, Bytes.gzip(large), "Content-Encoding", "gzip"), 413, 2 << 20);
  }

  private static String good(String shape) {
    return jsonInput(ROWS).replace("[2,8]", shape);
  }

  @Test
  void infer_unknownContentEncoding_isRefused() {
    Answer answer =
        client.send("POST", INFER, utf8(request(jsonInput(ROWS))), "Content-Encoding", "br");
    expectError(answer, 415, "br");
    assertThat(answer.header("Accept-Encoding").toLowerCase(Locale.ROOT))
        .contains("gzip", "deflate");
  }

  @Test
  void openApi_document_describesTheProtocol() {
    JsonNode paths = client.get("/v3/api-docs").expect(200).json().path("paths");
    Map.of(
            "/v2",
            "get",
            "/v2/models/{model}",
            "get",
            "/v2/models/{model}/infer",
            "post",
            "/v2/models/{model}/versions/{version}/infer",
            "post")
        .forEach((path, method) -> assertThat(paths.path(path).has(method)).as(path).isTrue());
  }
}
