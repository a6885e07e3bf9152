package dev.semanticid.encode;

import dev.semanticid.core.vector.ElementType;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.web.LimitedInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * An inference request of the Open Inference Protocol: JSON, or JSON followed by the tensor's
 * bytes, or those bytes alone. Its one input, {@code embeddings} of shape [n, d], is read into a
 * buffer.
 */
final class InferenceRequest {

  static final String INPUT = "embeddings";
  static final String OUTPUT = "semantic_ids";

  /** No JSON part of a body with a binary tensor needs more. */
  private static final long MOST_HEADER_BYTES = 1 << 20;

  private @Nullable String id;
  private boolean binaryByDefault;
  private @Nullable Boolean binaryOutput;

  private boolean inputSeen;
  private @Nullable String datatype;
  private @Nullable List<Long> shape;
  private long binaryBytes = -1;
  private boolean dataSeen;

  /**
   * Reads a body; once.
   *
   * @param headerLength what {@code Inference-Header-Content-Length} says, or null
   * @param target receives the input's rows
   */
  void read(LimitedInputStream body, @Nullable String headerLength, EmbeddingBuffer target)
      throws IOException {
    if (headerLength == null) {
      json(body, target);
      check(target, false);
      return;
    }
    long length = length(headerLength, body);
    if (length == 0) {
      binaryByDefault = true;
      BinaryEmbeddingsReader.readRaw(body, ElementType.F4, target);
      return;
    }
    var head = new Head(body, length);
    json(head, target);
    if (head.left > 0) {
      throw malformed(
          String.format(
              Locale.ROOT,
              "Inference-Header-Content-Length is %d, the body has %d bytes",
              length,
              body.bytesRead()));
    }
    check(target, true);
    binary(body, target);
  }

  private static long length(String header, LimitedInputStream body) {
    String digits = header.strip();
    if (!digits.matches("[0-9]{1,9}")) {
      throw malformed(
          "Inference-Header-Content-Length must be the length of the JSON part in bytes, got '%s'"
              .formatted(header));
    }
    long length = Long.parseLong(digits);
    if (body.announced() >= 0 && length > body.announced()) {
      throw malformed(
          String.format(
              Locale.ROOT,
              "Inference-Header-Content-Length is %d, the body has %d bytes",
              length,
              body.announced()));
    }
    if (length > MOST_HEADER_BYTES) {
      throw malformed(
          String.format(
              Locale.ROOT,
              "Inference-Header-Content-Length may be %d, it is %d",
              MOST_HEADER_BYTES,
              length));
    }
    return length;
  }

  private void json(InputStream in, EmbeddingBuffer target) {
    var json = new JsonScanner(in, ReadBuffer.ofThread());
    json.beginObject();
    for (String name = json.nextName(); name != null; name = json.nextName()) {
      switch (name) {
        case "id" -> id = json.string("\"id\"");
        case "inputs" -> inputs(json, target);
        case "outputs" -> outputs(json);
        case "parameters" -> {
          json.beginObject();
          for (String key = json.nextName(); key != null; key = json.nextName()) {
            if (key.equals("binary_data_output")) {
              binaryByDefault = json.bool("\"binary_data_output\"");
            } else {
              json.skipValue();
            }
          }
        }
        default -> json.skipValue();
      }
    }
    json.expectEnd();
    if (!inputSeen) {
      throw malformed("the request has no input; expected one named '%s'".formatted(INPUT));
    }
  }

  private void inputs(JsonScanner json, EmbeddingBuffer target) {
    json.beginArray();
    while (json.hasNext()) {
      if (inputSeen) {
        throw malformed("the request has more than one input; expected '%s'".formatted(INPUT));
      }
      inputSeen = true;
      String named = null;
      json.beginObject();
      for (String name = json.nextName(); name != null; name = json.nextName()) {
        switch (name) {
          case "name" -> named = json.string("an input's \"name\"");
          case "datatype" -> datatype = json.string("an input's \"datatype\"");
          case "shape" -> shape = shape(json);
          case "parameters" -> inputParameters(json);
          case "data" -> {
            if (dataSeen) {
              throw json.malformed("\"data\" is there twice");
            }
            dataSeen = true;
            data(json, target);
          }
          default -> json.skipValue();
        }
      }
      if (!INPUT.equals(named)) {
        throw malformed(
            "the input is named '%s', the model has '%s'"
                .formatted(named == null ? "" : named, INPUT));
      }
    }
  }

  private static List<Long> shape(JsonScanner json) {
    var shape = new ArrayList<Long>();
    json.beginArray();
    while (json.hasNext()) {
      if (shape.size() == 8) {
        throw malformed("the shape has more than 8 sides; expected [n, d]");
      }
      shape.add(json.integer("a side of the shape"));
    }
    return shape;
  }

  private void inputParameters(JsonScanner json) {
    json.beginObject();
    for (String key = json.nextName(); key != null; key = json.nextName()) {
      if (key.startsWith("shared_memory")) {
        throw malformed("shared memory is not supported, got \"%s\"".formatted(key));
      }
      if (key.equals("binary_data_size")) {
        binaryBytes = json.integer("\"binary_data_size\"");
        if (binaryBytes < 0) {
          throw malformed("\"binary_data_size\" must not be negative, got " + binaryBytes);
        }
      } else {
        json.skipValue();
      }
    }
  }

  /** Numbers flat or in rows; how many there must be is checked when the shape is known. */
  private static void data(JsonScanner json, EmbeddingBuffer target) {
    json.beginArray();
    if (json.peek() == '[') {
      while (json.hasNext()) {
        json.beginArray();
        JsonEmbeddingsReader.row(json, target);
      }
      return;
    }
    int most = target.dimension();
    do {
      int count = json.numbers(target.room(most), target.filled(), most);
      if (count < most && !json.arrayEnded()) {
        throw json.malformed(
            String.format(
                Locale.ROOT,
                "element %d of \"data\" must be a number, got %s",
                target.filled() + (long) count,
                json.describeNext()));
      }
      target.advance(count);
    } while (!json.arrayEnded());
  }

  private void outputs(JsonScanner json) {
    json.beginArray();
    boolean seen = false;
    while (json.hasNext()) {
      String named = null;
      json.beginObject();
      for (String name = json.nextName(); name != null; name = json.nextName()) {
        switch (name) {
          case "name" -> named = json.string("an output's \"name\"");
          case "parameters" -> outputParameters(json);
          default -> json.skipValue();
        }
      }
      if (!OUTPUT.equals(named) || seen) {
        throw malformed(
            seen
                ? "output '%s' is asked for twice".formatted(OUTPUT)
                : "the output is named '%s', the model has '%s'"
                    .formatted(named == null ? "" : named, OUTPUT));
      }
      seen = true;
    }
  }

  private void outputParameters(JsonScanner json) {
    json.beginObject();
    for (String key = json.nextName(); key != null; key = json.nextName()) {
      if (key.startsWith("shared_memory") || key.equals("classification")) {
        throw malformed("\"%s\" is not supported".formatted(key));
      }
      if (key.equals("binary_data")) {
        binaryOutput = json.bool("\"binary_data\"");
      } else {
        json.skipValue();
      }
    }
  }

  /** Checks what the JSON part says about the input, and what data came in it. */
  private void check(EmbeddingBuffer target, boolean binaryFollows) {
    int d = target.dimension();
    if (shape == null || datatype == null) {
      throw malformed("the input needs \"name\", \"shape\" and \"datatype\"");
    }
    if (shape.size() != 2 || shape.get(0) < 1 || shape.get(1) != d) {
      throw malformed(
          String.format(
              Locale.ROOT,
              "the input has shape %s, expected [n, %d] with n of 1 or more",
              shape,
              d));
    }
    ElementType type = elementType(datatype);
    target.announce(shape.get(0));
    long elements = shape.get(0) * d;
    if (binaryBytes < 0) {
      if (!dataSeen) {
        throw malformed("the input has neither \"data\" nor \"binary_data_size\"");
      }
      if (type == ElementType.F2 || type == ElementType.BF16) {
        throw malformed("%s has no form in JSON; send it as binary data".formatted(datatype));
      }
      if (target.filled() != elements) {
        throw malformed(
            String.format(
                Locale.ROOT,
                "an input of shape %s has %d elements, %d came",
                shape,
                elements,
                target.filled()));
      }
      return;
    }
    if (dataSeen) {
      throw malformed("the input has both \"data\" and \"binary_data_size\"");
    }
    if (!binaryFollows) {
      throw malformed("binary data needs the header Inference-Header-Content-Length");
    }
    if (binaryBytes != elements * type.bytes()) {
      throw malformed(
          String.format(
              Locale.ROOT,
              "an input of shape %s and datatype %s has %d bytes, \"binary_data_size\" is %d",
              shape,
              datatype,
              elements * type.bytes(),
              binaryBytes));
    }
  }

  private static ElementType elementType(String datatype) {
    return switch (datatype) {
      case "FP32" -> ElementType.F4;
      case "FP16" -> ElementType.F2;
      case "BF16" -> ElementType.BF16;
      case "FP64" -> ElementType.F8;
      default ->
          throw malformed(
              "datatype must be FP32, FP16, BF16 or FP64, got '%s'".formatted(datatype));
    };
  }

  private void binary(LimitedInputStream body, EmbeddingBuffer target) throws IOException {
    long before = body.bytesRead();
    if (binaryBytes >= 0 && shape != null && datatype != null) {
      ElementType type = elementType(datatype);
      if (!BinaryEmbeddingsReader.readElements(body, type, binaryBytes / type.bytes(), target)) {
        throw malformed(
            String.format(
                Locale.ROOT,
                "\"binary_data_size\" is %d, %d bytes came behind the JSON part",
                binaryBytes,
                body.bytesRead() - before));
      }
    }
    if (body.read() >= 0) {
      throw malformed("the body goes on behind the last tensor");
    }
  }

  private static ProblemException malformed(String detail) {
    return new ProblemException(ProblemCode.MALFORMED_BODY, detail);
  }

  /** What the client calls the request, to be echoed. */
  @Nullable String id() {
    return id;
  }

  /** Whether the output is wanted as binary data. */
  boolean binary() {
    return binaryOutput == null ? binaryByDefault : binaryOutput;
  }

  /** The first bytes of a body. */
  private static final class Head extends FilterInputStream {

    private long left;

    Head(InputStream in, long length) {
      super(in);
      this.left = length;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
      if (left == 0) {
        return -1;
      }
      int count = in.read(target, offset, (int) Math.min(length, left));
      left -= Math.max(0, count);
      return count;
    }

    @Override
    public int read() {
      throw new UnsupportedOperationException("read by pieces");
    }
  }
}
