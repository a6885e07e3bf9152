package dev.semanticid.backend.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Locale;

/**
 * The functions of the CUDA driver API that the backend uses, on one device's primary context.
 * Device memory is given by its address there, 0 for none.
 */
@SuppressWarnings("restricted")
final class CudaDriver {

  private static final int OUT_OF_MEMORY = 2;

  private final MethodHandle errorName;
  private final MethodHandle errorString;
  private final MethodHandle setCurrent;
  private final MethodHandle memAlloc;
  private final MethodHandle memFree;
  private final MethodHandle memHostAlloc;
  private final MethodHandle memFreeHost;
  private final MethodHandle copyToDevice;
  private final MethodHandle copyToHost;
  private final MethodHandle streamCreate;
  private final MethodHandle streamSynchronize;
  private final MethodHandle streamDestroy;
  private final MethodHandle launchKernel;
  private final MethodHandle contextRelease;
  private final MethodHandle moduleFunction;
  private final int ordinal;
  private final MemorySegment context;
  private final MemorySegment module;

  /**
   * Takes a device.
   *
   * @param driver the driver's library
   * @param ordinal the device's number there
   * @param ptx the kernels
   * @throws CudaException if it does not work, with the reason
   */
  CudaDriver(NativeLibrary driver, int ordinal, String ptx) {
    this.ordinal = ordinal;
    errorName = driver.function("cuGetErrorName", JAVA_INT, ADDRESS);
    errorString = driver.function("cuGetErrorString", JAVA_INT, ADDRESS);
    setCurrent = driver.function("cuCtxSetCurrent", ADDRESS);
    memAlloc = driver.function("cuMemAlloc_v2", ADDRESS, JAVA_LONG);
    memFree = driver.function("cuMemFree_v2", JAVA_LONG);
    memHostAlloc = driver.function("cuMemHostAlloc", ADDRESS, JAVA_LONG, JAVA_INT);
    memFreeHost = driver.function("cuMemFreeHost", ADDRESS);
    copyToDevice = driver.function("cuMemcpyHtoDAsync_v2", JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS);
    copyToHost = driver.function("cuMemcpyDtoHAsync_v2", ADDRESS, JAVA_LONG, JAVA_LONG, ADDRESS);
    streamCreate = driver.function("cuStreamCreate", ADDRESS, JAVA_INT);
    streamSynchronize = driver.function("cuStreamSynchronize", ADDRESS);
    streamDestroy = driver.function("cuStreamDestroy_v2", ADDRESS);
    launchKernel =
        driver.function(
            "cuLaunchKernel",
            ADDRESS,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            ADDRESS,
            ADDRESS,
            ADDRESS);
    moduleFunction = driver.function("cuModuleGetFunction", ADDRESS, ADDRESS, ADDRESS);
    contextRelease = driver.function("cuDevicePrimaryCtxRelease_v2", JAVA_INT);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment pointer = arena.allocate(ADDRESS);
      call(
          "cuDevicePrimaryCtxRetain",
          driver.function("cuDevicePrimaryCtxRetain", ADDRESS, JAVA_INT),
          pointer,
          ordinal);
      context = pointer.get(ADDRESS, 0);
      makeCurrent();
      call(
          "cuModuleLoadData",
          driver.function("cuModuleLoadData", ADDRESS, ADDRESS),
          pointer,
          arena.allocateFrom(ptx));
      module = pointer.get(ADDRESS, 0);
    }
  }

  /** Calls of this thread are for this device from now on; every thread has to say so. */
  void makeCurrent() {
    call("cuCtxSetCurrent", setCurrent, context);
  }

  /** A kernel. */
  MemorySegment kernel(String name) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment pointer = arena.allocate(ADDRESS);
      call("cuModuleGetFunction", moduleFunction, pointer, module, arena.allocateFrom(name));
      return pointer.get(ADDRESS, 0);
    }
  }

  /**
   * Device memory, not cleared.
   *
   * @throws OutOfMemoryError if there is not enough
   */
  long allocate(long bytes) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment address = arena.allocate(JAVA_LONG);
      call(String.format(Locale.ROOT, "cuMemAlloc of %d bytes", bytes), memAlloc, address, bytes);
      return address.get(JAVA_LONG, 0);
    }
  }

  void free(long address) {
    if (address != 0) {
      call("cuMemFree", memFree, address);
    }
  }

  /** Memory of this machine that the device reads and writes by itself. */
  MemorySegment allocateHost(long bytes) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment pointer = arena.allocate(ADDRESS);
      call(
          String.format(Locale.ROOT, "cuMemHostAlloc of %d bytes", bytes),
          memHostAlloc,
          pointer,
          bytes,
          0);
      return pointer.get(ADDRESS, 0).reinterpret(bytes);
    }
  }

  void freeHost(MemorySegment memory) {
    if (memory.byteSize() > 0) {
      call("cuMemFreeHost", memFreeHost, memory);
    }
  }

  MemorySegment newStream() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment pointer = arena.allocate(ADDRESS);
      // Does not wait for the default stream.
      call("cuStreamCreate", streamCreate, pointer, 1);
      return pointer.get(ADDRESS, 0);
    }
  }

  void destroyStream(MemorySegment stream) {
    call("cuStreamDestroy", streamDestroy, stream);
  }

  void synchronize(MemorySegment stream) {
    call("cuStreamSynchronize", streamSynchronize, stream);
  }

  void copyToDevice(long to, MemorySegment from, long bytes, MemorySegment stream) {
    call("cuMemcpyHtoDAsync", copyToDevice, to, from, bytes, stream);
  }

  void copyToHost(MemorySegment to, long from, long bytes, MemorySegment stream) {
    call("cuMemcpyDtoHAsync", copyToHost, to, from, bytes, stream);
  }

  /**
   * Starts a kernel on a stream.
   *
   * @param parameters addresses of the arguments
   */
  void launch(
      MemorySegment kernel,
      int blocks,
      int threads,
      MemorySegment stream,
      MemorySegment parameters) {
    call(
        "cuLaunchKernel",
        launchKernel,
        kernel,
        blocks,
        1,
        1,
        threads,
        1,
        1,
        0,
        stream,
        parameters,
        MemorySegment.NULL);
  }

  /** Gives the device's context back; nothing may be in use there. */
  void close() {
    call("cuDevicePrimaryCtxRelease", contextRelease, ordinal);
  }

  private void call(String what, MethodHandle handle, Object... arguments) {
    int status = NativeLibrary.status(handle, arguments);
    if (status == OUT_OF_MEMORY) {
      throw new OutOfMemoryError(what + ": the device's memory does not suffice");
    }
    if (status != 0) {
      throw new CudaException(
          "%s failed: %s (%s)".formatted(what, text(errorString, status), text(errorName, status)));
    }
  }

  private static String text(MethodHandle handle, int status) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment pointer = arena.allocate(ADDRESS);
      return NativeLibrary.status(handle, status, pointer) == 0
          ? pointer.get(ADDRESS, 0).reinterpret(Long.MAX_VALUE).getString(0)
          : "status " + status;
    }
  }
}
