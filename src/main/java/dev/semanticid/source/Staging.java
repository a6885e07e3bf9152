package dev.semanticid.source;

import dev.semanticid.budget.ScratchSpace;
import dev.semanticid.core.vector.ElementType;
import dev.semanticid.core.vector.SkippingVectorSource;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.core.vector.VectorReader;
import dev.semanticid.core.vector.VectorSource;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.source.SourceSpec.OnBadRow;
import dev.semanticid.storage.FileVectorSource;
import dev.semanticid.store.DataDirectory;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.BitSet;
import java.util.Set;
import java.util.function.LongConsumer;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;

/**
 * Makes a source one whose rows can be read in any order, again and again. Files of this machine
 * are memory-mapped where they are. Objects, and columnar files, are read once from front to back
 * into a local file of float32 rows: training reads rows dozens of times, and would fetch or decode
 * each of them as often.
 */
@Component
public class Staging {

  private static final String SUFFIX = ".rows";
  private static final String PARTIAL = ".part";
  private static final int PIECE_BYTES = 4 << 20;

  private static final String STAGING = "staging";

  private final ScratchSpace scratch;
  private final Path folder;

  Staging(DataDirectory directory, ScratchSpace scratch) {
    this.scratch = scratch;
    this.folder = directory.folder(STAGING);
  }

  /**
   * A source that can be read in any order.
   *
   * @param rows the rows; to be closed
   * @param skipped rows that were left out because they are no vectors
   */
  public record Staged(VectorSource rows, long skipped) {}

  /**
   * Makes a source ready.
   *
   * @param jobId the job it is for, which its files are named after
   * @param rowsDone told how many rows have been read, now and then; whatever it throws ends this
   * @throws ProblemException {@code NON_FINITE_VALUE} naming the row, if none may be skipped;
   *     {@code INSUFFICIENT_STORAGE} if there is no room
   */
  public Staged stage(OpenedSource source, OnBadRow onBadRow, String jobId, LongConsumer rowsDone)
      throws IOException {
    if (!source.isMappable()) {
      return copy(source, onBadRow, jobId, rowsDone);
    }
    if (onBadRow == OnBadRow.FAIL) {
      return new Staged(source.map(), 0);
    }
    long[] bad = badRows(source, rowsDone);
    VectorSource rows = source.map();
    return new Staged(bad.length == 0 ? rows : new SkippingVectorSource(rows, bad), bad.length);
  }

  /**
   * What {@link #stage} has copied completely for a job, also if that was an earlier process.
   *
   * @param dimension components of a row
   * @return null if there is none
   */
  public @Nullable VectorSource staged(String jobId, int dimension) throws IOException {
    Path file = file(jobId);
    return Files.exists(file) ? FileVectorSource.openRaw(file, ElementType.F4, dimension) : null;
  }

  /** Deletes what was copied for a job. */
  public void discard(String jobId) throws IOException {
    scratch.delete(file(jobId));
    scratch.delete(partial(jobId));
  }

  /** Deletes what an earlier process copied for any other job than these. */
  public void retain(Set<String> jobIds) {
    scratch.folder(STAGING, jobIds);
  }

  private Path file(String jobId) {
    return folder.resolve(jobId + SUFFIX);
  }

  private Path partial(String jobId) {
    return folder.resolve(jobId + SUFFIX + PARTIAL);
  }

  private Staged copy(OpenedSource source, OnBadRow onBadRow, String jobId, LongConsumer rowsDone)
      throws IOException {
    int d = source.dimension();
    Path partial = partial(jobId);
    // As many as the files say, before anything is written.
    scratch.reserve(partial, source.rows(), (long) Float.BYTES * d);
    int pieceRows = Math.clamp(PIECE_BYTES / (4L * d), 1, 1 << 16);
    float[] rows = new float[pieceRows * d];
    ByteBuffer bytes =
        ByteBuffer.allocate(rows.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    long skipped = 0;
    long done = 0;
    try (VectorReader reader = source.reader();
        FileChannel channel =
            DataDirectory.create(
                partial,
                StandardOpenOption.CREATE,
                StandardOpenOption.TRUNCATE_EXISTING,
                StandardOpenOption.WRITE)) {
      OutputStream out = Channels.newOutputStream(channel);
      for (int count = reader.read(rows, 0, pieceRows);
          count > 0;
          count = reader.read(rows, 0, pieceRows)) {
        BitSet bad = VectorBatch.nonFiniteRows(rows, count, d);
        if (onBadRow == OnBadRow.FAIL && !bad.isEmpty()) {
          throw badRow(reader.defect(done + bad.nextSetBit(0)));
        }
        int kept = 0;
        for (int row = bad.nextClearBit(0); row < count; row = bad.nextClearBit(row + 1)) {
          if (kept < row) {
            System.arraycopy(rows, row * d, rows, kept * d, d);
          }
          kept++;
        }
        skipped += count - kept;
        done += count;
        bytes.clear().asFloatBuffer().put(rows, 0, kept * d);
        write(out, bytes.array(), kept * d * Float.BYTES);
        rowsDone.accept(done);
      }
      force(channel);
    }
    Files.move(partial, file(jobId), StandardCopyOption.ATOMIC_MOVE);
    scratch.moved(partial, file(jobId));
    scratch.settle(file(jobId));
    return new Staged(FileVectorSource.openRaw(file(jobId), ElementType.F4, d), skipped);
  }

  /** A row that is no vector, where none may be skipped. */
  public static ProblemException badRow(String defect) {
    return new ProblemException(ProblemCode.NON_FINITE_VALUE, defect);
  }

  private static void write(OutputStream out, byte[] bytes, int length) throws IOException {
    try {
      out.write(bytes, 0, length);
    } catch (IOException e) {
      throw noRoom(e);
    }
  }

  private static void force(FileChannel channel) {
    try {
      channel.force(true);
    } catch (IOException e) {
      throw noRoom(e);
    }
  }

  private static ProblemException noRoom(IOException e) {
    return new ProblemException(
        ProblemCode.INSUFFICIENT_STORAGE,
        "the source cannot be copied to semantic-id.data-dir: " + e.getMessage());
  }

  private static long[] badRows(OpenedSource source, LongConsumer rowsDone) throws IOException {
    int d = source.dimension();
    int pieceRows = Math.clamp(PIECE_BYTES / (4L * d), 1, 1 << 16);
    float[] rows = new float[pieceRows * d];
    var bad = LongStream.builder();
    long done = 0;
    try (VectorReader reader = source.reader()) {
      for (int count = reader.read(rows, 0, pieceRows);
          count > 0;
          count = reader.read(rows, 0, pieceRows)) {
        long first = done;
        VectorBatch.nonFiniteRows(rows, count, d).stream().forEach(row -> bad.add(first + row));
        done += count;
        rowsDone.accept(done);
      }
    }
    return bad.build().toArray();
  }
}
