package dev.semanticid.web;

import jakarta.servlet.http.HttpServletRequest;
import org.apache.coyote.ActionCode;
import org.apache.coyote.Request;

/**
 * Tells whether a request's client is still connected, once its body has been read. A client that
 * has closed its sending side counts as gone, as with other HTTP servers.
 */
public final class ClientConnection {

  private static final String ATTRIBUTE = ClientConnection.class.getName();

  private final Request request;
  private int ends;

  private ClientConnection(Request request) {
    this.request = request;
  }

  static void attach(HttpServletRequest request, Request coyoteRequest) {
    request.setAttribute(ATTRIBUTE, new ClientConnection(coyoteRequest));
  }

  /** The connection of a request. */
  public static ClientConnection of(HttpServletRequest request) {
    if (request.getAttribute(ATTRIBUTE) instanceof ClientConnection connection) {
      return connection;
    }
    throw new IllegalStateException("requests come through ConnectionValve");
  }

  /**
   * Whether the client has gone, as of the second time that this is asked in that state.
   *
   * <p>Tomcat answers a failing read ahead with "one byte is there", which the first byte of a next
   * request would be too; but that one is not read ahead again.
   */
  public boolean isGone() {
    request.action(ActionCode.AVAILABLE, true);
    ends = request.getAvailable() == 1 ? ends + 1 : 0;
    return ends > 1;
  }
}
