package dev.semanticid.storage;

import dev.semanticid.settings.SemanticIdProperties;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.context.properties.source.MapConfigurationPropertySource;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;

/** Storage as settings make it. */
public final class Settings {

  private Settings() {}

  /** Settings as Spring binds them; names and values take turns, the names below semantic-id. */
  static SemanticIdProperties of(@Nullable Path dataRoot, String... namesAndValues) {
    Map<String, String> values = new HashMap<>();
    values.put("semantic-id.threads", "1");
    if (dataRoot != null) {
      values.put("semantic-id.data-root", dataRoot.toString());
    }
    for (int i = 0; i < namesAndValues.length; i += 2) {
      values.put("semantic-id." + namesAndValues[i], namesAndValues[i + 1]);
    }
    return new Binder(new MapConfigurationPropertySource(values))
        .bind("semantic-id", SemanticIdProperties.class)
        .get();
  }

  /** Storage of this machine alone. */
  public static Storage local(@Nullable Path dataRoot) {
    return storage(of(dataRoot), credentials("unused", "unused"));
  }

  /** Storage with S3. */
  static Storage storage(SemanticIdProperties properties, AwsCredentialsProvider credentials) {
    return new Storage(
        new DataRoot(properties), properties.s3(), () -> credentials, S3StorageTest.PART_BYTES);
  }

  static AwsCredentialsProvider credentials(String key, String secret) {
    return StaticCredentialsProvider.create(AwsBasicCredentials.create(key, secret));
  }

  /** Bytes that differ from place to place. */
  static byte[] bytes(int length, long seed) {
    byte[] bytes = new byte[length];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }
}
