package dev.semanticid.security;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.context.properties.source.InvalidConfigurationPropertyValueException;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.SafeConstructor;
import org.yaml.snakeyaml.error.MarkedYAMLException;
import org.yaml.snakeyaml.error.YAMLException;

/**
 * The API keys of a file, which holds their SHA-256 alone. The file is read again when it changes;
 * one that cannot be used changes nothing. No message quotes the file, where somebody may have put
 * a key in place of its hash.
 *
 * <p>Keys are random, so a fast hash is enough: nobody tries 2²⁵⁶ of them, while one that is slow
 * by intent would be paid for by every request.
 */
final class ApiKeys implements AutoCloseable {

  /** What every key begins with, so that it is told from a token, and found where it leaked. */
  static final String PREFIX = "sid_";

  static final String SETTING = "semantic-id.security.api-keys-file";

  private static final Logger LOG = LoggerFactory.getLogger(ApiKeys.class);

  private static final Duration PERIOD = Duration.ofSeconds(1);
  private static final int LARGEST_FILE = 1 << 20;

  /** What is shorter is no random key, and its hash would be guessed. */
  private static final int SHORTEST_KEY = PREFIX.length() + 32;

  private static final String HASH = "[0-9a-fA-F]{64}";

  /** Too short for a key, as messages have names. */
  private static final String NAME = "[A-Za-z0-9._-]{1,32}";

  private final Path file;
  private final ScheduledExecutorService watch =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().daemon().name("api-keys").factory());
  private volatile List<ApiKey> keys;
  private byte[] content;
  private @Nullable String fault;

  /**
   * A key.
   *
   * @param name of the client that has it
   * @param hash its SHA-256
   * @param scopes what the client may do
   */
  record ApiKey(String name, byte[] hash, Set<Scope> scopes) {}

  /** Why a file cannot be used, without anything of what it holds. */
  private static final class BadFileException extends Exception {
    private static final long serialVersionUID = 1L;

    BadFileException(String message) {
      super(message);
    }
  }

  /**
   * Reads the file, and goes on looking at it.
   *
   * @throws InvalidConfigurationPropertyValueException if it cannot be used
   */
  ApiKeys(Path file) {
    this.file = file;
    try {
      content = read();
      keys = parse(content);
    } catch (BadFileException e) {
      watch.shutdownNow();
      throw new InvalidConfigurationPropertyValueException(
          SETTING, file, String.valueOf(e.getMessage()));
    }
    LOG.info("{} API keys are in {}", keys.size(), file);
    var _ =
        watch.scheduleWithFixedDelay(
            this::refresh, PERIOD.toMillis(), PERIOD.toMillis(), TimeUnit.MILLISECONDS);
  }

  private void refresh() {
    try {
      byte[] now = read();
      if (fault != null || !Arrays.equals(now, content)) {
        keys = parse(now);
        content = now;
        fault = null;
        LOG.info("{} API keys are in {} now", keys.size(), file);
      }
    } catch (BadFileException e) {
      if (!String.valueOf(e.getMessage()).equals(fault)) {
        fault = String.valueOf(e.getMessage());
        LOG.error(
            "{} cannot be used, the {} API keys from before stay: {}", file, keys.size(), fault);
      }
    } catch (RuntimeException e) {
      // Nothing may end the watch; what the exception says might be of the file.
      LOG.error("{} was not read: {}", file, e.getClass().getName());
    }
  }

  /** The key that was sent, if it is one of ours. Takes as long whichever it is, or none. */
  Optional<ApiKey> find(String sent) {
    if (sent.length() < SHORTEST_KEY) {
      return Optional.empty();
    }
    byte[] hash = sha256(sent);
    ApiKey found = null;
    for (ApiKey key : keys) {
      if (MessageDigest.isEqual(key.hash(), hash)) {
        found = key;
      }
    }
    return Optional.ofNullable(found);
  }

  private static byte[] sha256(String key) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(key.getBytes(StandardCharsets.UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java platform has SHA-256", e);
    }
  }

  private byte[] read() throws BadFileException {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes(LARGEST_FILE + 1);
      if (bytes.length > LARGEST_FILE) {
        throw new BadFileException(
            String.format(Locale.ROOT, "it may have %d bytes and has more", LARGEST_FILE));
      }
      return bytes;
    } catch (IOException e) {
      throw new BadFileException("it cannot be read: " + e.getClass().getSimpleName());
    }
  }

  private static List<ApiKey> parse(byte[] yaml) throws BadFileException {
    var options = new LoaderOptions();
    options.setAllowDuplicateKeys(false);
    Object parsed;
    try {
      parsed =
          new Yaml(new SafeConstructor(options)).load(new String(yaml, StandardCharsets.UTF_8));
    } catch (MarkedYAMLException e) {
      throw new BadFileException(
          e.getProblemMark() == null
              ? "it is not YAML"
              : "it is not YAML, or has a name twice: line " + (e.getProblemMark().getLine() + 1));
    } catch (YAMLException e) {
      throw new BadFileException("it is not YAML");
    }
    if (!(parsed instanceof Map<?, ?> entries)) {
      throw new BadFileException("it must map names to keys; {} if there shall be none");
    }
    var keys = new ArrayList<ApiKey>();
    var hashes = new HashSet<String>();
    int number = 0;
    for (Map.Entry<?, ?> entry : entries.entrySet()) {
      number++;
      if (!(entry.getKey() instanceof String name) || !name.matches(NAME)) {
        throw new BadFileException(
            String.format(
                Locale.ROOT,
                "name %d must be 1 to 32 letters, digits, dots, dashes and underscores",
                number));
      }
      if (!(entry.getValue() instanceof Map<?, ?> key)
          || !key.keySet().equals(Set.of("sha256", "scopes"))) {
        throw new BadFileException(
            "key %s must have sha256 and scopes, no less or more".formatted(name));
      }
      if (!(key.get("sha256") instanceof String hash) || !hash.matches(HASH)) {
        throw new BadFileException(
            "sha256 of key %s must be 64 hexadecimal digits, in quotes".formatted(name));
      }
      byte[] bytes = HexFormat.of().parseHex(hash);
      if (!hashes.add(HexFormat.of().formatHex(bytes))) {
        throw new BadFileException("key %s is that of another name too".formatted(name));
      }
      keys.add(new ApiKey(name, bytes, scopes(name, key.get("scopes"))));
    }
    return List.copyOf(keys);
  }

  private static Set<Scope> scopes(String name, @Nullable Object value) throws BadFileException {
    var scopes = EnumSet.noneOf(Scope.class);
    if (value instanceof List<?> names) {
      for (Object scope : names) {
        scopes.add(Scope.ofWireName(String.valueOf(scope)).orElseThrow(() -> noScopes(name)));
      }
    }
    if (scopes.isEmpty()) {
      throw noScopes(name);
    }
    return scopes;
  }

  private static BadFileException noScopes(String name) {
    return new BadFileException(
        "scopes of key %s must be a list of encode, train and admin, at least one".formatted(name));
  }

  @Override
  public void close() {
    watch.shutdownNow();
  }
}
