package dev.semanticid.storage;

import dev.semanticid.core.vector.ByteSource;
import dev.semanticid.problem.ProblemCode;
import java.io.IOException;
import java.util.Locale;
import java.util.Objects;
import software.amazon.awssdk.core.exception.RetryableException;
import software.amazon.awssdk.core.sync.ResponseTransformer;
import software.amazon.awssdk.http.AbortableInputStream;
import software.amazon.awssdk.services.s3.model.GetObjectRequest;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;

/**
 * The bytes of an object: every read is a request, on condition that the object is still the one
 * with the ETag.
 */
final class S3Object implements ByteSource {

  private final S3Connection connection;
  private final S3Location location;
  private final long size;
  private final String eTag;
  private volatile boolean closed;

  /**
   * @param size in bytes
   * @param eTag without quotes
   */
  S3Object(S3Connection connection, S3Location location, long size, String eTag) {
    this.connection = connection;
    this.location = location;
    this.size = size;
    this.eTag = eTag;
  }

  /** An ETag as it is compared: servers do not agree on the quotes. */
  static String unquoted(String eTag) {
    return eTag.length() > 1 && eTag.startsWith("\"") && eTag.endsWith("\"")
        ? eTag.substring(1, eTag.length() - 1)
        : eTag;
  }

  @Override
  public String name() {
    return location.uri();
  }

  @Override
  public long size() {
    return size;
  }

  @Override
  public void read(long position, byte[] target, int offset, int length) throws IOException {
    Objects.checkFromIndexSize(position, length, size);
    Objects.checkFromIndexSize(offset, length, target.length);
    if (closed) {
      throw new IllegalStateException(name() + " is closed");
    }
    if (length == 0) {
      return;
    }
    var request =
        GetObjectRequest.builder()
            .bucket(location.bucket())
            .key(location.key())
            .range(String.format(Locale.ROOT, "bytes=%d-%d", position, position + length - 1))
            .ifMatch("\"" + eTag + "\"")
            .build();
    ResponseTransformer<GetObjectResponse, GetObjectResponse> body =
        (response, in) -> {
          if (isWhole(response, length)) {
            fill(in, target, offset, length);
          } else {
            // Somebody else's bytes, and perhaps many.
            in.abort();
          }
          return response;
        };
    GetObjectResponse response =
        connection.send(
            location, ProblemCode.SOURCE_NOT_FOUND, client -> client.getObject(request, body));
    if (!isExpected(response.eTag())) {
      throw new StorageException(
          ProblemCode.SOURCE_CHANGED,
          "%s: expected the object with ETag %s as when it was found, got %s"
              .formatted(name(), eTag, unquoted(response.eTag())));
    }
    if (!isWhole(response, length)) {
      throw new StorageException(
          ProblemCode.SOURCE_UNAVAILABLE,
          String.format(
              Locale.ROOT,
              "%s: expected bytes %d to %d, %d of them, got %d",
              name(),
              position,
              position + length - 1,
              length,
              response.contentLength()));
    }
  }

  @Override
  public void close() {
    closed = true;
  }

  private boolean isExpected(String found) {
    return found == null || unquoted(found).equals(eTag);
  }

  private boolean isWhole(GetObjectResponse response, int length) {
    return isExpected(response.eTag()) && Objects.equals(response.contentLength(), (long) length);
  }

  /** Has the SDK try again if the connection breaks. */
  private void fill(AbortableInputStream in, byte[] target, int offset, int length) {
    int count;
    try {
      count = in.readNBytes(target, offset, length);
    } catch (IOException e) {
      throw RetryableException.create("%s: the answer broke off".formatted(name()), e);
    }
    if (count < length) {
      throw RetryableException.create(
          String.format(
              Locale.ROOT,
              "%s: expected %d bytes, the answer broke off after %d",
              name(),
              length,
              count));
    }
  }
}
