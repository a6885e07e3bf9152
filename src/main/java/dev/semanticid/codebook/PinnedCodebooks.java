package dev.semanticid.codebook;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Versions that are resident because requests asked for them by number or alias: the ones last
 * used, within a number and an amount of memory.
 */
final class PinnedCodebooks {

  private final int most;
  private final long mostBytes;

  /** Least recently used first; guarded by itself. */
  private final Map<String, ServedCodebook> codebooks = new LinkedHashMap<>(16, 0.75f, true);

  /**
   * @param most how many are kept
   * @param mostBytes memory that they may take, except the last one
   */
  PinnedCodebooks(int most, long mostBytes) {
    this.most = most;
    this.mostBytes = mostBytes;
  }

  private static String key(String name, int version) {
    return name + "/" + version;
  }

  /** One of them, which must be {@linkplain ServedCodebook#release released}, or null. */
  @Nullable ServedCodebook acquire(String name, int version) {
    synchronized (codebooks) {
      ServedCodebook found = codebooks.get(key(name, version));
      if (found != null) {
        // The share kept here keeps it from being freed while the lock is held.
        found.tryRetain();
      }
      return found;
    }
  }

  /** Keeps one, with its share, and frees the least recently used of those that are too many. */
  void add(ServedCodebook made) {
    synchronized (codebooks) {
      codebooks.put(key(made.name(), made.version()), made);
      long bytes = codebooks.values().stream().mapToLong(ServedCodebook::bytes).sum();
      while (codebooks.size() > 1 && (codebooks.size() > most || bytes > mostBytes)) {
        var eldest = codebooks.entrySet().iterator();
        ServedCodebook retired = eldest.next().getValue();
        eldest.remove();
        bytes -= retired.bytes();
        retired.release();
      }
    }
  }

  /** Keeps it no more, if it was. */
  void remove(String name, int version) {
    synchronized (codebooks) {
      ServedCodebook retired = codebooks.remove(key(name, version));
      if (retired != null) {
        retired.release();
      }
    }
  }

  /** Something about each of them. */
  <T> List<T> all(Function<ServedCodebook, T> about) {
    synchronized (codebooks) {
      var all = new ArrayList<T>();
      codebooks.values().forEach(served -> all.add(about.apply(served)));
      return all;
    }
  }

  /** Keeps none any more. */
  void clear() {
    synchronized (codebooks) {
      codebooks.values().forEach(ServedCodebook::release);
      codebooks.clear();
    }
  }
}
