package dev.semanticid.encoding;

import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.system.ProblemCode;
import dev.semanticid.system.ProblemException;
import java.io.InputStream;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;

/**
 * Reads {@code {"embeddings": [[…], …]}}, or one flat vector in place of the rows, straight into a
 * batch. Strict: numbers only, rows of one length, nothing unknown and nothing behind; each number
 * is rounded once, to float32.
 */
final class JsonEmbeddingsReader {

  private static final JsonFactory FACTORY =
      JsonFactory.builder().enable(StreamReadFeature.USE_FAST_DOUBLE_PARSER).build();

  private final int dimension;
  private final int maxRows;
  private float[] data;
  private int filled;
  private int rows;
  private boolean seen;
  private @Nullable String embeddingModel;

  private JsonEmbeddingsReader(int dimension, int maxRows) {
    this.dimension = dimension;
    this.maxRows = maxRows;
    this.data = new float[dimension];
  }

  /**
   * What the body held.
   *
   * @param batch the embeddings
   * @param embeddingModel the model that it states, if it does
   */
  record Body(VectorBatch batch, @Nullable String embeddingModel) {}

  /** Reads a body of rows of {@code dimension} components. */
  static Body read(InputStream in, int dimension, int maxRows) {
    var reader = new JsonEmbeddingsReader(dimension, maxRows);
    try (JsonParser parser = FACTORY.createParser(ObjectReadContext.empty(), in)) {
      return reader.body(parser);
    } catch (JacksonException e) {
      throw new ProblemException(
          ProblemCode.MALFORMED_JSON,
          "the body is not JSON: %s at line %d, column %d"
              .formatted(
                  e.getOriginalMessage(),
                  e.getLocation() == null ? 0 : e.getLocation().getLineNr(),
                  e.getLocation() == null ? 0 : e.getLocation().getColumnNr()));
    }
  }

  private Body body(JsonParser parser) {
    JsonToken token = parser.nextToken();
    if (token == JsonToken.START_ARRAY) {
      embeddings(parser);
    } else if (token == JsonToken.START_OBJECT) {
      while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
        member(parser, parser.currentName());
      }
    } else {
      throw malformed("expected {\"embeddings\": [[…], …]}, got " + describe(token));
    }
    if (parser.nextToken() != null) {
      throw malformed("there is something behind the end of the JSON value");
    }
    if (!seen) {
      throw malformed("\"embeddings\" is missing; expected {\"embeddings\": [[…], …]}");
    }
    if (rows == 0) {
      throw new ProblemException(
          ProblemCode.EMPTY_BATCH, "at least one embedding is expected, the body has none");
    }
    return new Body(new VectorBatch(data, rows, dimension), embeddingModel);
  }

  private void member(JsonParser parser, String name) {
    JsonToken token = parser.nextToken();
    switch (name) {
      case "embeddings" -> {
        if (seen) {
          throw malformed("\"embeddings\" is there twice");
        }
        if (token != JsonToken.START_ARRAY) {
          throw malformed("\"embeddings\" must be an array, got " + describe(token));
        }
        embeddings(parser);
      }
      case "embedding_model" -> {
        if (embeddingModel != null) {
          throw malformed("\"embedding_model\" is there twice");
        }
        if (token != JsonToken.VALUE_STRING) {
          throw malformed("\"embedding_model\" must be a string, got " + describe(token));
        }
        embeddingModel = parser.getString();
      }
      default ->
          throw new ProblemException(
                  ProblemCode.UNKNOWN_PARAMETER,
                  "there is no member '%s'; known are embeddings, embedding_model".formatted(name))
              .with("parameter", name);
    }
  }

  private void embeddings(JsonParser parser) {
    seen = true;
    JsonToken token = parser.nextToken();
    if (token != JsonToken.START_ARRAY && token != JsonToken.END_ARRAY) {
      row(parser, token);
      return;
    }
    for (; token != JsonToken.END_ARRAY; token = parser.nextToken()) {
      if (token != JsonToken.START_ARRAY) {
        throw malformed(
            "row %d must be an array of numbers, got %s".formatted(rows, describe(token)));
      }
      row(parser, parser.nextToken());
    }
  }

  /** Reads components from {@code token} to the end of the array. */
  private void row(JsonParser parser, @Nullable JsonToken token) {
    if (rows == maxRows) {
      throw new ProblemException(
              ProblemCode.PAYLOAD_TOO_LARGE,
              "a request may have %d rows, this one has more".formatted(maxRows))
          .with("limit", maxRows);
    }
    int count = 0;
    for (JsonToken at = token; at != JsonToken.END_ARRAY; at = parser.nextToken()) {
      if (at != JsonToken.VALUE_NUMBER_FLOAT && at != JsonToken.VALUE_NUMBER_INT) {
        throw malformed(
            "row %d component %d must be a number, got %s".formatted(rows, count, describe(at)));
      }
      if (count < dimension) {
        float value = parser.getFloatValue();
        if (!Float.isFinite(value)) {
          throw new ProblemException(
                  ProblemCode.NON_FINITE_VALUE,
                  "row %d component %d is outside float32".formatted(rows, count))
              .with("row", rows);
        }
        if (filled == data.length) {
          data = Arrays.copyOf(data, grown());
        }
        data[filled++] = value;
      }
      count++;
    }
    if (count != dimension) {
      throw new ProblemException(
              rows == 0 ? ProblemCode.DIMENSION_MISMATCH : ProblemCode.RAGGED_ROWS,
              "the codebook has dimension %d, row %d has %d components"
                  .formatted(dimension, rows, count))
          .with("expected", dimension)
          .with("actual", count)
          .with("row", rows);
    }
    rows++;
  }

  private int grown() {
    return Math.toIntExact(Math.min(2L * data.length, (long) maxRows * dimension));
  }

  private static ProblemException malformed(String detail) {
    return new ProblemException(ProblemCode.MALFORMED_JSON, detail);
  }

  private static String describe(@Nullable JsonToken token) {
    if (token == null) {
      return "the end of the body";
    }
    return switch (token) {
      case START_OBJECT, END_OBJECT -> "an object";
      case START_ARRAY, END_ARRAY -> "an array";
      case VALUE_STRING -> "a string";
      case VALUE_TRUE, VALUE_FALSE -> "a boolean";
      case VALUE_NULL -> "null";
      case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> "a number";
      default -> token.name();
    };
  }
}
