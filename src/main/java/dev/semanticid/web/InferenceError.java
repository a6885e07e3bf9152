package dev.semanticid.web;

import java.util.Map;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ProblemDetail;
import org.springframework.http.ResponseEntity;

/** Errors of the Open Inference Protocol, whose only member is a sentence. */
final class InferenceError {

  private static final String PREFIX = "/v2";

  private InferenceError() {}

  /** Whether a path is the protocol's. */
  static boolean isFor(String path) {
    return path.equals(PREFIX) || path.startsWith(PREFIX + "/");
  }

  /** The answer that tells a problem; what is wrong with a body is always 400. */
  static ResponseEntity<Object> of(ProblemDetail problem, HttpHeaders headers) {
    var all = new HttpHeaders();
    all.putAll(headers);
    all.setContentType(MediaType.APPLICATION_JSON);
    boolean content = problem.getStatus() == HttpStatus.UNPROCESSABLE_CONTENT.value();
    String sentence = problem.getDetail() == null ? problem.getTitle() : problem.getDetail();
    return new ResponseEntity<>(
        Map.of("error", String.valueOf(sentence)),
        all,
        content ? HttpStatus.BAD_REQUEST : HttpStatus.valueOf(problem.getStatus()));
  }
}
