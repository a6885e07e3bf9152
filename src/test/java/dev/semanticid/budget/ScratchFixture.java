package dev.semanticid.budget;

import dev.semanticid.settings.SemanticIdProperties;
import dev.semanticid.store.DataDirectory;
import dev.semanticid.web.LimitedInputStream;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.context.properties.source.MapConfigurationPropertySource;

/** A data directory with the space for files in it, for the tests of other packages. */
public final class ScratchFixture implements AutoCloseable {

  private final DataDirectory directory;
  private final ScratchSpace space;

  /**
   * @param folder becomes the data directory
   * @param settings of {@code semantic-id.scratch}, each as {@code name=value}
   */
  public ScratchFixture(Path folder, String... settings) {
    var values = new HashMap<String, String>(Map.of("semantic-id.data-dir", folder.toString()));
    for (String setting : settings) {
      String[] nameAndValue = setting.split("=", 2);
      values.put("semantic-id.scratch." + nameAndValue[0], nameAndValue[1]);
    }
    var properties =
        new Binder(new MapConfigurationPropertySource(values))
            .bindOrCreate("semantic-id", SemanticIdProperties.class);
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
