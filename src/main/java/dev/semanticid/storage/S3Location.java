package dev.semanticid.storage;

import dev.semanticid.problem.Masked;
import dev.semanticid.problem.PlainText;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import java.util.Arrays;
import java.util.List;

/**
 * A key, or a glob for keys, in a bucket.
 *
 * @param bucket its name
 * @param key as it is: what {@code s3://bucket/} is followed by, without escapes
 */
record S3Location(String bucket, String key) {

  static final String SCHEME = "s3://";

  /**
   * Reads {@code s3://bucket/key}. Keys are taken as they stand, as other tools do: Spark, for one,
   * writes keys that have {@code %3A} in them.
   *
   * @param unsupported what it is if it makes no sense
   * @throws ProblemException if it is no such address, or one that a server might take for a path
   *     to elsewhere
   */
  static S3Location of(String uri, ProblemCode unsupported) {
    String rest = uri.startsWith(SCHEME) ? uri.substring(SCHEME.length()) : "";
    int slash = rest.indexOf('/');
    String bucket = slash < 0 ? rest : rest.substring(0, slash);
    String key = slash < 0 ? "" : rest.substring(slash + 1);
    if (!bucket.matches("[A-Za-z0-9._-]+") || key.isEmpty() || key.endsWith("/")) {
      throw new ProblemException(
          unsupported, "expected s3://bucket/key, got " + Masked.address(uri));
    }
    if (!PlainText.isOneLine(key)) {
      throw new ProblemException(
          unsupported,
          "a key without control characters and line breaks was expected in s3://bucket/key");
    }
    if (hasDotSegment(bucket) || hasDotSegment(key)) {
      throw new ProblemException(
          ProblemCode.SOURCE_FORBIDDEN,
          "'.' and '..' are no part of the address of an object, got " + Masked.address(uri));
    }
    return new S3Location(bucket, key);
  }

  private static boolean hasDotSegment(String path) {
    return Arrays.stream(path.split("[/\\\\]"))
        .anyMatch(segment -> segment.equals(".") || segment.equals(".."));
  }

  /** The last segment of the key. */
  String name() {
    return key.substring(folder().length());
  }

  /** What is before the last segment of the key: nothing, or something that ends with a slash. */
  String folder() {
    return key.substring(0, key.lastIndexOf('/') + 1);
  }

  /** Its address. */
  String uri() {
    return SCHEME + bucket + "/" + key;
  }

  /**
   * Refuses what no allowed place covers.
   *
   * @param allowed {@code s3://bucket}, {@code s3://bucket/prefix} or {@code s3://bucket/prefix/}
   * @param word what it is called
   */
  void requireAllowed(List<String> allowed, String word) {
    if (allowed.isEmpty()) {
      throw new ProblemException(
          ProblemCode.SOURCE_FORBIDDEN,
          "s3: %ss are off; set semantic-id.s3.allowed to the places they may be in"
              .formatted(word));
    }
    String address = Glob.isGlob(name()) ? SCHEME + bucket + "/" + folder() : uri();
    boolean covered =
        allowed.stream()
            .anyMatch(place ->
                address.equals(place)
                    || address.startsWith(place.endsWith("/") ? place : place + "/"));
    if (!covered) {
      throw new ProblemException(
          ProblemCode.SOURCE_FORBIDDEN,
          "the %s %s is not below any of semantic-id.s3.allowed".formatted(word, uri()));
    }
  }
}
