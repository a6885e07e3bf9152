package dev.semanticid.encoding;

import dev.semanticid.codebook.ServedCodebook;
import dev.semanticid.core.format.NpyWriter;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import tools.jackson.core.JsonGenerator;
import tools.jackson.databind.json.JsonMapper;

/** Writes codes with the identity of the codebook that gave them. */
final class CodesWriter {

  private final JsonMapper json;

  CodesWriter(JsonMapper json) {
    this.json = json;
  }

  /**
   * Writes a whole answer.
   *
   * @param codes n × L, row-major
   */
  void write(HttpServletResponse response, WireFormat format, ServedCodebook served, int[] codes)
      throws IOException {
    int levels = served.quantizer().codebook().levels();
    response.setContentType(format.mediaType().toString());
    response.setHeader("X-Codebook", served.name());
    response.setHeader("X-Codebook-Version", Integer.toString(served.version()));
    response.setHeader("X-Codebook-Fingerprint", served.fingerprint());
    switch (format) {
      case JSON -> writeJson(response, served, codes, levels);
      case OCTET_STREAM -> {
        ByteBuffer bytes = ByteBuffer.allocate(4 * codes.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asIntBuffer().put(codes);
        response.setContentLength(bytes.capacity());
        response.getOutputStream().write(bytes.array());
      }
      case NPY ->
          NpyWriter.writeInts(response.getOutputStream(), codes, codes.length / levels, levels);
    }
  }

  private void writeJson(
      HttpServletResponse response, ServedCodebook served, int[] codes, int levels)
      throws IOException {
    try (JsonGenerator generator = json.createGenerator(response.getOutputStream())) {
      generator.writeStartObject();
      generator.writeStringProperty("codebook", served.name());
      generator.writeNumberProperty("version", served.version());
      generator.writeStringProperty("fingerprint", served.fingerprint());
      generator.writeArrayPropertyStart("semantic_ids");
      for (int begin = 0; begin < codes.length; begin += levels) {
        generator.writeArray(codes, begin, levels);
      }
      generator.writeEndArray();
      generator.writeEndObject();
    }
  }
}
