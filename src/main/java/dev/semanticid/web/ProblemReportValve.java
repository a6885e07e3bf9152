package dev.semanticid.web;

import dev.semanticid.problem.ProblemCode;
import java.io.IOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ErrorReportValve;
import org.apache.coyote.ActionCode;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;

/**
 * Answers what the server refuses before the service sees it, such as a head that is no HTTP: with
 * a problem as all others, in place of the server's page. Nothing of the request is repeated, for
 * nothing of it has been understood.
 */
final class ProblemReportValve extends ErrorReportValve {

  @Override
  protected void report(Request request, Response response, @Nullable Throwable throwable) {
    int status = response.getStatus();
    var writable = new AtomicBoolean();
    response.getCoyoteResponse().action(ActionCode.IS_IO_ALLOWED, writable);
    if (status < 400
        || response.getContentWritten() > 0
        || !response.setErrorReported()
        || !writable.get()) {
      return;
    }
    String path = request.getRequestURI();
    boolean inference = path != null && InferenceError.isFor(path);
    SecurityHeaders.set(request, response);
    try {
      response.setContentType(
          inference ? MediaType.APPLICATION_JSON_VALUE : MediaType.APPLICATION_PROBLEM_JSON_VALUE);
      response.setCharacterEncoding(StandardCharsets.UTF_8);
      Writer writer = response.getReporter();
      if (writer != null) {
        writer.write(body(status, inference));
        response.finishResponse();
      }
    } catch (IOException e) {
      // There is nobody to answer.
    }
  }

  private static String body(int status, boolean inference) {
    HttpStatus known = HttpStatus.resolve(status);
    String title = known == null ? "Error" : known.getReasonPhrase();
    String detail = detail(status);
    if (inference) {
      return "{\"error\":\"%s\"}".formatted(detail);
    }
    ProblemCode code = status == 400 ? ProblemCode.MALFORMED_REQUEST : ProblemHandler.code(status);
    return String.format(
        Locale.ROOT,
        "{\"title\":\"%s\",\"status\":%d,\"detail\":\"%s\",\"code\":\"%s\"}",
        title,
        status,
        detail,
        code);
  }

  private static String detail(int status) {
    return switch (status) {
      case 400 ->
          "the head of the request cannot be read: expected is HTTP/1.1 with one Host, at most 100"
              + " headers, no more bytes than the server takes, and a path without encoded slashes,"
              + " backslashes, zero bytes and broken escapes";
      case 501 -> "the request has a method or a transfer coding that there is none of here";
      case 505 -> "the request is of a version other than HTTP/1.0 and HTTP/1.1";
      default -> "the server refused the request";
    };
  }
}
