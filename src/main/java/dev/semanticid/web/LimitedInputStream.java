package dev.semanticid.web;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import jakarta.servlet.http.HttpServletRequest;
import java.io.BufferedInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.SocketTimeoutException;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.zip.GZIPInputStream;
import java.util.zip.InflaterInputStream;
import java.util.zip.ZipException;
import org.jspecify.annotations.Nullable;

/**
 * A request's body with bounds on its length and on the time it takes. Where the connection ends
 * before the announced length has come, more comes than is allowed, or it comes too slowly, reading
 * fails with a problem that says so. Compressed bodies are inflated, and the bound is on what comes
 * out.
 */
public final class LimitedInputStream extends FilterInputStream {

  /** The content encodings that are read. */
  public static final String ENCODINGS = "gzip, deflate";

  private static final int INFLATER_BYTES = 32 << 10;

  /** What an upload of any length has to reach on average: a body that drips holds a thread. */
  private static final long SLOWEST_BYTES_PER_SECOND = 16 << 10;

  /** A rate without meaning: the time does not grow with the bytes that have come. */
  private static final long NO_RATE = Long.MAX_VALUE;

  private final long announced;
  private final long limit;
  private final @Nullable Duration timeout;
  private final long slowestRate;
  private final long began = System.nanoTime();
  private long read;

  private LimitedInputStream(
      InputStream in, long announced, long limit, @Nullable Duration timeout, long slowestRate) {
    super(in);
    this.announced = announced;
    this.limit = limit;
    this.timeout = timeout;
    this.slowestRate = slowestRate;
    if (announced > limit) {
      throw tooLarge(announced + " bytes");
    }
  }

  /**
   * Opens a request's body.
   *
   * @param limit most bytes to accept, after inflation
   * @param timeout how long the body may take
   * @throws ProblemException if it is announced to be longer, or compressed in an unknown way
   */
  public static LimitedInputStream of(HttpServletRequest request, long limit, Duration timeout)
      throws IOException {
    return open(request, limit, timeout, NO_RATE);
  }

  /**
   * Opens the body of an upload, which may take as long as it needs while it comes at some rate.
   *
   * @param limit most bytes to accept, after inflation
   * @param grace how long it may take besides
   * @throws ProblemException if it is announced to be longer, or compressed in an unknown way
   */
  public static LimitedInputStream ofUpload(HttpServletRequest request, long limit, Duration grace)
      throws IOException {
    return open(request, limit, grace, SLOWEST_BYTES_PER_SECOND);
  }

  /** Puts the bounds around a body that is open already and is not compressed. */
  public static LimitedInputStream around(
      InputStream in, long announced, long limit, Duration timeout) {
    return new LimitedInputStream(in, announced, limit, timeout, NO_RATE);
  }

  private static LimitedInputStream open(
      HttpServletRequest request, long limit, Duration timeout, long slowestRate)
      throws IOException {
    var plain =
        new LimitedInputStream(
            request.getInputStream(), request.getContentLengthLong(), limit, timeout, slowestRate);
    String encoding = request.getHeader("Content-Encoding");
    InputStream inflated;
    switch (encoding == null ? "identity" : encoding.strip().toLowerCase(Locale.ROOT)) {
      case "identity", "" -> {
        return plain;
      }
      case "gzip", "x-gzip" -> inflated = gunzipped(plain);
      case "deflate" ->
          inflated = new InflaterInputStream(new BufferedInputStream(plain, INFLATER_BYTES));
      default ->
          throw new ProblemException(
              ProblemCode.UNSUPPORTED_CONTENT_ENCODING,
              "Content-Encoding must be gzip, deflate or identity, got '%s'".formatted(encoding));
    }
    return new LimitedInputStream(inflated, -1, limit, null, NO_RATE);
  }

  /** Reads the header at once. */
  private static InputStream gunzipped(InputStream plain) {
    try {
      return new GZIPInputStream(plain, INFLATER_BYTES);
    } catch (IOException e) {
      throw new ProblemException(
          ProblemCode.MALFORMED_BODY, "the body is not gzip, as its Content-Encoding says");
    }
  }

  /** The announced length of what can be read here, or −1 if that is not known. */
  public long announced() {
    return announced;
  }

  private ProblemException tooLarge(String actual) {
    return new ProblemException(
            ProblemCode.PAYLOAD_TOO_LARGE,
            String.format(
                Locale.ROOT, "the body may have %d bytes, this one has %s", limit, actual))
        .with("limit", limit);
  }

  /** Bytes read so far. */
  public long bytesRead() {
    return read;
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
  }

  @Override
  public int read(byte[] target, int offset, int length) throws IOException {
    int count;
    try {
      count = in.read(target, offset, length);
    } catch (ZipException e) {
      throw new ProblemException(
          ProblemCode.MALFORMED_BODY,
          String.format(
              Locale.ROOT,
              "the body is not what its Content-Encoding says, after %d inflated bytes: %s",
              read,
              e.getMessage()));
    } catch (IOException e) {
      // Tomcat says that a client was silent for too long as it says that it went away.
      if (e instanceof SocketTimeoutException || e.getCause() instanceof SocketTimeoutException) {
        throw tooSlow();
      }
      throw new ProblemException(
          ProblemCode.MALFORMED_BODY,
          announced >= 0
              ? String.format(
                  Locale.ROOT,
                  "the body was announced with %d bytes and broke off after %d",
                  announced,
                  read)
              : String.format(Locale.ROOT, "the body broke off after %d bytes", read));
    }
    if (count > 0) {
      read += count;
      if (read > limit) {
        throw tooLarge("more");
      }
      if (timeout != null
          && read != announced
          && System.nanoTime() - began
              > timeout.toNanos() + TimeUnit.SECONDS.toNanos(read / slowestRate)) {
        throw tooSlow();
      }
    }
    return count;
  }

  private ProblemException tooSlow() {
    return new ProblemException(
        ProblemCode.REQUEST_TIMEOUT,
        String.format(
            Locale.ROOT,
            "the body did not come in time: it was announced with %s bytes, %d came%s",
            announced >= 0 ? Long.toString(announced) : "no number of",
            read,
            timeout == null
                ? ""
                : String.format(Locale.ROOT, "; it may take %d ms%s", timeout.toMillis(), rate())));
  }

  private String rate() {
    return slowestRate == NO_RATE
        ? ""
        : String.format(Locale.ROOT, " and a second for each %d bytes", slowestRate);
  }

  @Override
  public long skip(long n) {
    throw new UnsupportedOperationException("bodies are read, not skipped");
  }

  @Override
  public boolean markSupported() {
    return false;
  }
}
