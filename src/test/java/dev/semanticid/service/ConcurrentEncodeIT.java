package dev.semanticid.service;

import static dev.semanticid.service.Bytes.utf8;
import static dev.semanticid.service.ServiceClient.JSON;
import static dev.semanticid.service.ServiceClient.NPY;
import static dev.semanticid.service.ServiceClient.OCTETS;
import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Codebook;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Whatever is encoded at the same time, in common blocks or not, every answer is exact. */
@ExtendWith(SharedService.Provider.class)
class ConcurrentEncodeIT {

  private static final int D = 48;
  private static final int CLIENTS = 12;
  private static final int REQUESTS = 40;
  private static final int MOST_ROWS = 600;

  /** One request in so many has this few rows or fewer, so that all ways of encoding are taken. */
  private static final int FEW_ROWS = 32;

  private static final float[][] ROWS = Embeddings.rows(1500, D, 5);

  private static ServiceClient client;

  /** Under load, each request is for one of those. */
  private static List<Served> codebooks;

  /**
   * A codebook with what it gives for all rows.
   *
   * @param expected codes by datatype: of float32, and of the rows rounded to float16 and bfloat16
   */
  private record Served(String name, int version, Codebook codebook, List<int[][]> expected) {

    static Served of(String name, int version, Codebook codebook) {
      return new Served(
          name,
          version,
          codebook,
          List.of(
              Embeddings.reference(codebook, ROWS),
              Embeddings.reference(codebook, halves()),
              Embeddings.reference(codebook, bfloats())));
    }
  }

  @BeforeAll
  static void start(SharedService shared) {
    client = shared.client();
    codebooks =
        List.of(
            upload("concurrent", 1, Embeddings.codebook(D, 1, 64, 48, 32)),
            upload("concurrent", 2, Embeddings.codebook(D, 2, 64, 48, 32)),
            upload(
                "concurrent-raw",
                1,
                Embeddings.rawCodebook(
                    D,
                    Embeddings.codebook(D, 3, 100).centroids(0).data(),
                    Embeddings.codebook(D, 4, 30).centroids(0).data())));
  }

  private static Served upload(String name, int version, Codebook codebook) {
    client.upload(name, Embeddings.safetensors(codebook), true);
    return Served.of(name, version, codebook);
  }

  private static float[][] halves() {
    float[][] rows = new float[ROWS.length][D];
    for (int row = 0; row < rows.length; row++) {
      for (int i = 0; i < D; i++) {
        rows[row][i] = Float.float16ToFloat(Float.floatToFloat16(ROWS[row][i]));
      }
    }
    return rows;
  }

  private static float[][] bfloats() {
    float[][] rows = new float[ROWS.length][D];
    for (int row = 0; row < rows.length; row++) {
      for (int i = 0; i < D; i++) {
        rows[row][i] = Float.intBitsToFloat(Float.floatToRawIntBits(ROWS[row][i]) & 0xFFFF0000);
      }
    }
    return rows;
  }

  /** A way to send rows and to get codes. */
  private enum Way {
    JSON_ROWS(0),
    BASE64(0),
    OCTETS_F4(0),
    OCTETS_F2(1),
    OCTETS_BF16(2),
    NPY_F4(0),
    NPY_F2(1),
    GZIP_JSON(0),
    GZIP_OCTETS(0),
    V2_JSON(0),
    V2_BINARY(0),
    V2_BINARY_FP16(1),
    V2_GZIP_BINARY(0);

    /** Which of the expected codes. */
    private final int datatype;

    Way(int datatype) {
      this.datatype = datatype;
    }

    int[][] codes(Served served, float[][] rows, String accept) {
      int n = rows.length;
      return switch (this) {
        case JSON_ROWS -> encode(served, accept, "", JSON, utf8(Embeddings.json(rows)), n);
        case BASE64 -> {
          String text = Base64.getEncoder().encodeToString(Embeddings.octets(rows));
          byte[] body = utf8("{\"embeddings_base64\":\"%s\"}".formatted(text));
          yield encode(served, accept, "", JSON, body, n);
        }
        case OCTETS_F4 -> encode(served, accept, "", OCTETS, Embeddings.octets(rows), n);
        case OCTETS_F2 -> encode(served, accept, "&dtype=f2", OCTETS, Embeddings.halves(rows), n);
        case OCTETS_BF16 ->
            encode(served, accept, "&dtype=bf16", OCTETS, Embeddings.bfloats(rows), n);
        case NPY_F4 -> encode(served, accept, "", NPY, Embeddings.npy(rows), n);
        case NPY_F2 -> {
          byte[] body = Embeddings.npy("<f2", Embeddings.halves(rows), n, D);
          yield encode(served, accept, "", NPY, body, n);
        }
        case GZIP_JSON -> {
          byte[] body = Bytes.gzip(utf8(Embeddings.json(rows)));
          yield encode(served, accept, "", JSON, body, n, "Content-Encoding", "gzip");
        }
        case GZIP_OCTETS -> {
          byte[] body = Bytes.gzip(Embeddings.octets(rows));
          yield encode(served, accept, "", OCTETS, body, n, "Content-Encoding", "gzip");
        }
        case V2_JSON -> {
          String input = Inference.jsonInput(n, D, "FP32", Embeddings.json(rows));
          yield infer(served, utf8("{\"inputs\":[%s]}".formatted(input)), new byte[0], false);
        }
        case V2_BINARY -> infer(served, "FP32", Embeddings.octets(rows), n, false);
        case V2_BINARY_FP16 -> infer(served, "FP16", Embeddings.halves(rows), n, false);
        case V2_GZIP_BINARY -> infer(served, "FP32", Embeddings.octets(rows), n, true);
      };
    }
  }

  private static int[][] encode(
      Served served,
      String accept,
      String query,
      String contentType,
      byte[] body,
      int rows,
      String... headers) {
    String[] all = Arrays.copyOf(headers, headers.length + 2);
    all[headers.length] = "Accept";
    all[headers.length + 1] = accept;
    Answer answer =
        client
            .post(
                String.format(
                    Locale.ROOT,
                    "/encode?codebook=%s&version=%d%s",
                    served.name,
                    served.version,
                    query),
                contentType,
                body,
                all)
            .expect(200);
    if (accept.equals(JSON)) {
      assertThat(answer.json().path("fingerprint").asString())
          .isEqualTo(served.codebook.fingerprint());
      return ServiceClient.codes(answer.json().path("semantic_ids"));
    }
    assertThat(answer.header("X-Codebook-Fingerprint")).isEqualTo(served.codebook.fingerprint());
    byte[] codes = answer.body();
    if (accept.equals(NPY)) {
      int header = 10 + ByteBuffer.wrap(codes).order(ByteOrder.LITTLE_ENDIAN).getShort(8);
      codes = Arrays.copyOfRange(codes, header, codes.length);
    }
    return ServiceClient.codes(codes, rows);
  }

  private static int[][] infer(
      Served served, String datatype, byte[] data, int rows, boolean gzip) {
    String json =
        "{\"inputs\":[%s],\"parameters\":{\"binary_data_output\":true}}"
            .formatted(Inference.binaryInput(rows, D, datatype, data.length));
    return infer(served, utf8(json), data, gzip);
  }

  private static int[][] infer(Served served, byte[] head, byte[] data, boolean gzip) {
    byte[] body = Bytes.concat(head, data);
    Answer answer =
        client.send(
            "POST",
            String.format(
                Locale.ROOT, "/v2/models/%s/versions/%d/infer", served.name, served.version),
            gzip ? Bytes.gzip(body) : body,
            Inference.HEADER,
            Integer.toString(head.length),
            "Content-Encoding",
            gzip ? "gzip" : "identity");
    assertThat(Inference.isBinary(answer)).isEqualTo(data.length > 0);
    return Inference.codes(answer);
  }

  /** What one client does; returns the number of rows it had encoded. */
  private static int talk(long seed) {
    var random = new Random(seed);
    int rows = 0;
    for (int i = 0; i < REQUESTS; i++) {
      Served served = codebooks.get(random.nextInt(codebooks.size()));
      Way way = Way.values()[random.nextInt(Way.values().length)];
      String accept = List.of(JSON, OCTETS, NPY).get(random.nextInt(3));
      int count = 1 + random.nextInt(random.nextInt(3) == 0 ? FEW_ROWS : MOST_ROWS);
      int begin = random.nextInt(ROWS.length - count + 1);
      int[][] codes = way.codes(served, Arrays.copyOfRange(ROWS, begin, begin + count), accept);
      assertThat(codes)
          .as(
              "client %d request %d: %s rows %d to %d by %s %d as %s",
              seed, i, way, begin, begin + count, served.name, served.version, accept)
          .isDeepEqualTo(
              Arrays.copyOfRange(served.expected.get(way.datatype), begin, begin + count));
      rows += count;
    }
    return rows;
  }

  @Test
  void encode_manyClientsInEveryFormat_isExactForEach() throws InterruptedException {
    double before = client.metric("semantic_id_encoded_rows_total");
    var talks = new ArrayList<Future<Integer>>();
    long rows = 0;
    try (var clients = Executors.newFixedThreadPool(CLIENTS)) {
      for (int seed = 0; seed < CLIENTS; seed++) {
        long own = seed;
        talks.add(clients.submit(() -> talk(own)));
      }
      for (Future<Integer> talk : talks) {
        rows += talk.get();
      }
    } catch (ExecutionException e) {
      throw new AssertionError(e.getCause());
    }
    assertThat(client.metric("semantic_id_encoded_rows_total") - before).isEqualTo((double) rows);
    Await.until(
        "the end of all requests",
        () ->
            client.metric("semantic_id_encode_admitted_requests") == 0
                && client.metric("semantic_id_encode_admitted_rows") == 0
                && client.metric("semantic_id_encode_waiting_requests") == 0,
        () -> client.get("/actuator/prometheus").text());
  }
}
