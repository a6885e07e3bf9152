package dev.semanticid.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.CodebookSettings;
import dev.semanticid.core.codebook.Provenance;
import dev.semanticid.core.compute.DeviceFailedException;
import dev.semanticid.core.compute.FallbackBackend;
import dev.semanticid.core.compute.JavaBackend;
import dev.semanticid.core.compute.ResidentCodebook;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.encode.ResidualQuantizer;
import dev.semanticid.core.vector.VectorBatch;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What the CUDA backend does with the device's memory, and what it says where it cannot run. */
class CudaBackendTest {

  private static final int D = 24;

  @BeforeAll
  static void emulatorIsThere() {
    assumeTrue(EmulatedGpu.library().isPresent(), "no g++");
  }

  private static Codebook codebook(int levels) {
    var random = new SplittableRandom(levels);
    List<float[]> all = new ArrayList<>();
    for (int l = 0; l < levels; l++) {
      float[] level = new float[8 * D];
      for (int i = 0; i < level.length; i++) {
        level[i] = (float) random.nextGaussian();
      }
      all.add(level);
    }
    return Codebook.of(new CodebookSettings(true), D, all, Provenance.UNKNOWN);
  }

  private static int[] encode(CudaBackend backend, Codebook codebook, WorkerPool pool) {
    var random = new SplittableRandom(1);
    float[] rows = new float[500 * D];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = (float) random.nextGaussian();
    }
    try (var quantizer = new ResidualQuantizer(codebook, backend, pool, Long.MAX_VALUE)) {
      quantizer.selfTest();
      assertThat(quantizer.plan()).isEqualTo(codebook.levels() > 16 ? "float32" : "device");
      assertThat(quantizer.residentBytes()).isGreaterThan(4L * codebook.levels() * 8 * D);
      return quantizer.encode(VectorBatch.of(rows, D));
    }
  }

  @Test
  void device_isNamedWithWhatItRunsOn() {
    try (CudaBackend backend = EmulatedGpu.start().orElseThrow()) {
      assertThat(backend.name()).isEqualTo("cuda");
      assertThat(backend.device())
          .contains("Emulated GPU, compute capability 9.0, driver for CUDA 12.4", "emulator");
    }
  }

  @Test
  void codebooks_closed_giveTheirMemoryBack() {
    CudaBackend backend = EmulatedGpu.start().orElseThrow();
    try (backend;
        var pool = new WorkerPool(2, "test")) {
      long before = backend.deviceBytes();
      try (var quantizer = new ResidualQuantizer(codebook(3), backend, pool, Long.MAX_VALUE)) {
        assertThat(backend.deviceBytes() - before).isEqualTo(quantizer.residentBytes());
      }
      assertThat(backend.deviceBytes()).isEqualTo(before);
      int[] codes = encode(backend, codebook(3), pool);
      assertThat(encode(backend, codebook(3), pool)).isEqualTo(codes);
      assertThat(encode(backend, codebook(20), pool)).hasSize(500 * 20);
    }
    assertThat(backend.deviceBytes()).as("with what batches had").isZero();
  }

  @Test
  void memory_thatIsNotThere_isAnErrorAfterWhichTheRestGoesOn() {
    long limit = 20 << 20;
    try (CudaBackend backend = EmulatedGpu.start(limit).orElseThrow()) {
      float[] small = new float[64];
      small[0] = 1;
      try (ResidentCodebook resident = backend.makeResident(small, 8, 8)) {
        long before = backend.deviceBytes();
        float[] large = new float[8 << 20];
        assertThatThrownBy(() -> backend.makeResident(large, 1 << 20, 8))
            .isInstanceOf(OutOfMemoryError.class)
            .hasMessageContaining(String.format(Locale.ROOT, "%d bytes", 32 << 20))
            .hasMessageContaining(Long.toString(limit - limit / 4));
        assertThat(backend.deviceBytes()).isEqualTo(before);
        float[] products = new float[8];
        resident.multiply(small, 0, 1, products);
        assertThat(products[0]).isEqualTo(1);
      }
    }
  }

  @Test
  void batch_thatFindsNoRoom_isAFailureOfTheDevice() {
    NativeLibrary emulator =
        NativeLibrary.open("", List.of(EmulatedGpu.library().orElseThrow().toString()));
    MethodHandle bytes = emulator.function("emulatorBytes", ValueLayout.JAVA_LONG);
    var heard = new ArrayList<DeviceFailedException>();
    Codebook codebook = codebook(3);
    VectorBatch batch = VectorBatch.of(new float[300 * D], D);
    try (CudaBackend alone = EmulatedGpu.start().orElseThrow();
        var fallback =
            new FallbackBackend(EmulatedGpu.start().orElseThrow(), JavaBackend::new, heard::add);
        var pool = new WorkerPool(2, "test");
        var onlyThere = new ResidualQuantizer(codebook, alone, pool, Long.MAX_VALUE);
        var both = new ResidualQuantizer(codebook, fallback, pool, Long.MAX_VALUE)) {
      NativeLibrary.status(bytes, 0L);
      try {
        assertThatThrownBy(() -> onlyThere.encode(batch))
            .isInstanceOf(CudaException.class)
            .hasMessageContaining("a batch finds no room on the GPU");
        assertThat(alone.failure()).contains("a batch finds no room on the GPU");
        assertThat(alone.available()).isFalse();
        assertThat(both.encode(batch)).hasSize(300 * 3);
        assertThat(heard).hasSize(1);
        assertThat(fallback.available()).isTrue();
      } finally {
        NativeLibrary.status(bytes, 1L << 32);
      }
    }
  }

  /** As after an uncorrectable ECC error. */
  @Test
  void device_thatFails_staysFailed_andAnotherBackendTakesOver() {
    String library = EmulatedGpu.library().orElseThrow().toString();
    MethodHandle fail =
        NativeLibrary.open("the emulator", List.of(library))
            .function("emulatorFail", ValueLayout.JAVA_INT);
    var heard = new ArrayList<DeviceFailedException>();
    float[] rows = new float[300 * D];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = (float) Math.sin(i);
    }
    Codebook codebook = codebook(3);
    try (CudaBackend alone = EmulatedGpu.start().orElseThrow();
        var fallback =
            new FallbackBackend(EmulatedGpu.start().orElseThrow(), JavaBackend::new, heard::add);
        var pool = new WorkerPool(2, "test");
        var onlyThere = new ResidualQuantizer(codebook, alone, pool, Long.MAX_VALUE);
        var both = new ResidualQuantizer(codebook, fallback, pool, Long.MAX_VALUE);
        ResidentCodebook resident = fallback.makeResident(rows, 4, D)) {
      VectorBatch batch = VectorBatch.of(rows, D);
      int[] codes = both.encode(batch);
      assertThat(onlyThere.encode(batch)).isEqualTo(codes);
      float[] products = new float[4];
      resident.multiply(rows, 0, 1, products);
      try {
        NativeLibrary.status(fail, 214);
        assertThatThrownBy(() -> onlyThere.encode(batch)).isInstanceOf(CudaException.class);
        assertThat(both.encode(batch)).isEqualTo(codes);
        float[] again = new float[4];
        resident.multiply(rows, 0, 1, again);
        assertThat(again[0]).isCloseTo(products[0], within(1e-4f));
      } finally {
        NativeLibrary.status(fail, 0);
      }
      assertThatThrownBy(() -> onlyThere.encode(batch))
          .as("what failed stays failed")
          .isInstanceOf(CudaException.class)
          .hasMessageContaining("cuStreamSynchronize failed: emulated error");
      assertThat(both.encode(batch)).isEqualTo(codes);
      assertThat(heard).hasSize(1);
      assertThat(fallback.name()).isEqualTo("cpu");
      assertThat(fallback.device()).contains("for Emulated GPU", "failed", "emulated error");
      try (var next = new ResidualQuantizer(codebook, fallback, pool, Long.MAX_VALUE)) {
        next.selfTest();
        assertThat(next.encode(batch)).isEqualTo(codes);
      }
    }
  }

  @Test
  void start_withoutDriverOrLibrary_saysWhatIsMissing() {
    assertThatThrownBy(
            () -> NativeLibrary.open("the NVIDIA driver", List.of("libnothing.so.1", "/none")))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("the NVIDIA driver is not on this machine")
        .hasMessageContaining("libnothing.so.1, /none");
    NativeLibrary emulator =
        NativeLibrary.open("", List.of(EmulatedGpu.library().orElseThrow().toString()));
    NativeLibrary another = NativeLibrary.open("", List.of("libc.so.6"));
    assertThatThrownBy(() -> new CudaBackend(emulator, another, 1 << 30))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("libc.so.6 has no function cublasCreate_v2");
    assertThatThrownBy(() -> new CudaBackend(another, emulator, 1 << 30))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("libc.so.6 has no function cuInit");
  }
}
