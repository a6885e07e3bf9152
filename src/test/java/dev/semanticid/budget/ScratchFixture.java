package dev.semanticid.budget;

import dev.semanticid.settings.SemanticIdProperties;
import dev.semanticid.store.DataDirectory;
import dev.semanticid.web.LimitedInputStream;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.context.properties.source.MapConfigurationPropertySource;

/** A data directory with the space for files in it, for the tests of other packages. */
public final class ScratchFixture implements AutoCloseable {

  private final DataDirectory directory;
  private final ScratchSpace space;

  public ScratchFixture(Path folder) {
    SemanticIdProperties properties =
        new Binder(
                new MapConfigurationPropertySource(
                    Map.of("semantic-id.data-dir", folder.toString())))
            .bind("semantic-id", SemanticIdProperties.class)
            .get();
    directory = new DataDirectory(properties);
    space = new ScratchSpace(directory, properties, new SimpleMeterRegistry());
  }

  public DataDirectory directory() {
    return directory;
  }

  public ScratchSpace space() {
    return space;
  }

  /** A request body of at most a megabyte whose length is announced, or is not (-1). */
  public static LimitedInputStream body(byte[] bytes, long announced) {
    return LimitedInputStream.around(
        new ByteArrayInputStream(bytes), announced, 1 << 20, Duration.ofMinutes(2));
  }

  @Override
  public void close() throws IOException {
    directory.close();
  }
}
