package dev.semanticid.storage;

import dev.semanticid.core.vector.ByteSource;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;

/**
 * An object as it was found.
 *
 * @param eTag without quotes
 */
record S3DataFile(S3Connection connection, S3Location location, long size, String eTag)
    implements DataFile {

  /** The SDK asks for 8 MiB at a time too where it fetches parts at once. */
  private static final int BLOCK_BYTES = 8 << 20;

  private static final int MAX_BLOCKS = 4;

  static S3DataFile of(S3Connection connection, S3Location location, long size, String eTag) {
    return new S3DataFile(connection, location, size, S3Object.unquoted(eTag));
  }

  @Override
  public String uri() {
    return location.uri();
  }

  @Override
  public String identity() {
    return String.format(Locale.ROOT, "%d-%s", size, eTag);
  }

  @Override
  public Optional<Path> path() {
    return Optional.empty();
  }

  @Override
  public ByteSource open() {
    return new ReadAhead(new S3Object(connection, location, size, eTag), BLOCK_BYTES, MAX_BLOCKS);
  }
}
