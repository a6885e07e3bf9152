package dev.semanticid.job;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A job as asked for.
 *
 * @param kind what sort of work it is
 * @param codebook the codebook that it is about
 * @param version the version of it that it uses, if any
 * @param client the name of the client that asks; null where security is off
 * @param request all that is needed to run it, as the feature reads it
 * @param parameters settings, as clients see them
 * @param idempotencyKey the client's own name for the request, or null
 * @param hash of the request and its data: the same for the same request only
 */
public record JobRequest(
    String kind,
    String codebook,
    @Nullable Integer version,
    @Nullable String client,
    String request,
    Map<String, Object> parameters,
    @Nullable String idempotencyKey,
    String hash) {

  /** The request header that names a request, so that sending it again starts nothing new. */
  public static final String IDEMPOTENCY_KEY = "Idempotency-Key";

  private static final int LONGEST_KEY = 255;

  /** The hash of what makes a request the same as another. */
  public static String hash(String... parts) {
    try {
      MessageDigest sha = MessageDigest.getInstance("SHA-256");
      for (String part : parts) {
        byte[] bytes = part.getBytes(StandardCharsets.UTF_8);
        sha.update(ByteBuffer.allocate(Integer.BYTES).putInt(0, bytes.length));
        sha.update(bytes);
      }
      return HexFormat.of().formatHex(sha.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }

  /** Checks an idempotency key as it came, if one did. */
  public static @Nullable String requireKey(@Nullable String key) {
    if (key != null
        && (key.isEmpty()
            || key.length() > LONGEST_KEY
            || !key.chars().allMatch(c -> c >= ' ' && c <= '~'))) {
      throw new ProblemException(
          ProblemCode.INVALID_PARAMETER,
          String.format(
              Locale.ROOT,
              "%s must be 1 to %d characters of visible ASCII, got %d",
              IDEMPOTENCY_KEY,
              LONGEST_KEY,
              key.length()));
    }
    return key;
  }
}
