package dev.semanticid.security;

import jakarta.servlet.http.HttpServletRequest;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.Principal;
import java.util.HexFormat;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.springframework.security.core.Authentication;

/**
 * Who sends a request.
 *
 * @param name the name that the credentials prove, such as {@code key:pipeline} or {@code
 *     jwt:subject}; null where security is off
 * @param address the address that the request comes from
 * @param isAdmin whether the credentials have the scope {@code admin}
 */
public record Client(@Nullable String name, String address, boolean isAdmin) {

  /** As Spring Security names the scope {@code admin}. */
  private static final String ADMIN = "SCOPE_admin";

  /** Longest name, for names are stored. */
  static final int LONGEST_NAME = 255;

  private static final int HASH_DIGITS = 64;

  /** The client of a request. */
  public static Client of(HttpServletRequest request) {
    Principal principal = request.getUserPrincipal();
    return new Client(
        principal == null ? null : shortened(principal.getName()),
        request.getRemoteAddr(),
        principal instanceof Authentication client
            && client.getAuthorities().stream()
                .anyMatch(authority -> ADMIN.equals(authority.getAuthority())));
  }

  /** The name, or else the address: by this clients are told apart where each has a share. */
  public String nameOrAddress() {
    return Objects.requireNonNullElse(name, address);
  }

  /** Whether the client may change what {@code owner} asked for; null if nobody knows who did. */
  public boolean mayChangeWhatIsOf(@Nullable String owner) {
    return name == null || isAdmin || name.equals(owner);
  }

  /** A name that is too long keeps its beginning; a hash of all of it tells it from others. */
  private static String shortened(String name) {
    if (name.length() <= LONGEST_NAME) {
      return name;
    }
    try {
      byte[] hash =
          MessageDigest.getInstance("SHA-256").digest(name.getBytes(StandardCharsets.UTF_8));
      return name.substring(0, LONGEST_NAME - HASH_DIGITS - 1)
          + "#"
          + HexFormat.of().formatHex(hash);
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }
}
