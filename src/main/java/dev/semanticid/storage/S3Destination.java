package dev.semanticid.storage;

import dev.semanticid.problem.ProblemCode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.CompletedPart;
import software.amazon.awssdk.services.s3.model.HeadObjectResponse;
import software.amazon.awssdk.services.s3.model.MultipartUpload;
import software.amazon.awssdk.services.s3.model.S3Exception;

/**
 * A key in a bucket. Small files go in one request, larger ones in parts; either way the object is
 * there only once it is whole. Every request is sent on condition that there is none yet.
 */
final class S3Destination implements Destination {

  private static final Logger LOG = LoggerFactory.getLogger(S3Destination.class);

  /** What S3 takes as the parts of one object. */
  private static final int MAX_PARTS = 10_000;

  /** By what an upload is known whose success was not heard of. */
  private static final String UPLOAD = "semantic-id-upload";

  private final S3Connection connection;
  private final S3Location location;
  private final long partBytes;

  /**
   * @param partBytes most bytes of a request, unless that makes too many
   */
  S3Destination(S3Connection connection, S3Location location, long partBytes) {
    this.connection = connection;
    this.location = location;
    this.partBytes = partBytes;
  }

  @Override
  public String uri() {
    return location.uri();
  }

  @Override
  public boolean exists() throws IOException {
    return head().isPresent();
  }

  @Override
  public void publish(Path finished, String jobId) throws IOException {
    if (exists()) {
      throw taken(null);
    }
    long size = Files.size(finished);
    String upload = UUID.randomUUID().toString();
    if (size <= partBytes) {
      send(client -> put(client, finished, upload));
    } else {
      putParts(finished, size, upload);
    }
    Files.deleteIfExists(finished);
  }

  @Override
  public void discard(String jobId) throws IOException {
    List<MultipartUpload> unfinished =
        send(client ->
            client
                .listMultipartUploadsPaginator(
                    request -> request.bucket(location.bucket()).prefix(location.key()))
                .uploads()
                .stream()
                .filter(upload -> upload.key().equals(location.key()))
                .toList());
    for (MultipartUpload upload : unfinished) {
      send(client -> abort(client, upload.uploadId()));
    }
  }

  private StorageException taken(@Nullable S3Exception refusal) {
    return new StorageException(
        ProblemCode.DESTINATION_EXISTS,
        "%s exists already; nothing is overwritten".formatted(uri()),
        refusal);
  }

  private <T> T send(S3Connection.Request<T> request) throws IOException {
    return connection.send(location, ProblemCode.DESTINATION_INVALID, request);
  }

  private Optional<HeadObjectResponse> head() throws IOException {
    return send(client -> {
      try {
        return Optional.of(
            client.headObject(request -> request.bucket(location.bucket()).key(location.key())));
      } catch (S3Exception e) {
        if (e.statusCode() == 404) {
          return Optional.empty();
        }
        throw e;
      }
    });
  }

  private boolean put(S3Client client, Path finished, String upload) throws IOException {
    try {
      client.putObject(
          request ->
              request
                  .bucket(location.bucket())
                  .key(location.key())
                  .metadata(Map.of(UPLOAD, upload))
                  .ifNoneMatch("*"),
          RequestBody.fromFile(finished));
    } catch (S3Exception e) {
      requireOwn(e, upload);
    }
    return true;
  }

  private void putParts(Path finished, long size, String upload) throws IOException {
    String id =
        send(client ->
                client.createMultipartUpload(request ->
                    request
                        .bucket(location.bucket())
                        .key(location.key())
                        .metadata(Map.of(UPLOAD, upload))))
            .uploadId();
    boolean complete = false;
    try {
      long bytes = Math.max(partBytes, Math.ceilDiv(size, MAX_PARTS));
      var parts = new ArrayList<CompletedPart>();
      for (long at = 0; at < size; at += bytes) {
        parts.add(putPart(finished, at, Math.min(bytes, size - at), id, parts.size() + 1));
      }
      send(client -> complete(client, id, parts, upload));
      complete = true;
    } finally {
      if (!complete) {
        abandon(id);
      }
    }
  }

  private CompletedPart putPart(Path finished, long start, long length, String id, int number)
      throws IOException {
    var body =
        RequestBody.fromContentProvider(
            () -> new FilePart(finished, start, length), length, "application/octet-stream");
    String eTag =
        send(client ->
                client.uploadPart(
                    request ->
                        request
                            .bucket(location.bucket())
                            .key(location.key())
                            .uploadId(id)
                            .partNumber(number),
                    body))
            .eTag();
    return CompletedPart.builder().partNumber(number).eTag(eTag).build();
  }

  private boolean complete(S3Client client, String id, List<CompletedPart> parts, String upload)
      throws IOException {
    try {
      client.completeMultipartUpload(request ->
          request
              .bucket(location.bucket())
              .key(location.key())
              .uploadId(id)
              .ifNoneMatch("*")
              .multipartUpload(parted -> parted.parts(parts)));
    } catch (S3Exception e) {
      requireOwn(e, upload);
    }
    return true;
  }

  /**
   * What was refused because there is an object already may be the retry of a request whose answer
   * got lost; then the object is ours.
   */
  private void requireOwn(S3Exception refusal, String upload) throws IOException {
    boolean taken = refusal.statusCode() == 412 || refusal.statusCode() == 409;
    Optional<HeadObjectResponse> found =
        taken || refusal.statusCode() == 404 ? head() : Optional.empty();
    if (found.isPresent() && upload.equals(found.get().metadata().get(UPLOAD))) {
      return;
    }
    if (taken) {
      throw taken(refusal);
    }
    throw refusal;
  }

  private void abandon(String id) {
    try {
      send(client -> abort(client, id));
    } catch (IOException | RuntimeException e) {
      LOG.warn("the unfinished upload of {} cannot be given up; it takes room", uri(), e);
    }
  }

  private boolean abort(S3Client client, String id) {
    try {
      client.abortMultipartUpload(
          request -> request.bucket(location.bucket()).key(location.key()).uploadId(id));
    } catch (S3Exception e) {
      // It is gone already.
      if (e.statusCode() != 404) {
        throw e;
      }
    }
    return true;
  }
}
