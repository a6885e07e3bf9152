package dev.semanticid.encode;

import static dev.semanticid.encode.ProblemAssertions.assertProblem;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.budget.MemoryBudget;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.settings.SemanticIdProperties;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.Arrays;
import java.util.Base64;
import java.util.Locale;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.util.unit.DataSize;

/** Bodies of embeddings are read to the numbers they hold, or refused with what is wrong. */
class JsonEmbeddingsReaderTest {

  private static final int MAX_ROWS = 3000;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"embeddings\": [[1, -2.5, 3e-3], [4, 5, 6]]}",
        "[[1, -2.5, 3e-3], [4, 5, 6]]",
        " \n[ [1,-2.5,0.003] ,\t[4.0,5,6E0]] ",
        "{\"embedding_model\":\"m\",\"embeddings\":[[1,-2.5,3e-3],[4,5,6]]}",
        "{\"\\u0065mbeddings\":[[1,-2.5,3e-3],[4,5,6]],\"embedding_model\":\"m\"}",
        "\ufeff[[1,-2.5,3e-3],[4,5,6]]"
      })
  void read_rows_areTheirNumbers(String body) {
    Body read = read(body, 3);
    assertThat(read.rows).isEqualTo(2);
    assertThat(read.data).containsExactly(1, -2.5f, 3e-3f, 4, 5, 6);
    assertThat(read.model).isEqualTo(body.contains("model") ? "m" : null);
  }

  @ParameterizedTest
  @ValueSource(strings = {"[1, 2.5, -3]", "{\"embeddings\": [1, 2.5, -3]}"})
  void read_flatVector_isOneRow(String body) {
    Body read = read(body, 3);
    assertThat(read.rows).isEqualTo(1);
    assertThat(read.data).containsExactly(1, 2.5f, -3);
  }

  @ParameterizedTest
  @CsvSource({
    "1, 1", "1, 3000", "2, 999", "7, 64", "63, 5", "64, 4", "65, 3", "513, 77", "2048, 9"
  })
  void read_anyShapeInAnyPieces_isEveryNumber(int dimension, int rows) {
    var random = new SplittableRandom(dimension);
    float[] expected = new float[dimension * rows];
    var body = new StringBuilder("{\"embeddings\":[");
    for (int i = 0; i < expected.length; i++) {
      expected[i] = (float) random.nextGaussian();
      body.append(i == 0 ? "[" : i % dimension == 0 ? "],[" : ",").append(expected[i]);
    }
    body.append("]]}");
    Body read = read(body.toString(), dimension);
    assertThat(read.rows).isEqualTo(rows);
    assertThat(Arrays.equals(read.data, expected)).isTrue();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "[]",
        "{\"embeddings\":[]}",
        "{\"embeddings_base64\":\"\"}",
        "{\"embeddings\":[ ] }"
      })
  void read_noRows_isAnEmptyBatch(String body) {
    assertProblem(ProblemCode.EMPTY_BATCH, () -> read(body, 3));
  }

  @ParameterizedTest
  @CsvSource({
    "'[[1,2]]', 0, 2",
    "'[[1,2,3,4]]', 0, 4",
    "'[[]]', 0, 0",
    "'[1]', 0, 1",
    "'[1,2,3,4,5]', 0, 5",
    "'{\"embeddings\":[[1,2]]}', 0, 2"
  })
  void read_anotherDimension_isToldWithBothNumbers(String body, int row, long actual) {
    ProblemException problem = assertProblem(ProblemCode.DIMENSION_MISMATCH, () -> read(body, 3));
    assertThat(problem.properties())
        .containsEntry("expected", 3)
        .containsEntry("actual", actual)
        .containsEntry("row", row);
    assertThat(problem.detail())
        .isEqualTo(
            String.format(
                Locale.ROOT, "the codebook has dimension 3, row 0 has %d components", actual));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 4, 63, 64, 66, 67, 68, 128, 131, 132, 1000})
  void read_rowOfAnotherLengthLater_isRaggedWithBothNumbers(int length) {
    String numbers = "0.5,".repeat(length);
    String row = numbers.isEmpty() ? "" : numbers.substring(0, numbers.length() - 1);
    ProblemException problem =
        assertProblem(
            ProblemCode.RAGGED_ROWS, () -> read("[[1,2,3],[4,5,6],[" + row + "],[1,2,3]]", 3));
    assertThat(problem.properties())
        .containsEntry("expected", 3)
        .containsEntry("actual", (long) length)
        .containsEntry("row", 2);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "[[1,2,3],[4,\"5\",6]]|row 1 component 1 must be a number, got a string",
        "[[1,2,null]]|row 0 component 2 must be a number, got null",
        "[null,2,3]|row 0 component 0 must be a number, got null",
        "[[1,2,3],[4,5,6,7,true]]|row 1 component 4 must be a number, got a boolean",
        "[[1,2,3],[[4]]]|row 1 component 0 must be a number, got an array",
        "[[1,2,3],4]|row 1 must be an array of numbers, got a number",
        "[[1,2,3],{}]|row 1 must be an array of numbers, got an object",
        "[1,[2],3]|row 0 component 1 must be a number, got an array",
        "[1,2,3,|row 0 component 3 must be a number, got the end of the body",
        "[[1,2 3]]|expected ',' or ']', got a number",
        "[[1,2,3 4]]|expected ',' or ']', got a number",
        "[[1,2,,3]]|a number is missing",
        "[[1,2,]]|a number is missing",
        "[[1,2,3],]|a ',' comes before the end",
        "[[1,2,3]|expected ',' or ']', got the end of the body",
        "[[1,2,3]] 1|something behind the end",
        "[[1,2,3]][[1,2,3]]|something behind the end",
        "[[1,2,03]]|'03' is not a number",
        "5|expected {\"embeddings\"",
        "\"x\"|expected {\"embeddings\"",
        "null|got null",
        "{}|\"embeddings\" is missing",
        "{\"embedding_model\":\"m\"}|\"embeddings\" is missing",
        "{\"embeddings\":5}|\"embeddings\" must be an array, got a number",
        "{\"embeddings\":null}|\"embeddings\" must be an array, got null",
        "{\"embeddings\":\"AAAA\"}|\"embeddings\" must be an array, got a string",
        "{\"embeddings_base64\":[[1,2,3]]}|\"embeddings_base64\" must be a string, got an array",
        "{\"embedding_model\":5,\"embeddings\":[1,2,3]}|\"embedding_model\" must be a string",
        "{\"embeddings\":[1,2,3],\"embeddings\":[1,2,3]}|after embeddings have come",
        "{\"embeddings\":[1,2,3],\"embeddings_base64\":\"\"}|after embeddings have come",
        "{\"embeddings_base64\":\"\",\"embeddings\":[1,2,3]}|after embeddings have come",
        "{\"embeddings_base64\":\"\",\"embeddings_base64\":\"\"}|after embeddings have come",
        "{\"embedding_model\":\"\",\"embedding_model\":\"\",\"embeddings\":[]}|is there twice"
      })
  void read_notWhatIsExpected_isToldWhatAndWhere(String body, String detail) {
    assertThat(assertProblem(ProblemCode.MALFORMED_JSON, () -> read(body, 3)).detail())
        .contains(detail);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "Embeddings", "embedding", "data", "embeddings_base64 ", "é\\n"})
  void read_unknownMember_isToldByItsName(String name) {
    ProblemException problem =
        assertProblem(
            ProblemCode.UNKNOWN_PARAMETER,
            () -> read("{\"" + name + "\":1,\"embeddings\":[1,2,3]}", 3));
    assertThat(problem.properties()).containsEntry("parameter", name.replace("\\n", "\n"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"1e39", "-3.4028236e38", "1e9999"})
  void read_numberBeyondFloat32_isNotFinite(String number) {
    ProblemException problem =
        assertProblem(
            ProblemCode.NON_FINITE_VALUE, () -> read("[[1,2,3],[4,5," + number + "]]", 3));
    assertThat(problem.properties()).containsEntry("row", 1);
  }

  @Test
  void read_moreRowsThanARequestMayHave_isTooLargeWithoutReadingOn() {
    String rows = "[1],".repeat(MAX_ROWS);
    assertThat(read("[" + rows.substring(0, rows.length() - 1) + "]", 1).rows).isEqualTo(MAX_ROWS);
    assertProblem(ProblemCode.PAYLOAD_TOO_LARGE, () -> read("[" + rows + "[1], and no JSON", 1));
    String base64 = Base64.getEncoder().encodeToString(new byte[4 * MAX_ROWS + 4]);
    assertProblem(
        ProblemCode.PAYLOAD_TOO_LARGE, () -> read("{\"embeddings_base64\":\"" + base64 + "\"}", 1));
  }

  @ParameterizedTest
  @CsvSource({
    "1, 1", "1, 2", "1, 3", "3, 1", "3, 255", "3, 256", "3, 257", "3, 511", "3, 512", "1, 767",
    "1, 768", "1, 769", "1, 1535", "1, 1536", "5, 1000", "64, 77", "2048, 3"
  })
  void read_base64OfAnyLength_isEveryFloat(int dimension, int rows) {
    var random = new SplittableRandom(31L * dimension + rows);
    float[] expected = new float[dimension * rows];
    for (int i = 0; i < expected.length; i++) {
      expected[i] = (float) random.nextGaussian();
    }
    String text = base64(expected);
    Body plain = read("{\"embeddings_base64\":\"" + text + "\"}", dimension);
    assertThat(plain.rows).isEqualTo(rows);
    assertThat(Arrays.equals(plain.data, expected)).isTrue();

    var escaped = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (random.nextInt(4)) {
        case 0 -> escaped.append(String.format(Locale.ROOT, "\\u%04x", (int) c));
        case 1 -> escaped.append(c == '/' ? "\\/" : String.valueOf(c));
        default -> escaped.append(c);
      }
    }
    Body read =
        read("{\"embedding_model\":\"m\",\"embeddings_base64\" : \"" + escaped + "\" }", dimension);
    assertThat(read.model).isEqualTo("m");
    assertThat(Arrays.equals(read.data, expected)).isTrue();
  }

  @Test
  void read_base64WithEscapedSlash_isTheSlash() {
    float[] expected = {Float.intBitsToFloat(0x7F7FFFFF), Float.intBitsToFloat(0x00FFFFFF), -0f};
    String text = base64(expected);
    assertThat(text).contains("/");
    for (String slash : new String[] {"/", "\\/", "\\u002f", "\\u002F"}) {
      Body read = read("{\"embeddings_base64\":\"" + text.replace("/", slash) + "\"}", 3);
      assertThat(read.data).containsExactly(expected);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "AAAA-AAA",
        "AAAA_AAA",
        "AA=AAAAA",
        "AA==AAAA",
        "=",
        "====",
        "A",
        "AAAAA",
        "AAAA AAA",
        "AAAA\\nAAA",
        "AAAA\\u0000AAA",
        "é",
        "AAAAé",
        "AAAA\\ud83d\\ude00",
        "AAAAA=A=",
        "AA===",
        "AAAAAA=",
        "AAAAAA==="
      })
  void read_whatIsNotBase64_isRefused(String text) {
    for (int before : new int[] {0, 4088, 4092, 4096, 8192}) {
      String body = "{\"embeddings_base64\":\"" + "A".repeat(before) + text + "\"}";
      assertThat(assertProblem(ProblemCode.MALFORMED_JSON, () -> read(body, 3)).detail())
          .contains("\"embeddings_base64\"");
    }
  }

  /** Text is decoded by pieces, and padding at a piece's end is no end of the text. */
  @ParameterizedTest
  @ValueSource(ints = {4, 8, 400, 4092, 4096, 4100, 8192, 12288})
  void read_base64WithPaddingInTheMiddle_isRefused(int length) {
    for (String padding : new String[] {"AA==", "AAA="}) {
      String body =
          "{\"embeddings_base64\":\"" + "A".repeat(length - 4) + padding + "AAAAAAAA" + "\"}";
      assertProblem(ProblemCode.MALFORMED_JSON, () -> read(body, 1));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "1, 3", "2, 3", "3, 3", "5, 3", "11, 3", "13, 3", "4, 3", "8, 3", "16, 3", "3071, 3", "3073, 3",
    "3076, 3", "3074, 1", "6145, 1", "4, 2048"
  })
  void read_base64OfNoWholeRows_isToldWithBothNumbers(int bytes, int dimension) {
    String text = Base64.getEncoder().encodeToString(new byte[bytes]);
    ProblemException problem =
        assertProblem(
            ProblemCode.MALFORMED_BODY,
            () -> read("{\"embeddings_base64\":\"" + text + "\"}", dimension));
    assertThat(problem.properties())
        .containsEntry("expected", 4L * dimension)
        .containsEntry("actual", (long) bytes);
  }

  @Test
  void read_base64ThatIsNotFinite_namesTheRow() {
    String text = base64(new float[] {1, 2, 3, 4, Float.NaN, 6});
    ProblemException problem =
        assertProblem(
            ProblemCode.NON_FINITE_VALUE,
            () -> read("{\"embeddings_base64\":\"" + text + "\"}", 2));
    assertThat(problem.properties()).containsEntry("row", 2);
  }

  private record Body(float[] data, int rows, @Nullable String model) {}

  /** Reads a body whose bytes come in pieces, into a buffer that begins small. */
  private static Body read(String body, int dimension) {
    var admission =
        new Admission(
            new SemanticIdProperties.Encoding(
                MAX_ROWS, DataSize.ofMegabytes(1), MAX_ROWS, 1, Duration.ofSeconds(30)),
            () -> 0);
    var arrays = new FloatArrays(1L << 30);
    var random = new SplittableRandom(body.length());
    try (Admission.Permit permit = admission.admit(1);
        var buffer =
            new EmbeddingBuffer(arrays, permit, new MemoryBudget(1L << 30), dimension, 1)) {
      String model =
          JsonEmbeddingsReader.read(
              new PiecewiseStream(body.getBytes(UTF_8), () -> 1 + random.nextInt(5000)), buffer);
      VectorBatch batch = buffer.finish();
      return new Body(Arrays.copyOf(batch.data(), batch.rows() * dimension), batch.rows(), model);
    }
  }

  private static String base64(float[] values) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    return Base64.getEncoder().encodeToString(bytes.array());
  }
}
