package dev.semanticid.encode;

/** Each thread's buffer for reading a body, because a request is read by one thread alone. */
final class ReadBuffer {

  private static final int BYTES = 32 << 10;

  private static final ThreadLocal<byte[]> OF_THREAD =
      ThreadLocal.withInitial(() -> new byte[BYTES]);

  private ReadBuffer() {}

  /** The calling thread's; what it holds is lost with the next call. */
  static byte[] ofThread() {
    return OF_THREAD.get();
  }
}
