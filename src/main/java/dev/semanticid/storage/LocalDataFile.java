package dev.semanticid.storage;

import dev.semanticid.core.vector.ByteSource;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;

/** A file of this machine as it was found. */
record LocalDataFile(Path file, FileState state) implements DataFile {

  static LocalDataFile of(Path file) throws IOException {
    return new LocalDataFile(file, FileState.of(file));
  }

  @Override
  public String uri() {
    return file.toUri().toString();
  }

  @Override
  public long size() {
    return state.size();
  }

  @Override
  public String identity() {
    return state.identity();
  }

  @Override
  public Optional<Path> path() {
    return Optional.of(file);
  }

  @Override
  public ByteSource open() throws IOException {
    return LocalFile.open(file, state);
  }
}
