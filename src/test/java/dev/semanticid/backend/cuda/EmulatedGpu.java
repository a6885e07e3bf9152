package dev.semanticid.backend.cuda;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * The CUDA backend on a driver and a cuBLAS that compute on the CPU, by the kernels' own source
 * ({@code src/test/cuda/emulator.cpp}): everything but the GPU itself. Needs g++.
 */
public final class EmulatedGpu {

  private static final long MEMORY = 1L << 32;
  private static final Optional<Path> LIBRARY = build();

  private EmulatedGpu() {}

  /** A backend on the emulated GPU, or nothing where no compiler is. */
  public static Optional<CudaBackend> start() {
    return start(MEMORY);
  }

  /** As the other one, which may take so many bytes on the device. */
  static Optional<CudaBackend> start(long memoryLimit) {
    return library()
        .map(file -> {
          NativeLibrary emulator = NativeLibrary.open("the emulator", List.of(file.toString()));
          return new CudaBackend(emulator, emulator, memoryLimit);
        });
  }

  /**
   * A folder for LD_LIBRARY_PATH, where driver and cuBLAS are found by their names.
   *
   * @param parent where it is made
   */
  public static Optional<Path> folder(Path parent) throws IOException {
    if (LIBRARY.isEmpty()) {
      return Optional.empty();
    }
    Path folder = Files.createDirectory(parent.resolve("emulator"));
    for (String name : List.of("libcuda.so.1", "libcublas.so.12")) {
      Files.createSymbolicLink(folder.resolve(name), LIBRARY.get());
    }
    return Optional.of(folder);
  }

  /** The emulator, compiled. */
  static Optional<Path> library() {
    return LIBRARY;
  }

  private static Optional<Path> build() {
    try {
      Path folder = Files.createDirectories(Path.of("target", "cuda"));
      Path file =
          folder.resolve(
              String.format(Locale.ROOT, "emulator-%d.so", ProcessHandle.current().pid()));
      Process compiler =
          new ProcessBuilder(
                  "g++",
                  "-std=c++17",
                  "-O2",
                  "-ffp-contract=off",
                  "-Wall",
                  "-Werror",
                  "-shared",
                  "-fPIC",
                  "-fvisibility=hidden",
                  // Lanes switch stacks.
                  "-U_FORTIFY_SOURCE",
                  "-x",
                  "c++",
                  "src/test/cuda/emulator.cpp",
                  "-o",
                  file.toString())
              .inheritIO()
              .start();
      if (compiler.waitFor() != 0) {
        throw new IllegalStateException("the emulator cannot be compiled");
      }
      file.toFile().deleteOnExit();
      return Optional.of(file.toAbsolutePath());
    } catch (IOException e) {
      if (String.valueOf(e.getMessage()).contains("Cannot run program")) {
        System.out.println("Not run: tests of the CUDA backend by emulation, for there is no g++.");
        return Optional.empty();
      }
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }
}
