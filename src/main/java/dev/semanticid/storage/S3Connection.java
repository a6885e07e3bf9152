package dev.semanticid.storage;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.settings.SemanticIdProperties;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.Locale;
import java.util.Set;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.awscore.exception.AwsErrorDetails;
import software.amazon.awssdk.core.checksums.RequestChecksumCalculation;
import software.amazon.awssdk.core.checksums.ResponseChecksumValidation;
import software.amazon.awssdk.core.exception.AbortedException;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.core.retry.RetryMode;
import software.amazon.awssdk.http.apache5.Apache5HttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.utils.SdkAutoCloseable;

/**
 * The client of the S3 server, made when it is first needed, and its failures in this service's
 * words.
 */
final class S3Connection implements AutoCloseable {

  private static final int MAX_CONNECTIONS = 64;

  /** Codes of wrong credentials that come with a status that means many things. */
  private static final Set<String> DENIED =
      Set.of(
          "AccessDenied",
          "ExpiredToken",
          "InvalidAccessKeyId",
          "InvalidToken",
          "SignatureDoesNotMatch",
          "TokenRefreshRequired");

  private final SemanticIdProperties.S3 settings;
  private final Supplier<? extends AwsCredentialsProvider> credentials;
  private @Nullable AwsCredentialsProvider provider;
  private @Nullable S3Client client;
  private boolean closed;

  S3Connection(
      SemanticIdProperties.S3 settings, Supplier<? extends AwsCredentialsProvider> credentials) {
    this.settings = settings;
    this.credentials = credentials;
  }

  /** A request to the server. */
  @FunctionalInterface
  interface Request<T> {
    /** Sends it. */
    T send(S3Client client) throws IOException;
  }

  /**
   * Sends a request.
   *
   * @param location what it is about
   * @param missing what it is if there is no such bucket or key
   * @throws StorageException if it fails, after what retries make sense
   */
  <T> T send(S3Location location, ProblemCode missing, Request<T> request) throws IOException {
    try {
      return request.send(client());
    } catch (AbortedException e) {
      var interrupted = new InterruptedIOException(location.uri() + ": interrupted");
      interrupted.initCause(e);
      throw interrupted;
    } catch (SdkException e) {
      throw failure(location, missing, e);
    }
  }

  private synchronized S3Client client() throws StorageException {
    if (closed) {
      throw new IllegalStateException("the connection to S3 is closed");
    }
    if (client == null) {
      client = connect();
    }
    return client;
  }

  private S3Client connect() throws StorageException {
    AwsCredentialsProvider found = provider == null ? credentials.get() : provider;
    provider = found;
    try {
      found.resolveCredentials();
    } catch (SdkException e) {
      throw new StorageException(
          ProblemCode.SOURCE_ACCESS_DENIED,
          "no credentials for S3 were found where AWS tools look for them: " + e.getMessage(),
          e);
    }
    var http =
        Apache5HttpClient.builder()
            .connectionTimeout(settings.connectTimeout())
            .socketTimeout(settings.socketTimeout())
            .maxConnections(MAX_CONNECTIONS);
    var builder =
        S3Client.builder()
            .httpClientBuilder(http)
            .credentialsProvider(found)
            .region(Region.of(settings.region()))
            .forcePathStyle(settings.effectivePathStyleAccess())
            // What S3-compatible servers do not know: checksums of the SDK's own accord, and signed
            // chunks.
            .requestChecksumCalculation(RequestChecksumCalculation.WHEN_REQUIRED)
            .responseChecksumValidation(ResponseChecksumValidation.WHEN_REQUIRED)
            .serviceConfiguration(configuration -> configuration.chunkedEncodingEnabled(false))
            .overrideConfiguration(configuration ->
                configuration
                    .retryStrategy(RetryMode.STANDARD)
                    .apiCallAttemptTimeout(settings.attemptTimeout()));
    if (settings.endpoint() != null) {
      builder.endpointOverride(settings.endpoint());
    }
    return builder.build();
  }

  private StorageException failure(S3Location location, ProblemCode missing, SdkException e) {
    String uri = location.uri();
    if (!(e instanceof S3Exception answer)) {
      return new StorageException(
          ProblemCode.SOURCE_UNAVAILABLE,
          "%s: S3 cannot be reached at %s: %s".formatted(uri, server(), reason(e)),
          e);
    }
    AwsErrorDetails details = answer.awsErrorDetails();
    String error = details == null || details.errorCode() == null ? "" : details.errorCode();
    int status = answer.statusCode();
    String said =
        error.isEmpty()
            ? "HTTP " + status
            : String.format(Locale.ROOT, "HTTP %d, %s", status, error);
    if (status == 404) {
      return new StorageException(
          missing,
          error.equals("NoSuchBucket")
              ? "%s: there is no bucket %s (%s)".formatted(uri, location.bucket(), said)
              : "%s: there is no such object (%s)".formatted(uri, said),
          e);
    }
    if (error.equals("InvalidObjectState")) {
      return new StorageException(
          ProblemCode.SOURCE_INVALID,
          "%s: the object is archived and has to be restored first (%s)".formatted(uri, said),
          e);
    }
    if (status == 401 || status == 403 || DENIED.contains(error)) {
      return new StorageException(
          ProblemCode.SOURCE_ACCESS_DENIED,
          ("%s: S3 refuses it to this service's credentials (%s); without the permission to list,"
                  + " that is also said of what does not exist")
              .formatted(uri, said),
          e);
    }
    if (status == 301 || status == 307 || error.equals("AuthorizationHeaderMalformed")) {
      String region =
          details == null
              ? "another one"
              : details
                  .sdkHttpResponse()
                  .firstMatchingHeader("x-amz-bucket-region")
                  .orElse("another one");
      return new StorageException(
          ProblemCode.SOURCE_UNAVAILABLE,
          "%s: semantic-id.s3.region is %s, the bucket's is %s (%s)"
              .formatted(uri, settings.region(), region, said),
          e);
    }
    if (status == 412 || status == 416) {
      return new StorageException(
          ProblemCode.SOURCE_CHANGED,
          "%s: the object is no longer the one that was found (%s)".formatted(uri, said),
          e);
    }
    if (status == 507 || error.equals("QuotaExceeded")) {
      return new StorageException(
          ProblemCode.INSUFFICIENT_STORAGE, "%s: S3 has no room (%s)".formatted(uri, said), e);
    }
    return new StorageException(
        ProblemCode.SOURCE_UNAVAILABLE,
        "%s: expected an answer from S3, got %s".formatted(uri, said),
        e);
  }

  private String server() {
    return settings.endpoint() == null
        ? "Amazon in region " + settings.region()
        : settings.endpoint().toString();
  }

  /** The innermost cause says what happened: "connection refused", not "unable to execute". */
  private static String reason(Throwable e) {
    Throwable at = e;
    while (at.getCause() != null) {
      at = at.getCause();
    }
    return String.valueOf(at.getMessage());
  }

  @Override
  public synchronized void close() {
    closed = true;
    if (client != null) {
      client.close();
      client = null;
    }
    if (provider instanceof SdkAutoCloseable closeable) {
      closeable.close();
    }
  }
}
