package dev.semanticid.codebook;

import static java.util.function.Function.identity;

import dev.semanticid.budget.MemoryBudget;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.Provenance;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.encode.ResidualQuantizer;
import dev.semanticid.core.report.QuantizationReport;
import dev.semanticid.core.search.Screening;
import dev.semanticid.job.JobStore;
import dev.semanticid.problem.Masked;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.settings.SemanticIdProperties;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.IntConsumer;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.DisposableBean;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.dao.DataAccessException;
import org.springframework.stereotype.Component;
import org.springframework.transaction.TransactionException;

/**
 * The codebooks that are resident and served. The active version of every codebook is; other
 * versions that requests ask for are kept while they are among the last few asked for.
 *
 * <p>Changes go one after the other: a version is loaded, checked against its fingerprint and
 * tested, then the database is changed in one transaction, then one reference is swapped. Requests
 * never wait for any of this: they hold on to the version they began with. What others change in
 * the database is {@linkplain #follow followed} the same way; a version that cannot be served never
 * replaces one that is.
 */
@Component
public class CodebookRegistry implements DisposableBean {

  /** The alias of the version that is served unless a request asks for another. */
  public static final String ACTIVE = "active";

  private static final Logger LOG = LoggerFactory.getLogger(CodebookRegistry.class);
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}");

  /** The share of the heap that resident codebooks may take. */
  private static final double RESIDENT_SHARE = 0.4;

  /** After what time a version that could not be served is tried again. */
  private static final long RETRY_NANOS = TimeUnit.SECONDS.toNanos(30);

  private static final int MOST_LOADS = 8;

  private static final Pattern NUMBER = Pattern.compile("[0-9]{1,9}");

  private final CodebookStore store;
  private final JobStore jobs;
  private final ComputeBackend backend;
  private final WorkerPool pool;
  private final long tableBudget;
  private final Screening screening;
  private final EncodingMeters meters;
  private final Counter swaps;
  private final int keptVersions;
  private final int mostNames;
  private boolean started;

  private final Map<String, ServedCodebook> active = new ConcurrentHashMap<>();

  /** Active versions that cannot be served. */
  private final Map<String, Failure> failures = new ConcurrentHashMap<>();

  /** Where aliases pointed when that was last read. */
  private volatile Map<String, Map<String, Integer>> aliases = Map.of();

  private final PinnedCodebooks pinned;

  /** Held while a version that requests ask for is made resident. */
  private final Object pinning = new Object();

  /** Requests that load a version or wait for one. */
  private final Semaphore loads = new Semaphore(MOST_LOADS);

  private final MemoryBudget memory;
  private final long residentHeap = (long) (RESIDENT_SHARE * Runtime.getRuntime().maxMemory());

  CodebookRegistry(
      CodebookStore store,
      JobStore jobs,
      ComputeBackend backend,
      @Qualifier("encoding") WorkerPool pool,
      SemanticIdProperties properties,
      MemoryBudget memory,
      MeterRegistry meters) {
    this.store = store;
    this.jobs = jobs;
    this.memory = memory;
    this.meters = new EncodingMeters(meters, this);
    this.swaps =
        Counter.builder("semantic_id.codebook.swaps")
            .description("Changes of the version that is served, since the service started")
            .register(meters);
    this.backend = backend;
    this.pool = pool;
    this.tableBudget = properties.tableBudget().toBytes();
    this.screening = properties.screening();
    this.pinned =
        new PinnedCodebooks(
            properties.codebooks().pinned(),
            Math.min(properties.codebooks().pinnedMemory().toBytes(), memory.total()));
    this.keptVersions = properties.codebooks().keep();
    this.mostNames = properties.codebooks().maxNames();
    follow();
    this.started = true;
  }

  /** A version that cannot be served, why, and when that was found, in nanoseconds. */
  private record Failure(int version, String reason, long at) {}

  /** Brings what is served in line with where aliases point now. */
  final synchronized void follow() {
    Map<String, Map<String, Integer>> now = store.aliases();
    aliases = now;
    now.forEach((name, of) -> {
      Integer version = of.get(ACTIVE);
      if (version != null) {
        meters.registerDegraded(name);
        follow(name, version);
      }
    });
    Set<String> gone = new TreeSet<>(active.keySet());
    gone.addAll(failures.keySet());
    gone.removeIf(name -> now.getOrDefault(name, Map.of()).containsKey(ACTIVE));
    for (String name : gone) {
      failures.remove(name);
      ServedCodebook retired = active.remove(name);
      if (retired != null) {
        LOG.info("codebook {} has no active version any more", name);
        retired.release();
      }
    }
    retainMeters(now);
    for (ServedCodebook served : pinned.all(identity())) {
      if (!store.exists(served.name(), served.version())) {
        pinned.remove(served.name(), served.version());
      }
    }
  }

  /** Only codebooks that have an active version have meters. */
  private void retainMeters(Map<String, Map<String, Integer>> aliasesNow) {
    var names = new TreeSet<String>();
    aliasesNow.forEach((name, of) -> {
      if (of.containsKey(ACTIVE)) {
        names.add(name);
      }
    });
    meters.retain(names);
  }

  /** Records how a row that was sampled was encoded. */
  void sampled(String name, float[] margins, double residual) {
    meters.sampled(name, margins, residual);
  }

  private void follow(String name, int version) {
    ServedCodebook current = active.get(name);
    if (current != null && current.version() == version) {
      failures.remove(name);
      return;
    }
    Failure failed = failures.get(name);
    if (failed != null
        && failed.version() == version
        && System.nanoTime() - failed.at() < RETRY_NANOS) {
      return;
    }
    try {
      swap(load(name, version));
    } catch (DataAccessException | TransactionException e) {
      throw e;
    } catch (RuntimeException | OutOfMemoryError e) {
      failures.put(name, new Failure(version, String.valueOf(e.getMessage()), System.nanoTime()));
      LOG.error(
          "codebook {} version {} cannot be served{}",
          name,
          version,
          current == null
              ? ""
              : String.format(Locale.ROOT, ", version %d still is", current.version()),
          e);
    }
  }

  /**
   * Checks a codebook's or an alias's name: letters, digits, dot, underscore and hyphen, at most
   * 64.
   */
  public static String requireName(String what, String name) {
    if (!NAME.matcher(name).matches()) {
      throw new ProblemException(
          ProblemCode.INVALID_PARAMETER,
          "%s must be 1 to 64 letters, digits, '.', '_' or '-', and begin with a letter or digit"
              .formatted(what));
    }
    return name;
  }

  /**
   * A resident version, which must be {@linkplain ServedCodebook#release released}.
   *
   * @param name the codebook
   * @param version a number or an alias
   * @throws ProblemException if there is none, or it cannot be served
   */
  public ServedCodebook acquire(String name, String version) {
    while (true) {
      ServedCodebook current = active.get(name);
      if (version.equals(ACTIVE)) {
        if (current == null) {
          throw notActive(name);
        }
        if (current.tryRetain()) {
          return current;
        }
        continue;
      }
      int number = resolve(name, version);
      if (current != null && current.version() == number) {
        if (current.tryRetain()) {
          return current;
        }
        continue;
      }
      return acquirePinned(name, number);
    }
  }

  private ServedCodebook acquirePinned(String name, int number) {
    ServedCodebook found = pinned.acquire(name, number);
    if (found != null) {
      return found;
    }
    // One is loaded at a time. Few requests wait for it, because each holds a thread.
    if (!loads.tryAcquire()) {
      throw ProblemException.overloaded(
          String.format(
              Locale.ROOT, "%d requests wait for versions that are not resident", MOST_LOADS),
          1);
    }
    try {
      synchronized (pinning) {
        found = pinned.acquire(name, number);
        if (found != null) {
          return found;
        }
        ServedCodebook made = loadForRequest(name, number);
        made.tryRetain();
        pinned.add(made);
        return made;
      }
    } finally {
      loads.release();
    }
  }

  /** Loads a version, unless it takes more memory than requests may. */
  private ServedCodebook loadForRequest(String name, int number) {
    long bytes = loadBytes(store.require(name, number).sizeBytes());
    return memory.with(
        String.format(Locale.ROOT, "version %d of codebook '%s'", number, name),
        bytes,
        () -> load(name, number));
  }

  /** Heap that a codebook's file takes while it is read and made resident, about. */
  static long loadBytes(long fileBytes) {
    return 2 * fileBytes;
  }

  /**
   * The shape of a version, which need not be resident for it.
   *
   * @param dimension components of its vectors
   * @param levels codes of a semantic ID
   */
  public record Shape(int dimension, int levels) {}

  /**
   * The shape of a version.
   *
   * @param name the codebook
   * @param version a number or an alias
   * @throws ProblemException if there is none, or it is the active one and cannot be served
   */
  public Shape shape(String name, String version) {
    if (version.equals(ACTIVE)) {
      ServedCodebook served = acquire(name, version);
      try {
        Codebook codebook = served.quantizer().codebook();
        return new Shape(codebook.dimension(), codebook.levels());
      } finally {
        served.release();
      }
    }
    CodebookVersion found = store.require(name, resolve(name, version));
    return new Shape(found.embeddingDim(), found.codebookWidths().size());
  }

  /**
   * The number of a stored version.
   *
   * @param version a number or an alias
   * @throws ProblemException if it is not there
   */
  public int require(String name, String version) {
    return store.require(name, resolve(name, version)).version();
  }

  /**
   * A stored version's tensors, read anew; nothing becomes resident.
   *
   * @throws ProblemException if it is not there, or cannot be read
   */
  public Codebook read(String name, int number) {
    CodebookVersion version = store.require(name, number);
    try {
      return store.load(version);
    } catch (IOException e) {
      throw new ProblemException(
          ProblemCode.CODEBOOK_UNAVAILABLE,
          String.format(
              Locale.ROOT,
              "version %d of codebook '%s' cannot be read: %s",
              number,
              name,
              e.getMessage()));
    }
  }

  /**
   * Refuses one more codebook if there are as many as may be. Codebooks that unfinished jobs are
   * about count as if they were there, so that a training does not end without room for its result.
   *
   * @throws ProblemException {@code TOO_MANY_CODEBOOKS} if there is none of that name and no room
   */
  public void requireRoom(String name) {
    requireRoom(name, jobs.unfinishedCodebooks());
  }

  private void requireRoom(String name, List<String> expected) {
    var others = new TreeSet<String>(store.names());
    if (others.contains(name)) {
      return;
    }
    others.addAll(expected);
    others.remove(name);
    if (others.size() >= mostNames) {
      throw tooMany(name, others.size());
    }
  }

  private ProblemException tooMany(String name, int there) {
    return new ProblemException(
            ProblemCode.TOO_MANY_CODEBOOKS,
            String.format(
                    Locale.ROOT,
                    "codebook '%s' would be one more than semantic-id.codebooks.max-names allows,"
                        + " %d; there are",
                    name,
                    mostNames)
                + String.format(
                    Locale.ROOT,
                    " %d, those of unfinished jobs included; DELETE /codebooks/{name} makes room",
                    there))
        .with("expected", mostNames)
        .with("actual", there);
  }

  /**
   * Makes sure that a version is there and stays until the caller's transaction has ended, such as
   * one that stores a job which needs it.
   */
  public void keep(String name, int number) {
    store.lock(name);
    store.require(name, number);
  }

  private int resolve(String name, String version) {
    if (NUMBER.matcher(version).matches()) {
      return Integer.parseInt(version);
    }
    Integer known = aliases.getOrDefault(name, Map.of()).get(version);
    return known != null
        ? known
        : store
            .resolve(name, requireName("version", version))
            .orElseThrow(() -> store.unknownVersion(name, version));
  }

  private ProblemException notActive(String name) {
    Failure failure = failures.get(name);
    if (failure != null) {
      return new ProblemException(
          ProblemCode.CODEBOOK_UNAVAILABLE,
          String.format(
              Locale.ROOT,
              "the active version %d of codebook '%s' cannot be served: %s",
              failure.version(),
              name,
              failure.reason()));
    }
    requireName("codebook", name);
    if (store.names().isEmpty()) {
      return new ProblemException(
          ProblemCode.NO_CODEBOOK,
          "there is no codebook yet; train one with POST /train or upload one with POST"
              + " /codebooks/{name}/versions");
    }
    return store.unknownVersion(name, ACTIVE);
  }

  /** Refuses a codebook for which, beside those that are resident, the heap is too small. */
  private void requireHeap(Codebook codebook) {
    long needed = ResidualQuantizer.heapBytes(codebook, tableBudget);
    long taken =
        Stream.concat(active.values().stream(), pinned.all(identity()).stream())
            .mapToLong(s -> ResidualQuantizer.heapBytes(s.quantizer().codebook(), tableBudget))
            .sum();
    if (needed > residentHeap - taken) {
      throw new ProblemException(
              ProblemCode.MEMORY_BUDGET_EXCEEDED,
              String.format(
                  Locale.ROOT,
                  "the codebook takes %d bytes of heap, the resident ones take %d, and all together"
                      + " may take %d; give the service more heap, or delete codebooks",
                  needed,
                  taken,
                  residentHeap))
          .with("expected", residentHeap - taken)
          .with("actual", needed);
    }
  }

  private ServedCodebook load(String name, int number) {
    return new ServedCodebook(name, number, tested(read(name, number)));
  }

  private ResidualQuantizer tested(Codebook codebook) {
    requireHeap(codebook);
    var quantizer = new ResidualQuantizer(codebook, backend, pool, tableBudget, screening);
    try {
      quantizer.selfTest();
    } catch (RuntimeException | Error e) {
      quantizer.close();
      throw e;
    }
    return quantizer;
  }

  /**
   * Stores a codebook as a new version, and forgets the oldest ones of more than are to be kept.
   *
   * @param report what it did to its training data, if known
   * @param activate whether it shall be served from now on, by the same transaction
   * @param withinTransaction is told the version's number before the transaction is committed
   * @return the version's number
   * @throws ProblemException {@code TOO_MANY_CODEBOOKS} if it would be the first of one more name
   *     than may be
   */
  public synchronized int publish(
      String name,
      Codebook codebook,
      @Nullable QuantizationReport report,
      boolean activate,
      IntConsumer withinTransaction) {
    requireRoom(name, List.of());
    Codebook masked = codebook.withProvenance(masked(codebook.provenance()));
    int version =
        activate
            ? publishActive(name, masked, report, withinTransaction)
            : store.insert(name, masked, report, null, withinTransaction);
    forget(name);
    return version;
  }

  /** What is stored is shown, and handed out with the tensors. */
  private static Provenance masked(Provenance provenance) {
    var values = new TreeMap<>(provenance.values());
    values.replaceAll((name, value) -> Masked.text(value));
    return Provenance.of(values);
  }

  private int publishActive(
      String name,
      Codebook codebook,
      @Nullable QuantizationReport report,
      IntConsumer withinTransaction) {
    ResidualQuantizer quantizer = tested(codebook);
    int version;
    try {
      version = store.insert(name, codebook, report, ACTIVE, withinTransaction);
    } catch (RuntimeException | Error e) {
      quantizer.close();
      throw e;
    }
    swap(new ServedCodebook(name, version, quantizer));
    return version;
  }

  private void forget(String name) {
    try {
      aliases = store.aliases();
      List<CodebookVersion> versions = store.versions(name);
      if (keptVersions == 0 || versions.size() <= keptVersions) {
        return;
      }
      for (CodebookVersion old : versions.subList(keptVersions, versions.size())) {
        if (old.aliases().isEmpty() && jobs.using(name, old.version()).isEmpty()) {
          delete(name, old.version());
          LOG.info("codebook {} version {} is forgotten", name, old.version());
        }
      }
    } catch (DataAccessException | TransactionException | ProblemException e) {
      LOG.warn("codebook {}: old versions are kept for now: {}", name, e.toString());
    }
  }

  /**
   * Points an alias to a version; moving {@link #ACTIVE} makes the version the one that is served.
   */
  synchronized void move(String name, String alias, int version, @Nullable Integer expected) {
    ServedCodebook current = active.get(name);
    if (!alias.equals(ACTIVE) || (current != null && current.version() == version)) {
      store.move(name, alias, version, expected);
      aliases = store.aliases();
      return;
    }
    ServedCodebook next = load(name, version);
    try {
      store.move(name, alias, version, expected);
    } catch (RuntimeException | Error e) {
      next.release();
      throw e;
    }
    swap(next);
    aliases = store.aliases();
  }

  /** Deletes an alias other than {@link #ACTIVE}; what it pointed to stays. */
  synchronized void deleteAlias(String name, String alias) {
    if (alias.equals(ACTIVE)) {
      throw new ProblemException(
          ProblemCode.INVALID_PARAMETER,
          "'%s' can be moved to another version but not deleted".formatted(ACTIVE));
    }
    store.deleteAlias(name, alias);
    aliases = store.aliases();
  }

  private void swap(ServedCodebook next) {
    ServedCodebook previous = active.put(next.name(), next);
    if (started) {
      swaps.increment();
    }
    meters.register(next.name(), next.quantizer().codebook().levels());
    failures.remove(next.name());
    if (previous != null) {
      previous.release();
    }
    LOG.info(
        "codebook {}: version {} replaces {}",
        next.name(),
        next.version(),
        previous == null ? "none" : previous.version());
  }

  /** Deletes a version that no alias points to and no unfinished job uses. */
  synchronized void delete(String name, int version) {
    store.delete(
        name,
        version,
        () ->
            requireUnused(
                String.format(Locale.ROOT, "version %d of codebook '%s'", version, name),
                jobs.using(name, version)));
    pinned.remove(name, version);
  }

  /**
   * Deletes a codebook that no unfinished job is about, with all versions and aliases. Requests
   * that have begun with one of them end with it.
   */
  synchronized void delete(String name) {
    store.delete(name, () -> requireUnused("codebook '%s'".formatted(name), jobs.about(name)));
    LOG.info("codebook {} is deleted", name);
    follow();
  }

  private static void requireUnused(String what, List<String> users) {
    if (!users.isEmpty()) {
      throw new ProblemException(
              ProblemCode.VERSION_IN_USE,
              "%s cannot be deleted while it is used by job %s"
                  .formatted(what, String.join(", ", users)))
          .with("jobs", users);
    }
  }

  /** The quantizer of the active version, for measuring it, if there is one. */
  Optional<ResidualQuantizer> activeQuantizer(String name) {
    return Optional.ofNullable(active.get(name)).map(ServedCodebook::quantizer);
  }

  /** The number of the version that is served, if there is one. */
  Optional<Integer> activeVersion(String name) {
    return Optional.ofNullable(active.get(name)).map(ServedCodebook::version);
  }

  /** All resident versions: the active ones by name, then those pinned by requests. */
  public List<Resident> residents() {
    var residents = new ArrayList<Resident>();
    new TreeMap<>(active).values().forEach(served -> residents.add(Resident.of(served)));
    residents.addAll(pinned.all(Resident::of));
    return residents;
  }

  /** The numbers of a codebook's versions, resident or not. */
  public List<Integer> versions(String name) {
    return store.versions(name).stream().map(CodebookVersion::version).toList();
  }

  /** Codebooks none of whose versions is served though one is active, with the reason. */
  Map<String, String> unserved() {
    return reasons(name -> !active.containsKey(name));
  }

  /** Codebooks of which an earlier version is served because the active one cannot be. */
  Map<String, String> degraded() {
    return reasons(active::containsKey);
  }

  /** Whether the active version of a codebook cannot be served. */
  boolean isFailing(String name) {
    return failures.containsKey(name);
  }

  private Map<String, String> reasons(Predicate<String> wanted) {
    var reasons = new TreeMap<String, String>();
    failures.forEach((name, failure) -> {
      if (wanted.test(name)) {
        reasons.put(
            name,
            String.format(Locale.ROOT, "version %d: %s", failure.version(), failure.reason()));
      }
    });
    return reasons;
  }

  @Override
  public void destroy() {
    active.values().forEach(ServedCodebook::release);
    active.clear();
    pinned.clear();
  }
}
