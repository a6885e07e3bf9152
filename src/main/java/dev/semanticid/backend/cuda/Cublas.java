package dev.semanticid.backend.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** The functions of cuBLAS that the backend uses. */
final class Cublas {

  private static final int TRANSPOSED = 1;
  private static final int AS_IS = 0;

  /** Float32 throughout: neither TF32 nor sums of lower precision. */
  private static final int PEDANTIC_MATH = 2;

  private final MethodHandle create;
  private final MethodHandle destroy;
  private final MethodHandle setStream;
  private final MethodHandle setMathMode;
  private final MethodHandle setWorkspace;
  private final MethodHandle sgemm;
  private final String name;
  private final MemorySegment one;
  private final MemorySegment zero;

  /**
   * @param blas cuBLAS
   * @throws CudaException if it lacks a function
   */
  Cublas(NativeLibrary blas) {
    this.name = blas.name();
    this.create = blas.function("cublasCreate_v2", ADDRESS);
    this.destroy = blas.function("cublasDestroy_v2", ADDRESS);
    this.setStream = blas.function("cublasSetStream_v2", ADDRESS, ADDRESS);
    this.setMathMode = blas.function("cublasSetMathMode", ADDRESS, JAVA_INT);
    this.setWorkspace = blas.function("cublasSetWorkspace_v2", ADDRESS, JAVA_LONG, JAVA_LONG);
    this.sgemm =
        blas.function(
            "cublasSgemm_v2",
            ADDRESS,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            ADDRESS,
            JAVA_LONG,
            JAVA_INT,
            JAVA_LONG,
            JAVA_INT,
            ADDRESS,
            JAVA_LONG,
            JAVA_INT);
    this.one = Arena.global().allocateFrom(JAVA_FLOAT, 1);
    this.zero = Arena.global().allocateFrom(JAVA_FLOAT, 0);
  }

  String name() {
    return name;
  }

  /** A handle whose products run on a stream, with working memory of the caller's. */
  MemorySegment newHandle(MemorySegment stream, long workspace, long workspaceBytes) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment pointer = arena.allocate(ADDRESS);
      NativeLibrary.call("cublasCreate", create, pointer);
      MemorySegment handle = pointer.get(ADDRESS, 0);
      NativeLibrary.call("cublasSetStream", setStream, handle, stream);
      // After the stream, which would take it back.
      NativeLibrary.call("cublasSetWorkspace", setWorkspace, handle, workspace, workspaceBytes);
      NativeLibrary.call("cublasSetMathMode", setMathMode, handle, PEDANTIC_MATH);
      return handle;
    }
  }

  void destroyHandle(MemorySegment handle) {
    NativeLibrary.call("cublasDestroy", destroy, handle);
  }

  /** S = X·Cᵀ, all row-major: X is n × d, C is rows × d, S becomes n × rows. */
  void multiply(MemorySegment handle, long x, int n, long c, int rows, int d, long s) {
    // Columns first, as BLAS has it: Sᵀ = C·Xᵀ.
    NativeLibrary.call(
        "cublasSgemm",
        sgemm,
        handle,
        TRANSPOSED,
        AS_IS,
        rows,
        n,
        d,
        one,
        c,
        d,
        x,
        d,
        zero,
        s,
        rows);
  }
}
