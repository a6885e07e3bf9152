package dev.semanticid.service;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.springframework.util.FileSystemUtils;

/**
 * A service with the default settings and a data root, which the test classes of a JVM share. It
 * starts when the first class asks for it and ends with the JVM's tests.
 *
 * <p>A class that uses it has codebook names of its own, leaves no job running, and asserts nothing
 * about the codebooks of others. {@code default} is {@link EncodeIT}'s.
 */
final class SharedService implements AutoCloseable {

  private final Path folder;
  private final Path root;
  private final ServiceProcess process;

  private SharedService() {
    try {
      folder = Files.createTempDirectory("shared-service").toRealPath();
      root = Files.createDirectories(folder.resolve("root"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    process = ServiceProcess.start(folder.resolve("data"), "--semantic-id.data-root=" + root);
  }

  ServiceProcess process() {
    return process;
  }

  ServiceClient client() {
    return process.client();
  }

  /** The data root, in which a class writes to files of its own. */
  Path root() {
    return root;
  }

  @Override
  public void close() throws IOException {
    process.close();
    FileSystemUtils.deleteRecursively(folder);
  }

  /** Gives the service to a parameter. */
  static final class Provider implements ParameterResolver {

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
      return parameter.getParameter().getType() == SharedService.class;
    }

    @Override
    public SharedService resolveParameter(ParameterContext parameter, ExtensionContext context) {
      return context
          .getRoot()
          .getStore(Namespace.create(SharedService.class))
          .computeIfAbsent(SharedService.class, key -> new SharedService(), SharedService.class);
    }
  }
}
