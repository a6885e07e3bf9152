package dev.semanticid.security;

import static org.assertj.core.api.Assertions.assertThat;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.http.HttpMethod;

/** Which scope each address needs. */
class AccessRuleTest {

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "GET | /actuator/health | ",
        "HEAD | /actuator/health/readiness | ",
        "POST | /actuator/health | admin",
        "GET | /v2/health/ready | ",
        "GET | /v2/health/ready/more | encode",
        "GET | /swagger-ui/index.html | ",
        "GET | /v3/api-docs | ",
        "POST | /train | train",
        "GET | /train/7 | train",
        "DELETE | /train/7 | train,admin",
        "DELETE | /train/7/events | train",
        "POST | /encode/jobs | train",
        "DELETE | /encode/jobs/7 | train,admin",
        "POST | /encode | encode",
        "POST | /decode | encode",
        "POST | /v2/models/default/infer | encode",
        "GET | /info | encode,train,admin",
        "PUT | /info | admin",
        "POST | /codebooks/default/compare | encode",
        "GET | /codebooks | encode,train,admin",
        "GET | /codebooks/default/versions/1.safetensors | encode,train,admin",
        "POST | /codebooks/default/versions | admin",
        "PUT | /codebooks/default/aliases/active | admin",
        "DELETE | /codebooks/default/versions/1 | admin",
        "GET | /actuator/prometheus | encode,train,admin",
        "POST | /actuator/loggers/x | admin",
        "GET | /nothing | admin",
        "GET | /encode/nothing | admin",
      })
  void of_methodAndPath_needsItsScopes(String method, String path, @Nullable String scopes) {
    AccessRule rule = AccessRule.of(HttpMethod.valueOf(method), path);
    String[] names = scopes == null ? new String[0] : scopes.split(",", -1);
    assertThat(rule.isOpen()).isEqualTo(names.length == 0);
    assertThat(rule.scopes().stream().map(Scope::wireName)).containsExactlyInAnyOrder(names);
    assertThat(rule.authorities()).allMatch(authority -> authority.startsWith("SCOPE_"));
    for (String name : names) {
      assertThat(rule.needs()).contains(name);
    }
  }
}
