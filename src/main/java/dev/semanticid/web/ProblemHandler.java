package dev.semanticid.web;

import dev.semanticid.core.compute.DeviceFailedException;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import java.net.SocketTimeoutException;
import java.sql.SQLException;
import org.apache.catalina.connector.ClientAbortException;
import org.apache.tomcat.util.http.InvalidParameterException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessResourceFailureException;
import org.springframework.dao.DataIntegrityViolationException;
import org.springframework.dao.RecoverableDataAccessException;
import org.springframework.dao.TransientDataAccessException;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatusCode;
import org.springframework.http.MediaType;
import org.springframework.http.ProblemDetail;
import org.springframework.http.ResponseEntity;
import org.springframework.http.converter.HttpMessageNotReadableException;
import org.springframework.transaction.TransactionException;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.RestControllerAdvice;
import org.springframework.web.context.request.RequestAttributes;
import org.springframework.web.context.request.ServletWebRequest;
import org.springframework.web.context.request.WebRequest;
import org.springframework.web.servlet.mvc.method.annotation.ResponseEntityExceptionHandler;
import tools.jackson.core.JacksonException;

/**
 * Turns every exception that reaches the web layer into an RFC 9457 problem detail with a stable
 * code.
 */
@RestControllerAdvice
class ProblemHandler extends ResponseEntityExceptionHandler {

  private static final Logger LOG = LoggerFactory.getLogger(ProblemHandler.class);

  private static final String CHARACTER_NOT_IN_REPERTOIRE = "22021";

  @ExceptionHandler
  @Nullable ResponseEntity<Object> handle(ProblemException problem, WebRequest request) {
    ProblemCode code = problem.code();
    ProblemDetail detail =
        ProblemDetail.forStatusAndDetail(ProblemStatus.of(code), problem.detail());
    detail.setProperty("code", code.name());
    problem.properties().forEach(detail::setProperty);
    var headers = new HttpHeaders();
    Object retryAfter = problem.properties().get(ProblemException.RETRY_AFTER);
    if (retryAfter != null) {
      headers.set(HttpHeaders.RETRY_AFTER, retryAfter.toString());
    } else if (code == ProblemCode.QUEUE_FULL || ProblemStatus.of(code).value() == 503) {
      headers.set(HttpHeaders.RETRY_AFTER, "5");
    }
    if (code == ProblemCode.UNSUPPORTED_CONTENT_ENCODING) {
      headers.set(HttpHeaders.ACCEPT_ENCODING, LimitedInputStream.ENCODINGS);
    }
    return respond(detail, headers, ProblemStatus.of(code), request);
  }

  /** The client went away; there is nobody to answer. */
  @ExceptionHandler
  void handle(ClientAbortException gone) {
    LOG.debug("client went away: {}", gone.getMessage());
  }

  /** A query that is not well-formed, such as a bad percent-escape. */
  @ExceptionHandler
  @Nullable ResponseEntity<Object> handle(InvalidParameterException exception, WebRequest request) {
    return handle(
        new ProblemException(
            ProblemCode.INVALID_PARAMETER, "the query cannot be read: " + exception.getMessage()),
        request);
  }

  /** The database is away; everything recovers by itself once it is back. */
  @ExceptionHandler({
    DataAccessResourceFailureException.class,
    TransientDataAccessException.class,
    RecoverableDataAccessException.class,
    TransactionException.class
  })
  @Nullable ResponseEntity<Object> handleStore(Exception exception, WebRequest request) {
    LOG.warn(
        "{}: the database does not answer: {}",
        request.getDescription(false),
        exception.toString());
    return handle(
        new ProblemException(
            ProblemCode.STORE_UNAVAILABLE, "the database does not answer; try again later"),
        request);
  }

  /** PostgreSQL keeps no U+0000 in texts, so nothing can be found by one either. */
  @ExceptionHandler(DataIntegrityViolationException.class)
  @Nullable ResponseEntity<Object> handleText(
      DataIntegrityViolationException exception, WebRequest request) {
    return exception.getMostSpecificCause() instanceof SQLException cause
            && CHARACTER_NOT_IN_REPERTOIRE.equals(cause.getSQLState())
        ? handle(
            new ProblemException(
                ProblemCode.INVALID_PARAMETER, "texts must not contain the character U+0000"),
            request)
        : handle((Exception) exception, request);
  }

  /** The GPU is lost; readiness is off, and another replica answers. */
  @ExceptionHandler
  @Nullable ResponseEntity<Object> handle(DeviceFailedException exception, WebRequest request) {
    LOG.warn("{}: {}", request.getDescription(false), exception.getMessage());
    return handle(
        new ProblemException(
            ProblemCode.DEVICE_UNAVAILABLE, "the device has failed: " + exception.getMessage()),
        request);
  }

  @Override
  protected @Nullable ResponseEntity<Object> handleHttpMessageNotReadable(
      HttpMessageNotReadableException exception,
      HttpHeaders headers,
      HttpStatusCode status,
      WebRequest request) {
    Throwable cause = exception.getMostSpecificCause();
    if (cause instanceof SocketTimeoutException) {
      return handle(
          new ProblemException(ProblemCode.REQUEST_TIMEOUT, "the body did not come in time"),
          request);
    }
    String reason =
        cause instanceof JacksonException json ? json.getOriginalMessage() : "it is missing";
    return handle(
        new ProblemException(
            ProblemCode.MALFORMED_JSON, "the body is not the JSON expected: " + reason),
        request);
  }

  @ExceptionHandler
  @Nullable ResponseEntity<Object> handle(Exception exception, WebRequest request) {
    LOG.error("request failed: {}", request.getDescription(false), exception);
    ProblemCode code = ProblemCode.INTERNAL_ERROR;
    ProblemDetail detail =
        ProblemDetail.forStatusAndDetail(
            ProblemStatus.of(code), "The service failed; its log says more.");
    detail.setProperty("code", code.name());
    return respond(detail, new HttpHeaders(), ProblemStatus.of(code), request);
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
      detail.setProperty("code", code(status.value()).name());
      return respond(detail, headers, status, request);
    }
    return response;
  }

  /** The code of a status that the framework or the server chose. */
  static ProblemCode code(int status) {
    return switch (status) {
      case 404 -> ProblemCode.NOT_FOUND;
      case 405 -> ProblemCode.METHOD_NOT_ALLOWED;
      case 406 -> ProblemCode.NOT_ACCEPTABLE;
      case 413 -> ProblemCode.PAYLOAD_TOO_LARGE;
      case 415 -> ProblemCode.UNSUPPORTED_MEDIA_TYPE;
      case 501 -> ProblemCode.NOT_IMPLEMENTED;
      case 505 -> ProblemCode.HTTP_VERSION_NOT_SUPPORTED;
      default -> status >= 500 ? ProblemCode.INTERNAL_ERROR : ProblemCode.INVALID_PARAMETER;
    };
  }

  /** Whatever the client accepts: a problem is always sent as problem+json, or as /v2 wants it. */
  private static ResponseEntity<Object> respond(
      ProblemDetail detail, HttpHeaders headers, HttpStatusCode status, WebRequest request) {
    RequestIdFilter.addTo(
        detail, request.getAttribute(RequestIdFilter.ATTRIBUTE, RequestAttributes.SCOPE_REQUEST));
    request.setAttribute(ProblemErrorController.PROBLEM, detail, RequestAttributes.SCOPE_REQUEST);
    String path =
        request instanceof ServletWebRequest servlet ? servlet.getRequest().getRequestURI() : "";
    return InferenceError.isFor(path)
        ? InferenceError.of(detail, headers)
        : problem(detail, headers, status);
  }

  private static ResponseEntity<Object> problem(
      ProblemDetail detail, HttpHeaders headers, HttpStatusCode status) {
    var all = new HttpHeaders();
    all.putAll(headers);
    all.setContentType(MediaType.APPLICATION_PROBLEM_JSON);
    return new ResponseEntity<>(detail, all, status);
  }
}
