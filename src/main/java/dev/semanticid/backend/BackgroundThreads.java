package dev.semanticid.backend;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Daemon threads that yield to all others: jobs take what encoding leaves. Java's own thread
 * priorities do nothing on Linux, where a thread may put itself under the policy {@code
 * SCHED_IDLE}: any thread of the normal policy that wakes up takes its core at once, which the
 * lowest nice value does not promise. Elsewhere the threads are ordinary ones.
 */
public final class BackgroundThreads implements ThreadFactory {

  private static final Logger LOG = LoggerFactory.getLogger(BackgroundThreads.class);

  private static final int SCHED_IDLE = 5;

  /** As the pid of sched_setscheduler: the calling thread. */
  private static final int THIS_THREAD = 0;

  private static final @Nullable MethodHandle SET_SCHEDULER = setScheduler();

  private final String name;
  private final AtomicInteger made = new AtomicInteger();

  /**
   * @param name prefix of the threads' names
   */
  public BackgroundThreads(String name) {
    this.name = name;
  }

  @SuppressWarnings("restricted")
  private static @Nullable MethodHandle setScheduler() {
    if (!System.getProperty("os.name").equals("Linux")) {
      return null;
    }
    Linker linker = Linker.nativeLinker();
    return linker
        .defaultLookup()
        .find("sched_setscheduler")
        .map(address ->
            linker.downcallHandle(
                address,
                FunctionDescriptor.of(
                    ValueLayout.JAVA_INT,
                    ValueLayout.JAVA_INT,
                    ValueLayout.JAVA_INT,
                    ValueLayout.ADDRESS)))
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
    MethodHandle setScheduler = SET_SCHEDULER;
    if (setScheduler == null) {
      return;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment parameters = arena.allocateFrom(ValueLayout.JAVA_INT, 0);
      int result = (int) setScheduler.invokeExact(THIS_THREAD, SCHED_IDLE, parameters);
      if (result != 0) {
        LOG.warn("background threads keep the priority of all others: sched_setscheduler failed");
      }
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }
}
