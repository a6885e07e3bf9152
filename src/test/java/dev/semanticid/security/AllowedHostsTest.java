package dev.semanticid.security;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AllowedHostsTest {

  @ParameterizedTest
  @CsvSource({
    "10.1.2.3, 10.1.2.3, true",
    "10.1.2.3:8081, 10.1.2.3, true",
    "10.1.2.3., 10.1.2.3, true",
    "10.1.2.4, 10.1.2.3, false",
    "[2001:db8::1]:8080, 2001:db8:0:0:0:0:0:1, true",
    "[2001:DB8::1], 2001:db8:0:0:0:0:0:1, true",
    "[2001:db8::2], 2001:db8:0:0:0:0:0:1, false",
    "[::ffff:10.1.2.3], 10.1.2.3, true",
    "[fe80::1], fe80:0:0:0:0:0:0:1, true",
    "pod, 10.1.2.3, false",
    "10.1.2.3, pod, false",
    "[, 10.1.2.3, false",
    "[], 10.1.2.3, false",
    "]:, 10.1.2.3, false",
    ":80, 10.1.2.3, false",
  })
  void addressOfTheConnection_isAllowed_othersAreNot(String host, String local, boolean allowed) {
    assertThat(new AllowedHosts(List.of()).allows(host, local)).isEqualTo(allowed);
  }

  @Test
  void addressOfTheConnection_unknown_leavesLoopback() {
    assertThat(new AllowedHosts(List.of()).allows("10.1.2.3", null)).isFalse();
    assertThat(new AllowedHosts(List.of()).allows("127.0.0.1", null)).isTrue();
  }

  @ParameterizedTest
  @CsvSource({
    "ids, ids, true",
    "IDS:8080, ids., true",
    "ids, ids.example, false",
    "*.example, ids.example, true",
    "*.example, a.b.example, true",
    "*.example, example, false",
    "*.example, evilexample, false",
    "*.EXAMPLE:80, ids.example:8080, true",
    "*, anything, true",
    "[2001:db8::9]:80, [2001:db8::9], true",
  })
  void names_matchAsListed(String listed, String host, boolean allowed) {
    assertThat(new AllowedHosts(List.of("other", listed)).allows(host, "10.1.2.3"))
        .isEqualTo(allowed);
  }
}
