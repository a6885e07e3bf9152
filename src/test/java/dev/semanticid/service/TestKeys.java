package dev.semanticid.service;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;

/** A file of API keys, and the keys whose hashes it has. */
final class TestKeys {

  private final Path file;
  private final List<String> entries = new ArrayList<>();

  TestKeys(Path file) {
    this.file = file;
  }

  /** A random key, as the documents say that one is made. */
  static String random() {
    byte[] bytes = new byte[32];
    new SecureRandom().nextBytes(bytes);
    return "sid_" + Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
  }

  static String hash(String key) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(Bytes.utf8(key)));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }

  /** Makes a key of that name and scopes, which the file has once it is written. */
  String add(String name, String... scopes) {
    String key = random();
    entries.add(
        "%s:\n  sha256: \"%s\"\n  scopes: [%s]\n"
            .formatted(name, hash(key), String.join(", ", scopes)));
    return key;
  }

  /** Forgets all keys. */
  void clear() {
    entries.clear();
  }

  /** Puts the file in place at once. */
  Path write() {
    return write(entries.isEmpty() ? "{}\n" : String.join("", entries));
  }

  /** The same with any content. */
  Path write(String content) {
    try {
      Path temporary = Files.writeString(file.resolveSibling(file.getFileName() + ".new"), content);
      return Files.move(
          temporary, file, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
