package dev.semanticid.system;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;

/**
 * A request's body with a bound on its length. Where the connection ends before the announced
 * length has come, or more comes than is allowed, reading fails with a problem that says so.
 */
public final class LimitedInputStream extends FilterInputStream {

  private final long announced;
  private final long limit;
  private long read;

  /**
   * @param in the body
   * @param announced its announced length, or −1
   * @param limit most bytes to accept
   * @throws ProblemException if it is announced to be longer
   */
  public LimitedInputStream(InputStream in, long announced, long limit) {
    super(in);
    this.announced = announced;
    this.limit = limit;
    if (announced > limit) {
      throw tooLarge(announced + " bytes");
    }
  }

  private ProblemException tooLarge(String actual) {
    return new ProblemException(
            ProblemCode.PAYLOAD_TOO_LARGE,
            "the body may have %d bytes, this one has %s".formatted(limit, actual))
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
    } catch (IOException e) {
      throw new ProblemException(
          ProblemCode.MALFORMED_BODY,
          announced >= 0
              ? "the body was announced with %d bytes and broke off after %d"
                  .formatted(announced, read)
              : "the body broke off after %d bytes".formatted(read));
    }
    if (count > 0) {
      read += count;
      if (read > limit) {
        throw tooLarge("more");
      }
    }
    return count;
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
