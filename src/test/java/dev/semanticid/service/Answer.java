package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * An HTTP answer.
 *
 * @param request the request line it answers
 * @param status code
 * @param headers by lower-case name, the first value of each
 * @param body whole
 */
record Answer(String request, int status, Map<String, String> headers, byte[] body) {

  private static final JsonMapper JSON = JsonMapper.shared();

  Answer {
    var byLowerCase = new TreeMap<String, String>();
    headers.forEach((name, value) -> byLowerCase.put(name.toLowerCase(Locale.ROOT), value));
    headers = byLowerCase;
  }

  /** A header's value, or the empty string. */
  String header(String name) {
    return headers.getOrDefault(name.toLowerCase(Locale.ROOT), "");
  }

  String text() {
    return new String(body, StandardCharsets.UTF_8);
  }

  JsonNode json() {
    return JSON.readTree(body);
  }

  /** Asserts the status. */
  Answer expect(int expected) {
    assertThat(status).as(toString()).isEqualTo(expected);
    return this;
  }

  /**
   * Asserts that this is a problem detail with a code, and that its sentence names all of those.
   */
  Answer expectProblem(int expectedStatus, String code, Object... named) {
    expect(expectedStatus);
    assertThat(header("content-type")).as(toString()).startsWith("application/problem+json");
    JsonNode problem = json();
    assertThat(problem.path("code").asString("")).as(toString()).isEqualTo(code);
    assertThat(problem.path("status").asInt(0)).as(toString()).isEqualTo(expectedStatus);
    assertThat(problem.path("title").asString("")).as(toString()).isNotBlank();
    assertThat(problem.path("detail").asString("")).as(toString()).isNotBlank();
    for (Object name : named) {
      assertThat(problem.path("detail").asString("")).as(toString()).contains(name.toString());
    }
    return this;
  }

  @Override
  public String toString() {
    String text = text();
    return String.format(
        Locale.ROOT,
        "%s → %d %s %s",
        request,
        status,
        header("content-type"),
        text.length() > 600 ? text.substring(0, 600) + "…" : text);
  }
}
