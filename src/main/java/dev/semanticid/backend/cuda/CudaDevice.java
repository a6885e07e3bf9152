package dev.semanticid.backend.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.List;
import java.util.Locale;

/**
 * A GPU that the NVIDIA driver finds.
 *
 * @param ordinal the driver's number for it
 * @param name as NVIDIA calls it
 * @param major of the compute capability
 * @param minor of the compute capability
 * @param driver the newest CUDA that the driver supports, 1000 · major + 10 · minor
 */
public record CudaDevice(int ordinal, String name, int major, int minor, int driver) {

  private static final List<String> DRIVER = List.of("libcuda.so.1");
  private static final int COMPUTE_CAPABILITY_MAJOR = 75;
  private static final int COMPUTE_CAPABILITY_MINOR = 76;

  /**
   * The first one.
   *
   * @throws CudaException if there is no driver or no GPU
   */
  public static CudaDevice first() {
    return first(driverLibrary());
  }

  static NativeLibrary driverLibrary() {
    return NativeLibrary.open("the NVIDIA driver", DRIVER);
  }

  static CudaDevice first(NativeLibrary driver) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment number = arena.allocate(JAVA_INT);
      NativeLibrary.call("cuInit", driver.function("cuInit", JAVA_INT), 0);
      NativeLibrary.call("cuDeviceGetCount", driver.function("cuDeviceGetCount", ADDRESS), number);
      if (number.get(JAVA_INT, 0) == 0) {
        throw new CudaException("the NVIDIA driver finds no GPU");
      }
      NativeLibrary.call(
          "cuDeviceGet", driver.function("cuDeviceGet", ADDRESS, JAVA_INT), number, 0);
      int ordinal = number.get(JAVA_INT, 0);
      MethodHandle attribute = driver.function("cuDeviceGetAttribute", ADDRESS, JAVA_INT, JAVA_INT);
      NativeLibrary.call(
          "cuDeviceGetAttribute", attribute, number, COMPUTE_CAPABILITY_MAJOR, ordinal);
      int major = number.get(JAVA_INT, 0);
      NativeLibrary.call(
          "cuDeviceGetAttribute", attribute, number, COMPUTE_CAPABILITY_MINOR, ordinal);
      int minor = number.get(JAVA_INT, 0);
      MemorySegment name = arena.allocate(256);
      NativeLibrary.call(
          "cuDeviceGetName",
          driver.function("cuDeviceGetName", ADDRESS, JAVA_INT, JAVA_INT),
          name,
          (int) name.byteSize(),
          ordinal);
      NativeLibrary.call(
          "cuDriverGetVersion", driver.function("cuDriverGetVersion", ADDRESS), number);
      return new CudaDevice(ordinal, name.getString(0), major, minor, number.get(JAVA_INT, 0));
    }
  }

  /** In words. */
  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "%s, compute capability %d.%d, driver for CUDA %d.%d",
        name,
        major,
        minor,
        driver / 1000,
        driver % 1000 / 10);
  }
}
