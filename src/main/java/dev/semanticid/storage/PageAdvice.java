package dev.semanticid.storage;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import org.jspecify.annotations.Nullable;

/**
 * Tells the kernel which pages of a mapped file will be wanted, so that it reads them while others
 * are worked on: a fault waits for its page alone. On Linux; elsewhere nothing happens.
 */
final class PageAdvice {

  private static final int MADV_WILLNEED = 3;

  /** A multiple of the page size of every common machine. */
  private static final long ALIGNMENT = 64 << 10;

  private static final @Nullable MethodHandle MADVISE = madvise();

  private PageAdvice() {}

  @SuppressWarnings("restricted")
  private static @Nullable MethodHandle madvise() {
    if (!System.getProperty("os.name").equals("Linux")) {
      return null;
    }
    Linker linker = Linker.nativeLinker();
    return linker
        .defaultLookup()
        .find("madvise")
        .map(address ->
            linker.downcallHandle(
                address,
                FunctionDescriptor.of(
                    ValueLayout.JAVA_INT,
                    ValueLayout.ADDRESS,
                    ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_INT)))
        .orElse(null);
  }

  /**
   * Gives a hint; that it cannot be followed is no failure.
   *
   * @param mapping of a file
   * @param from first byte
   * @param bytes how many
   */
  static void willNeed(MemorySegment mapping, long from, long bytes) {
    MethodHandle handle = MADVISE;
    if (handle == null) {
      return;
    }
    long begin = from - Math.floorMod(mapping.address() + from, ALIGNMENT);
    long first = Math.max(0, begin);
    try {
      int _ = (int) handle.invokeExact(mapping.asSlice(first), from + bytes - first, MADV_WILLNEED);
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }
}
