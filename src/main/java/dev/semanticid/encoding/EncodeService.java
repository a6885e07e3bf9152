package dev.semanticid.encoding;

import dev.semanticid.codebook.CodebookRegistry;
import dev.semanticid.codebook.DriftSampler;
import dev.semanticid.codebook.ServedCodebook;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.quantizer.Codebook;
import dev.semanticid.core.quantizer.QuantizationDetails;
import dev.semanticid.core.quantizer.Reconstruction;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.system.ClientConnection;
import dev.semanticid.system.LimitedInputStream;
import dev.semanticid.system.ProblemCode;
import dev.semanticid.system.ProblemException;
import dev.semanticid.system.SemanticIdProperties;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.FunctionTimer;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.apache.catalina.connector.ClientAbortException;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.DisposableBean;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.stereotype.Component;

/**
 * The way of a request's rows, whatever format they come in: admission before the body is read, one
 * codebook version from beginning to end, reading into a buffer that is used again, the queue.
 */
@Component
final class EncodeService implements DisposableBean {

  /** The request header with the milliseconds after which the client has no use for an answer. */
  static final String TIMEOUT_HEADER = "X-Request-Timeout-Ms";

  private static final long LONGEST_TIMEOUT_MS = Duration.ofDays(1).toMillis();

  /** The share of the heap that idle buffers may take. */
  private static final int HEAP_SHARE = 8;

  private final CodebookRegistry registry;
  private final SemanticIdProperties.Encoding limits;
  private final WorkerPool pool;
  private final DriftSampler drift;
  private final FloatArrays arrays = new FloatArrays(Runtime.getRuntime().maxMemory() / HEAP_SHARE);
  private final EncodeQueue queue;
  private final Admission admission;
  private final RateLimit rateLimit;
  private final Counter rows;
  private final Counter expired;
  private final Counter gone;

  EncodeService(
      CodebookRegistry registry,
      SemanticIdProperties properties,
      RateLimit rateLimit,
      @Qualifier("encoding") WorkerPool pool,
      DriftSampler drift,
      MeterRegistry meters) {
    this.registry = registry;
    this.drift = drift;
    this.limits = properties.encoding();
    this.rateLimit = rateLimit;
    this.pool = pool;
    this.queue = new EncodeQueue(properties.effectiveThreads());
    this.admission = new Admission(limits, queue::rowsPerSecond);
    this.rows =
        Counter.builder("semantic_id.encoded.rows")
            .description("Embeddings encoded over HTTP")
            .baseUnit("rows")
            .register(meters);
    this.expired = abandoned(meters, "deadline");
    this.gone = abandoned(meters, "client_gone");
    FunctionCounter.builder("semantic_id.encode.refused", admission, Admission::refused)
        .description("Requests refused because as many as may were under way")
        .baseUnit("requests")
        .register(meters);
    Gauge.builder("semantic_id.encode.admitted.rows", admission, Admission::rows)
        .description("Rows of requests that are read, wait or are encoded")
        .baseUnit("rows")
        .register(meters);
    Gauge.builder("semantic_id.encode.admitted.requests", admission, Admission::requests)
        .description("Requests that are read, wait or are encoded")
        .baseUnit("requests")
        .register(meters);
    Gauge.builder("semantic_id.encode.waiting.requests", queue, EncodeQueue::waiting)
        .description("Requests with rows that wait for a core")
        .baseUnit("requests")
        .register(meters);
    FunctionTimer.builder(
            "semantic_id.encode.block",
            queue,
            q -> q.done().blocks(),
            q -> q.done().nanos(),
            TimeUnit.NANOSECONDS)
        .description("Blocks of rows encoded, and the time that cores took for them")
        .register(meters);
    FunctionCounter.builder("semantic_id.encode.block.rows", queue, q -> q.done().rows())
        .description("Rows of the blocks encoded")
        .register(meters);
    FunctionTimer.builder(
            "semantic_id.encode.wait",
            queue,
            q -> q.done().waits(),
            q -> q.done().waitNanos(),
            TimeUnit.NANOSECONDS)
        .description("Requests whose rows waited for a core, and how long until the first began")
        .register(meters);
    Gauge.builder("semantic_id.encode.idle.buffers", arrays, FloatArrays::idleBytes)
        .description("Memory of buffers kept for the next requests")
        .baseUnit("bytes")
        .register(meters);
  }

  private static Counter abandoned(MeterRegistry meters, String why) {
    return Counter.builder("semantic_id.encode.abandoned")
        .description("Requests given up while they waited")
        .baseUnit("requests")
        .tag("why", why)
        .register(meters);
  }

  /** Reads a body into a buffer. */
  interface Reader {
    void read(LimitedInputStream body, EmbeddingBuffer target, ServedCodebook served)
        throws IOException;
  }

  /** How many rows a body of so many bytes suggests for vectors of a dimension. */
  interface Estimate {
    long rows(long bytes, int dimension);
  }

  /**
   * One call.
   *
   * @param codebook name of the codebook
   * @param version a number or an alias
   * @param estimate rows from bytes
   * @param reader reads the body
   * @param includes what is asked for besides codes
   */
  record Call(
      String codebook, String version, Estimate estimate, Reader reader, Set<Include> includes) {}

  /**
   * Codes with what gave them.
   *
   * @param name the codebook
   * @param version its version
   * @param codebook its shape and settings
   * @param codes n × L, row-major
   * @param details if asked for
   * @param reconstruction n × d if asked for
   */
  record Encoded(
      String name,
      int version,
      Codebook codebook,
      int[] codes,
      @Nullable QuantizationDetails details,
      float @Nullable [] reconstruction) {

    int rows() {
      return codes.length / codebook.levels();
    }

    /** Σ_{j<l} K_j per level. */
    int[] offsets() {
      int[] offsets = new int[codebook.levels()];
      for (int l = 1; l < offsets.length; l++) {
        offsets[l] = offsets[l - 1] + codebook.width(l - 1);
      }
      return offsets;
    }
  }

  /** Encodes the rows of a request's body. */
  Encoded encode(HttpServletRequest request, Call call) throws IOException {
    return encode(
        request,
        call,
        (served, batch, codes, deadline) -> detailed(served, batch, codes, call.includes()));
  }

  /**
   * Codes of the same rows by two versions.
   *
   * @param before what the call asked for
   * @param after the other version's
   */
  record Both(Encoded before, Encoded after) {}

  /** Encodes the rows of a request's body with another version of the codebook, too. */
  Both encodeBoth(HttpServletRequest request, Call call, String other) throws IOException {
    return encode(
        request,
        call,
        (served, batch, codes, deadline) -> {
          ServedCodebook after = registry.acquire(call.codebook(), other);
          try {
            requireSameShape(served, after);
            int[] codesAfter = encode(request, after, batch, deadline);
            rows.increment(batch.rows());
            return new Both(
                detailed(served, batch, codes, Set.of()),
                detailed(after, batch, codesAfter, Set.of()));
          } finally {
            after.release();
          }
        });
  }

  private static void requireSameShape(ServedCodebook one, ServedCodebook other) {
    Codebook a = one.quantizer().codebook();
    Codebook b = other.quantizer().codebook();
    if (a.dimension() != b.dimension() || a.levels() != b.levels()) {
      throw new ProblemException(
          ProblemCode.CODEBOOK_MISMATCH,
          "version %d of codebook '%s' has %d levels of dimension %d, version %d has %d of %d; they cannot be compared"
              .formatted(
                  one.version(),
                  one.name(),
                  a.levels(),
                  a.dimension(),
                  other.version(),
                  b.levels(),
                  b.dimension()));
    }
  }

  /** What is made of rows and their codes while both are at hand. */
  private interface Use<T> {
    T of(ServedCodebook served, VectorBatch batch, int[] codes, long deadline) throws IOException;
  }

  private <T> T encode(HttpServletRequest request, Call call, Use<T> use) throws IOException {
    long deadline = deadline(request);
    rateLimit.require(request);
    ServedCodebook served = registry.acquire(call.codebook(), call.version());
    try {
      Codebook codebook = served.quantizer().codebook();
      int dimension = codebook.dimension();
      var body =
          LimitedInputStream.of(request, limits.maxBodySize().toBytes(), limits.bodyTimeout());
      long expected = body.announced() < 0 ? 1 : call.estimate().rows(body.announced(), dimension);
      try (Admission.Permit permit = admission.admit(expected);
          var buffer = new EmbeddingBuffer(arrays, permit, dimension, expected)) {
        call.reader().read(body, buffer, served);
        VectorBatch batch = buffer.finish();
        rateLimit.charge(request, batch.rows());
        int[] codes = encode(request, served, batch, deadline);
        rows.increment(batch.rows());
        drift.offer(served, batch, codes);
        return use.of(served, batch, codes, deadline);
      }
    } finally {
      served.release();
    }
  }

  private int[] encode(
      HttpServletRequest request, ServedCodebook served, VectorBatch batch, long deadline)
      throws IOException {
    ClientConnection client = ClientConnection.of(request);
    try {
      return queue.encode(served.quantizer(), batch.data(), batch.rows(), deadline, client::isGone);
    } catch (EncodeQueue.AbandonedException e) {
      if (e.why() == EncodeQueue.Abandoned.CLIENT_GONE) {
        gone.increment();
        throw new ClientAbortException("the client went away while its rows waited");
      }
      expired.increment();
      throw new ProblemException(
          ProblemCode.DEADLINE_EXCEEDED,
          "the %s ms of %s passed before all %d rows were encoded"
              .formatted(request.getHeader(TIMEOUT_HEADER), TIMEOUT_HEADER, batch.rows()));
    }
  }

  private Encoded detailed(
      ServedCodebook served, VectorBatch batch, int[] codes, Set<Include> includes) {
    Codebook codebook = served.quantizer().codebook();
    QuantizationDetails details = null;
    float[] reconstruction = null;
    boolean reconstruct = includes.contains(Include.RECONSTRUCTION);
    boolean margins = includes.contains(Include.MARGINS);
    if (reconstruct
        || margins
        || includes.contains(Include.DISTANCES)
        || includes.contains(Include.NORMS)) {
      details = QuantizationDetails.of(codebook, batch, codes, margins, pool);
    }
    if (reconstruct && details != null) {
      int d = codebook.dimension();
      int levels = codebook.levels();
      reconstruction = new float[batch.rows() * d];
      var by = new Reconstruction(codebook);
      for (int row = 0; row < batch.rows(); row++) {
        by.reconstruct(codes, row * levels, details.norms(), row * levels, reconstruction, row * d);
      }
    }
    return new Encoded(served.name(), served.version(), codebook, codes, details, reconstruction);
  }

  private static long deadline(HttpServletRequest request) {
    String header = request.getHeader(TIMEOUT_HEADER);
    long milliseconds = LONGEST_TIMEOUT_MS;
    if (header != null) {
      try {
        milliseconds = Long.parseLong(header.strip());
      } catch (NumberFormatException e) {
        milliseconds = 0;
      }
      if (milliseconds < 1 || milliseconds > LONGEST_TIMEOUT_MS) {
        throw new ProblemException(
            ProblemCode.INVALID_PARAMETER,
            "%s must be 1 to %d milliseconds, got '%s'"
                .formatted(TIMEOUT_HEADER, LONGEST_TIMEOUT_MS, header));
      }
    }
    return System.nanoTime() + milliseconds * 1_000_000;
  }

  @Override
  public void destroy() {
    queue.close();
  }
}
