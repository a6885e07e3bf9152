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
 * Settings of the service, {@code semantic-id.*}.
 *
 * @param dataDir where the embedded database and uploads live
 * @param dataRoot the folder below which {@code file:} sources may be read and results written;
 *     none may if it is not set
 * @param backend where dot products are computed
 * @param threads threads that encode, and as many that do jobs; 0 for one per processor
 * @param tableBudget memory that the tables of the one-GEMM plan may take per codebook
 * @param screening whether 8-bit products prove centroids wrong before anything else, where ND4J
 *     runs on the CPU
 * @param maxOffHeap memory that the backend may take outside the heap
 * @param maxDeviceMemory memory that it may take on a GPU, by the backend cuda
 * @param deviceFallback whether to compute on the CPU once a GPU has failed, by the backend cuda;
 *     else the service is not ready any more
 * @param requestMemory heap that all requests may take together; a quarter of it if it is not set
 * @param encoding settings of {@code /encode}
 * @param training settings of {@code /train}
 * @param scratch disk space for uploads and jobs
 * @param jobs settings of all jobs
 * @param codebooks settings of {@code /codebooks}
 * @param store settings of the database
 * @param readiness when the service counts as ready
 * @param s3 settings of {@code s3:} sources and results
 * @param security how clients prove who they are
 * @param rateLimit what each client may have encoded
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

  /** Where dot products are computed. */
  public enum Backend {
    /** The first of cuda, nd4j and cpu that starts. */
    AUTO,
    /** A GPU of compute capability 8.0 or later, by the NVIDIA driver and cuBLAS. */
    CUDA,
    /** ND4J on whatever device its library on the class path drives. */
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
   * @param maxRows most rows of a request
   * @param maxBodySize most bytes of a request's body, after inflation
   * @param maxQueuedRows most rows of all requests that are being read, wait, or are being encoded
   * @param maxQueuedRequests most requests of that kind; below the number of request threads, so
   *     that one is left to refuse the others
   * @param bodyTimeout how long a body may take from its first byte to its last; one of training
   *     data or of a codebook may take longer if it is long
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
   * @param maxUploadSize most bytes of a request's body
   */
  public record Training(@DefaultValue("64GB") DataSize maxUploadSize) {
    public Training {
      require(
          maxUploadSize.toBytes() > 0,
          "semantic-id.training.max-upload-size must be positive, got " + maxUploadSize);
    }
  }

  /**
   * Disk space below the data directory for uploads, and for what jobs need while they run.
   *
   * @param maxSize most bytes of all such files together; as many as the disk has if it is not set
   * @param keepFree bytes of the disk that they leave to the database
   * @param maxUploads most uploads at the same time
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
   * @param queueSize most jobs of a kind that wait
   * @param memoryBudget most bytes of heap that a job may need
   * @param checkpointInterval how often a running job keeps where it can be continued from, at most
   * @param maxAttempts how often a job is started without getting as far as a checkpoint
   * @param retention how long jobs that have ended are kept
   * @param keep how many jobs of a kind that have ended are kept
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
   * @param maxUploadSize most bytes of a codebook
   * @param pinned most versions other than the active ones that stay resident because requests ask
   *     for them
   * @param pinnedMemory memory that they may take in all; one may always stay
   * @param keep most versions of a codebook that are kept beside those that have an alias or are
   *     used by a job; 0 keeps all
   * @param maxNames most codebooks, each with any number of versions
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
   * Settings of the database, which one process or many have.
   *
   * @param pollInterval how often the database is asked whether aliases have moved
   * @param lease after what time without a sign of life a process's jobs are others'; not set where
   *     no other process shares the database
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
   * @param requireCodebook whether an empty store makes it not ready
   */
  public record Readiness(@DefaultValue("false") boolean requireCodebook) {}

  /**
   * Settings of {@code s3:} sources and results. Credentials are no settings: they come from where
   * every AWS tool looks for them (environment, profile, container, instance).
   *
   * @param endpoint address of an S3-compatible server; Amazon's if it is not set
   * @param region what requests are signed for
   * @param pathStyleAccess whether the bucket is in the path instead of the host name; not set: if
   *     an endpoint is
   * @param allowed {@code s3://bucket/prefix} that jobs may read and write; S3 is off without any
   * @param connectTimeout how long a connection may take
   * @param socketTimeout how long a server may be silent
   * @param attemptTimeout how long one attempt at a request may take, its body included
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

    /** Not shown in messages: who puts credentials there shall not read them in a log. */
    private static boolean isServer(URI endpoint) {
      return ("http".equals(endpoint.getScheme()) || "https".equals(endpoint.getScheme()))
          && endpoint.getHost() != null
          && endpoint.getUserInfo() == null
          && endpoint.getQuery() == null
          && endpoint.getFragment() == null;
    }
  }

  /**
   * How clients prove who they are. Tokens of an issuer are settings of Spring Security's, {@code
   * spring.security.oauth2.resourceserver.jwt.*}.
   *
   * @param mode what holds where there are neither keys nor an issuer
   * @param apiKeysFile the YAML file that has the hashes of API keys
   * @param allowedHosts host names by which clients reach a service that has neither: {@code name},
   *     {@code *.suffix}, or {@code *} for any; loopback names and the address of the connection
   *     need not be listed
   * @param requireAudience whether a service that accepts tokens must know whom they are for
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

    /** What holds where there are neither keys nor an issuer. */
    public enum Mode {
      /** The service is for its own machine: it listens on a loopback address or does not start. */
      AUTO,
      /** Everybody is let in, wherever the service listens. */
      NONE
    }
  }

  /**
   * What each client may have encoded.
   *
   * @param rowsPerSecond rows a second in the long run; 0 for any number
   * @param burstRows rows that a client may have encoded at once after a pause; 0 for those of one
   *     second
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
