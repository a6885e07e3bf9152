package dev.semanticid.security;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.security.Credentials.RefusedException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.GrantedAuthority;
import org.springframework.security.oauth2.server.resource.authentication.BearerTokenAuthenticationToken;
import org.springframework.security.oauth2.server.resource.authentication.JwtAuthenticationConverter;

/** Who a client is by its key. */
class CredentialsTest {

  private static final String KEY = "sid_" + "k".repeat(43);

  private static Authentication authenticate(Credentials credentials, String sent) {
    return credentials.authenticate(new BearerTokenAuthenticationToken(sent));
  }

  @Test
  void authenticate_keyOfTheFile_isTheClientWithItsScopes(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("keys.yaml");
    Files.writeString(file, ApiKeysTest.entry("reader", KEY, "encode, train"));
    try (var credentials =
        new Credentials(new ApiKeys(file), null, new JwtAuthenticationConverter())) {
      Authentication client = authenticate(credentials, KEY);
      assertThat(client.isAuthenticated()).isTrue();
      assertThat(client.getName()).isEqualTo("key:reader");
      assertThat(client.getCredentials()).isNull();
      assertThat(client.getAuthorities().stream().map(GrantedAuthority::getAuthority))
          .containsExactlyInAnyOrder("SCOPE_encode", "SCOPE_train");
      assertThatThrownBy(() -> authenticate(credentials, KEY + "x"))
          .isInstanceOf(RefusedException.class)
          .hasMessage("the API key is not known");
      assertThatThrownBy(() -> authenticate(credentials, "eyJ.a.token"))
          .isInstanceOf(RefusedException.class)
          .hasMessageContaining("only API keys are accepted");
    }
  }

  @Test
  void authenticate_keyWhereThereAreNone_isRefused() {
    try (var credentials = new Credentials(null, null, new JwtAuthenticationConverter())) {
      assertThatThrownBy(() -> authenticate(credentials, KEY))
          .isInstanceOf(RefusedException.class)
          .hasMessageContaining("API keys are not accepted");
    }
  }
}
