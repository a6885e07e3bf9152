package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.Locale;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The Open Inference Protocol as its official clients speak it. */
final class Inference {

  static final String HEADER = "Inference-Header-Content-Length";

  private Inference() {}

  /** An input whose data follow as binary. */
  static String binaryInput(int rows, int dimension, String datatype, int bytes) {
    return String.format(
        Locale.ROOT,
        """
        {"name":"embeddings","shape":[%d,%d],"datatype":"%s",\
        "parameters":{"binary_data_size":%d}}\
        """,
        rows,
        dimension,
        datatype,
        bytes);
  }

  /** An input with its data in JSON. */
  static String jsonInput(int rows, int dimension, String datatype, String data) {
    return String.format(
        Locale.ROOT,
        "{\"name\":\"embeddings\",\"shape\":[%d,%d],\"datatype\":\"%s\",\"data\":%s}",
        rows,
        dimension,
        datatype,
        data);
  }

  /** Sends JSON followed by binary data. */
  static Answer send(ServiceClient client, String path, String json, byte[] data) {
    byte[] head = Bytes.utf8(json);
    return client.send(
        "POST", path, Bytes.concat(head, data), HEADER, Integer.toString(head.length));
  }

  /** The JSON part of an answer. */
  static JsonNode head(Answer answer) {
    String length = answer.header(HEADER);
    byte[] body = answer.body();
    return JsonMapper.shared()
        .readTree(length.isEmpty() ? body : Arrays.copyOf(body, Integer.parseInt(length)));
  }

  /** Whether the output came as binary data. */
  static boolean isBinary(Answer answer) {
    boolean binary = !answer.header(HEADER).isEmpty();
    assertThat(answer.header("Content-Type"))
        .as(answer.toString())
        .startsWith(binary ? ServiceClient.OCTETS : ServiceClient.JSON);
    return binary;
  }

  /** The codes of an answer, which must be well-formed: n × L. */
  static int[][] codes(Answer answer) {
    answer.expect(200);
    boolean binary = isBinary(answer);
    JsonNode outputs = head(answer).path("outputs");
    assertThat(outputs.size()).as(answer.toString()).isEqualTo(1);
    JsonNode output = outputs.path(0);
    assertThat(output.path("name").asString()).isEqualTo("semantic_ids");
    assertThat(output.path("datatype").asString()).isEqualTo("INT32");
    assertThat(output.path("shape").size()).isEqualTo(2);
    int rows = output.path("shape").path(0).asInt();
    int levels = output.path("shape").path(1).asInt();
    if (binary) {
      assertThat(output.has("data")).isFalse();
      byte[] data =
          Arrays.copyOfRange(
              answer.body(), Integer.parseInt(answer.header(HEADER)), answer.body().length);
      assertThat(data).hasSize(4 * rows * levels);
      assertThat(output.path("parameters").path("binary_data_size").asInt()).isEqualTo(data.length);
      return ServiceClient.codes(data, rows);
    }
    assertThat(output.has("parameters")).isFalse();
    assertThat(output.path("data").size()).isEqualTo(rows * levels);
    int[][] codes = new int[rows][levels];
    for (int i = 0; i < rows * levels; i++) {
      codes[i / levels][i % levels] = output.path("data").path(i).asInt();
    }
    return codes;
  }
}
