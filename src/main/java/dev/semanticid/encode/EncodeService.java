package dev.semanticid.encode;

import dev.semanticid.budget.MemoryBudget;
import dev.semanticid.codebook.CodebookComparison;
import dev.semanticid.codebook.CodebookMatcher;
import dev.semanticid.codebook.CodebookRegistry;
import dev.semanticid.codebook.DriftSampler;
import dev.semanticid.codebook.ServedCodebook;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.encode.QuantizationDetails;
import dev.semanticid.core.report.CentroidMatching;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.settings.SemanticIdProperties;
import dev.semanticid.web.LimitedInputStream;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.FunctionTimer;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Semaphore;
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

  /** The share of the memory of requests that idle buffers may take besides. */
  private static final int IDLE_SHARE = 4;

  /** A code, its details, and what is written of them. */
  private static final int ANSWER_BYTES_PER_CODE = 32;

  /** Rows whose details are computed before the client is looked at again. */
  private static final int DETAILS_ROWS = 512;

  private static final Set<Include> DETAILS =
      EnumSet.of(Include.DISTANCES, Include.MARGINS, Include.NORMS, Include.RECONSTRUCTION);

  private final CodebookRegistry registry;
  private final SemanticIdProperties.Encoding limits;
  private final WorkerPool pool;
  private final DriftSampler drift;
  private final CodebookMatcher matcher;
  private final MemoryBudget memory;

  /** Turns at what request threads compute themselves, however many of them there are. */
  private final Semaphore turns;

  private final FloatArrays arrays;
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
      CodebookMatcher matcher,
      MemoryBudget memory,
      @Qualifier("encoding") WorkerPool pool,
      DriftSampler drift,
      MeterRegistry meters) {
    this.registry = registry;
    this.matcher = matcher;
    this.memory = memory;
    this.arrays = new FloatArrays(memory.total() / IDLE_SHARE);
    // Half of the threads are left to those that encode.
    this.turns = new Semaphore(Math.max(1, properties.effectiveThreads() / 2), true);
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
   * Codes with what gave them. Their memory counts as taken until they are closed.
   *
   * @param name the codebook
   * @param version its version
   * @param codebook its shape and settings
   * @param codes n × L, row-major
   * @param details if asked for
   * @param memory what they take
   */
  record Encoded(
      String name,
      int version,
      Codebook codebook,
      int[] codes,
      @Nullable QuantizationDetails details,
      MemoryBudget.Share memory)
      implements AutoCloseable {

    @Override
    public void close() {
      memory.close();
    }

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

  /** Encodes the rows of a request's body; the result must be closed once it is written. */
  Encoded encode(HttpServletRequest request, Call call) throws IOException {
    return encode(
        request,
        call,
        (served, batch, codes, wanted) -> detailed(served, batch, codes, call.includes(), wanted));
  }

  /** Compares two versions of a codebook by the rows of a request's body. */
  Comparison compare(HttpServletRequest request, Call call, String other) throws IOException {
    return encode(
        request,
        call,
        (served, batch, codes, wanted) -> {
          ServedCodebook after = registry.acquire(call.codebook(), other);
          try {
            requireSameShape(served, after);
            List<@Nullable CentroidMatching> matchings = matchings(request, served, after, wanted);
            rateLimit.charge(request, batch.rows());
            int[] codesAfter = encode(after, batch, wanted);
            rows.increment(batch.rows());
            return new Comparison(
                served.version(),
                after.version(),
                CodebookComparison.of(codes, codesAfter, matchings));
          } finally {
            after.release();
          }
        });
  }

  /**
   * What changed between two versions.
   *
   * @param from number of the one
   * @param to number of the other
   * @param codebooks how the codes of the rows differ
   */
  record Comparison(int from, int to, CodebookComparison codebooks) {}

  private List<@Nullable CentroidMatching> matchings(
      HttpServletRequest request, ServedCodebook served, ServedCodebook after, Wanted wanted)
      throws IOException {
    try {
      return matcher.match(
          served.quantizer().codebook(),
          after.quantizer().codebook(),
          cost -> rateLimit.charge(request, (int) Math.min(cost, limits.maxRows())),
          () -> {
            try {
              wanted.require("the versions were compared");
            } catch (ClientAbortException e) {
              throw new UncheckedIOException(e);
            }
          });
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  private static void requireSameShape(ServedCodebook one, ServedCodebook other) {
    Codebook a = one.quantizer().codebook();
    Codebook b = other.quantizer().codebook();
    if (a.dimension() != b.dimension() || a.levels() != b.levels()) {
      throw new ProblemException(
          ProblemCode.CODEBOOK_MISMATCH,
          String.format(
              Locale.ROOT,
              "version %d of codebook '%s' has %d levels of dimension %d, version %d has %d of %d;"
                  + " they cannot be compared",
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
    T of(ServedCodebook served, VectorBatch batch, int[] codes, Wanted wanted) throws IOException;
  }

  private <T> T encode(HttpServletRequest request, Call call, Use<T> use) throws IOException {
    var wanted = new Wanted(request, this::countAbandoned);
    rateLimit.require(request);
    ServedCodebook served = registry.acquire(call.codebook(), call.version());
    try {
      Codebook codebook = served.quantizer().codebook();
      int dimension = codebook.dimension();
      var body =
          LimitedInputStream.of(request, limits.maxBodySize().toBytes(), limits.bodyTimeout());
      long expected = body.announced() < 0 ? 1 : call.estimate().rows(body.announced(), dimension);
      try (Admission.Permit permit = admission.admit(expected);
          var buffer = new EmbeddingBuffer(arrays, permit, memory, dimension, expected)) {
        call.reader().read(body, buffer, served);
        VectorBatch batch = buffer.finish();
        rateLimit.charge(request, batch.rows());
        int[] codes = encode(served, batch, wanted);
        rows.increment(batch.rows());
        drift.offer(served, batch, codes);
        return use.of(served, batch, codes, wanted);
      }
    } finally {
      served.release();
    }
  }

  private void countAbandoned(EncodeQueue.Abandoned why) {
    (why == EncodeQueue.Abandoned.CLIENT_GONE ? gone : expired).increment();
  }

  private int[] encode(ServedCodebook served, VectorBatch batch, Wanted wanted) throws IOException {
    try {
      return queue.encode(
          served.quantizer(), batch.data(), batch.rows(), wanted.deadline(), wanted::isClientGone);
    } catch (EncodeQueue.AbandonedException e) {
      String what = String.format(Locale.ROOT, "all %d rows were encoded", batch.rows());
      if (e.why() == EncodeQueue.Abandoned.CLIENT_GONE) {
        throw wanted.gone(what);
      }
      throw wanted.exceeded(what);
    }
  }

  private Encoded detailed(
      ServedCodebook served, VectorBatch batch, int[] codes, Set<Include> includes, Wanted wanted)
      throws IOException {
    Codebook codebook = served.quantizer().codebook();
    MemoryBudget.Share answer =
        memory.reserve("the answer", (long) codes.length * ANSWER_BYTES_PER_CODE);
    boolean complete = false;
    try {
      QuantizationDetails details = null;
      if (!Collections.disjoint(includes, DETAILS)) {
        boolean margins = includes.contains(Include.MARGINS);
        details = QuantizationDetails.empty(batch.rows(), codebook.levels(), margins);
        for (int begin = 0; begin < batch.rows(); begin += DETAILS_ROWS) {
          int end = Math.min(batch.rows(), begin + DETAILS_ROWS);
          wanted.require("the answer was complete");
          turns.acquireUninterruptibly();
          try {
            details.fill(codebook, batch, codes, begin, end, pool);
          } finally {
            turns.release();
          }
        }
      }
      complete = true;
      return new Encoded(served.name(), served.version(), codebook, codes, details, answer);
    } finally {
      if (!complete) {
        answer.close();
      }
    }
  }

  /**
   * Turns at what request threads compute themselves: half as many as there are threads to encode.
   */
  Semaphore turns() {
    return turns;
  }

  @Override
  public void destroy() {
    queue.close();
  }
}
