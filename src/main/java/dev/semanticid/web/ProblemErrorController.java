package dev.semanticid.web;

import io.swagger.v3.oas.annotations.Hidden;
import jakarta.servlet.RequestDispatcher;
import jakarta.servlet.http.HttpServletRequest;
import org.springframework.boot.webmvc.error.ErrorController;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatusCode;
import org.springframework.http.MediaType;
import org.springframework.http.ProblemDetail;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;

/**
 * Answers what the server refuses by itself, such as a body that breaks off: with the problem that
 * was found while the request was handled, or with one made from the status.
 */
@Hidden
@RestController
class ProblemErrorController implements ErrorController {

  /** Request attribute of the problem that the request ended with. */
  static final String PROBLEM = ProblemErrorController.class.getName() + ".PROBLEM";

  @RequestMapping("/error")
  ResponseEntity<Object> error(HttpServletRequest request) {
    ProblemDetail detail;
    if (request.getAttribute(PROBLEM) instanceof ProblemDetail found) {
      detail = found;
    } else {
      Object status = request.getAttribute(RequestDispatcher.ERROR_STATUS_CODE);
      detail =
          ProblemDetail.forStatusAndDetail(
              HttpStatusCode.valueOf(status instanceof Integer code ? code : 404),
              "the server refused the request before the service saw it");
      detail.setProperty("code", ProblemHandler.code(detail.getStatus()).name());
    }
    RequestIdFilter.addTo(detail, request.getAttribute(RequestIdFilter.ATTRIBUTE));
    Object path = request.getAttribute(RequestDispatcher.ERROR_REQUEST_URI);
    if (path instanceof String uri && InferenceError.isFor(uri)) {
      return InferenceError.of(detail, new HttpHeaders());
    }
    return ResponseEntity.status(HttpStatusCode.valueOf(detail.getStatus()))
        .contentType(MediaType.APPLICATION_PROBLEM_JSON)
        .body(detail);
  }
}
