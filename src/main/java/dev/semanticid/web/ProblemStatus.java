package dev.semanticid.web;

import dev.semanticid.problem.ProblemCode;
import org.springframework.http.HttpStatus;

/** The one HTTP status that each problem code is sent with. */
public final class ProblemStatus {

  private ProblemStatus() {}

  /** The status of a code. A code without one does not compile. */
  public static HttpStatus of(ProblemCode code) {
    return switch (code) {
      case MALFORMED_REQUEST,
          MALFORMED_JSON,
          MALFORMED_BODY,
          EMPTY_BATCH,
          RAGGED_ROWS,
          INVALID_PARAMETER,
          UNKNOWN_PARAMETER ->
          HttpStatus.BAD_REQUEST;
      case DIMENSION_MISMATCH,
          NON_FINITE_VALUE,
          TOO_FEW_ROWS,
          UNSUPPORTED_SOURCE,
          SOURCE_NOT_FOUND,
          SOURCE_INVALID,
          DESTINATION_INVALID,
          INVALID_CODEBOOK,
          CODEBOOK_MISMATCH,
          COUNTS_REQUIRED,
          IDEMPOTENCY_KEY_REUSED,
          MEMORY_BUDGET_EXCEEDED,
          NORMS_REQUIRED,
          HOLDOUT_REQUIRED,
          INVALID_CODE ->
          HttpStatus.UNPROCESSABLE_CONTENT;
      case SOURCE_FORBIDDEN, SOURCE_ACCESS_DENIED, FORBIDDEN, FOREIGN_ORIGIN ->
          HttpStatus.FORBIDDEN;
      case SOURCE_UNAVAILABLE -> HttpStatus.BAD_GATEWAY;
      case SOURCE_CHANGED,
          DESTINATION_EXISTS,
          ALIAS_CONFLICT,
          VERSION_IN_USE,
          TOO_MANY_CODEBOOKS,
          TRAINING_IN_PROGRESS,
          JOB_FINISHED,
          EMBEDDING_MODEL_MISMATCH ->
          HttpStatus.CONFLICT;
      case UNAUTHENTICATED -> HttpStatus.UNAUTHORIZED;
      case MISDIRECTED_HOST -> HttpStatus.MISDIRECTED_REQUEST;
      case AUTHENTICATION_UNAVAILABLE,
          NO_CODEBOOK,
          CODEBOOK_UNAVAILABLE,
          DEVICE_UNAVAILABLE,
          STORE_UNAVAILABLE ->
          HttpStatus.SERVICE_UNAVAILABLE;
      case UNKNOWN_CODEBOOK, UNKNOWN_VERSION, UNKNOWN_JOB, NOT_FOUND -> HttpStatus.NOT_FOUND;
      case METHOD_NOT_ALLOWED -> HttpStatus.METHOD_NOT_ALLOWED;
      case NOT_ACCEPTABLE -> HttpStatus.NOT_ACCEPTABLE;
      case UNSUPPORTED_MEDIA_TYPE, UNSUPPORTED_CONTENT_ENCODING ->
          HttpStatus.UNSUPPORTED_MEDIA_TYPE;
      case PAYLOAD_TOO_LARGE -> HttpStatus.CONTENT_TOO_LARGE;
      case TOO_MANY_LISTENERS, QUEUE_FULL, OVERLOADED, RATE_LIMITED -> HttpStatus.TOO_MANY_REQUESTS;
      case DEADLINE_EXCEEDED -> HttpStatus.GATEWAY_TIMEOUT;
      case REQUEST_TIMEOUT -> HttpStatus.REQUEST_TIMEOUT;
      case INSUFFICIENT_STORAGE -> HttpStatus.INSUFFICIENT_STORAGE;
      case NOT_IMPLEMENTED -> HttpStatus.NOT_IMPLEMENTED;
      case HTTP_VERSION_NOT_SUPPORTED -> HttpStatus.HTTP_VERSION_NOT_SUPPORTED;
      case INTERRUPTED, OUT_OF_MEMORY, INTERNAL_ERROR -> HttpStatus.INTERNAL_SERVER_ERROR;
    };
  }
}
