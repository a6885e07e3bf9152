package dev.semanticid.problem;

/** The stable codes of problems. Each transport maps them to statuses of its own. */
public enum ProblemCode {
  /** A request whose head the server cannot read. */
  MALFORMED_REQUEST,
  /** A JSON body that does not parse, or not to what is expected. */
  MALFORMED_JSON,
  /** A binary body whose length, header or shape is wrong. */
  MALFORMED_BODY,
  /** A body with no rows. */
  EMPTY_BATCH,
  /** Rows of different lengths. */
  RAGGED_ROWS,
  /** A parameter with a value it cannot have. */
  INVALID_PARAMETER,
  /** A parameter that does not exist. */
  UNKNOWN_PARAMETER,
  /** Rows of another dimension than the codebook's, or than stated. */
  DIMENSION_MISMATCH,
  /** NaN, an infinity, or a number outside float32. */
  NON_FINITE_VALUE,
  /** Too few rows to train from. */
  TOO_FEW_ROWS,
  /** A source that is not of a kind that is read here. */
  UNSUPPORTED_SOURCE,
  /** A source or destination outside the data root, or outside the S3 places that are allowed. */
  SOURCE_FORBIDDEN,
  /** A source or destination that S3 refuses this service: wrong key, signature or permission. */
  SOURCE_ACCESS_DENIED,
  /** A source that is not there. */
  SOURCE_NOT_FOUND,
  /** A source that is there and not what it should be. */
  SOURCE_INVALID,
  /** A source or destination whose server cannot be reached, or fails after all retries. */
  SOURCE_UNAVAILABLE,
  /** A source that was replaced or written to after it was found. */
  SOURCE_CHANGED,
  /** A place for a result that cannot be one. */
  DESTINATION_INVALID,
  /** A place for a result where something is already; nothing is overwritten. */
  DESTINATION_EXISTS,
  /** A codebook file that is not one. */
  INVALID_CODEBOOK,
  /** A version to train further that has another shape or other settings than asked for. */
  CODEBOOK_MISMATCH,
  /** A version that cannot be trained further, for want of the rows its centroids absorbed. */
  COUNTS_REQUIRED,
  /** Credentials that are missing, unknown, expired or not from the issuer. */
  UNAUTHENTICATED,
  /** Credentials without the scope that the request needs, or that another client's job needs. */
  FORBIDDEN,
  /** A request under a host name that is not known as this service's. */
  MISDIRECTED_HOST,
  /** A request that a web page of another origin makes, to a service that lets in everybody. */
  FOREIGN_ORIGIN,
  /** A token that cannot be checked, for want of the issuer's keys. */
  AUTHENTICATION_UNAVAILABLE,
  /** No codebook of the name. */
  UNKNOWN_CODEBOOK,
  /** No such version or alias of the codebook. */
  UNKNOWN_VERSION,
  /** No job of the id. */
  UNKNOWN_JOB,
  /** No such address. */
  NOT_FOUND,
  /** A method that the address does not have. */
  METHOD_NOT_ALLOWED,
  /** No format that the client accepts. */
  NOT_ACCEPTABLE,
  /** A content type that is not read here. */
  UNSUPPORTED_MEDIA_TYPE,
  /** More bytes or rows than allowed. */
  PAYLOAD_TOO_LARGE,
  /** An alias that is not where the client expected it. */
  ALIAS_CONFLICT,
  /** A version that an alias points to, or a version or codebook that an unfinished job uses. */
  VERSION_IN_USE,
  /** One more codebook than there may be. */
  TOO_MANY_CODEBOOKS,
  /** Another training of the codebook is under way. */
  TRAINING_IN_PROGRESS,
  /** A job that has ended already. */
  JOB_FINISHED,
  /** Vectors of another embedding model than the codebook's. */
  EMBEDDING_MODEL_MISMATCH,
  /** An idempotency key that came with another request before. */
  IDEMPOTENCY_KEY_REUSED,
  /** A job or a codebook that would need more memory than it may take. */
  MEMORY_BUDGET_EXCEEDED,
  /** More clients listen to jobs than may. */
  TOO_MANY_LISTENERS,
  /** As many jobs are waiting as may wait. */
  QUEUE_FULL,
  /** The store holds no codebook yet. */
  NO_CODEBOOK,
  /** A codebook that is there and cannot be served. */
  CODEBOOK_UNAVAILABLE,
  /** The GPU has failed. */
  DEVICE_UNAVAILABLE,
  /** The database does not answer; encoding with what is loaded goes on. */
  STORE_UNAVAILABLE,
  /** More rows wait to be encoded than may wait; the client may try again later. */
  OVERLOADED,
  /** A client that has had as many rows encoded as it may for now. */
  RATE_LIMITED,
  /** The time that the client gave has passed before its rows were encoded. */
  DEADLINE_EXCEEDED,
  /** A body that did not come in the time it may take. */
  REQUEST_TIMEOUT,
  /** A content encoding that is not read here. */
  UNSUPPORTED_CONTENT_ENCODING,
  /** Codes that cannot be decoded without norms, which neither the request nor the codebook has. */
  NORMS_REQUIRED,
  /** A demand on rows held out of a training that holds out none. */
  HOLDOUT_REQUIRED,
  /** A code that the codebook does not have. */
  INVALID_CODE,
  /** No room for an upload or a result. */
  INSUFFICIENT_STORAGE,
  /** A method or a transfer coding that there is none of. */
  NOT_IMPLEMENTED,
  /** Neither HTTP/1.0 nor HTTP/1.1. */
  HTTP_VERSION_NOT_SUPPORTED,
  /** The service ended again and again while the job was under way. */
  INTERRUPTED,
  /** Not enough memory. */
  OUT_OF_MEMORY,
  /** A fault of the service. */
  INTERNAL_ERROR
}
