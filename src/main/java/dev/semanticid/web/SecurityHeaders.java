package dev.semanticid.web;

import jakarta.servlet.ServletException;
import java.io.IOException;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ValveBase;

/**
 * Tells browsers what they may do with an answer: take it for what its type says, show it in no
 * frame, give it to no page of another origin, and load nothing because of it. In a valve, so that
 * what the server refuses by itself has them too.
 */
final class SecurityHeaders extends ValveBase {

  private static final String NOTHING = "default-src 'none'; frame-ancestors 'none'";

  /** Swagger UI: its own scripts, styles that these set on elements, icons within the styles. */
  private static final String SWAGGER_UI =
      "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self'"
          + " data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors"
          + " 'none'";

  SecurityHeaders() {
    super(true);
  }

  @Override
  public void invoke(Request request, Response response) throws IOException, ServletException {
    set(request, response);
    getNext().invoke(request, response);
  }

  /** Sets them anew, for an answer that was made after others had been given up. */
  static void set(Request request, Response response) {
    response.setHeader("X-Content-Type-Options", "nosniff");
    response.setHeader("X-Frame-Options", "DENY");
    response.setHeader("Content-Security-Policy", isSwaggerUi(request) ? SWAGGER_UI : NOTHING);
    response.setHeader("Cross-Origin-Resource-Policy", "same-origin");
    response.setHeader("Referrer-Policy", "no-referrer");
  }

  private static boolean isSwaggerUi(Request request) {
    String path = request.getRequestURI();
    return path != null && path.startsWith(request.getContextPath() + "/swagger-ui/");
  }
}
