package dev.semanticid.service;

import static dev.semanticid.service.Bytes.utf8;
import static dev.semanticid.service.ServiceClient.JSON;
import static dev.semanticid.service.ServiceClient.NPY;
import static dev.semanticid.service.ServiceClient.OCTETS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.TrainingState;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/**
 * {@code include}, {@code format}, {@code offset} and {@code POST /decode}, against the contract's
 * formulas written out here in float64.
 */
class DetailsIT {

  private static final int D = 16;
  private static final int MOST_ROWS = 300;
  private static final float[][] TRAINING = Embeddings.rows(600, D, 1);

  private static ServiceProcess service;
  private static ServiceClient client;

  /** Every kind of codebook, by the name it is served under. */
  private static List<Served> all;

  private static Served trained;
  private static Served uploaded;
  private static Served raw;

  /** A codebook and its name. */
  private record Served(String name, Codebook codebook) {

    int levels() {
      return codebook.levels();
    }
  }

  @BeforeAll
  static void start(@TempDir Path folder) {
    service =
        ServiceProcess.start(
            folder.resolve("data"),
            "--semantic-id.encoding.max-rows=" + MOST_ROWS,
            "--semantic-id.encoding.max-body-size=512KB");
    client = service.client();
    client.train(ServiceClient.SMALL, TRAINING);
    trained = new Served("default", client.download("default", 1));
    client.train("codebook=trained-raw&normalize_residuals=false&" + ServiceClient.SMALL, TRAINING);
    uploaded = upload("uploaded", Embeddings.codebook(D, 5, 40, 1, 300, 7));
    raw =
        upload(
            "raw",
            Embeddings.rawCodebook(
                D,
                Embeddings.codebook(D, 6, 20).centroids(0).data(),
                Embeddings.codebook(D, 7, 9).centroids(0).data()));
    all =
        List.of(
            trained,
            uploaded,
            raw,
            new Served("trained-raw", client.download("trained-raw", 1)),
            upload("one", Embeddings.codebook(D, 8, 2)));
  }

  private static Served upload(String name, Codebook codebook) {
    client.upload(name, Embeddings.safetensors(codebook), true);
    return new Served(name, codebook);
  }

  @AfterAll
  static void stop() {
    service.close();
  }

  /** Ordinary rows, and such as leave no residual, or hardly one. */
  private static float[][] rows(Served served) {
    float[][] rows = Arrays.copyOf(Embeddings.rows(100, D, 3), 105);
    rows[100] = new float[D];
    rows[101] = Arrays.copyOf(served.codebook.centroids(0).data(), D);
    rows[102] = Arrays.copyOf(rows[101], D);
    rows[102][3] += Math.ulp(rows[102][3]);
    rows[103] = new float[D];
    rows[103][7] = 1e-20f;
    rows[104] = rows[0].clone();
    for (int i = 0; i < D; i++) {
      rows[104][i] *= 1e15f;
    }
    return rows;
  }

  /** What the loop of the contract sees along a row's codes. */
  private static final class Walk {

    private final float[] distances;
    private final float[] margins;
    private final float[] norms;

    Walk(Codebook codebook, float[] x, int[] codes) {
      int levels = codebook.levels();
      distances = new float[levels];
      margins = new float[levels];
      norms = new float[levels];
      double[] r = new double[D];
      for (int i = 0; i < D; i++) {
        r[i] = x[i];
      }
      boolean exhausted = false;
      for (int l = 0; l < levels; l++) {
        double norm = Math.sqrt(squared(r, new float[D], 0));
        double[] u = r.clone();
        if (codebook.normalizeResiduals()) {
          exhausted |= l == 0 ? norm == 0 : norm <= 1e-6;
          norm = exhausted ? 0 : norm;
          for (int i = 0; i < D; i++) {
            u[i] = exhausted ? 0 : r[i] / norm;
          }
        }
        float[] centroids = codebook.centroids(l).data();
        double own = squared(u, centroids, codes[l] * D);
        double runnerUp = Double.POSITIVE_INFINITY;
        for (int k = 0; k < codebook.width(l); k++) {
          if (k != codes[l]) {
            runnerUp = Math.min(runnerUp, squared(u, centroids, k * D));
          }
        }
        norms[l] = (float) norm;
        distances[l] = (float) own;
        margins[l] = (float) (runnerUp - own);
        for (int i = 0; i < D; i++) {
          r[i] = u[i] - centroids[codes[l] * D + i];
        }
      }
    }

    private static double squared(double[] u, float[] centroids, int begin) {
      double sum = 0;
      for (int i = 0; i < D; i++) {
        double difference = u[i] - centroids[begin + i];
        sum += difference * difference;
      }
      return sum;
    }
  }

  /** x̂ = ν₀·(C₀[k₀] + ν₁·(C₁[k₁] + …)), or the plain sum. */
  private static float[] reconstruction(Codebook codebook, int[] codes, float[] norms) {
    float[] x = new float[D];
    for (int i = 0; i < D; i++) {
      double sum = 0;
      for (int l = codes.length - 1; l >= 0; l--) {
        sum += codebook.centroids(l).data()[codes[l] * D + i];
        sum *= codebook.normalizeResiduals() ? norms[l] : 1;
      }
      x[i] = (float) sum;
    }
    return x;
  }

  private static JsonNode encode(Served served, String query, float[][] rows) {
    return client
        .post(
            "/encode?codebook=%s&%s".formatted(served.name, query), OCTETS, Embeddings.octets(rows))
        .expect(200)
        .json();
  }

  private static float[][] floats(JsonNode rows) {
    return rows.valueStream()
        .map(row -> {
          float[] values = new float[row.size()];
          for (int i = 0; i < values.length; i++) {
            JsonNode value = row.path(i);
            values[i] = value.isNull() ? Float.POSITIVE_INFINITY : (float) value.asDouble();
          }
          return values;
        })
        .toArray(float[][]::new);
  }

  @Test
  void encode_includeAll_givesWhatTheLoopSees() {
    for (Served served : all) {
      float[][] rows = rows(served);
      int[][] codes = Embeddings.reference(served.codebook, rows);
      JsonNode answer =
          encode(served, "include=distances,margins,norms,reconstruction,tokens", rows);
      assertThat(answer.propertyNames())
          .containsExactlyInAnyOrder(
              "codebook",
              "version",
              "fingerprint",
              "semantic_ids",
              "tokens",
              "distances",
              "margins",
              "norms",
              "reconstruction");
      assertThat(ServiceClient.codes(answer.path("semantic_ids"))).isDeepEqualTo(codes);
      assertThat(ServiceClient.codes(answer.path("tokens"))).isDeepEqualTo(codes);
      float[][] distances = floats(answer.path("distances"));
      float[][] margins = floats(answer.path("margins"));
      float[][] norms = floats(answer.path("norms"));
      float[][] reconstructions = floats(answer.path("reconstruction"));
      assertThat(reconstructions).hasDimensions(rows.length, D);
      for (int row = 0; row < rows.length; row++) {
        var walk = new Walk(served.codebook, rows[row], codes[row]);
        assertThat(distances[row]).as("%s row %d", served.name, row).isEqualTo(walk.distances);
        assertThat(margins[row]).as("%s row %d", served.name, row).isEqualTo(walk.margins);
        assertThat(norms[row]).as("%s row %d", served.name, row).isEqualTo(walk.norms);
        assertThat(reconstructions[row])
            .as("%s row %d", served.name, row)
            .isEqualTo(reconstruction(served.codebook, codes[row], norms[row]));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"tokens", "distances", "margins", "norms", "reconstruction"})
  void encode_includeOne_givesThatOneAndTheSame(String include) {
    float[][] rows = Embeddings.rows(20, D, 8);
    JsonNode one = encode(trained, "include=" + include, rows);
    JsonNode together =
        encode(trained, "include=tokens,distances,margins,norms,reconstruction", rows);
    assertThat(one.propertyNames())
        .containsExactlyInAnyOrder("codebook", "version", "fingerprint", "semantic_ids", include);
    assertThat(one.path(include)).isEqualTo(together.path(include));
    assertThat(encode(trained, "include=%20" + include + "%20,%20" + include, rows)).isEqualTo(one);
  }

  @Test
  void encode_marginWithoutARunnerUp_isNull() {
    JsonNode answer = encode(uploaded, "include=margins", Embeddings.rows(3, D, 8));
    for (JsonNode row : answer.path("margins")) {
      assertThat(row.size()).isEqualTo(4);
      assertThat(row.path(1).isNull()).isTrue();
      assertThat(row.path(0).isNumber()).isTrue();
    }
  }

  /**
   * With the true norms nothing is lost but the last residual: ‖x − x̂‖ = ν₀·…·ν_L₋₁·‖u − C[k]‖.
   */
  @Test
  void encode_reconstruction_lacksTheLastResidualAlone() {
    float[][] rows = Embeddings.rows(50, D, 8);
    for (Served served : all) {
      JsonNode answer = encode(served, "include=norms,distances,reconstruction", rows);
      float[][] norms = floats(answer.path("norms"));
      float[][] distances = floats(answer.path("distances"));
      float[][] reconstructions = floats(answer.path("reconstruction"));
      for (int row = 0; row < rows.length; row++) {
        double squares = 0;
        for (int i = 0; i < D; i++) {
          squares += Math.pow(rows[row][i] - reconstructions[row][i], 2);
        }
        double expected = Math.sqrt(distances[row][served.levels() - 1]);
        for (int l = 0; l < served.levels() && served.codebook.normalizeResiduals(); l++) {
          expected *= norms[row][l];
        }
        assertThat(Math.sqrt(squares))
            .as("%s row %d", served.name, row)
            .isCloseTo(expected, within(1e-5 * expected));
      }
    }
  }

  /** A semantic ID as the table of token formats writes it. */
  private static String token(String format, Codebook codebook, int[] codes) {
    var text = new StringBuilder();
    int offset = 0;
    for (int l = 0; l < codes.length; l++) {
      char letter = "abcdefghijklmnopqrstuvwxyz?".charAt(l);
      text.append(
          switch (format) {
            case "codes" -> (l == 0 ? "" : ",") + codes[l];
            case "offset" -> (l == 0 ? "" : ",") + (codes[l] + offset);
            case "letters" -> String.format(Locale.ROOT, "<%c_%d>", letter, codes[l]);
            case "openonerec" -> String.format(Locale.ROOT, "<s_%c_%d>", letter, codes[l]);
            case "forge" -> "C" + (codes[l] + offset);
            default -> (l == 0 ? "" : "-") + codes[l];
          });
      offset += codebook.width(l);
    }
    return switch (format) {
      case "codes", "offset" -> "[%s]".formatted(text);
      case "openonerec" -> "\"<|sid_begin|>%s<|sid_end|>\"".formatted(text);
      default -> "\"%s\"".formatted(text);
    };
  }

  @ParameterizedTest
  @ValueSource(strings = {"codes", "offset", "letters", "openonerec", "forge", "dash"})
  void encode_format_writesTokensAsItsReadersExpect(String format) {
    float[][] rows = Embeddings.rows(40, D, 9);
    for (Served served : all) {
      int[][] codes = Embeddings.reference(served.codebook, rows);
      JsonNode answer = encode(served, "include=tokens&format=" + format, rows);
      assertThat(ServiceClient.codes(answer.path("semantic_ids"))).isDeepEqualTo(codes);
      assertThat(answer.path("tokens").valueStream().map(JsonNode::toString))
          .containsExactlyElementsOf(
              Arrays.stream(codes).map(row -> token(format, served.codebook, row)).toList());
    }
  }

  /** The examples of the contract: three levels of 256, the ID (12, 250, 3). */
  @ParameterizedTest
  @CsvSource(
      delimiter = ' ',
      value = {
        "codes [12,250,3]",
        "offset [12,506,515]",
        "letters \"<a_12><b_250><c_3>\"",
        "openonerec \"<|sid_begin|><s_a_12><s_b_250><s_c_3><|sid_end|>\"",
        "forge \"C12C506C515\"",
        "dash \"12-250-3\"",
      })
  void encode_formatOfTheContractsExample_isAsWritten(String format, String expected) {
    float[][] levels = {one(256, 12), one(256, 250), one(256, 3)};
    if (client.get("/codebooks/example").status() == 404) {
      upload("example", Embeddings.rawCodebook(1, levels));
    }
    JsonNode answer =
        client
            .post("/encode?codebook=example&include=tokens&format=" + format, "[[3]]")
            .expect(200)
            .json();
    assertThat(answer.path("tokens").path(0).toString()).isEqualTo(expected);
    assertThat(answer.path("semantic_ids").toString()).isEqualTo("[[12,250,3]]");
  }

  private static float[] one(int width, int code) {
    float[] centroids = new float[width];
    Arrays.fill(centroids, 100);
    centroids[code] = 1;
    return centroids;
  }

  @Test
  void encode_moreLevelsThanLetters_hasOnlyTheOtherFormats() {
    int[] widths = new int[27];
    Arrays.fill(widths, 2);
    Served deep = upload("deep", Embeddings.codebook(D, 9, widths));
    float[][] rows = Embeddings.rows(3, D, 9);
    int[][] codes = Embeddings.reference(deep.codebook, rows);
    for (String format : List.of("letters", "openonerec")) {
      client
          .post(
              "/encode?codebook=deep&include=tokens&format=" + format,
              OCTETS,
              Embeddings.octets(rows))
          .expectProblem(400, "INVALID_PARAMETER", format, 26, 27);
    }
    for (String format : List.of("codes", "offset", "forge", "dash")) {
      JsonNode answer = encode(deep, "include=tokens&format=" + format, rows);
      assertThat(answer.path("tokens").path(2).toString())
          .isEqualTo(token(format, deep.codebook, codes[2]));
    }
  }

  @Test
  void encode_offset_addsTheWidthsAboveInEveryFormat() {
    float[][] rows = Embeddings.rows(40, D, 9);
    for (Served served : all) {
      int[][] codes = Embeddings.reference(served.codebook, rows);
      int[][] expected = new int[codes.length][];
      for (int row = 0; row < codes.length; row++) {
        expected[row] = codes[row].clone();
        int offset = 0;
        for (int l = 0; l < served.levels(); l++) {
          expected[row][l] += offset;
          offset += served.codebook.width(l);
        }
      }
      String query = "codebook=%s&offset=true".formatted(served.name);
      assertThat(client.encodeJson(query, rows).codes()).isDeepEqualTo(expected);
      assertThat(client.encode(query, rows).codes()).isDeepEqualTo(expected);
      Answer npy = client.post("/encode?" + query, OCTETS, Embeddings.octets(rows), "Accept", NPY);
      int header =
          10 + ByteBuffer.wrap(npy.expect(200).body()).order(ByteOrder.LITTLE_ENDIAN).getShort(8);
      byte[] data = Arrays.copyOfRange(npy.body(), header, npy.body().length);
      assertThat(ServiceClient.codes(data, rows.length)).isDeepEqualTo(expected);
      assertThat(client.encode("codebook=%s&offset=false".formatted(served.name), rows).codes())
          .isDeepEqualTo(codes);
      // Tokens are what their format says, whatever the codes are counted from.
      JsonNode dashes = encode(served, "offset=true&include=tokens&format=dash", rows);
      assertThat(ServiceClient.codes(dashes.path("semantic_ids"))).isDeepEqualTo(expected);
      assertThat(dashes.path("tokens").path(7).toString())
          .isEqualTo(token("dash", served.codebook, codes[7]));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "include=nonsense, nonsense",
    "include=Tokens, Tokens",
    "include=, tokens",
    "'include=tokens,', tokens",
    "'include=,tokens', tokens",
    "include=tokens;norms, norms",
    "include=semantic_ids, semantic_ids",
    "format=letters, include=tokens",
    "format=letters&include=norms, include=tokens",
    "format=nonsense&include=tokens, nonsense",
    "format=Letters&include=tokens, Letters",
    "format=&include=tokens, letters",
    "format=tiger&include=tokens, tiger",
    "'format=dash&format=codes&include=tokens', 'dash,codes'",
    "offset=1, offset",
    "offset=TRUE, TRUE",
    "offset=, offset",
    "offset=true&offset=true, offset",
  })
  void encode_badDetail_isRefused(String query, String named) {
    client
        .post("/encode?" + query, OCTETS, Embeddings.octets(new float[][] {TRAINING[0]}))
        .expectProblem(400, "INVALID_PARAMETER", named);
  }

  @ParameterizedTest
  @CsvSource({
    "include=tokens, application/octet-stream",
    "include=tokens&format=dash, application/x-npy",
    "include=norms, application/x-npy",
  })
  void encode_includeWithABinaryAnswer_isRefused(String query, String accept) {
    client
        .post(
            "/encode?" + query,
            OCTETS,
            Embeddings.octets(new float[][] {TRAINING[0]}),
            "Accept",
            accept)
        .expectProblem(400, "INVALID_PARAMETER", "include", accept);
  }

  private static JsonNode decode(Served served, String body) {
    return client.post("/decode?codebook=" + served.name, body).expect(200).json();
  }

  @Test
  void decode_normsOfEncode_giveItsReconstruction() {
    for (Served served : all) {
      float[][] rows = rows(served);
      int[][] codes = Embeddings.reference(served.codebook, rows);
      JsonNode encoded = encode(served, "include=norms,reconstruction", rows);
      JsonNode decoded =
          decode(
              served,
              "{\"semantic_ids\":%s,\"norms\":%s}"
                  .formatted(encoded.path("semantic_ids"), encoded.path("norms")));
      assertThat(decoded.propertyNames())
          .containsExactlyInAnyOrder("codebook", "version", "fingerprint", "embeddings");
      assertThat(decoded.path("codebook").asString()).isEqualTo(served.name);
      assertThat(decoded.path("version").asInt()).isEqualTo(1);
      assertThat(decoded.path("fingerprint").asString()).isEqualTo(served.codebook.fingerprint());
      assertThat(decoded.path("embeddings")).isEqualTo(encoded.path("reconstruction"));
      float[][] norms = floats(encoded.path("norms"));
      assertThat(floats(decoded.path("embeddings"))[17])
          .isEqualTo(reconstruction(served.codebook, codes[17], norms[17]));
      JsonNode normsFirst =
          decode(
              served,
              "{\"norms\":%s,\"semantic_ids\":%s}"
                  .formatted(encoded.path("norms"), encoded.path("semantic_ids")));
      assertThat(normsFirst).isEqualTo(decoded);
    }
  }

  @Test
  void decode_trainedCodebookWithoutNorms_usesTheMeansOfItsTraining() {
    TrainingState state = Objects.requireNonNull(trained.codebook.trainingState());
    int[][] codes = Embeddings.reference(trained.codebook, TRAINING);
    double[] sums = new double[trained.levels()];
    for (int row = 0; row < TRAINING.length; row++) {
      var walk = new Walk(trained.codebook, TRAINING[row], codes[row]);
      for (int l = 0; l < sums.length; l++) {
        sums[l] += walk.norms[l];
      }
    }
    float[] means = new float[sums.length];
    for (int l = 0; l < sums.length; l++) {
      means[l] = state.meanNorms().get(l).floatValue();
      assertThat(state.meanNorms().get(l))
          .isCloseTo(sums[l] / TRAINING.length, within(1e-5 * sums[l] / TRAINING.length));
    }
    float[][] decoded =
        floats(
            decode(trained, "{\"semantic_ids\":%s}".formatted(Arrays.deepToString(codes(codes))))
                .path("embeddings"));
    assertThat(decoded).hasDimensions(100, D);
    for (int row = 0; row < decoded.length; row++) {
      assertThat(decoded[row]).isEqualTo(reconstruction(trained.codebook, codes[row], means));
    }
  }

  private static int[][] codes(int[][] codes) {
    return Arrays.copyOf(codes, 100);
  }

  @Test
  void decode_rawCodebook_isThePlainSumWhateverNorms() {
    int[][] codes = {{0, 0}, {19, 8}, {7, 3}};
    for (String norms : List.of("", ",\"norms\":[[2,2],[0,0],[5,1e30]]")) {
      float[][] decoded =
          floats(
              decode(raw, "{\"semantic_ids\":%s%s}".formatted(Arrays.deepToString(codes), norms))
                  .path("embeddings"));
      assertThat(decoded).hasDimensions(3, D);
      for (int row = 0; row < 3; row++) {
        assertThat(decoded[row]).isEqualTo(reconstruction(raw.codebook, codes[row], new float[2]));
      }
    }
  }

  /** As another program would write it: the tensors of the levels and nothing more. */
  @Test
  void decode_uploadedWithoutTrainingState_requiresNorms() {
    ByteBuffer data = ByteBuffer.allocate(4 * 10 * D).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < 10 * D; i++) {
      data.putFloat((i * 37 % 101) / 101f);
    }
    String header =
        """
        {"level_0": {"dtype": "F32", "shape": [6, 16], "data_offsets": [0, 384]},
         "level_1": {"dtype": "F32", "shape": [4, 16], "data_offsets": [384, 640]},
         "__metadata__": {"normalize_residuals": "true"}}   \
        """;
    client.upload("foreign", Embeddings.safetensors(header, data.array()), true);
    client
        .post("/decode?codebook=foreign", "{\"semantic_ids\":[[5,3]]}")
        .expectProblem(422, "NORMS_REQUIRED", "norms", "include=norms");
    Served foreign = new Served("foreign", client.download("foreign", 1));
    float[][] decoded =
        floats(
            decode(foreign, "{\"semantic_ids\":[[5,3]],\"norms\":[[2.5,0.125]]}")
                .path("embeddings"));
    assertThat(decoded[0])
        .isEqualTo(reconstruction(foreign.codebook, new int[] {5, 3}, new float[] {2.5f, 0.125f}));
    client
        .post("/decode?codebook=uploaded", "{\"semantic_ids\":[[0,0,0,0]]}")
        .expectProblem(422, "NORMS_REQUIRED");
  }

  @Test
  void decode_everyCode_isItsCentroid() {
    var ids = new ArrayList<String>();
    for (int k = 0; k < raw.codebook.width(0); k++) {
      ids.add(String.format(Locale.ROOT, "[%d,%d]", k, k % raw.codebook.width(1)));
    }
    float[][] decoded =
        floats(decode(raw, "{\"semantic_ids\":%s}".formatted(ids)).path("embeddings"));
    assertThat(decoded).hasDimensions(raw.codebook.width(0), D);
    for (int k = 0; k < decoded.length; k++) {
      int[] codes = {k, k % raw.codebook.width(1)};
      assertThat(decoded[k]).isEqualTo(reconstruction(raw.codebook, codes, new float[2]));
    }
  }

  @Test
  void decode_gzip_isInflated() {
    byte[] body = Bytes.gzip(utf8("{\"semantic_ids\":[[1,2]]}"));
    JsonNode decoded =
        client
            .post("/decode?codebook=raw", JSON, body, "Content-Encoding", "gzip")
            .expect(200)
            .json();
    assertThat(floats(decoded.path("embeddings"))[0])
        .isEqualTo(reconstruction(raw.codebook, new int[] {1, 2}, new float[2]));
  }

  /**
   * A body of {@code /decode} for the trained codebook, which has three levels of 8, and the
   * problem it must give.
   */
  record Bad(String body, int status, String code, Object... named) {

    @Override
    public String toString() {
      return body.length() > 100 ? body.substring(0, 100) + "…" : body;
    }
  }

  private static Bad bad(String body, int status, String code, Object... named) {
    return new Bad(body, status, code, named);
  }

  private static Bad ids(String ids, int status, String code, Object... named) {
    return bad("{\"semantic_ids\":%s}".formatted(ids), status, code, named);
  }

  private static Bad norms(String norms, int status, String code, Object... named) {
    return bad(
        "{\"semantic_ids\":[[0,1,2],[7,7,7]],\"norms\":%s}".formatted(norms), status, code, named);
  }

  static Stream<Bad> badDecodes() {
    return Stream.of(
        bad("", 400, "MALFORMED_JSON"),
        bad("{", 400, "MALFORMED_JSON"),
        bad("[[0,1,2]]", 400, "MALFORMED_JSON"),
        bad("null", 400, "MALFORMED_JSON"),
        bad("{}", 400, "MALFORMED_JSON", "semantic_ids"),
        bad("{\"norms\":[[1,1,1]]}", 400, "MALFORMED_JSON", "semantic_ids"),
        bad("{\"semantic_ids\":[[0,1,2]]} x", 400, "MALFORMED_JSON"),
        bad("{\"semantic_ids\":[[0,1,2]]", 400, "MALFORMED_JSON"),
        bad(
            "{\"semantic_ids\":[[0,1,2]],\"semantic_ids\":[[0,1,2]]}",
            400,
            "MALFORMED_JSON",
            "semantic_ids"),
        bad(
            "{\"semantic_ids\":[],\"semantic_ids\":[[0,1,2]]}",
            400,
            "MALFORMED_JSON",
            "semantic_ids"),
        bad(
            "{\"norms\":[[1,1,1]],\"semantic_ids\":[[0,1,2]],\"norms\":[[1,1,1]]}",
            400,
            "MALFORMED_JSON",
            "norms"),
        bad(
            "{\"semantic_ids\":[[0,1,2]],\"nonsense\":1}",
            400,
            "UNKNOWN_PARAMETER",
            "nonsense",
            "norms"),
        ids("null", 400, "MALFORMED_JSON"),
        ids("\"0-1-2\"", 400, "MALFORMED_JSON"),
        ids("{}", 400, "MALFORMED_JSON"),
        ids("[0,1,2]", 400, "MALFORMED_JSON"),
        ids("[[0,1,2],null]", 400, "MALFORMED_JSON"),
        ids("[[0,\"1\",2]]", 400, "MALFORMED_JSON", "row 0", "a string"),
        ids("[[0,1,2],[0,null,2]]", 400, "MALFORMED_JSON", "row 1", "null"),
        ids("[[0,[1],2]]", 400, "MALFORMED_JSON"),
        ids("[[0,NaN,2]]", 400, "MALFORMED_JSON"),
        ids("[[0,1,2],]", 400, "MALFORMED_JSON"),
        ids("[]", 400, "EMPTY_BATCH"),
        ids("[[]]", 400, "RAGGED_ROWS", 3, "row 0", 0),
        ids("[[0,1]]", 400, "RAGGED_ROWS", 3, "row 0", 2),
        ids("[[0,1,2],[0,1,2,3]]", 400, "RAGGED_ROWS", 3, "row 1"),
        ids("[[0,1,2],[0,1]]", 400, "RAGGED_ROWS", 3, "row 1", 2),
        ids("[[0,1,2],[0,8,2]]", 422, "INVALID_CODE", "level 1", "0 to 7", "row 1", 8),
        ids("[[8,0,0]]", 422, "INVALID_CODE", "level 0", "row 0", 8),
        ids("[[0,0,-1]]", 422, "INVALID_CODE", "level 2", "row 0", -1),
        ids("[[0,0.5,0]]", 422, "INVALID_CODE", "level 1", "0.5"),
        ids("[[0,0,1e-40]]", 422, "INVALID_CODE", "level 2"),
        ids("[[2147483648,0,0]]", 422, "INVALID_CODE", "level 0"),
        ids("[[4294967296,0,0]]", 422, "INVALID_CODE", "level 0"),
        ids("[[1e39,0,0]]", 422, "INVALID_CODE", "level 0"),
        ids("[[-1e39,0,0]]", 422, "INVALID_CODE", "level 0"),
        norms("null", 400, "MALFORMED_JSON"),
        norms("[1,1,1]", 400, "MALFORMED_JSON"),
        norms("[[1,1,1],[1,\"1\",1]]", 400, "MALFORMED_JSON", "norms", "row 1"),
        norms("[[1,1,1],[1,null,1]]", 400, "MALFORMED_JSON", "norms", "row 1"),
        norms("[]", 400, "RAGGED_ROWS", 2, 0),
        norms("[[1,1,1]]", 400, "RAGGED_ROWS", 2, 1),
        norms("[[1,1,1],[1,1,1],[1,1,1]]", 400, "RAGGED_ROWS", 2, 3),
        norms("[[1,1,1],[1,1]]", 400, "RAGGED_ROWS", "norms", 3, 2, "row 1"),
        norms("[[1,1,1],[1,1,1,1]]", 400, "RAGGED_ROWS", "norms", 3, "row 1"),
        norms("[[1,1,1],[1,-1,1]]", 422, "NON_FINITE_VALUE", "row 1"),
        norms("[[1,1e39,1],[1,1,1]]", 422, "NON_FINITE_VALUE", "row 0"),
        norms("[[1,-1e39,1],[1,1,1]]", 422, "NON_FINITE_VALUE", "row 0"),
        ids(
            "[%s]".formatted(String.join(",", Collections.nCopies(MOST_ROWS + 1, "[0,1,2]"))),
            413,
            "PAYLOAD_TOO_LARGE",
            MOST_ROWS),
        ids("[[0,1,2]%s]".formatted(" ".repeat(600_000)), 413, "PAYLOAD_TOO_LARGE", 512 << 10));
  }

  @ParameterizedTest
  @MethodSource("badDecodes")
  void decode_badBody_isRefused(Bad bad) {
    client.post("/decode", bad.body).expectProblem(bad.status, bad.code, bad.named);
    assertThat(floats(decode(raw, "{\"semantic_ids\":[[1,2]]}").path("embeddings"))[0])
        .isEqualTo(reconstruction(raw.codebook, new int[] {1, 2}, new float[2]));
  }

  @Test
  void decode_asManyRowsAsMayBe_isAnswered() {
    String ids = String.join(",", Collections.nCopies(MOST_ROWS, "[0,1,2]"));
    assertThat(decode(trained, "{\"semantic_ids\":[%s]}".formatted(ids)).path("embeddings").size())
        .isEqualTo(MOST_ROWS);
  }

  @Test
  void decode_badRequest_isRefused() {
    String body = "{\"semantic_ids\":[[0,1,2]]}";
    client
        .post("/decode?offset=true", body)
        .expectProblem(400, "UNKNOWN_PARAMETER", "offset", "codebook");
    client.post("/decode?codebook=none", body).expectProblem(404, "UNKNOWN_CODEBOOK", "none");
    client.post("/decode?version=9", body).expectProblem(404, "UNKNOWN_VERSION", 9);
    client
        .post("/decode", OCTETS, utf8(body))
        .expectProblem(415, "UNSUPPORTED_MEDIA_TYPE", "application/json", OCTETS);
    client
        .send("POST", "/decode", utf8(body))
        .expectProblem(415, "UNSUPPORTED_MEDIA_TYPE", "application/json");
    client
        .post("/decode", JSON, utf8(body), "Content-Encoding", "zstd")
        .expectProblem(415, "UNSUPPORTED_CONTENT_ENCODING", "zstd", "gzip");
    client
        .post("/decode", JSON, utf8(body), "Content-Encoding", "gzip")
        .expectProblem(400, "MALFORMED_BODY", "gzip");
    client.get("/decode").expectProblem(405, "METHOD_NOT_ALLOWED", "GET");
  }
}
