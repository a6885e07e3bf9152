package dev.semanticid.security;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpHeaders;
import org.springframework.web.filter.OncePerRequestFilter;

/**
 * Keeps web pages away from a service that lets in everybody. Such a service listens where a
 * browser reaches it, and a browser sends what any page asks for.
 *
 * <ul>
 *   <li>A request under a host name that is not this service's is refused, so that DNS rebinding
 *       fails.
 *   <li>A request from a page of another origin is refused, except at addresses that never need
 *       credentials. A browser marks such requests by {@code Origin} and {@code Sec-Fetch-Site},
 *       which pages cannot change. Clients that are no browsers send neither.
 * </ul>
 */
final class BrowserGuard extends OncePerRequestFilter {

  private static final String SEC_FETCH_SITE = "Sec-Fetch-Site";

  /** From this origin, or by a person who typed the address. */
  private static final List<String> OWN_SITES = List.of("same-origin", "none");

  private final AllowedHosts hosts;
  private final Refusals refusals;

  BrowserGuard(AllowedHosts hosts, Refusals refusals) {
    this.hosts = hosts;
    this.refusals = refusals;
  }

  @Override
  protected void doFilterInternal(
      HttpServletRequest request, HttpServletResponse response, FilterChain chain)
      throws ServletException, IOException {
    String host = authority(request);
    // Every browser names a host. Probes may speak HTTP/1.0 without one.
    if (host != null && !host.isEmpty() && !hosts.allows(host, request.getLocalAddr())) {
      refusals.send(request, response, misdirected(host));
    } else if (isForeign(request, host) && !AccessRule.of(request).isOpen()) {
      refusals.send(request, response, foreign(request));
    } else {
      chain.doFilter(request, response);
    }
  }

  /** The host with its port as the client wrote it; HTTP/2 has no header for it. */
  private static @Nullable String authority(HttpServletRequest request) {
    String host = request.getHeader(HttpHeaders.HOST);
    return host != null || request.getProtocol().startsWith("HTTP/1")
        ? host
        : request.getServerName() + ":" + request.getServerPort();
  }

  private static boolean isForeign(HttpServletRequest request, @Nullable String host) {
    return Collections.list(request.getHeaders(SEC_FETCH_SITE)).stream()
            .anyMatch(site -> !OWN_SITES.contains(site))
        || Collections.list(request.getHeaders(HttpHeaders.ORIGIN)).stream()
            .anyMatch(origin -> !isOwn(origin, host));
  }

  /** Whether an origin is that of the host; {@code null} is that of no host. */
  private static boolean isOwn(String origin, @Nullable String host) {
    int end = origin.indexOf("://");
    if (end < 0 || host == null) {
      return false;
    }
    String defaultPort = origin.startsWith("https:") ? ":443" : ":80";
    return withoutPort(origin.substring(end + 3), defaultPort)
        .equalsIgnoreCase(withoutPort(host, defaultPort));
  }

  private static String withoutPort(String authority, String port) {
    return authority.endsWith(port)
        ? authority.substring(0, authority.length() - port.length())
        : authority;
  }

  private static ProblemException misdirected(String host) {
    return new ProblemException(
        ProblemCode.MISDIRECTED_HOST,
        "the request is for the host '%s', which is not known here; accepted are localhost, the IP"
                .formatted(host)
            + " address that the request came to, and the names in %s: add the name there"
                .formatted(SecuritySettings.ALLOWED_HOSTS));
  }

  private static ProblemException foreign(HttpServletRequest request) {
    String origin = request.getHeader(HttpHeaders.ORIGIN);
    return new ProblemException(
        ProblemCode.FOREIGN_ORIGIN,
        "the request comes from a web page of another origin%s; pages of other origins are refused"
                .formatted(origin == null ? "" : ", '%s'".formatted(origin))
            + " while the service lets in everybody: call it from a server, or have clients"
            + " authenticate by %s".formatted(ApiKeys.SETTING));
  }
}
