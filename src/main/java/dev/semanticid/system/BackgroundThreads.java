package dev.semanticid.system;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Daemon threads that yield to all others: jobs take what encoding leaves. Java's own thread
 * priorities do nothing on Linux, where a thread may lower its own nice value by {@code
 * setpriority}; elsewhere the threads are ordinary ones.
 */
public final class BackgroundThreads implements ThreadFactory {

  private static final Logger LOG = LoggerFactory.getLogger(BackgroundThreads.class);

  /** PRIO_PROCESS: on Linux, with id 0, the calling thread. */
  private static final int WHICH = 0;

  private static final int LOWEST = 19;

  private static final @Nullable MethodHandle SET_PRIORITY = setPriority();

  private final String name;
  private final AtomicInteger made = new AtomicInteger();

  /**
   * @param name prefix of the threads' names
   */
  public BackgroundThreads(String name) {
    this.name = name;
  }

  @SuppressWarnings("restricted")
  private static @Nullable MethodHandle setPriority() {
    if (!System.getProperty("os.name").equals("Linux")) {
      return null;
    }
    Linker linker = Linker.nativeLinker();
    SymbolLookup libc = linker.defaultLookup();
    return libc.find("setpriority")
        .map(address ->
            linker.downcallHandle(
                address,
                FunctionDescriptor.of(
                    ValueLayout.JAVA_INT,
                    ValueLayout.JAVA_INT,
                    ValueLayout.JAVA_INT,
                    ValueLayout.JAVA_INT)))
        .orElse(null);
  }

  @Override
  public Thread newThread(Runnable task) {
    return Thread.ofPlatform()
        .daemon()
        .name(name + "-" + made.incrementAndGet())
        .unstarted(() -> {
          yieldToOthers();
          task.run();
        });
  }

  private static void yieldToOthers() {
    MethodHandle setPriority = SET_PRIORITY;
    if (setPriority == null) {
      return;
    }
    try {
      int result = (int) setPriority.invokeExact(WHICH, 0, LOWEST);
      if (result != 0) {
        LOG.warn("background threads keep the priority of all others: setpriority failed");
      }
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }
}
