package dev.semanticid.encode;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.security.Client;
import dev.semanticid.settings.SemanticIdProperties;
import io.github.bucket4j.Bucket;
import io.github.bucket4j.EstimationProbe;
import jakarta.servlet.http.HttpServletRequest;
import java.time.Duration;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;

/**
 * What each client may have encoded, in rows. A request is let in whole while anything of its
 * client's budget is left, for that is decided before its body is read and its rows are counted;
 * what it turns out to have more than was left is owed, and the client waits until it is paid. So
 * no request is too large for the limit, and in the long run the limit holds.
 */
@Component
final class RateLimit {

  /** Clients without credentials are addresses, of which somebody may have many. */
  private static final int MOST_CLIENTS = 10_000;

  private final long rowsPerSecond;
  private final long burstRows;

  /** By client; null if there is no limit. */
  private final @Nullable Cache<String, Bucket> buckets;

  RateLimit(SemanticIdProperties properties) {
    rowsPerSecond = properties.rateLimit().rowsPerSecond();
    burstRows = properties.rateLimit().effectiveBurstRows();
    buckets =
        rowsPerSecond == 0
            ? null
            : Caffeine.newBuilder()
                .maximumSize(MOST_CLIENTS)
                .expireAfterAccess(longestDebt(properties.encoding()))
                .build();
  }

  /** After so long a bucket is full again, whatever was owed, and may be forgotten. */
  private Duration longestDebt(SemanticIdProperties.Encoding limits) {
    return Duration.ofSeconds((burstRows + limits.maxQueuedRows()) / rowsPerSecond + 1);
  }

  /**
   * Refuses a client that has used up its budget.
   *
   * @throws ProblemException {@code RATE_LIMITED} with the seconds to wait
   */
  void require(HttpServletRequest request) {
    if (buckets == null) {
      return;
    }
    EstimationProbe probe = bucket(buckets, request).estimateAbilityToConsume(1);
    if (!probe.canBeConsumed()) {
      long seconds = Duration.ofNanos(probe.getNanosToWaitForRefill()).toSeconds() + 1;
      throw new ProblemException(
              ProblemCode.RATE_LIMITED,
              String.format(
                  Locale.ROOT,
                  "this client may have %d rows encoded a second and %d at once, and has had more;"
                      + " try again in %d s",
                  rowsPerSecond,
                  burstRows,
                  seconds))
          .with(ProblemException.RETRY_AFTER, seconds);
    }
  }

  /** Charges a request's rows to its client. */
  void charge(HttpServletRequest request, int rows) {
    if (buckets != null && rows > 0) {
      bucket(buckets, request).consumeIgnoringRateLimits(rows);
    }
  }

  private Bucket bucket(Cache<String, Bucket> all, HttpServletRequest request) {
    return all.get(Client.of(request).nameOrAddress(), client -> newBucket());
  }

  private Bucket newBucket() {
    return Bucket.builder()
        .addLimit(
            limit -> limit.capacity(burstRows).refillGreedy(rowsPerSecond, Duration.ofSeconds(1)))
        .build();
  }
}
