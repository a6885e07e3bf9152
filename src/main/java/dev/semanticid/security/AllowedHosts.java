package dev.semanticid.security;

import java.net.Inet6Address;
import java.net.InetAddress;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The host names under which a service that lets in everybody may be addressed. A page that a
 * browser loaded from {@code evil.example} can have that name point to this machine afterwards (DNS
 * rebinding). Its requests then count as same-origin, but they carry the name {@code evil.example}.
 *
 * <p>Loopback names and the address of the connection are always allowed: no page of another site
 * can have them.
 */
final class AllowedHosts {

  private static final String ANY = "*";
  private static final String LOCALHOST = "localhost";

  private final List<String> names;

  /**
   * @param names exact names, {@code *.suffix} for all names below a suffix, or {@code *} for any;
   *     ports are ignored
   */
  AllowedHosts(List<String> names) {
    this.names = names.stream().map(AllowedHosts::nameOf).toList();
  }

  /**
   * Whether a request may have been meant for this service.
   *
   * @param authority the host that it is for, with or without a port
   * @param localAddress the IP address at which its connection arrived
   */
  boolean allows(String authority, @Nullable String localAddress) {
    String name = nameOf(authority);
    return isLoopback(name)
        || isAddress(name, localAddress)
        || names.stream().anyMatch(allowed -> matches(allowed, name));
  }

  private static boolean isLoopback(String name) {
    return name.equals(LOCALHOST)
        || name.endsWith("." + LOCALHOST)
        || literal(name).filter(InetAddress::isLoopbackAddress).isPresent();
  }

  private static boolean isAddress(String name, @Nullable String localAddress) {
    Optional<InetAddress> address = literal(name);
    return localAddress != null && address.isPresent() && address.equals(literal(localAddress));
  }

  private static boolean matches(String allowed, String name) {
    return allowed.equals(ANY)
        || allowed.equals(name)
        || (allowed.startsWith("*.") && name.endsWith(allowed.substring(1)));
  }

  /** The IP address that a text is, without a look into any directory of names. */
  private static Optional<InetAddress> literal(String text) {
    try {
      return Optional.of(
          text.startsWith("[") && text.endsWith("]")
              ? Inet6Address.ofLiteral(text.substring(1, text.length() - 1))
              : InetAddress.ofLiteral(text));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  /** A host in lower case, without its port and without the dot that ends a full name. */
  private static String nameOf(String authority) {
    int bracket = authority.indexOf(']');
    int colon = authority.indexOf(':', Math.max(bracket, 0));
    String host = colon < 0 ? authority : authority.substring(0, colon);
    String name = host.endsWith(".") ? host.substring(0, host.length() - 1) : host;
    return name.toLowerCase(Locale.ROOT);
  }
}
