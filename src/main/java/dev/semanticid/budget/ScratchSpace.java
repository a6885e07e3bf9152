package dev.semanticid.budget;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.settings.SemanticIdProperties;
import dev.semanticid.store.DataDirectory;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Semaphore;
import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;

/**
 * The disk space below the data directory that uploads and jobs take for files of a limited life.
 * Every such file has a reservation, made before it is written. All reservations together have a
 * bound, and some space is always left to the database.
 */
@Component
public class ScratchSpace {

  /** Files whose length is not known before their end are reserved in steps of this many bytes. */
  private static final long STEP_BYTES = 16L << 20;

  private static final int RETRY_SECONDS = 2;

  private final DataDirectory directory;
  private final Path root;
  private final @Nullable Long maxBytes;
  private final long keepFreeBytes;
  private final int maxUploads;
  private final Semaphore uploads;

  /** Bytes reserved for each file; guarded by this. */
  private final Map<Path, Long> reserved = new HashMap<>();

  ScratchSpace(DataDirectory directory, SemanticIdProperties properties, MeterRegistry meters) {
    SemanticIdProperties.Scratch settings = properties.scratch();
    this.directory = directory;
    this.root = directory.folder(".");
    this.maxBytes = settings.maxSize() == null ? null : settings.maxSize().toBytes();
    this.keepFreeBytes = settings.keepFree().toBytes();
    this.maxUploads = settings.maxUploads();
    this.uploads = new Semaphore(maxUploads);
    Gauge.builder("semantic_id.scratch.reserved", this, ScratchSpace::reservedBytes)
        .description("Disk space that files of uploads and jobs have reserved")
        .baseUnit("bytes")
        .register(meters);
  }

  /**
   * A folder for scratch files. Files that an earlier process left there are deleted, except those
   * that are still needed.
   *
   * @param needed names of files, or what they have before their first dot
   */
  public synchronized Path folder(String name, Set<String> needed) {
    Path folder = directory.folder(name);
    try {
      DataDirectory.retain(folder, needed);
      try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
        for (Path file : files) {
          reserved.put(file, Files.size(file));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return folder;
  }

  /** Bytes reserved for all files. */
  synchronized long reservedBytes() {
    return reserved.values().stream().mapToLong(Long::longValue).sum();
  }

  /**
   * Reserves space for a file.
   *
   * @param file in a {@linkplain #folder folder} of scratch files
   * @param bytes that the file will have; a smaller number than before changes nothing
   * @throws ProblemException {@code INSUFFICIENT_STORAGE} if there is no room for them
   */
  public synchronized void reserve(Path file, long bytes) {
    long before = reserved.getOrDefault(file, 0L);
    if (bytes > before) {
      requireRoom(bytes - before);
      reserved.put(file, bytes);
    }
  }

  /**
   * Reserves space for a file of rows, as many as something says that may say anything.
   *
   * @throws ProblemException {@code INSUFFICIENT_STORAGE} if there is no room for them
   */
  public void reserve(Path file, long rows, long rowBytes) {
    reserve(file, rows > Long.MAX_VALUE / rowBytes ? Long.MAX_VALUE : rows * rowBytes);
  }

  /**
   * Reserves space for a file that grows.
   *
   * @param bytes that the file will have after it is written to next
   * @throws ProblemException {@code INSUFFICIENT_STORAGE} if there is no room for them
   */
  public void reserveGrowing(Path file, long bytes) {
    reserve(file, (bytes + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES);
  }

  /**
   * Refuses what would find no room; reserves nothing.
   *
   * @throws ProblemException {@code INSUFFICIENT_STORAGE}
   */
  public synchronized void requireRoom(long bytes) {
    long taken = reservedBytes();
    if (maxBytes != null && bytes > maxBytes - taken) {
      throw noRoom(
          String.format(
              Locale.ROOT,
              "%d bytes are needed and %d are taken of the %d that semantic-id.scratch.max-size"
                  + " allows",
              bytes,
              taken,
              maxBytes));
    }
    long free = usableBytes() - unwrittenBytes() - keepFreeBytes;
    if (bytes > free) {
      throw noRoom(
          String.format(
              Locale.ROOT,
              "%d bytes are needed in semantic-id.data-dir and %d are free, besides the %d that"
                  + " semantic-id.scratch.keep-free leaves to the database",
              bytes,
              Math.max(0, free),
              keepFreeBytes));
    }
  }

  private static ProblemException noRoom(String detail) {
    return new ProblemException(ProblemCode.INSUFFICIENT_STORAGE, detail);
  }

  private long usableBytes() {
    try {
      return Files.getFileStore(root).getUsableSpace();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Bytes that are reserved and not written yet. */
  private long unwrittenBytes() {
    long bytes = 0;
    for (Map.Entry<Path, Long> entry : reserved.entrySet()) {
      bytes += Math.max(0, entry.getValue() - size(entry.getKey()));
    }
    return bytes;
  }

  private static long size(Path file) {
    try {
      return Files.size(file);
    } catch (NoSuchFileException e) {
      return 0;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A file is complete: what it has reserved and does not have is given back. */
  public synchronized void settle(Path file) {
    reserved.put(file, size(file));
  }

  /** A file was renamed. */
  public synchronized void moved(Path from, Path to) {
    Long bytes = reserved.remove(from);
    if (bytes != null) {
      reserved.put(to, bytes);
    }
  }

  /** Deletes a file, if it is there, and gives its space back. */
  public void delete(Path file) throws IOException {
    Files.deleteIfExists(file);
    release(file);
  }

  /** A file is gone: its space is given back. */
  public synchronized void release(Path file) {
    reserved.remove(file);
  }

  /**
   * Lets an upload begin. Few may be under way, because each holds a thread for as long as its
   * client takes.
   *
   * @return to be closed when the upload has ended
   * @throws ProblemException {@code OVERLOADED} if too many are under way
   */
  public Upload beginUpload() {
    if (!uploads.tryAcquire()) {
      throw ProblemException.overloaded(
          String.format(
              Locale.ROOT,
              "%d uploads are under way, which is as many as semantic-id.scratch.max-uploads"
                  + " allows",
              maxUploads),
          RETRY_SECONDS);
    }
    return new Upload();
  }

  /** An upload under way. */
  public final class Upload implements AutoCloseable {

    private boolean ended;

    private Upload() {}

    @Override
    public void close() {
      if (!ended) {
        ended = true;
        uploads.release();
      }
    }
  }
}
