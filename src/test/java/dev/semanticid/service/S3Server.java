package dev.semanticid.service;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.http.apache5.Apache5HttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.MultipartUpload;
import software.amazon.awssdk.services.s3.model.NoSuchKeyException;
import software.amazon.awssdk.services.s3.model.S3Object;

/**
 * A real S3 server, s3proxy, as a child process on a free port of this machine, which checks
 * signatures and keeps objects in memory. Its log goes to {@code target/service-logs}.
 */
public final class S3Server implements AutoCloseable {

  /** The key that it knows. */
  public static final String ACCESS_KEY = "test-access-key";

  /** What requests are signed with. */
  public static final String SECRET_KEY = "test-secret-key";

  private static final Pattern STARTED =
      Pattern.compile("Started .*ServerConnector.*\\{127\\.0\\.0\\.1:(\\d+)}");
  private static final AtomicInteger LOGS = new AtomicInteger();

  private final Process process;
  private final URI endpoint;
  private final S3Client client;

  private S3Server(Process process, int port) {
    this.process = process;
    this.endpoint = URI.create("http://127.0.0.1:" + port);
    this.client =
        S3Client.builder()
            .httpClientBuilder(Apache5HttpClient.builder())
            .endpointOverride(endpoint)
            .forcePathStyle(true)
            .region(Region.US_EAST_1)
            .credentialsProvider(credentials())
            .build();
  }

  /** Starts the server and waits until it answers. */
  public static S3Server start() {
    String jar = System.getProperty("s3proxy.jar");
    if (jar == null) {
      throw new IllegalStateException("run by Maven, which sets the property s3proxy.jar");
    }
    try {
      Path logs = Files.createDirectories(Path.of("target", "service-logs"));
      String name =
          String.format(
              Locale.ROOT, "s3-%d-%d", ProcessHandle.current().pid(), LOGS.incrementAndGet());
      Path log = logs.resolve(name + ".log");
      Path settings = logs.resolve(name + ".properties");
      Files.write(
          settings,
          List.of(
              "s3proxy.endpoint=http://127.0.0.1:0",
              "s3proxy.authorization=aws-v4",
              "s3proxy.identity=" + ACCESS_KEY,
              "s3proxy.credential=" + SECRET_KEY,
              "jclouds.provider=transient-nio2",
              "jclouds.identity=unused",
              "jclouds.credential=unused"));
      Process process =
          new ProcessBuilder(
                  ProcessHandle.current().info().command().orElseThrow(),
                  "-Xmx512m",
                  ServiceProcess.QUICK_START,
                  "-jar",
                  jar,
                  "--properties",
                  settings.toString())
              .redirectErrorStream(true)
              .redirectOutput(log.toFile())
              .start();
      Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
      boolean started = false;
      try {
        Await.until(
            "start of the S3 server",
            () -> {
              if (!process.isAlive()) {
                throw new AssertionError("the S3 server ended; its log:\n" + read(log));
              }
              return port(log).isPresent();
            },
            () -> read(log));
        var server = new S3Server(process, port(log).orElseThrow());
        server.client.listBuckets();
        started = true;
        return server;
      } finally {
        if (!started) {
          process.destroyForcibly();
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Where it listens. */
  public URI endpoint() {
    return endpoint;
  }

  /** The credentials that it accepts. */
  public static AwsCredentialsProvider credentials() {
    return StaticCredentialsProvider.create(AwsBasicCredentials.create(ACCESS_KEY, SECRET_KEY));
  }

  /** Makes a bucket. */
  public void createBucket(String bucket) {
    client.createBucket(request -> request.bucket(bucket));
  }

  /** Puts an object there, or in the place of one. */
  public void put(String bucket, String key, byte[] content) {
    client.putObject(request -> request.bucket(bucket).key(key), RequestBody.fromBytes(content));
  }

  /** The content of an object, if there is one. */
  public Optional<byte[]> get(String bucket, String key) {
    try {
      return Optional.of(
          client.getObjectAsBytes(request -> request.bucket(bucket).key(key)).asByteArray());
    } catch (NoSuchKeyException e) {
      return Optional.empty();
    }
  }

  /** Deletes an object. */
  public void delete(String bucket, String key) {
    client.deleteObject(request -> request.bucket(bucket).key(key));
  }

  /** The keys of a bucket that begin so. */
  public List<String> keys(String bucket, String prefix) {
    return client
        .listObjectsV2Paginator(request -> request.bucket(bucket).prefix(prefix))
        .contents()
        .stream()
        .map(S3Object::key)
        .toList();
  }

  /** Begins an upload in parts that nobody ends. */
  public void beginUpload(String bucket, String key) {
    client.createMultipartUpload(request -> request.bucket(bucket).key(key));
  }

  /** The keys of a bucket's uploads in parts that have not ended. */
  public List<String> uploads(String bucket) {
    return client.listMultipartUploads(request -> request.bucket(bucket)).uploads().stream()
        .map(MultipartUpload::key)
        .toList();
  }

  /** Ends it without warning. */
  public void kill() {
    process.destroyForcibly();
    try {
      if (!process.waitFor(60, TimeUnit.SECONDS)) {
        throw new AssertionError("the S3 server does not end");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError("interrupted", e);
    }
  }

  @Override
  public void close() {
    client.close();
    kill();
  }

  private static Optional<Integer> port(Path log) {
    Matcher started = STARTED.matcher(read(log));
    return started.find() ? Optional.of(Integer.valueOf(started.group(1))) : Optional.empty();
  }

  private static String read(Path log) {
    try {
      return Files.readString(log);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
