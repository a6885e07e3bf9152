package dev.semanticid.system;

import org.apache.catalina.connector.ClientAbortException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatusCode;
import org.springframework.http.MediaType;
import org.springframework.http.ProblemDetail;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.RestControllerAdvice;
import org.springframework.web.context.request.WebRequest;
import org.springframework.web.servlet.mvc.method.annotation.ResponseEntityExceptionHandler;

/**
 * Turns every exception that reaches the web layer into an RFC 9457 problem detail with a stable
 * code.
 */
@RestControllerAdvice
class ProblemHandler extends ResponseEntityExceptionHandler {

  private static final Logger LOG = LoggerFactory.getLogger(ProblemHandler.class);

  @ExceptionHandler
  @Nullable ResponseEntity<Object> handle(ProblemException problem, WebRequest request) {
    ProblemCode code = problem.code();
    ProblemDetail detail = ProblemDetail.forStatusAndDetail(code.status(), problem.detail());
    detail.setProperty("code", code.name());
    problem.properties().forEach(detail::setProperty);
    var headers = new HttpHeaders();
    if (code == ProblemCode.QUEUE_FULL || code.status().value() == 503) {
      headers.set(HttpHeaders.RETRY_AFTER, "5");
    }
    return respond(detail, headers, code.status());
  }

  /** The client went away; there is nobody to answer. */
  @ExceptionHandler
  void handle(ClientAbortException gone) {
    LOG.debug("client went away: {}", gone.getMessage());
  }

  @ExceptionHandler
  @Nullable ResponseEntity<Object> handle(Exception exception, WebRequest request) {
    LOG.error("request failed: {}", request.getDescription(false), exception);
    ProblemCode code = ProblemCode.INTERNAL_ERROR;
    ProblemDetail detail =
        ProblemDetail.forStatusAndDetail(code.status(), "The service failed; its log says more.");
    detail.setProperty("code", code.name());
    return respond(detail, new HttpHeaders(), code.status());
  }

  @Override
  protected @Nullable ResponseEntity<Object> handleExceptionInternal(
      Exception exception,
      @Nullable Object body,
      HttpHeaders headers,
      HttpStatusCode status,
      WebRequest request) {
    ResponseEntity<Object> response =
        super.handleExceptionInternal(exception, body, headers, status, request);
    if (response != null && response.getBody() instanceof ProblemDetail detail) {
      detail.setProperty("code", code(status).name());
      return respond(detail, headers, status);
    }
    return response;
  }

  private static ProblemCode code(HttpStatusCode status) {
    return switch (status.value()) {
      case 404 -> ProblemCode.NOT_FOUND;
      case 405 -> ProblemCode.METHOD_NOT_ALLOWED;
      case 406 -> ProblemCode.NOT_ACCEPTABLE;
      case 413 -> ProblemCode.PAYLOAD_TOO_LARGE;
      case 415 -> ProblemCode.UNSUPPORTED_MEDIA_TYPE;
      default ->
          status.is4xxClientError() ? ProblemCode.INVALID_PARAMETER : ProblemCode.INTERNAL_ERROR;
    };
  }

  /** Whatever the client accepts: a problem is always sent as problem+json. */
  private static ResponseEntity<Object> respond(
      ProblemDetail detail, HttpHeaders headers, HttpStatusCode status) {
    var all = new HttpHeaders();
    all.putAll(headers);
    all.setContentType(MediaType.APPLICATION_PROBLEM_JSON);
    return new ResponseEntity<>(detail, all, status);
  }
}
