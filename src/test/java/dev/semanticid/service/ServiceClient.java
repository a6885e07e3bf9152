package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.format.CodebookFormat;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntSupplier;
import tools.jackson.databind.JsonNode;

/** Speaks HTTP to a service on this machine. */
final class ServiceClient implements AutoCloseable {

  static final String JSON = "application/json";
  static final String OCTETS = "application/octet-stream";
  static final String NPY = "application/x-npy";

  /** Settings with which a few hundred rows are trained in a fraction of a second. */
  static final String SMALL =
      "codebook_width=8&init_buffer_size=64&batch_size=128&max_steps=30&num_hierarchies=3";

  private final IntSupplier port;
  private final HttpClient http =
      HttpClient.newBuilder()
          .version(HttpClient.Version.HTTP_1_1)
          .connectTimeout(Await.LIMIT)
          .build();

  /** Speaks to a port that is asked for whenever it is needed. */
  ServiceClient(IntSupplier port) {
    this.port = port;
  }

  ServiceClient(int port) {
    this(() -> port);
  }

  /** The port it speaks to. */
  int port() {
    return port.getAsInt();
  }

  /**
   * Codes with the identity of what gave them.
   *
   * @param codes n × L
   */
  record Encoded(String codebook, int version, String fingerprint, int[][] codes) {}

  Answer get(String path, String... headers) {
    return send("GET", path, new byte[0], headers);
  }

  /** The same, or nothing while nobody answers. */
  Optional<Answer> tryGet(String path) {
    try {
      return Optional.of(get(path));
    } catch (UncheckedIOException e) {
      return Optional.empty();
    }
  }

  /** A metric as Prometheus names it, with its labels, or else the sum over all of them. */
  double metric(String name) {
    double[] values =
        get("/actuator/prometheus")
            .expect(200)
            .text()
            .lines()
            .filter(line -> line.startsWith(name + " ") || line.startsWith(name + "{"))
            .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
            .toArray();
    assertThat(values).as(name).isNotEmpty();
    return Arrays.stream(values).sum();
  }

  Answer delete(String path) {
    return send("DELETE", path, new byte[0]);
  }

  /** Posts a body; headers are names and values by turns. */
  Answer post(String path, String contentType, byte[] body, String... headers) {
    return send("POST", path, body, with(contentType, headers));
  }

  /** Posts JSON. */
  Answer post(String path, String json, String... headers) {
    return post(path, JSON, json.getBytes(StandardCharsets.UTF_8), headers);
  }

  /** Puts JSON. */
  Answer put(String path, String json) {
    return send("PUT", path, json.getBytes(StandardCharsets.UTF_8), with(JSON));
  }

  private static String[] with(String contentType, String... headers) {
    String[] all = Arrays.copyOf(headers, headers.length + 2);
    all[headers.length] = "Content-Type";
    all[headers.length + 1] = contentType;
    return all;
  }

  /** Sends a request; an empty body is sent as none. */
  Answer send(String method, String path, byte[] body, String... headers) {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(
                URI.create(String.format(Locale.ROOT, "http://127.0.0.1:%d%s", port(), path)))
            .timeout(Await.LIMIT)
            .method(
                method,
                body.length == 0 ? BodyPublishers.noBody() : BodyPublishers.ofByteArray(body));
    if (headers.length > 0) {
      request.headers(headers);
    }
    try {
      HttpResponse<byte[]> response = http.send(request.build(), BodyHandlers.ofByteArray());
      var received = new HashMap<String, String>();
      response.headers().map().forEach((name, values) -> received.put(name, values.getFirst()));
      return new Answer(method + " " + path, response.statusCode(), received, response.body());
    } catch (IOException e) {
      throw new UncheckedIOException(method + " " + path, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted", e);
    }
  }

  /**
   * Posts what there is of a body, ends the sending side, and reads the answer, behind which the
   * connection must end.
   *
   * @param framing the header that announces the body
   */
  Answer sendRaw(String path, String contentType, String framing, byte[] body) {
    try (var connection = new RawConnection(port())) {
      connection.head("POST " + path, "Connection: close", "Content-Type: " + contentType, framing);
      Answer answer = connection.send(body).endSending().receive();
      assertThat(connection.isEnded()).as("end of the connection behind %s", answer).isTrue();
      return answer;
    }
  }

  /** Encodes rows, bytes in and bytes out. */
  Encoded encode(String query, float[][] rows) {
    Answer answer =
        post("/encode?" + query, OCTETS, Embeddings.octets(rows), "Accept", OCTETS).expect(200);
    return new Encoded(
        answer.header("X-Codebook"),
        Integer.parseInt(answer.header("X-Codebook-Version")),
        answer.header("X-Codebook-Fingerprint"),
        codes(answer.body(), rows.length));
  }

  /** Encodes rows, JSON in and JSON out. */
  Encoded encodeJson(String query, float[][] rows) {
    JsonNode answer =
        post("/encode?" + query, "{\"embeddings\": %s}".formatted(Embeddings.json(rows)))
            .expect(200)
            .json();
    return new Encoded(
        answer.path("codebook").asString(),
        answer.path("version").asInt(),
        answer.path("fingerprint").asString(),
        codes(answer.path("semantic_ids")));
  }

  /** Little-endian int32, row-major. */
  static int[][] codes(byte[] bytes, int rows) {
    assertThat(bytes.length % (4 * rows)).as("%d bytes, %d rows", bytes.length, rows).isZero();
    int levels = bytes.length / (4 * rows);
    ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    int[][] codes = new int[rows][levels];
    for (int[] row : codes) {
      for (int l = 0; l < levels; l++) {
        row[l] = buffer.getInt();
      }
    }
    return codes;
  }

  static int[][] codes(JsonNode rows) {
    return rows.valueStream()
        .map(row -> row.valueStream().mapToInt(JsonNode::asInt).toArray())
        .toArray(int[][]::new);
  }

  /** Trains from rows and waits; returns the job, which must have succeeded. */
  JsonNode train(String query, float[][] rows) {
    return trainNpy(query, Embeddings.npy(rows));
  }

  /** Trains from a {@code .npy} file and waits; returns the job, which must have succeeded. */
  JsonNode trainNpy(String query, byte[] npy) {
    JsonNode job = awaitJob(post("/train?" + query, NPY, npy));
    assertThat(job.path("state").asString()).as(job.toString()).isEqualTo("succeeded");
    return job;
  }

  /** Trains from a source and waits; returns the job however it ended. */
  JsonNode trainFrom(String json) {
    return awaitJob(post("/train", json));
  }

  /** Waits for the end of a job that has just been accepted. */
  JsonNode awaitJob(Answer accepted) {
    return awaitJob(accepted.expect(202).header("Location"));
  }

  /** Waits for the end of a job. */
  JsonNode awaitJob(String location) {
    Await.until(
        "the end of " + location,
        () ->
            !List.of("queued", "running")
                .contains(get(location).expect(200).json().path("state").asString()),
        () -> get(location).text());
    return get(location).json();
  }

  /** Uploads a codebook; returns what is stored. */
  JsonNode upload(String name, byte[] safetensors, boolean activate) {
    return post("/codebooks/%s/versions?activate=%s".formatted(name, activate), OCTETS, safetensors)
        .expect(201)
        .json();
  }

  /** Points {@code active} to a version. */
  void activate(String name, int version) {
    put(
            "/codebooks/%s/aliases/active".formatted(name),
            String.format(Locale.ROOT, "{\"version\": %d}", version))
        .expect(200);
  }

  /** The safetensors file of a version. */
  byte[] safetensors(String name, int version) {
    return get(String.format(Locale.ROOT, "/codebooks/%s/versions/%d.safetensors", name, version))
        .expect(200)
        .body();
  }

  /** A version with its tensors, its fingerprint computed here. */
  Codebook download(String name, int version) {
    try {
      Codebook codebook =
          CodebookFormat.read(new ByteArrayInputStream(safetensors(name, version)), 1 << 24);
      assertThat(codebook.fingerprint()).isEqualTo(fingerprint(name, version));
      return codebook;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The fingerprint of a version. */
  String fingerprint(String name, int version) {
    return get(String.format(Locale.ROOT, "/codebooks/%s/versions/%d", name, version))
        .expect(200)
        .json()
        .path("fingerprint")
        .asString();
  }

  /** What {@code active} points to and which versions there are. */
  Map<String, Object> state(String name) {
    JsonNode details = get("/codebooks/" + name).expect(200).json();
    return Map.of(
        "active",
        details.path("active").asInt(0),
        "versions",
        details.path("versions").valueStream().map(v -> v.path("version").asInt()).toList());
  }

  @Override
  public void close() {
    http.shutdownNow();
  }
}
