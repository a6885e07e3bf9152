package dev.semanticid.backend;

import dev.semanticid.backend.cuda.CudaBackend;
import dev.semanticid.backend.cuda.CudaDevice;
import dev.semanticid.backend.cuda.CudaException;
import dev.semanticid.backend.cuda.GpuCode;
import dev.semanticid.backend.nd4j.Nd4jBackend;
import dev.semanticid.backend.nd4j.Nd4jCuda;
import dev.semanticid.backend.onednn.OneDnnBackend;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.FallbackBackend;
import dev.semanticid.core.compute.Int8Backend;
import dev.semanticid.core.compute.JavaBackend;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.search.Screening;
import dev.semanticid.settings.SemanticIdProperties;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** Chooses the compute backend and makes the threads that encode and those that do jobs. */
@Configuration(proxyBeanMethods = false)
class ComputeConfiguration {

  private static final Logger LOG = LoggerFactory.getLogger(ComputeConfiguration.class);

  @Bean
  ComputeBackend computeBackend(SemanticIdProperties properties) {
    long began = System.nanoTime();
    ComputeBackend backend = choose(properties);
    Int8Backend int8 = backend.int8();
    LOG.info(
        "computing on {}: {}; 8-bit products: {} (started in {} ms)",
        backend.name(),
        backend.device(),
        int8 == null ? "none" : int8.device(),
        (System.nanoTime() - began) / 1_000_000);
    return backend;
  }

  private static ComputeBackend choose(SemanticIdProperties properties) {
    if (properties.backend() == SemanticIdProperties.Backend.CPU) {
      return new JavaBackend();
    }
    if (properties.backend() != SemanticIdProperties.Backend.ND4J) {
      try {
        var device = new CudaBackend(properties.maxDeviceMemory().toBytes());
        return properties.deviceFallback()
            ? new FallbackBackend(
                device,
                () -> Nd4jCuda.isThere() ? new JavaBackend() : byNd4j(properties),
                failure -> LOG.error("the GPU has failed, computing on the CPU", failure))
            : device;
      } catch (CudaException e) {
        if (properties.backend() == SemanticIdProperties.Backend.CUDA) {
          throw new BackendUnavailableException(properties.backend(), e);
        }
        LOG.info("not on a GPU by our own kernels: {}", e.getMessage());
      }
    }
    return byNd4j(properties);
  }

  /** ND4J, on a CPU or an older GPU as it was built for, or else plain Java. */
  private static ComputeBackend byNd4j(SemanticIdProperties properties) {
    Nd4jBackend.boundOffHeapMemory(properties.maxOffHeap().toBytes());
    try {
      if (Nd4jCuda.isThere()) {
        requireCode(CudaDevice.first());
      }
      return new Nd4jBackend(int8(properties.screening()));
    } catch (RuntimeException | LinkageError e) {
      if (properties.backend() == SemanticIdProperties.Backend.ND4J) {
        throw new BackendUnavailableException(properties.backend(), e);
      }
      LOG.warn("ND4J cannot be loaded, computing in plain Java, which is slower: {}", e.toString());
      return new JavaBackend();
    }
  }

  /** That ND4J's library has no code for a GPU would show at the first product. */
  private static void requireCode(CudaDevice device) {
    Path library = Nd4jCuda.load();
    try {
      GpuCode code = GpuCode.of(library);
      if (!code.runsOn(device)) {
        throw new CudaException(
            "%s: ND4J's library %s has no code for it, but %s"
                .formatted(device, library.getFileName(), code));
      }
      LOG.info("ND4J on {}: {} has {}", device, library.getFileName(), code);
    } catch (IOException e) {
      throw new UncheckedIOException("ND4J's library for GPUs cannot be read", e);
    }
  }

  private static @Nullable Int8Backend int8(Screening screening) {
    if (screening == Screening.NEVER) {
      return null;
    }
    try {
      return new OneDnnBackend();
    } catch (RuntimeException | LinkageError e) {
      LOG.warn("no screening by 8-bit products, encoding is slower: {}", e.toString());
      return null;
    }
  }

  @Bean
  @Qualifier("encoding")
  WorkerPool encodingPool(SemanticIdProperties properties) {
    return new WorkerPool(properties.effectiveThreads(), "encode");
  }

  @Bean
  @Qualifier("jobs")
  WorkerPool jobsPool(SemanticIdProperties properties) {
    return new WorkerPool(properties.effectiveThreads(), new BackgroundThreads("jobs"));
  }
}
