package dev.semanticid.encode;

import dev.semanticid.core.vector.ElementType;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.web.RawRows;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.Base64;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Reads {@code {"embeddings": [[…], …]}}, or one flat vector in place of the rows, or {@code
 * {"embeddings_base64": "…"}} (float32 little-endian, row-major), straight into a buffer. Strict:
 * numbers only, rows of one length, nothing unknown and nothing behind; each number is rounded
 * once, to float32.
 */
final class JsonEmbeddingsReader {

  /** Characters of base64 that are decoded at a time; a multiple of 16, so whole float32s. */
  private static final int PIECE = 4096;

  private final JsonScanner json;
  private final EmbeddingBuffer target;
  private boolean seen;
  private @Nullable String embeddingModel;

  private JsonEmbeddingsReader(JsonScanner json, EmbeddingBuffer target) {
    this.json = json;
    this.target = target;
  }

  /**
   * Reads a body.
   *
   * @param target receives the rows
   * @return the model that the body states the embeddings to come from, if it does
   */
  static @Nullable String read(InputStream in, EmbeddingBuffer target) {
    var reader = new JsonEmbeddingsReader(new JsonScanner(in, ReadBuffer.ofThread()), target);
    reader.body();
    return reader.embeddingModel;
  }

  private void body() {
    if (json.peek() == '[') {
      seen = true;
      rows(json, target);
    } else if (json.peek() == '{') {
      json.beginObject();
      for (String name = json.nextName(); name != null; name = json.nextName()) {
        member(name);
      }
    } else {
      throw json.malformed("expected {\"embeddings\": [[…], …]}, got " + json.describeNext());
    }
    json.expectEnd();
    if (!seen) {
      throw json.malformed(
          "\"embeddings\" is missing; expected {\"embeddings\": [[…], …]} or"
              + " {\"embeddings_base64\": \"…\"}");
    }
    if (target.rows() == 0) {
      throw new ProblemException(
          ProblemCode.EMPTY_BATCH, "at least one embedding is expected, the body has none");
    }
  }

  private void member(String name) {
    switch (name) {
      case "embeddings" -> {
        requireFirst(name);
        rows(json, target);
      }
      case "embeddings_base64" -> {
        requireFirst(name);
        base64();
      }
      case "embedding_model" -> {
        if (embeddingModel != null) {
          throw json.malformed("\"embedding_model\" is there twice");
        }
        embeddingModel = json.string("\"embedding_model\"");
      }
      default ->
          throw new ProblemException(
                  ProblemCode.UNKNOWN_PARAMETER,
                  "there is no member '%s'; known are embeddings, embeddings_base64, embedding_model"
                      .formatted(name))
              .with("parameter", name);
    }
  }

  private void requireFirst(String name) {
    if (seen) {
      throw json.malformed("\"%s\" is there after embeddings have come already".formatted(name));
    }
    seen = true;
    if (name.equals("embeddings") ? json.peek() != '[' : json.peek() != '"') {
      throw json.malformed(
          "\"%s\" must be %s, got %s"
              .formatted(
                  name, name.equals("embeddings") ? "an array" : "a string", json.describeNext()));
    }
  }

  /** Reads an array of rows, or one row. */
  private static void rows(JsonScanner json, EmbeddingBuffer target) {
    json.beginArray();
    if (json.peek() != '[' && json.peek() != ']') {
      row(json, target);
      return;
    }
    while (json.hasNext()) {
      if (json.peek() != '[') {
        throw json.malformed(
            String.format(
                Locale.ROOT,
                "row %d must be an array of numbers, got %s",
                target.rows(),
                json.describeNext()));
      }
      json.beginArray();
      row(json, target);
    }
  }

  /** Reads the rest of a row whose array has been entered. */
  static void row(JsonScanner json, EmbeddingBuffer target) {
    int dimension = target.dimension();
    int row = target.rows();
    int count = json.numbers(target.room(dimension), target.filled(), dimension);
    long found = count;
    if (!json.arrayEnded()) {
      float[] surplus = new float[64];
      int most = dimension;
      while (!json.arrayEnded()) {
        if (count < most) {
          throw json.malformed(
              String.format(
                  Locale.ROOT,
                  "row %d component %d must be a number, got %s",
                  row,
                  found,
                  json.describeNext()));
        }
        most = surplus.length;
        count = json.numbers(surplus, 0, most);
        found += count;
      }
    }
    if (found != dimension) {
      throw new ProblemException(
              row == 0 ? ProblemCode.DIMENSION_MISMATCH : ProblemCode.RAGGED_ROWS,
              String.format(
                  Locale.ROOT,
                  "the codebook has dimension %d, row %d has %d components",
                  dimension,
                  row,
                  found))
          .with("expected", dimension)
          .with("actual", found)
          .with("row", row);
    }
    target.advance(dimension);
  }

  private void base64() {
    // Three more, because the scanner leaves room for a character of four bytes.
    byte[] text = new byte[PIECE + 3];
    byte[] whole = new byte[PIECE];
    byte[] bytes = new byte[PIECE / 4 * 3];
    long length = 0;
    int held = 0;
    boolean padded = false;
    json.beginString();
    while (true) {
      int count = json.stringBytes(text, held);
      held += Math.max(0, count);
      if (count >= 0 && held < PIECE) {
        continue;
      }
      if (held == 0) {
        break;
      }
      if (padded) {
        throw json.malformed("\"embeddings_base64\" goes on behind its padding");
      }
      byte[] source = held == PIECE ? whole : new byte[held];
      System.arraycopy(text, 0, source, 0, held);
      int decoded;
      try {
        decoded = Base64.getDecoder().decode(source, bytes);
      } catch (IllegalArgumentException e) {
        throw json.malformed("\"embeddings_base64\" is not base64: " + e.getMessage());
      }
      padded = text[held - 1] == '=';
      length += decoded;
      int floats = decoded / Float.BYTES;
      ElementType.F4.decode(ByteBuffer.wrap(bytes), floats, target.room(floats), target.filled());
      target.advance(floats);
      held = 0;
      if (count < 0) {
        break;
      }
    }
    if (length > 0) {
      RawRows.count(length, ElementType.F4, target.dimension());
    }
  }
}
