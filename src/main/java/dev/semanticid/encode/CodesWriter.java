package dev.semanticid.encode;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.encode.QuantizationDetails;
import dev.semanticid.core.encode.Reconstruction;
import dev.semanticid.encode.EncodeService.Encoded;
import dev.semanticid.format.NpyWriter;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Set;
import java.util.concurrent.Semaphore;
import tools.jackson.core.JsonGenerator;
import tools.jackson.databind.json.JsonMapper;

/** Writes codes with the identity of the codebook that gave them. */
final class CodesWriter {

  private final JsonMapper json;
  private final Semaphore turns;

  /**
   * @param turns at making a piece of an answer
   */
  CodesWriter(JsonMapper json, Semaphore turns) {
    this.json = json;
    this.turns = turns;
  }

  /**
   * How an answer shall look.
   *
   * @param format its media type
   * @param includes what a JSON answer holds besides codes
   * @param tokens how tokens are written
   * @param offset whether codes are counted on through the levels
   */
  record Shape(WireFormat format, Set<Include> includes, TokenFormat tokens, boolean offset) {}

  /** Writes a whole answer. */
  void write(HttpServletResponse response, Shape shape, Encoded encoded) throws IOException {
    int levels = encoded.codebook().levels();
    int[] codes = shape.offset() ? offset(encoded) : encoded.codes();
    response.setContentType(shape.format().mediaTypeName());
    response.setHeader("X-Codebook", encoded.name());
    response.setHeader("X-Codebook-Version", Integer.toString(encoded.version()));
    response.setHeader("X-Codebook-Fingerprint", encoded.codebook().fingerprint());
    switch (shape.format()) {
      case JSON -> writeJson(response, shape, encoded, codes);
      case OCTET_STREAM -> {
        byte[] bytes = littleEndian(codes);
        response.setContentLength(bytes.length);
        response.getOutputStream().write(bytes);
      }
      case NPY ->
          NpyWriter.writeInts(response.getOutputStream(), codes, codes.length / levels, levels);
    }
  }

  /** Codes as int32 little-endian. */
  static byte[] littleEndian(int[] codes) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * codes.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asIntBuffer().put(codes);
    return bytes.array();
  }

  private static int[] offset(Encoded encoded) {
    int[] offsets = encoded.offsets();
    int[] codes = encoded.codes().clone();
    for (int i = 0; i < codes.length; i++) {
      codes[i] += offsets[i % offsets.length];
    }
    return codes;
  }

  private void writeJson(HttpServletResponse response, Shape shape, Encoded encoded, int[] codes)
      throws IOException {
    int levels = encoded.codebook().levels();
    int rows = encoded.rows();
    try (var answer = new JsonAnswer(response, json, turns)) {
      writeIdentity(
          answer.generator(), encoded.name(), encoded.version(), encoded.codebook().fingerprint());
      answer.rows(
          "semantic_ids",
          rows,
          levels,
          (generator, row) -> generator.writeArray(codes, row * levels, levels));
      if (shape.includes().contains(Include.TOKENS)) {
        int[] offsets = encoded.offsets();
        answer.rows(
            "tokens",
            rows,
            levels,
            (generator, row) ->
                shape.tokens().write(generator, encoded.codes(), row * levels, offsets));
      }
      QuantizationDetails details = encoded.details();
      if (details != null) {
        writeDetails(answer, shape, encoded, details);
      }
      answer.finish();
    }
  }

  private static void writeDetails(
      JsonAnswer answer, Shape shape, Encoded encoded, QuantizationDetails details)
      throws IOException {
    int levels = encoded.codebook().levels();
    for (Include include : shape.includes()) {
      switch (include) {
        case DISTANCES -> writeRows(answer, "distances", details.distances(), levels);
        case MARGINS -> writeRows(answer, "margins", details.margins(), levels);
        case NORMS -> writeRows(answer, "norms", details.norms(), levels);
        case TOKENS, RECONSTRUCTION -> {}
      }
    }
    if (shape.includes().contains(Include.RECONSTRUCTION)) {
      writeVectors(answer, "reconstruction", encoded.codebook(), encoded.codes(), details.norms());
    }
  }

  /**
   * Writes the vectors that codes stand for, each made when it is written.
   *
   * @param codes n × L
   * @param norms n × L, or one row of L for all
   */
  static void writeVectors(
      JsonAnswer answer, String name, Codebook codebook, int[] codes, float[] norms)
      throws IOException {
    int levels = codebook.levels();
    int normsStride = norms.length == codes.length ? levels : 0;
    var reconstruction = new Reconstruction(codebook);
    float[] vector = new float[codebook.dimension()];
    answer.rows(
        name,
        codes.length / levels,
        vector.length,
        (generator, row) -> {
          reconstruction.reconstruct(codes, row * levels, norms, row * normsStride, vector, 0);
          writeRow(generator, vector, 0, vector.length);
        });
  }

  /** Writes the members that say which codebook an answer comes from. */
  static void writeIdentity(JsonGenerator generator, String name, int version, String fingerprint) {
    generator.writeStringProperty("codebook", name);
    generator.writeNumberProperty("version", version);
    generator.writeStringProperty("fingerprint", fingerprint);
  }

  private static void writeRows(JsonAnswer answer, String name, float[] values, int width)
      throws IOException {
    answer.rows(
        name,
        values.length / width,
        width,
        (generator, row) -> writeRow(generator, values, row * width, width));
  }

  /** Writes an array; what is infinite, such as a margin without a runner-up, is null. */
  static void writeRow(JsonGenerator generator, float[] values, int begin, int count) {
    generator.writeStartArray();
    for (int i = begin; i < begin + count; i++) {
      if (Float.isFinite(values[i])) {
        generator.writeNumber(values[i]);
      } else {
        generator.writeNull();
      }
    }
    generator.writeEndArray();
  }
}
