package dev.semanticid.system;

import org.springframework.http.HttpStatus;

/** The stable codes of problem details, each with the one status it is sent with. */
public enum ProblemCode {
  /** A request whose head the server cannot read. */
  MALFORMED_REQUEST(HttpStatus.BAD_REQUEST),
  /** A JSON body that does not parse, or not to what is expected. */
  MALFORMED_JSON(HttpStatus.BAD_REQUEST),
  /** A binary body whose length, header or shape is wrong. */
  MALFORMED_BODY(HttpStatus.BAD_REQUEST),
  /** A body with no rows. */
  EMPTY_BATCH(HttpStatus.BAD_REQUEST),
  /** Rows of different lengths. */
  RAGGED_ROWS(HttpStatus.BAD_REQUEST),
  /** A parameter with a value it cannot have. */
  INVALID_PARAMETER(HttpStatus.BAD_REQUEST),
  /** A parameter that does not exist. */
  UNKNOWN_PARAMETER(HttpStatus.BAD_REQUEST),
  /** Rows of another dimension than the codebook's, or than stated. */
  DIMENSION_MISMATCH(HttpStatus.UNPROCESSABLE_CONTENT),
  /** NaN, an infinity, or a number outside float32. */
  NON_FINITE_VALUE(HttpStatus.UNPROCESSABLE_CONTENT),
  /** Too few rows to train from. */
  TOO_FEW_ROWS(HttpStatus.UNPROCESSABLE_CONTENT),
  /** A source that is not of a kind that is read here. */
  UNSUPPORTED_SOURCE(HttpStatus.UNPROCESSABLE_CONTENT),
  /** A source or destination outside the data root, or outside the S3 places that are allowed. */
  SOURCE_FORBIDDEN(HttpStatus.FORBIDDEN),
  /** A source or destination that S3 refuses this service: wrong key, signature or permission. */
  SOURCE_ACCESS_DENIED(HttpStatus.FORBIDDEN),
  /** A source that is not there. */
  SOURCE_NOT_FOUND(HttpStatus.UNPROCESSABLE_CONTENT),
  /** A source that is there and not what it should be. */
  SOURCE_INVALID(HttpStatus.UNPROCESSABLE_CONTENT),
  /** A source or destination whose server cannot be reached, or fails after all retries. */
  SOURCE_UNAVAILABLE(HttpStatus.BAD_GATEWAY),
  /** A source that was replaced or written to after it was found. */
  SOURCE_CHANGED(HttpStatus.CONFLICT),
  /** A place for a result that cannot be one. */
  DESTINATION_INVALID(HttpStatus.UNPROCESSABLE_CONTENT),
  /** A place for a result where something is already; nothing is overwritten. */
  DESTINATION_EXISTS(HttpStatus.CONFLICT),
  /** A codebook file that is not one. */
  INVALID_CODEBOOK(HttpStatus.UNPROCESSABLE_CONTENT),
  /** A version to train further that has another shape or other settings than asked for. */
  CODEBOOK_MISMATCH(HttpStatus.UNPROCESSABLE_CONTENT),
  /** A version that cannot be trained further, for want of the rows its centroids absorbed. */
  COUNTS_REQUIRED(HttpStatus.UNPROCESSABLE_CONTENT),
  /** Credentials that are missing, unknown, expired or not from the issuer. */
  UNAUTHENTICATED(HttpStatus.UNAUTHORIZED),
  /** Credentials without the scope that the request needs, or that another client's job needs. */
  FORBIDDEN(HttpStatus.FORBIDDEN),
  /** A request under a host name that is not known as this service's. */
  MISDIRECTED_HOST(HttpStatus.MISDIRECTED_REQUEST),
  /** A request that a web page of another origin makes, to a service that lets in everybody. */
  FOREIGN_ORIGIN(HttpStatus.FORBIDDEN),
  /** A token that cannot be checked, for want of the issuer's keys. */
  AUTHENTICATION_UNAVAILABLE(HttpStatus.SERVICE_UNAVAILABLE),
  /** No codebook of the name. */
  UNKNOWN_CODEBOOK(HttpStatus.NOT_FOUND),
  /** No such version or alias of the codebook. */
  UNKNOWN_VERSION(HttpStatus.NOT_FOUND),
  /** No job of the id. */
  UNKNOWN_JOB(HttpStatus.NOT_FOUND),
  /** No such address. */
  NOT_FOUND(HttpStatus.NOT_FOUND),
  /** A method that the address does not have. */
  METHOD_NOT_ALLOWED(HttpStatus.METHOD_NOT_ALLOWED),
  /** No format that the client accepts. */
  NOT_ACCEPTABLE(HttpStatus.NOT_ACCEPTABLE),
  /** A content type that is not read here. */
  UNSUPPORTED_MEDIA_TYPE(HttpStatus.UNSUPPORTED_MEDIA_TYPE),
  /** More bytes or rows than allowed. */
  PAYLOAD_TOO_LARGE(HttpStatus.CONTENT_TOO_LARGE),
  /** An alias that is not where the client expected it. */
  ALIAS_CONFLICT(HttpStatus.CONFLICT),
  /** A version that an alias points to, or a version or codebook that an unfinished job uses. */
  VERSION_IN_USE(HttpStatus.CONFLICT),
  /** One more codebook than there may be. */
  TOO_MANY_CODEBOOKS(HttpStatus.CONFLICT),
  /** Another training of the codebook is under way. */
  TRAINING_IN_PROGRESS(HttpStatus.CONFLICT),
  /** A job that has ended already. */
  JOB_FINISHED(HttpStatus.CONFLICT),
  /** Vectors of another embedding model than the codebook's. */
  EMBEDDING_MODEL_MISMATCH(HttpStatus.CONFLICT),
  /** An idempotency key that came with another request before. */
  IDEMPOTENCY_KEY_REUSED(HttpStatus.UNPROCESSABLE_CONTENT),
  /** A job or a codebook that would need more memory than it may take. */
  MEMORY_BUDGET_EXCEEDED(HttpStatus.UNPROCESSABLE_CONTENT),
  /** More clients listen to jobs than may. */
  TOO_MANY_LISTENERS(HttpStatus.TOO_MANY_REQUESTS),
  /** As many jobs are waiting as may wait. */
  QUEUE_FULL(HttpStatus.TOO_MANY_REQUESTS),
  /** The store holds no codebook yet. */
  NO_CODEBOOK(HttpStatus.SERVICE_UNAVAILABLE),
  /** A codebook that is there and cannot be served. */
  CODEBOOK_UNAVAILABLE(HttpStatus.SERVICE_UNAVAILABLE),
  /** The GPU has failed. */
  DEVICE_UNAVAILABLE(HttpStatus.SERVICE_UNAVAILABLE),
  /** The database does not answer; encoding with what is loaded goes on. */
  STORE_UNAVAILABLE(HttpStatus.SERVICE_UNAVAILABLE),
  /** More rows wait to be encoded than may wait; the client may try again later. */
  OVERLOADED(HttpStatus.TOO_MANY_REQUESTS),
  /** A client that has had as many rows encoded as it may for now. */
  RATE_LIMITED(HttpStatus.TOO_MANY_REQUESTS),
  /** The time that the client gave has passed before its rows were encoded. */
  DEADLINE_EXCEEDED(HttpStatus.GATEWAY_TIMEOUT),
  /** A body that did not come in the time it may take. */
  REQUEST_TIMEOUT(HttpStatus.REQUEST_TIMEOUT),
  /** A content encoding that is not read here. */
  UNSUPPORTED_CONTENT_ENCODING(HttpStatus.UNSUPPORTED_MEDIA_TYPE),
  /** Codes that cannot be decoded without norms, which neither the request nor the codebook has. */
  NORMS_REQUIRED(HttpStatus.UNPROCESSABLE_CONTENT),
  /** A demand on rows held out of a training that holds out none. */
  HOLDOUT_REQUIRED(HttpStatus.UNPROCESSABLE_CONTENT),
  /** A code that the codebook does not have. */
  INVALID_CODE(HttpStatus.UNPROCESSABLE_CONTENT),
  /** No room for an upload or a result. */
  INSUFFICIENT_STORAGE(HttpStatus.INSUFFICIENT_STORAGE),
  /** A method or a transfer coding that there is none of. */
  NOT_IMPLEMENTED(HttpStatus.NOT_IMPLEMENTED),
  /** Neither HTTP/1.0 nor HTTP/1.1. */
  HTTP_VERSION_NOT_SUPPORTED(HttpStatus.HTTP_VERSION_NOT_SUPPORTED),
  /** The service ended again and again while the job was under way. */
  INTERRUPTED(HttpStatus.INTERNAL_SERVER_ERROR),
  /** Not enough memory. */
  OUT_OF_MEMORY(HttpStatus.INTERNAL_SERVER_ERROR),
  /** A fault of the service. */
  INTERNAL_ERROR(HttpStatus.INTERNAL_SERVER_ERROR);

  private final HttpStatus status;

  ProblemCode(HttpStatus status) {
    this.status = status;
  }

  /** The HTTP status it is sent with. */
  public HttpStatus status() {
    return status;
  }
}
