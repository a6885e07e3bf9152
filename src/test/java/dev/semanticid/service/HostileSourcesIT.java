package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.JSON;
import static dev.semanticid.service.ServiceClient.NPY;
import static dev.semanticid.service.ServiceClient.OCTETS;
import static dev.semanticid.service.ServiceClient.SMALL;
import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.format.NpyWriter;
import dev.semanticid.parquet.ParquetFiles;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** Names and shapes that are meant to do harm, to a service with the heap of the image. */
@Timeout(value = 5, unit = TimeUnit.MINUTES)
class HostileSourcesIT {

  private static final int D = 16;
  private static final float[][] ROWS = Embeddings.rows(600, D, 1);

  private static ServiceProcess service;
  private static ServiceClient client;
  private static Path root;
  private static Path outside;

  @BeforeAll
  static void start(@TempDir Path temp) throws IOException {
    root = Files.createDirectories(temp.resolve("root")).toRealPath();
    outside = Files.createDirectories(temp.resolve("outside")).toRealPath();
    Files.write(outside.resolve("secret.npy"), Embeddings.npy(ROWS));
    Files.write(root.resolve("good.npy"), Embeddings.npy(ROWS));
    Files.write(root.resolve("a".repeat(250) + ".npy"), Embeddings.npy(ROWS));
    service =
        ServiceProcess.start(
            temp.resolve("data"),
            "-Xmx921m",
            "-XX:+ExitOnOutOfMemoryError",
            "--semantic-id.data-root=" + root,
            "--semantic-id.s3.allowed=s3://items");
    client = service.client();
    client.train(SMALL, ROWS);
  }

  @AfterAll
  static void stop() {
    service.close();
  }

  @AfterEach
  void nothingFailedWithinTheService() {
    assertThat(client.encode("", ROWS).codes()).hasDimensions(ROWS.length, 3);
    assertThat(service.log()).doesNotContain("request failed", " ERROR ", "Exception");
    assertThat(service.spooled()).isEmpty();
  }

  private static String at(String name) {
    return "file://" + root + "/" + name;
  }

  private static Answer train(String uri) {
    return client.post(
        "/train",
        """
        {"codebook": "other", "codebook_width": 8, "init_buffer_size": 64, "batch_size": 128,
         "max_steps": 30, "source": {"uri": "%s"}}
        """
            .formatted(uri));
  }

  private static Answer encode(String source, String destination) {
    return client.post(
        "/encode/jobs",
        """
        {"source": {"uri": "%s"}, "destination": {"uri": "%s"}}
        """
            .formatted(source, destination));
  }

  @ParameterizedTest
  @ValueSource(strings = {"stars", "letters", "groups", "brackets"})
  void globs_thatBacktrack_areAnswered(String kind) {
    String glob =
        switch (kind) {
          case "stars" -> "*".repeat(200) + "b";
          case "letters" -> "*a".repeat(12) + "b";
          case "groups" -> "{*a,a*,*}".repeat(50) + "b";
          default -> "*[a-z]*[!b]".repeat(40) + "!";
        };
    train(at(glob)).expectProblem(422, "SOURCE_NOT_FOUND");
    encode(at(glob), at("out.npy")).expectProblem(422, "SOURCE_NOT_FOUND");
  }

  @Test
  void globs_tooLongOrBroken_areRefusedForFilesAndObjects() {
    for (String place : List.of(at(""), "s3://items/folder/")) {
      for (Answer answer :
          List.of(train(place + "*".repeat(513)), encode(place + "*".repeat(513), at("out.npy")))) {
        answer.expectProblem(422, "SOURCE_INVALID", 512, 513);
        assertThat(answer.text().length()).isLessThan(1000);
      }
      train(place + "{a,b").expectProblem(422, "SOURCE_INVALID", "missing '}'");
    }
    train(at("a*.npy")).expect(202);
    client.awaitJob("/train/" + client.get("/train?limit=1").json().at("/jobs/0/id").asString());
  }

  /** The same status, code and sentence, but for the address that was asked for. */
  @Test
  void links_outOfTheRoot_tellNothing() throws IOException {
    Files.createSymbolicLink(outside.resolve("loop"), outside.resolve("loop"));
    Files.createSymbolicLink(root.resolve("folder"), outside);
    var answers = new HashSet<String>();
    for (String target :
        List.of("secret.npy", "missing.npy", "no/folder.npy", "secret.npy/x", "loop")) {
      Path link = root.resolve("link.npy");
      Files.deleteIfExists(link);
      Files.createSymbolicLink(link, outside.resolve(target));
      for (String name :
          List.of(
              "link.npy",
              "link*",
              "folder/" + target,
              "folder/*",
              "../outside/" + target,
              "folder/../outside/" + target)) {
        answers.add(refusal(train(at(name)), at(name)));
        answers.add(refusal(encode(at(name), at("out.npy")), at(name)));
      }
      for (String name : List.of("link.npy/out.npy", "folder/out.npy", "folder/no/out.npy")) {
        answers.add(
            refusal(encode(at("good.npy"), at(name)), at(name)).replace("destination", "source"));
      }
    }
    Files.delete(root.resolve("link.npy"));
    Files.delete(root.resolve("folder"));
    assertThat(answers).hasSize(1);
    assertThat(answers.iterator().next()).startsWith("403 SOURCE_FORBIDDEN");
  }

  private static String refusal(Answer answer, String address) {
    return String.format(
        Locale.ROOT,
        "%d %s %s",
        answer.status(),
        answer.json().path("code").asString(""),
        answer.json().path("detail").asString("").replace(address, "…"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"\\n", "\\r", "\\u0085", "\\u2028", "\\u0000", "%0A", "%0D%0A"})
  void lineBreaks_inAddressesAndTexts_areRefusedAndForgeNoLine(String lineBreak)
      throws IOException {
    String forged = lineBreak + "forged line of a log";
    encode(at("good.npy"), at("out" + forged + ".npy")).expectProblem(422, "DESTINATION_INVALID");
    encode(at("good.npy"), "file:x" + forged).expect(400);
    train(at("good" + forged)).expectProblem(422, "UNSUPPORTED_SOURCE");
    train(at("good" + forged + "*")).expectProblem(422, "UNSUPPORTED_SOURCE");
    if (lineBreak.startsWith("\\")) {
      train("s3://items/good" + forged).expectProblem(422, "UNSUPPORTED_SOURCE");
      encode(at("good.npy"), "s3://items/out" + forged + ".npy")
          .expectProblem(422, "DESTINATION_INVALID");
      for (String member :
          List.of(
              "\"codebook\": \"x%s\"", "\"embedding_model\": \"x%s\"", "\"init_from\": \"x%s\"")) {
        client
            .post(
                "/train",
                "{\"source\": {\"uri\": \"%s\"}, %s}"
                    .formatted(at("good.npy"), member.formatted(forged)))
            .expectProblem(400, "INVALID_PARAMETER");
      }
    }
    try (Stream<Path> files = Files.list(root)) {
      assertThat(files.map(Path::toString)).noneMatch(name -> name.contains("forged"));
    }
    assertThat(service.log().lines()).noneMatch(line -> line.startsWith("forged"));
  }

  @Test
  void lineBreaks_inHeaders_reachNeitherLogNorAnswer() {
    for (String header : List.of("X-Request-Id", "Idempotency-Key", "X-Embedding-Model")) {
      try (var connection = new RawConnection(client.port())) {
        connection.head(
            "POST /train?codebook=other&" + SMALL,
            "Connection: close",
            "Content-Type: " + NPY,
            header + ": x\rforged: 1",
            "Content-Length: 0");
        Answer answer = connection.endSending().receive();
        assertThat(answer.status()).as(answer.toString()).isBetween(400, 499);
        assertThat(answer.headers()).doesNotContainKey("forged");
      }
    }
    assertThat(service.log().lines()).noneMatch(line -> line.startsWith("forged"));
  }

  private static byte[] header(String descr, String shape) {
    String dictionary =
        "{'descr': '%s', 'fortran_order': False, 'shape': %s, }".formatted(descr, shape);
    byte[] text = Bytes.utf8(dictionary + " ".repeat(117 - dictionary.length()) + "\n");
    return ByteBuffer.allocate(10 + text.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .put(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0})
        .putShort((short) text.length)
        .put(text)
        .array();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "(1000, 100000000)",
        "(1, 2147483647)",
        "(2147483647, 2147483647)",
        "(2147483647,)",
        "(1000, 1048577)",
        "(3000000000, 1)",
        "(4611686018427387903, 1)",
        "(2147483648, 16)"
      })
  void train_shapesThatCannotBe_areRefusedWithTheNumbers(String shape) {
    for (String descr : List.of("<f2", "<f4", "<f8")) {
      for (int data : new int[] {0, 20}) {
        byte[] header = header(descr, shape);
        byte[] body = Arrays.copyOf(header, header.length + data);
        for (String settings : List.of("", "&" + SMALL, "&codebook_width=1&init_buffer_size=1")) {
          Answer answer = client.post("/train?codebook=other" + settings, NPY, body);
          boolean isTooShort = answer.json().path("code").asString().equals("MALFORMED_BODY");
          answer.expect(isTooShort ? 400 : 422);
          assertThat(answer.json().path("detail").asString())
              .containsPattern(
                  "2147483647|100000000|1048577|3000000000|4611686018427387903|2147483648");
        }
      }
    }
  }

  @Test
  void train_theReportedShapes_are422() {
    client
        .post("/train", NPY, header("<f4", "(1000, 100000000)"))
        .expectProblem(422, "DIMENSION_MISMATCH", 1048576, 100000000);
    client
        .post("/train", NPY, header("<f4", "(1, 2147483647)"))
        .expectProblem(422, "DIMENSION_MISMATCH", 1048576, 2147483647);
    client
        .post("/train", NPY, header("<f4", "(3000000000, 1)"))
        .expectProblem(400, "MALFORMED_BODY", 3000000000L, 12000000000L);
    client
        .post("/train", NPY, header("<f4", "(600000, 1000000)"))
        .expectProblem(422, "MEMORY_BUDGET_EXCEEDED", 3072, 1000000, 3072000000L);
  }

  /** Counting which of so many announced rows are held out would take longer than to send them. */
  @Test
  void train_announcedRowsWithHoldout_areNotCounted() {
    client
        .post("/train?holdout_fraction=0.5&" + SMALL, NPY, header("<f4", "(2147483646, 1)"))
        .expectProblem(400, "MALFORMED_BODY", 2147483646);
  }

  @Test
  void train_rawRowsOfImpossibleDimension_areRefused() {
    for (byte[] body : List.of(new byte[0], new byte[20])) {
      for (String dtype : List.of("f4", "f2", "bf16")) {
        for (String dimension : List.of("2147483647", "1048577", "-2147483648", "0")) {
          Answer answer =
              client.post(
                  "/train?embedding_dim=%s&dtype=%s".formatted(dimension, dtype), OCTETS, body);
          assertThat(answer.status()).as(answer.toString()).isIn(400, 422);
          assertThat(answer.json().path("detail").asString()).contains(dimension);
        }
      }
    }
  }

  /** Sparse files: their length is right, and they take no room. */
  @ParameterizedTest
  @CsvSource({"1000,100000000", "4,536870912", "3000000000,1"})
  void sources_ofImpossibleShapes_areRefused(long rows, long dimension) throws IOException {
    String json =
        String.format(
            Locale.ROOT,
            "{\"x\":{\"dtype\":\"F16\",\"shape\":[%d,%d],\"data_offsets\":[0,%d]}}",
            rows,
            dimension,
            2 * rows * dimension);
    byte[] safetensors =
        ByteBuffer.allocate(8 + json.length())
            .order(ByteOrder.LITTLE_ENDIAN)
            .putLong(json.length())
            .put(Bytes.utf8(json))
            .array();
    for (String name : List.of("huge.npy", "huge.safetensors")) {
      byte[] header = name.endsWith("npy") ? NpyWriter.header("<f2", rows, dimension) : safetensors;
      Path file = root.resolve(name);
      try (var out = new RandomAccessFile(file.toFile(), "rw")) {
        out.write(header);
        out.setLength(header.length + 2 * rows * dimension);
      }
      try {
        Answer answer = train(at(name));
        answer.expect(422);
        assertThat(answer.json().path("code").asString())
            .isIn("DIMENSION_MISMATCH", "MEMORY_BUDGET_EXCEEDED");
        encode(at(name), at("out.npy")).expectProblem(422, "DIMENSION_MISMATCH", D, dimension);
      } finally {
        Files.delete(file);
      }
    }
  }

  @Test
  void sources_parquetOfLongVectors_areRefusedForTheirMemory() throws IOException {
    ParquetFiles.vectors(new float[8][700_000]).zstd().write(root.resolve("wide.parquet"));
    client
        .post("/train", "{\"source\": {\"uri\": \"%s\"}}".formatted(at("wide.parquet")))
        .expectProblem(422, "MEMORY_BUDGET_EXCEEDED", 3072, 700_000);
    // With small settings the same rows fit.
    assertThat(client.awaitJob(train(at("wide.parquet"))).path("state").asString())
        .isEqualTo("succeeded");
    encode(at("wide.parquet"), at("out.npy")).expectProblem(422, "DIMENSION_MISMATCH", D, 700_000);
    Files.delete(root.resolve("wide.parquet"));
  }

  /** Each is refused, or the job that it gives ends in order. */
  @Test
  void train_integersAtTheirExtremes_areNoFaultOfTheService() {
    byte[] narrow = Embeddings.npy(Embeddings.rows(200, 1, 3));
    byte[] wide = Embeddings.npy(Embeddings.rows(200, D, 3));
    for (String name :
        List.of(
            "codebook_width",
            "num_hierarchies",
            "init_buffer_size",
            "batch_size",
            "max_steps",
            "refine",
            "beam_size",
            "seed",
            "embedding_dim",
            "quality_gate.max_dead_codes")) {
      for (int value :
          new int[] {Integer.MAX_VALUE, Integer.MAX_VALUE - 8, 1 << 30, -1, Integer.MIN_VALUE}) {
        for (byte[] body : List.of(narrow, wide)) {
          String query = String.format(Locale.ROOT, "codebook=extreme&%s=%d", name, value);
          for (String other : SMALL.split("&", -1)) {
            query += other.startsWith(name) ? "" : "&" + other;
          }
          Answer answer = client.post("/train?" + query, NPY, body);
          assertThat(answer.status()).as(query + " " + answer).isIn(202, 400, 422);
          if (answer.status() == 202) {
            String location = answer.header("Location");
            if (name.equals("max_steps")) {
              client.delete(location);
            }
            JsonNode job = client.awaitJob(location);
            assertThat(job.path("error").path("code").asString(""))
                .as(query + " " + job)
                .isNotEqualTo("INTERNAL_ERROR");
          }
        }
      }
    }
  }

  @Test
  void encode_shapesThatCannotBe_areRefused() {
    var shapes = new ArrayList<String>();
    for (String rows : List.of("1", "1000", "2147483647", "9007199254740992")) {
      for (String dimension : List.of("16", "100000000", "2147483647")) {
        shapes.add(rows + ", " + dimension);
      }
    }
    shapes.remove("1, 16");
    for (String shape : shapes) {
      for (int data : new int[] {0, 20}) {
        byte[] header = header("<f4", "(" + shape + ")");
        Answer npy = client.post("/encode", NPY, Arrays.copyOf(header, header.length + data));
        assertThat(npy.status()).as(shape + " " + npy).isIn(400, 413, 422);
      }
      Answer json =
          client.post(
              "/v2/models/default/infer",
              """
              {"inputs": [{"name": "embeddings", "shape": [%s], "datatype": "FP32",
                           "data": [0.5, 0.5]}]}
              """
                  .formatted(shape));
      assertThat(json.status()).as(shape + " " + json).isIn(400, 413, 422);
      String head =
          """
          {"inputs": [{"name": "embeddings", "shape": [%s], "datatype": "FP64",
                       "parameters": {"binary_data_size": 9007199254740992}}]}
          """
              .formatted(shape);
      Answer binary =
          client.post(
              "/v2/models/default/infer",
              OCTETS,
              Bytes.utf8(head),
              "Inference-Header-Content-Length",
              Integer.toString(head.length()));
      assertThat(binary.status()).as(shape + " " + binary).isIn(400, 413, 422);
    }
  }

  @Test
  void decode_codesAtTheirExtremes_areRefused() {
    for (String code : List.of("2147483647", "-2147483648", "4294967296", "1e30", "8")) {
      client
          .post("/decode", JSON, Bytes.utf8("{\"semantic_ids\": [[%s, 0, 0]]}".formatted(code)))
          .expectProblem(422, "INVALID_CODE", "row 0");
    }
  }

  @Test
  void upload_codebookOfImpossibleDimension_isRefused() {
    byte[] file = Embeddings.safetensors(Embeddings.codebook((1 << 20) + 1, 1, 1, 2));
    client
        .post("/codebooks/other/versions", OCTETS, file)
        .expectProblem(422, "INVALID_CODEBOOK", 1 << 20, (1 << 20) + 1);
  }
}
