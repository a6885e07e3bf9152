package dev.semanticid.security;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** Who may change what others asked for. */
class ClientTest {

  private static final String ADDRESS = "127.0.0.1";

  @Test
  void mayChange_withANameAndNoAdmin_isForItsOwnAlone() {
    var client = new Client("key:pipeline", ADDRESS, false);
    assertThat(client.mayChangeWhatIsOf("key:pipeline")).isTrue();
    assertThat(client.mayChangeWhatIsOf("key:other")).isFalse();
    assertThat(client.mayChangeWhatIsOf("jwt:pipeline")).isFalse();
    assertThat(client.mayChangeWhatIsOf(null)).isFalse();
  }

  @Test
  void mayChange_asAdmin_isForAll() {
    var client = new Client("key:boss", ADDRESS, true);
    assertThat(client.mayChangeWhatIsOf("key:pipeline")).isTrue();
    assertThat(client.mayChangeWhatIsOf(null)).isTrue();
  }

  @Test
  void mayChange_withoutSecurity_isForAll() {
    var client = new Client(null, ADDRESS, false);
    assertThat(client.mayChangeWhatIsOf("key:pipeline")).isTrue();
    assertThat(client.mayChangeWhatIsOf(null)).isTrue();
  }

  @Test
  void nameOrAddress_withoutAName_isTheAddress() {
    assertThat(new Client(null, ADDRESS, false).nameOrAddress()).isEqualTo(ADDRESS);
    assertThat(new Client("key:a", ADDRESS, false).nameOrAddress()).isEqualTo("key:a");
  }
}
