package dev.semanticid.security;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.semanticid.security.ApiKeys.ApiKey;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.boot.context.properties.source.InvalidConfigurationPropertyValueException;

/** The file of keys: what it may hold, and what becomes of its changes. */
class ApiKeysTest {

  private static final String KEY = "sid_" + "k".repeat(43);
  private static final String OTHER = "sid_" + "o".repeat(43);

  @TempDir private Path folder;
  private Path file = Path.of("keys.yaml");

  @BeforeEach
  void chooseFile() {
    file = folder.resolve("keys.yaml");
  }

  static String hash(String key) {
    try {
      byte[] bytes = key.getBytes(StandardCharsets.UTF_8);
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }

  static String entry(String name, String key, String scopes) {
    return "%s:\n  sha256: \"%s\"\n  scopes: [%s]\n".formatted(name, hash(key), scopes);
  }

  @Test
  void find_keyOfTheFile_givesItsNameAndScopes() throws IOException {
    Files.writeString(
        file, entry("reader", KEY, "encode") + entry("pipeline", OTHER, "train, admin"));
    try (var keys = new ApiKeys(file)) {
      ApiKey reader = keys.find(KEY).orElseThrow();
      assertThat(reader.name()).isEqualTo("reader");
      assertThat(reader.scopes()).isEqualTo(Set.of(Scope.ENCODE));
      assertThat(keys.find(OTHER).orElseThrow().scopes())
          .isEqualTo(Set.of(Scope.TRAIN, Scope.ADMIN));
      for (String unknown :
          new String[] {
            "", "sid_", KEY + "k", KEY.substring(1), KEY.replace('k', 'K'), hash(KEY), "reader"
          }) {
        assertThat(keys.find(unknown)).as(unknown).isEmpty();
      }
    }
  }

  @Test
  void read_emptyMap_acceptsNobody() throws IOException {
    Files.writeString(file, "{}");
    try (var keys = new ApiKeys(file)) {
      assertThat(keys.find(KEY)).isEmpty();
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "[a, b] | must map names to keys",
        "'' | must map names to keys",
        "'a: [' | it is not YAML",
        "'a: {sha256: \"HASH\", scopes: [encode]}\na: {sha256: \"HASH\", scopes: [encode]}'"
            + " | a name twice: line 2",
        "'a b: {sha256: \"HASH\", scopes: [encode]}' | name 1 must be",
        "'a: {sha256: \"HASH\", scopes: [encode]}\n7: {}' | name 2 must be",
        "'a: {sha256: \"HASH\"}' | must have sha256 and scopes",
        "'a: {sha256: \"HASH\", scopes: [encode], more: 1}' | must have sha256 and scopes",
        "'a: {sha256: KEY, scopes: [encode]}' | sha256 of key a must be 64 hexadecimal digits",
        "'a: {sha256: 7, scopes: [encode]}' | sha256 of key a must be 64 hexadecimal digits",
        "'a: {sha256: \"HASH\", scopes: [encode]}\nb: {sha256: \"HASH\", scopes: [train]}'"
            + " | key b is that of another name too",
        "'a: {sha256: \"HASH\", scopes: []}' | scopes of key a",
        "'a: {sha256: \"HASH\", scopes: encode}' | scopes of key a",
        "'a: {sha256: \"HASH\", scopes: [encode, root]}' | scopes of key a",
        "'a: !!java.io.File [KEY]' | it is not YAML",
      })
  void read_badFile_isRefusedWithoutQuotingIt(String content, String reason) throws IOException {
    Files.writeString(file, content.replace("HASH", hash(KEY)).replace("KEY", KEY));
    var refused =
        catchThrowableOfType(
            InvalidConfigurationPropertyValueException.class, () -> new ApiKeys(file).close());
    assertThat(refused).as(content).isNotNull();
    assertThat(refused.getName()).isEqualTo("semantic-id.security.api-keys-file");
    assertThat(refused.getReason()).contains(reason).doesNotContain(KEY, hash(KEY));
  }

  @Test
  void read_noFile_isRefused() {
    assertThat(
            catchThrowableOfType(
                    InvalidConfigurationPropertyValueException.class,
                    () -> new ApiKeys(file).close())
                .getReason())
        .contains("it cannot be read");
  }

  @Test
  void read_tooLargeFile_isRefused() throws IOException {
    Files.writeString(file, "#".repeat((1 << 20) + 1));
    assertThat(
            catchThrowableOfType(
                    InvalidConfigurationPropertyValueException.class,
                    () -> new ApiKeys(file).close())
                .getReason())
        .contains("1048576 bytes");
  }

  @Test
  void file_changedAndDamaged_isReadAgainAndElseStays() throws IOException {
    Files.writeString(file, entry("reader", KEY, "encode"));
    try (var keys = new ApiKeys(file)) {
      Files.writeString(file, entry("reader", OTHER, "encode"));
      await(() -> keys.find(OTHER).isPresent());
      assertThat(keys.find(KEY)).isEmpty();
      Files.writeString(file, "nonsense");
      LockSupport.parkNanos(Duration.ofMillis(1500).toNanos());
      assertThat(keys.find(OTHER)).isPresent();
      Files.writeString(file, "{}");
      await(() -> keys.find(OTHER).isEmpty());
    }
  }

  private static void await(BooleanSupplier condition) {
    long deadline = System.nanoTime() + Duration.ofMinutes(2).toNanos();
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).as("the file is read again").isLessThan(deadline);
      LockSupport.parkNanos(20_000_000);
    }
  }
}
