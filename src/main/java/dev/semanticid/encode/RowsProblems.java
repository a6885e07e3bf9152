package dev.semanticid.encode;

import dev.semanticid.web.ProblemResponse;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** Documents what can be wrong with any request that has rows to encode. */
@Target(ElementType.METHOD)
@Retention(RetentionPolicy.RUNTIME)
@ProblemResponse(
    status = "400",
    codes =
        "MALFORMED_JSON, MALFORMED_BODY, EMPTY_BATCH, RAGGED_ROWS, INVALID_PARAMETER,"
            + " UNKNOWN_PARAMETER")
@ProblemResponse(status = "404", codes = "UNKNOWN_CODEBOOK, UNKNOWN_VERSION")
@ProblemResponse(status = "408", codes = "REQUEST_TIMEOUT")
@ProblemResponse(status = "409", codes = "EMBEDDING_MODEL_MISMATCH")
@ProblemResponse(status = "413", codes = "PAYLOAD_TOO_LARGE")
@ProblemResponse(status = "415", codes = "UNSUPPORTED_MEDIA_TYPE, UNSUPPORTED_CONTENT_ENCODING")
@ProblemResponse(status = "429", codes = "OVERLOADED, RATE_LIMITED")
@ProblemResponse(status = "504", codes = "DEADLINE_EXCEEDED")
@interface RowsProblems {}
