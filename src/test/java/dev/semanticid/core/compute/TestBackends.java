package dev.semanticid.core.compute;

import dev.semanticid.backend.cuda.CudaBackend;
import dev.semanticid.backend.cuda.CudaException;
import dev.semanticid.backend.cuda.EmulatedGpu;
import dev.semanticid.backend.nd4j.Nd4jBackend;
import dev.semanticid.backend.onednn.OneDnnBackend;
import java.util.ArrayList;
import java.util.List;

/**
 * The backends that tests run on: all that this machine has or, with {@code -Dbackends=cuda}, the
 * GPU alone, which then must be there ({@code src/gpu-check}).
 */
public final class TestBackends {

  private static final long DEVICE_BYTES = 1L << 32;

  /** Whether tests are about the GPU, with neither ND4J nor oneDNN on the class path. */
  private static final boolean GPU_ALONE = "cuda".equals(System.getProperty("backends"));

  private TestBackends() {}

  /** Backends without 8-bit products; the caller closes them. */
  public static List<ComputeBackend> start() {
    if (GPU_ALONE) {
      return List.of(new CudaBackend(DEVICE_BYTES));
    }
    var backends = new ArrayList<ComputeBackend>(List.of(new JavaBackend(), new Nd4jBackend()));
    EmulatedGpu.start().ifPresent(backends::add);
    try {
      backends.add(new CudaBackend(DEVICE_BYTES));
    } catch (CudaException e) {
      System.out.println("No test was run on a GPU: " + e.getMessage());
    }
    return backends;
  }

  /**
   * Backends with 8-bit products; the caller closes them.
   *
   * @param largest what products of {@link ExactInt8} are made with, a backend each
   */
  public static List<ComputeBackend> startScreening(int... largest) {
    var backends = new ArrayList<ComputeBackend>();
    if (!GPU_ALONE) {
      backends.add(ExactInt8.beside(new JavaBackend(), new OneDnnBackend()));
      for (int value : largest) {
        backends.add(ExactInt8.beside(new JavaBackend(), new ExactInt8(value)));
      }
    }
    return backends;
  }
}
