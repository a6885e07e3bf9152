package dev.semanticid.encode;

import ch.randelshofer.fastdoubleparser.JavaFloatParser;
import dev.semanticid.budget.MemoryBudget;
import dev.semanticid.settings.SemanticIdProperties;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.StringJoiner;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;
import org.springframework.util.unit.DataSize;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.json.JsonMapper;

/**
 * Ways to read the body of {@code POST /encode}, in rows per second: what a controller's argument
 * would cost, a token at a time, a number parser alone, and the service's reader.
 *
 * <pre>./mvnw -q -Pbench test -Djmh.args=JsonParsingBenchmark</pre>
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@Fork(1)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class JsonParsingBenchmark {

  private static final int ROWS = 32;
  private static final int DIMENSION = 2048;

  /** How a client writes a float32 number. */
  public enum Style {
    /** The shortest text that reads back as the same float32, no blanks. */
    FLOAT32(","),

    /** As Python's {@code json.dumps} writes {@code float32.tolist()}: about 17 digits. */
    FLOAT64(", ");

    private final String comma;

    Style(String comma) {
      this.comma = comma;
    }

    private String number(float value) {
      if (this == FLOAT32) {
        return Float.toString(value);
      }
      String text = Double.toString(value);
      return Math.abs(value) < 1e-4 ? text : new BigDecimal(text).toPlainString();
    }
  }

  private static final JsonMapper MAPPER = JsonMapper.builder().build();
  private static final JsonFactory FACTORY =
      JsonFactory.builder().enable(StreamReadFeature.USE_FAST_DOUBLE_PARSER).build();

  @Param public Style style = Style.FLOAT32;

  private final FloatArrays arrays = new FloatArrays(1 << 24);
  private final MemoryBudget memory = new MemoryBudget(1L << 30);
  private final Admission admission =
      new Admission(
          new SemanticIdProperties.Encoding(
              ROWS, DataSize.ofMegabytes(16), ROWS, 1, Duration.ofSeconds(30)),
          () -> 0);
  private byte[] body;

  @Setup
  public void setUp() throws IOException {
    var random = new SplittableRandom(1);
    float[] expected = new float[ROWS * DIMENSION];
    var rows = new StringJoiner("]" + style.comma + "[", "{\"embeddings\": [[", "]]}");
    for (int row = 0; row < ROWS; row++) {
      var numbers = new StringJoiner(style.comma);
      for (int i = row * DIMENSION; i < (row + 1) * DIMENSION; i++) {
        expected[i] = (float) (random.nextGaussian() / Math.sqrt(DIMENSION));
        numbers.add(style.number(expected[i]));
      }
      rows.add(numbers.toString());
    }
    body = rows.toString().getBytes(StandardCharsets.US_ASCII);

    float[] bound = new float[expected.length];
    float[][] embeddings = databind().embeddings();
    for (int row = 0; row < ROWS; row++) {
      System.arraycopy(embeddings[row], 0, bound, row * DIMENSION, DIMENSION);
    }
    requireSame(expected, bound);
    requireSame(expected, tokens());
    requireSame(expected, numbersAlone());
    float[] data = service();
    requireSame(
        expected, data.length == expected.length ? data : Arrays.copyOf(data, expected.length));
  }

  private static void requireSame(float[] expected, float[] actual) {
    if (!Arrays.equals(expected, actual)) {
      throw new IllegalStateException(
          String.format(
              Locale.ROOT, "component %d is read wrongly", Arrays.mismatch(expected, actual)));
    }
  }

  /** A body as a controller's argument. */
  public record Request(float[][] embeddings) {}

  @Benchmark
  @OperationsPerInvocation(ROWS)
  public Request databind() {
    return MAPPER.readValue(in(), Request.class);
  }

  /** Jackson's tokens, numbers by its fast parser, straight into one array. */
  @Benchmark
  @OperationsPerInvocation(ROWS)
  public float[] tokens() {
    float[] data = new float[ROWS * DIMENSION];
    int filled = 0;
    try (JsonParser parser = FACTORY.createParser(ObjectReadContext.empty(), in())) {
      for (JsonToken token = parser.nextToken(); token != null; token = parser.nextToken()) {
        if (token.isNumeric()) {
          data[filled++] = parser.getFloatValue();
        }
      }
    }
    return data;
  }

  /**
   * The bare number parser, fed by the simplest search for where numbers begin and end; it checks
   * nothing.
   */
  @Benchmark
  @OperationsPerInvocation(ROWS)
  public float[] numbersAlone() throws IOException {
    byte[] text = in().readAllBytes();
    float[] data = new float[ROWS * DIMENSION];
    int filled = 0;
    int at = 0;
    while (at < text.length) {
      if (!startsNumber(text[at])) {
        at++;
        continue;
      }
      int begin = at;
      while (text[at] != ',' && text[at] != ']') {
        at++;
      }
      data[filled++] = JavaFloatParser.parseFloat(text, begin, at - begin);
    }
    return data;
  }

  private static boolean startsNumber(byte c) {
    return c == '-' || (c >= '0' && c <= '9');
  }

  /** As a request's body is read: within a permit, into a buffer that is used again. */
  @Benchmark
  @OperationsPerInvocation(ROWS)
  public float[] service() {
    try (Admission.Permit permit = admission.admit(ROWS);
        var buffer = new EmbeddingBuffer(arrays, permit, memory, DIMENSION, ROWS)) {
      JsonEmbeddingsReader.read(in(), buffer);
      return buffer.finish().data();
    }
  }

  private InputStream in() {
    return new ByteArrayInputStream(body);
  }
}
