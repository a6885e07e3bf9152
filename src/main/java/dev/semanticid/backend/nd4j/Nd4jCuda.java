package dev.semanticid.backend.nd4j;

import java.nio.file.Path;
import org.bytedeco.javacpp.Loader;

/** ND4J's library for NVIDIA GPUs, where the service was built with it (profile "cuda"). */
public final class Nd4jCuda {

  private static final String BINDINGS = "org.nd4j.linalg.jcublas.bindings.Nd4jCuda";

  private Nd4jCuda() {}

  /** Whether {@link Nd4jBackend} computes on a GPU, or not at all. */
  public static boolean isThere() {
    return Nd4jCuda.class.getClassLoader().getResource(BINDINGS.replace('.', '/') + ".class")
        != null;
  }

  /**
   * Loads the library; gives its file.
   *
   * @throws UnsatisfiedLinkError if it, or one that it needs, cannot be loaded
   */
  public static Path load() {
    try {
      // Where the bindings are, for they come together.
      return Path.of(Loader.load(Class.forName(BINDINGS)))
          .resolveSibling(System.mapLibraryName("nd4jcuda"));
    } catch (ClassNotFoundException e) {
      throw new IllegalStateException("the service was not built with ND4J for GPUs", e);
    }
  }
}
