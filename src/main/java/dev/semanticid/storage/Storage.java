package dev.semanticid.storage;

import dev.semanticid.problem.Masked;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.settings.SemanticIdProperties;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.stereotype.Component;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider;
import software.amazon.awssdk.services.s3.model.HeadObjectResponse;
import software.amazon.awssdk.services.s3.model.S3Object;

/**
 * Files below {@code semantic-id.data-root} and objects in the places of {@code
 * semantic-id.s3.allowed}.
 *
 * <p>Asking for a place raises {@link ProblemException}, for a client that waits for an answer; the
 * files and places that it gives raise {@link StorageException} while they are read or written.
 */
@Component
public class Storage implements AutoCloseable {

  /** Requests of that size are sent whole; what is larger, in parts of it. */
  private static final long PART_BYTES = 64L << 20;

  private final DataRoot dataRoot;
  private final List<String> allowed;
  private final S3Connection s3;
  private final long partBytes;

  @Autowired
  Storage(DataRoot dataRoot, SemanticIdProperties properties) {
    this(dataRoot, properties.s3(), () -> DefaultCredentialsProvider.builder().build(), PART_BYTES);
  }

  Storage(
      DataRoot dataRoot,
      SemanticIdProperties.S3 settings,
      Supplier<? extends AwsCredentialsProvider> credentials,
      long partBytes) {
    this.dataRoot = dataRoot;
    this.allowed = settings.allowed();
    this.s3 = new S3Connection(settings, credentials);
    this.partBytes = partBytes;
  }

  /**
   * Finds files or objects.
   *
   * @param uri {@code file:///folder/name} or {@code s3://bucket/key}; the last segment may be a
   *     glob, which is matched by names without a slash. A {@code file:} URI is escaped as the
   *     standard has it, a key stands as it is.
   * @return one or more, in the order of their names
   * @throws ProblemException {@code UNSUPPORTED_SOURCE} if it is no such address, {@code
   *     SOURCE_FORBIDDEN} if it is outside of what may be read, {@code SOURCE_NOT_FOUND} if nothing
   *     is there, {@code SOURCE_INVALID} if it is no regular file; {@code SOURCE_ACCESS_DENIED} or
   *     {@code SOURCE_UNAVAILABLE} if S3 does not tell
   */
  public List<DataFile> find(String uri) {
    requireWithoutSecrets(uri, ProblemCode.UNSUPPORTED_SOURCE);
    try {
      return switch (scheme(uri)) {
        case "file" -> local(uri);
        case "s3" -> objects(S3Location.of(uri, ProblemCode.UNSUPPORTED_SOURCE));
        default ->
            throw new ProblemException(
                ProblemCode.UNSUPPORTED_SOURCE,
                "sources are file:///folder/name or s3://bucket/key, got " + described(uri));
      };
    } catch (StorageException e) {
      throw e.toProblem();
    } catch (IOException e) {
      throw new ProblemException(
          ProblemCode.SOURCE_INVALID,
          "the source %s cannot be read: %s".formatted(uri, e.getMessage()));
    }
  }

  /**
   * Checks as much of an address as can be known without another service.
   *
   * @throws ProblemException {@code UNSUPPORTED_SOURCE}, {@code SOURCE_FORBIDDEN} or {@code
   *     SOURCE_INVALID} as {@link #find}
   */
  public void requireReadable(String uri) {
    requireWithoutSecrets(uri, ProblemCode.UNSUPPORTED_SOURCE);
    if (scheme(uri).equals("s3")) {
      S3Location location = S3Location.of(uri, ProblemCode.UNSUPPORTED_SOURCE);
      location.requireAllowed(allowed, "source");
      requireReadable(location);
    } else {
      find(uri);
    }
  }

  /** Refuses a name that is a glob and cannot be read as one. */
  private static void requireReadable(S3Location location) {
    if (Glob.isGlob(location.name())) {
      try {
        Glob.of(location.name());
      } catch (StorageException e) {
        throw e.toProblem();
      }
    }
  }

  /**
   * A place for one finished file.
   *
   * @param uri {@code file:///folder/name}, whose folder exists, or {@code s3://bucket/key}; no
   *     glob
   * @return the place, whether or not something is there
   * @throws ProblemException {@code DESTINATION_INVALID} if it is no such address, {@code
   *     SOURCE_FORBIDDEN} if it is outside of what may be written
   */
  public Destination destination(String uri) {
    requireWithoutSecrets(uri, ProblemCode.DESTINATION_INVALID);
    return switch (scheme(uri)) {
      case "file" -> new LocalDestination(dataRoot.resolveDestination(uri));
      case "s3" -> {
        S3Location location = S3Location.of(uri, ProblemCode.DESTINATION_INVALID);
        if (Glob.isGlob(location.name())) {
          throw new ProblemException(
              ProblemCode.DESTINATION_INVALID,
              "a destination is one object, and the name of %s has one of *?[]{}, as globs do"
                  .formatted(uri));
        }
        location.requireAllowed(allowed, "destination");
        yield new S3Destination(s3, location, partBytes);
      }
      default ->
          throw new ProblemException(
              ProblemCode.DESTINATION_INVALID,
              "destinations are file:///folder/name or s3://bucket/key, got " + described(uri));
    };
  }

  /**
   * Refuses an address with a password or a signature: those who see the job would see it too.
   *
   * @param code what it is then: {@code UNSUPPORTED_SOURCE} or {@code DESTINATION_INVALID}
   * @throws ProblemException which does not repeat the address
   */
  public static void requireWithoutSecrets(String uri, ProblemCode code) {
    if (!Masked.address(uri).equals(uri)) {
      throw new ProblemException(
          code,
          "credentials do not belong in an address, and presigned addresses are not supported;"
              + " expected s3://bucket/key. Give the service credentials of its own where AWS tools"
              + " look for them (environment, profile, container, instance)");
    }
  }

  /** Whether an address is one of this machine, where looking takes no time. */
  public static boolean isOnThisMachine(String uri) {
    return scheme(uri).equals("file");
  }

  @Override
  public void close() {
    s3.close();
  }

  private static String scheme(String uri) {
    int colon = uri.indexOf(':');
    return colon < 0 ? "" : uri.substring(0, colon);
  }

  private static String described(String uri) {
    String scheme = scheme(uri);
    return scheme.isEmpty()
        ? "'%s' without a scheme".formatted(uri)
        : "scheme '%s'".formatted(scheme.toLowerCase(Locale.ROOT));
  }

  private List<DataFile> local(String uri) throws IOException {
    var files = new ArrayList<DataFile>();
    for (Path file : dataRoot.resolve(uri)) {
      files.add(LocalDataFile.of(file));
    }
    return files;
  }

  private List<DataFile> objects(S3Location location) throws IOException {
    location.requireAllowed(allowed, "source");
    return Glob.isGlob(location.name()) ? matching(location) : List.of(object(location));
  }

  private DataFile object(S3Location location) throws IOException {
    HeadObjectResponse head =
        s3.send(
            location,
            ProblemCode.SOURCE_NOT_FOUND,
            client ->
                client.headObject(
                    request -> request.bucket(location.bucket()).key(location.key())));
    return S3DataFile.of(s3, location, head.contentLength(), head.eTag());
  }

  private List<DataFile> matching(S3Location location) throws IOException {
    Glob glob = Glob.of(location.name());
    String folder = location.folder();
    List<S3Object> matches =
        s3.send(
            location,
            ProblemCode.SOURCE_NOT_FOUND,
            client ->
                client
                    .listObjectsV2Paginator(request ->
                        request
                            .bucket(location.bucket())
                            .prefix(folder + Glob.literalPrefix(location.name()))
                            .delimiter("/"))
                    .contents()
                    .stream()
                    .filter(object -> isMatch(object.key(), folder, glob))
                    .sorted(Comparator.comparing(S3Object::key))
                    .toList());
    if (matches.isEmpty()) {
      throw new StorageException(
          ProblemCode.SOURCE_NOT_FOUND,
          "no object matches the source %s".formatted(location.uri()));
    }
    var files = new ArrayList<DataFile>();
    for (S3Object match : matches) {
      files.add(
          S3DataFile.of(
              s3, new S3Location(location.bucket(), match.key()), match.size(), match.eTag()));
    }
    return files;
  }

  /** Only what is in the folder itself; the folder's own placeholder is no object to read. */
  private static boolean isMatch(String key, String folder, Glob glob) {
    String name = key.substring(folder.length());
    return !name.isEmpty() && name.indexOf('/') < 0 && glob.matches(name);
  }
}
