package dev.semanticid.settings;

import dev.semanticid.core.search.Screening;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;

/**
 * Settings of the service, {@code semantic-id.*}. The descriptions below are also the text of
 * docs/configuration.md, which a test compares with them.
 *
 * @param dataDir the folder of the embedded database, of uploads, and of the files that jobs need
 *     while they run. Only one process at a time may use it. Only its owner can read it (mode
 *     0700).
 * @param dataRoot the folder below which jobs may read {@code file:} sources and write results. If
 *     it is not set, {@code file:} sources and results are off.
 * @param backend the code that computes dot products. {@code cuda} uses a GPU of compute capability
 *     8.0 or later and needs {@code libcublas} on the machine. {@code nd4j} uses the ND4J library.
 *     {@code cpu} is plain Java. {@code auto} takes the first of these three that starts.
 * @param threads number of threads that encode. Jobs get the same number of threads, of lower
 *     priority. 0 means one per processor.
 * @param tableBudget memory for the lookup tables of one codebook. If the tables do not fit, a
 *     slower method gives the same codes.
 * @param screening when to rule out centroids with 8-bit arithmetic first: {@code auto} if that is
 *     measured to be faster, {@code always} if ND4J runs on a CPU that multiplies 8-bit numbers
 *     exactly, or {@code never}. This affects speed only; the codes are the same.
 * @param maxOffHeap memory that the backend may take outside the Java heap
 * @param maxDeviceMemory memory that the backend {@code cuda} may take on the GPU
 * @param deviceFallback whether to continue on the CPU after a GPU has failed. If it is false, the
 *     service is not ready after such a failure.
 * @param requestMemory heap memory that all requests together may take. If it is not set, they may
 *     take a quarter of the heap.
 * @param encoding settings of {@code /encode}
 * @param training settings of {@code /train}
 * @param scratch disk space for uploads and jobs
 * @param jobs settings of all jobs
 * @param codebooks settings of {@code /codebooks}
 * @param store settings of the database
 * @param readiness when the service counts as ready
 * @param s3 settings of {@code s3:} sources and results
 * @param security how clients prove who they are
 * @param rateLimit how many rows each client may have encoded
 */
@ConfigurationProperties("semantic-id")
public record SemanticIdProperties(
    @DefaultValue("./data") Path dataDir,
    @Nullable Path dataRoot,
    @DefaultValue("auto") Backend backend,
    @DefaultValue("0") int threads,
    @DefaultValue("256MB") DataSize tableBudget,
    @DefaultValue("auto") Screening screening,
    @DefaultValue("2GB") DataSize maxOffHeap,
    @DefaultValue("8GB") DataSize maxDeviceMemory,
    @DefaultValue("false") boolean deviceFallback,
    @Nullable DataSize requestMemory,
    @DefaultValue Encoding encoding,
    @DefaultValue Training training,
    @DefaultValue Scratch scratch,
    @DefaultValue Jobs jobs,
    @DefaultValue Codebooks codebooks,
    @DefaultValue Store store,
    @DefaultValue Readiness readiness,
    @DefaultValue S3 s3,
    @DefaultValue Security security,
    @DefaultValue RateLimit rateLimit) {

  /** The code that computes dot products. */
  public enum Backend {
    /** The first of cuda, nd4j and cpu that starts. */
    AUTO,
    /** A GPU of compute capability 8.0 or later, by the NVIDIA driver and cuBLAS. */
    CUDA,
    /** ND4J, on the device that its library on the class path supports. */
    ND4J,
    /** Plain Java. */
    CPU
  }

  public SemanticIdProperties {
    require(threads >= 0, "semantic-id.threads must not be negative, got " + threads);
    require(
        !tableBudget.isNegative(),
        "semantic-id.table-budget must not be negative, got " + tableBudget);
    require(
        maxOffHeap.toBytes() > 0, "semantic-id.max-off-heap must be positive, got " + maxOffHeap);
    require(
        maxDeviceMemory.toBytes() > 0,
        "semantic-id.max-device-memory must be positive, got " + maxDeviceMemory);
    require(
        requestMemory == null || requestMemory.toBytes() > 0,
        "semantic-id.request-memory must be positive, got " + requestMemory);
  }

  /** Heap that all requests may take together, in bytes. */
  public long effectiveRequestMemory() {
    return requestMemory == null ? Runtime.getRuntime().maxMemory() / 4 : requestMemory.toBytes();
  }

  /** Threads that encode, and as many that do jobs. */
  public int effectiveThreads() {
    return threads > 0 ? threads : Runtime.getRuntime().availableProcessors();
  }

  /**
   * Settings of {@code /encode}.
   *
   * @param maxRows largest number of rows in one request
   * @param maxBodySize largest size of a request body, after decompression
   * @param maxQueuedRows largest number of rows of all requests that are being read, are waiting,
   *     or are being encoded. Requests beyond it get 429.
   * @param maxQueuedRequests largest number of requests that are being read, are waiting, or are
   *     being encoded. Keep it below {@code server.tomcat.threads.max} (200), so that a thread is
   *     left to answer other requests with 429.
   * @param bodyTimeout how long a request body may take to arrive. An upload of training data or of
   *     a codebook may take one more second for each 16 KiB that have arrived.
   */
  public record Encoding(
      @DefaultValue("16384") int maxRows,
      @DefaultValue("512MB") DataSize maxBodySize,
      @DefaultValue("32768") int maxQueuedRows,
      @DefaultValue("128") int maxQueuedRequests,
      @DefaultValue("30s") Duration bodyTimeout) {
    public Encoding {
      require(maxRows >= 1, "semantic-id.encoding.max-rows must be at least 1, got " + maxRows);
      require(
          maxBodySize.toBytes() > 0 && maxBodySize.toBytes() <= Integer.MAX_VALUE,
          "semantic-id.encoding.max-body-size must be positive and below 2GB, got " + maxBodySize);
      require(
          maxQueuedRows >= maxRows,
          String.format(
              Locale.ROOT,
              "semantic-id.encoding.max-queued-rows must be at least max-rows, %d, got %d",
              maxRows,
              maxQueuedRows));
      require(
          maxQueuedRequests >= 1,
          "semantic-id.encoding.max-queued-requests must be at least 1, got " + maxQueuedRequests);
      require(
          bodyTimeout.isPositive(),
          "semantic-id.encoding.body-timeout must be positive, got " + bodyTimeout);
    }
  }

  /**
   * Settings of {@code /train}.
   *
   * @param maxUploadSize largest size of training data in a request body
   */
  public record Training(@DefaultValue("64GB") DataSize maxUploadSize) {
    public Training {
      require(
          maxUploadSize.toBytes() > 0,
          "semantic-id.training.max-upload-size must be positive, got " + maxUploadSize);
    }
  }

  /**
   * Disk space in the data directory for uploads, and for files that jobs need while they run.
   *
   * @param maxSize disk space that all uploads and job files together may take. If it is not set,
   *     they may take what the disk has.
   * @param keepFree disk space that uploads and jobs leave free for the database
   * @param maxUploads largest number of uploads of training data and codebooks at the same time
   */
  public record Scratch(
      @Nullable DataSize maxSize,
      @DefaultValue("1GB") DataSize keepFree,
      @DefaultValue("16") int maxUploads) {
    public Scratch {
      require(
          maxSize == null || maxSize.toBytes() > 0,
          "semantic-id.scratch.max-size must be positive, got " + maxSize);
      require(
          !keepFree.isNegative(),
          "semantic-id.scratch.keep-free must not be negative, got " + keepFree);
      require(
          maxUploads >= 1, "semantic-id.scratch.max-uploads must be at least 1, got " + maxUploads);
    }
  }

  /**
   * Settings of all jobs.
   *
   * @param queueSize largest number of trainings that wait, and of bulk encodings that wait
   * @param memoryBudget largest heap memory that one job may use, not counting its rows. A training
   *     that needs more is refused.
   * @param checkpointInterval shortest time between two checkpoints of a running job. A job
   *     continues from its last checkpoint after a restart.
   * @param maxAttempts number of starts without a new checkpoint after which a job fails
   * @param retention how long ended jobs are kept
   * @param keep largest number of ended jobs of each kind that are kept
   */
  public record Jobs(
      @DefaultValue("16") int queueSize,
      @DefaultValue("1GB") DataSize memoryBudget,
      @DefaultValue("2s") Duration checkpointInterval,
      @DefaultValue("20") int maxAttempts,
      @DefaultValue("90d") Duration retention,
      @DefaultValue("1000") int keep) {
    public Jobs {
      require(queueSize >= 1, "semantic-id.jobs.queue-size must be at least 1, got " + queueSize);
      require(
          memoryBudget.toBytes() > 0,
          "semantic-id.jobs.memory-budget must be positive, got " + memoryBudget);
      require(
          !checkpointInterval.isNegative(),
          "semantic-id.jobs.checkpoint-interval must not be negative, got " + checkpointInterval);
      require(
          maxAttempts >= 1, "semantic-id.jobs.max-attempts must be at least 1, got " + maxAttempts);
      require(
          !retention.isNegative(),
          "semantic-id.jobs.retention must not be negative, got " + retention);
      require(keep >= 0, "semantic-id.jobs.keep must not be negative, got " + keep);
    }
  }

  /**
   * Settings of {@code /codebooks}.
   *
   * @param maxUploadSize largest size of an uploaded codebook
   * @param pinned largest number of versions that stay in memory because requests name them, in
   *     addition to the active versions
   * @param pinnedMemory memory that those versions together may take. One of them may always stay.
   * @param keep number of unused versions to keep of each codebook. Versions with an alias, or that
   *     a job uses, are always kept and do not count. 0 keeps all versions.
   * @param maxNames largest number of codebooks, each with any number of versions. Creating one
   *     more is refused with 409 {@code TOO_MANY_CODEBOOKS}; {@code DELETE /codebooks/{name}} makes
   *     room.
   */
  public record Codebooks(
      @DefaultValue("1GB") DataSize maxUploadSize,
      @DefaultValue("4") int pinned,
      @DefaultValue("1GB") DataSize pinnedMemory,
      @DefaultValue("0") int keep,
      @DefaultValue("1000") int maxNames) {
    public Codebooks {
      require(
          maxUploadSize.toBytes() > 0,
          "semantic-id.codebooks.max-upload-size must be positive, got " + maxUploadSize);
      require(pinned >= 1, "semantic-id.codebooks.pinned must be at least 1, got " + pinned);
      require(
          !pinnedMemory.isNegative(),
          "semantic-id.codebooks.pinned-memory must not be negative, got " + pinnedMemory);
      require(keep >= 0, "semantic-id.codebooks.keep must not be negative, got " + keep);
      require(maxNames >= 1, "semantic-id.codebooks.max-names must be at least 1, got " + maxNames);
    }
  }

  /**
   * Settings of the database.
   *
   * @param pollInterval how often the service asks the database whether an alias has moved.
   *     PostgreSQL also notifies it at once.
   * @param lease time without a sign of life after which other replicas take over the jobs of this
   *     replica. It is 15s with the profile {@code postgres}. It is not set with the embedded
   *     database, which has no other replicas.
   */
  public record Store(@DefaultValue("2s") Duration pollInterval, @Nullable Duration lease) {
    public Store {
      require(
          pollInterval.isPositive(),
          "semantic-id.store.poll-interval must be positive, got " + pollInterval);
      require(
          lease == null || lease.toMillis() >= 4000,
          "semantic-id.store.lease must be at least 4s, got " + lease);
    }
  }

  /**
   * When the service counts as ready.
   *
   * @param requireCodebook whether the service is not ready while the store holds no codebook
   */
  public record Readiness(@DefaultValue("false") boolean requireCodebook) {}

  /**
   * Settings of {@code s3:} sources and results. Credentials are not settings. They come from where
   * all AWS tools look for them: {@code AWS_ACCESS_KEY_ID} and {@code AWS_SECRET_ACCESS_KEY},
   * profile, container, instance.
   *
   * @param endpoint {@code http://host:port} or {@code https://host:port} of an S3-compatible
   *     server. If it is not set, the server is Amazon's.
   * @param region region of the buckets, used to sign requests
   * @param pathStyleAccess whether the bucket name is in the path instead of in the host name. If
   *     it is not set, it is in the path when an endpoint is set.
   * @param allowed places {@code s3://bucket/prefix}, separated by commas, that jobs may read and
   *     write. {@code s3://b/data} does not allow {@code s3://b/database}. If no place is listed,
   *     S3 is off.
   * @param connectTimeout how long it may take to open a connection
   * @param socketTimeout how long a server may send nothing
   * @param attemptTimeout how long one of three attempts at a request may take, including its body
   */
  public record S3(
      @Nullable URI endpoint,
      @DefaultValue("us-east-1") String region,
      @Nullable Boolean pathStyleAccess,
      @DefaultValue List<String> allowed,
      @DefaultValue("5s") Duration connectTimeout,
      @DefaultValue("30s") Duration socketTimeout,
      @DefaultValue("2m") Duration attemptTimeout) {
    public S3 {
      allowed = List.copyOf(allowed);
      require(
          endpoint == null || isServer(endpoint),
          "semantic-id.s3.endpoint must be http://host:port or https://host:port and nothing else");
      require(!region.isBlank(), "semantic-id.s3.region must not be blank");
      for (String place : allowed) {
        require(
            place.matches("s3://[A-Za-z0-9._-]+(/.*)?"),
            "semantic-id.s3.allowed must be of the form s3://bucket/prefix, got '%s'"
                .formatted(place));
      }
      require(
          connectTimeout.isPositive(),
          "semantic-id.s3.connect-timeout must be positive, got " + connectTimeout);
      require(
          socketTimeout.isPositive(),
          "semantic-id.s3.socket-timeout must be positive, got " + socketTimeout);
      require(
          attemptTimeout.isPositive(),
          "semantic-id.s3.attempt-timeout must be positive, got " + attemptTimeout);
    }

    /** Whether the bucket is in the path instead of the host name. */
    public boolean effectivePathStyleAccess() {
      return Objects.requireNonNullElse(pathStyleAccess, endpoint != null);
    }

    /** Messages never show the endpoint, because somebody may have put credentials into it. */
    private static boolean isServer(URI endpoint) {
      return ("http".equals(endpoint.getScheme()) || "https".equals(endpoint.getScheme()))
          && endpoint.getHost() != null
          && endpoint.getUserInfo() == null
          && endpoint.getQuery() == null
          && endpoint.getFragment() == null;
    }
  }

  /**
   * How clients prove who they are. Tokens of an issuer are configured by the settings of Spring
   * Security, {@code spring.security.oauth2.resourceserver.jwt.*}.
   *
   * @param mode what to do without API keys and without an issuer. With {@code auto} the service
   *     starts only on a loopback address. With {@code none} it lets in everybody, on any address.
   * @param apiKeysFile YAML file with the hashes and scopes of API keys. The service reads it again
   *     when it changes.
   * @param allowedHosts host names by which clients reach a service without authentication: {@code
   *     name}, {@code *.suffix}, or {@code *} for any name. Loopback names and the address of the
   *     connection need not be listed.
   * @param requireAudience whether a service that accepts tokens starts only if {@code
   *     spring.security.oauth2.resourceserver.jwt.audiences} is set
   */
  public record Security(
      @DefaultValue("auto") Mode mode,
      @Nullable Path apiKeysFile,
      @DefaultValue List<String> allowedHosts,
      @DefaultValue("true") boolean requireAudience) {

    private static final Pattern HOST =
        Pattern.compile("\\*|(\\*\\.)?[A-Za-z0-9._-]+(:\\d+)?|\\[[0-9A-Fa-f:.]+](:\\d+)?");

    public Security {
      allowedHosts = List.copyOf(allowedHosts);
      for (String host : allowedHosts) {
        require(
            HOST.matcher(host).matches(),
            "semantic-id.security.allowed-hosts must list host names, *.suffix or *, got '%s'"
                .formatted(host));
      }
    }

    /** What to do without API keys and without an issuer. */
    public enum Mode {
      /** The service starts only on a loopback address. */
      AUTO,
      /** Everybody is let in, wherever the service listens. */
      NONE
    }
  }

  /**
   * How many rows each client may have encoded.
   *
   * @param rowsPerSecond rows per second that each client may have encoded in the long run. 0 means
   *     no limit.
   * @param burstRows rows that a client may have encoded at once after a pause. 0 means the rows of
   *     one second.
   */
  public record RateLimit(
      @DefaultValue("0") long rowsPerSecond, @DefaultValue("0") long burstRows) {
    public RateLimit {
      require(
          rowsPerSecond >= 0 && rowsPerSecond <= 1_000_000_000,
          "semantic-id.rate-limit.rows-per-second must be 0 to 1000000000, got " + rowsPerSecond);
      require(
          burstRows >= 0 && burstRows <= 1_000_000_000,
          "semantic-id.rate-limit.burst-rows must be 0 to 1000000000, got " + burstRows);
      require(
          burstRows == 0 || rowsPerSecond > 0,
          "semantic-id.rate-limit.burst-rows goes with rows-per-second only, which is 0");
    }

    /** Rows that a client may have encoded at once after a pause. */
    public long effectiveBurstRows() {
      return burstRows > 0 ? burstRows : rowsPerSecond;
    }
  }

  private static void require(boolean condition, String message) {
    if (!condition) {
      throw new IllegalArgumentException(message);
    }
  }
}
