package dev.semanticid.encoding;

import dev.semanticid.core.format.NpyWriter;
import dev.semanticid.core.quantizer.QuantizationDetails;
import dev.semanticid.encoding.EncodeService.Encoded;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Set;
import tools.jackson.core.JsonGenerator;
import tools.jackson.databind.json.JsonMapper;

/** Writes codes with the identity of the codebook that gave them. */
final class CodesWriter {

  private final JsonMapper json;

  CodesWriter(JsonMapper json) {
    this.json = json;
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
    try (JsonGenerator generator = json.createGenerator(response.getOutputStream())) {
      generator.writeStartObject();
      writeIdentity(generator, encoded.name(), encoded.version(), encoded.codebook().fingerprint());
      generator.writeArrayPropertyStart("semantic_ids");
      for (int begin = 0; begin < codes.length; begin += levels) {
        generator.writeArray(codes, begin, levels);
      }
      generator.writeEndArray();
      if (shape.includes().contains(Include.TOKENS)) {
        int[] offsets = encoded.offsets();
        generator.writeArrayPropertyStart("tokens");
        for (int begin = 0; begin < codes.length; begin += levels) {
          shape.tokens().write(generator, encoded.codes(), begin, offsets);
        }
        generator.writeEndArray();
      }
      QuantizationDetails details = encoded.details();
      if (details != null) {
        for (Include include : shape.includes()) {
          switch (include) {
            case DISTANCES -> writeRows(generator, "distances", details.distances(), levels);
            case MARGINS -> writeRows(generator, "margins", details.margins(), levels);
            case NORMS -> writeRows(generator, "norms", details.norms(), levels);
            case TOKENS, RECONSTRUCTION -> {}
          }
        }
      }
      float[] reconstruction = encoded.reconstruction();
      if (reconstruction != null) {
        writeRows(generator, "reconstruction", reconstruction, encoded.codebook().dimension());
      }
      generator.writeEndObject();
    }
  }

  /** Writes the members that say which codebook an answer comes from. */
  static void writeIdentity(JsonGenerator generator, String name, int version, String fingerprint) {
    generator.writeStringProperty("codebook", name);
    generator.writeNumberProperty("version", version);
    generator.writeStringProperty("fingerprint", fingerprint);
  }

  private static void writeRows(JsonGenerator generator, String name, float[] values, int width) {
    generator.writeArrayPropertyStart(name);
    for (int begin = 0; begin < values.length; begin += width) {
      writeRow(generator, values, begin, width);
    }
    generator.writeEndArray();
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
