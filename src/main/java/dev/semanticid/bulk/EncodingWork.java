package dev.semanticid.bulk;

import dev.semanticid.budget.ScratchSpace;
import dev.semanticid.bulk.RowPrefetcher.Batch;
import dev.semanticid.codebook.CodebookRegistry;
import dev.semanticid.codebook.EmbeddingModel;
import dev.semanticid.codebook.ServedCodebook;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.encode.ResidualQuantizer;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.core.vector.VectorReader;
import dev.semanticid.format.NpyWriter;
import dev.semanticid.job.Job;
import dev.semanticid.job.JobProgress;
import dev.semanticid.job.JobRun;
import dev.semanticid.job.JobStore;
import dev.semanticid.job.JobWork;
import dev.semanticid.parquet.IdType;
import dev.semanticid.parquet.Ids;
import dev.semanticid.parquet.ParquetCodesWriter;
import dev.semanticid.problem.Masked;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.source.IdReader;
import dev.semanticid.source.OpenedSource;
import dev.semanticid.source.Sources;
import dev.semanticid.storage.DataFile;
import dev.semanticid.storage.Destination;
import dev.semanticid.storage.Storage;
import dev.semanticid.store.DataDirectory;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.stereotype.Component;
import tools.jackson.databind.json.JsonMapper;

/**
 * What a bulk encoding does: codes go to a local file first, a row of int32 each, where they can be
 * continued after a restart; at the end the output is made from it in one go, and appears at its
 * destination whole. Codes are a hundredth of the vectors, so the second pass costs next to
 * nothing, and an interrupted job gives the same bytes as an undisturbed one.
 */
@Component
class EncodingWork implements JobWork {

  private static final int BATCH_BYTES = 16 << 20;
  private static final int OUTPUT_ROWS = 1 << 16;
  private static final String FOLDER = "encoding";

  private final JobStore jobs;
  private final CodebookRegistry registry;
  private final WorkerPool pool;
  private final Sources sources;
  private final Storage storage;
  private final JsonMapper json;
  private final ScratchSpace scratch;
  private final Path folder;

  EncodingWork(
      JobStore jobs,
      CodebookRegistry registry,
      @Qualifier("jobs") WorkerPool pool,
      Sources sources,
      Storage storage,
      JsonMapper json,
      DataDirectory directory,
      ScratchSpace scratch) {
    this.jobs = jobs;
    this.registry = registry;
    this.pool = pool;
    this.sources = sources;
    this.storage = storage;
    this.json = json;
    this.scratch = scratch;
    this.folder = directory.folder(FOLDER);
  }

  /** Checks a request's source against a codebook, and its ids if they are to be written. */
  OpenedSource open(EncodingRequest request, ServedCodebook codebook) throws IOException {
    OpenedSource source = sources.open(Objects.requireNonNull(request.source()));
    int dimension = codebook.quantizer().codebook().dimension();
    if (source.dimension() != dimension) {
      throw new ProblemException(
              ProblemCode.DIMENSION_MISMATCH,
              String.format(
                  Locale.ROOT,
                  "codebook '%s' version %d has dimension %d, the data has %d",
                  codebook.name(),
                  codebook.version(),
                  dimension,
                  source.dimension()))
          .with("expected", dimension)
          .with("actual", source.dimension());
    }
    if (format(request) == OutputFormat.PARQUET) {
      source.requireIds();
    }
    return source;
  }

  @Override
  public void run(JobRun run) throws IOException {
    Job job = run.job();
    EncodingRequest request = json.readValue(job.request(), EncodingRequest.class);
    ServedCodebook codebook =
        registry.acquire(job.codebook(), String.valueOf(Objects.requireNonNull(job.version())));
    try {
      EmbeddingModel.requireSame(codebook.embeddingModel(), request.embeddingModel());
      OpenedSource source = open(request, codebook);
      if (job.source() == null) {
        Map<String, Object> parameters = new TreeMap<>(request.parameters());
        parameters.put("rows", source.rows());
        run.opened(parameters, source.identity());
      } else if (!job.source().equals(source.identity())) {
        throw new ProblemException(
            ProblemCode.SOURCE_CHANGED,
            "%s is not what it was when the job began"
                .formatted(Masked.address(Objects.requireNonNull(request.source()).uri())));
      }
      new Encoding(run, request, source, codebook).run();
    } finally {
      codebook.release();
    }
  }

  @Override
  public void discard(Job job) throws IOException {
    scratch.delete(codes(job.id()));
    scratch.delete(output(job.id()));
    EncodingRequest request = json.readValue(job.request(), EncodingRequest.class);
    if (job.startedAt() != null && request.destination() != null) {
      storage.destination(String.valueOf(request.destination().uri())).discard(job.id());
    }
  }

  /** Source and destination are where any process finds them, if they are on S3 or shared. */
  @Override
  public boolean isLocal(Job job) {
    return false;
  }

  /** Deletes the files of an earlier process for all other jobs than these. */
  void retain(Set<String> jobIds) {
    scratch.folder(FOLDER, jobIds);
  }

  private static OutputFormat format(EncodingRequest request) {
    return OutputFormat.of(String.valueOf(Objects.requireNonNull(request.destination()).uri()));
  }

  private Path codes(String jobId) {
    return folder.resolve(jobId + ".codes");
  }

  private Path output(String jobId) {
    return folder.resolve(jobId + ".output");
  }

  @Override
  public String describe(JobProgress now) {
    return String.format(
        Locale.ROOT,
        "%s, row %d of %d, %.0f rows/s%s",
        now.phase(),
        now.rows(),
        now.totalRows(),
        now.rowsPerSecond(),
        now.etaSeconds() == null
            ? ""
            : String.format(Locale.ROOT, ", %.0f s to go", now.etaSeconds()));
  }

  private static ProblemException noRoom(IOException e) {
    return new ProblemException(
        ProblemCode.INSUFFICIENT_STORAGE,
        "codes cannot be written to semantic-id.data-dir: " + e.getMessage());
  }

  /** One job. */
  private final class Encoding {

    private final JobRun run;
    private final EncodingRequest request;
    private final OpenedSource source;
    private final ServedCodebook codebook;
    private final int levels;
    private final long rows;
    private long done;
    private long skipped;

    Encoding(JobRun run, EncodingRequest request, OpenedSource source, ServedCodebook codebook) {
      this.run = run;
      this.request = request;
      this.source = source;
      this.codebook = codebook;
      this.levels = codebook.quantizer().codebook().levels();
      this.rows = source.rows();
    }

    void run() throws IOException {
      String id = run.job().id();
      Destination destination =
          storage.destination(String.valueOf(Objects.requireNonNull(request.destination()).uri()));
      boolean first = run.job().startedAt() == null;
      if (first && destination.exists()) {
        throw exists(destination);
      }
      encode();
      run.beginPhase("writing", 0);
      long size = writeOutput();
      run.checkWanted();
      if (destination.exists()) {
        if (first || !isSame(output(id), destination)) {
          throw exists(destination);
        }
        // An earlier process put it there and ended before it could say so.
      } else {
        destination.publish(output(id), id);
        scratch.release(output(id));
      }
      jobs.succeed(
          run.job(),
          null,
          null,
          new EncodingJob.Result(destination.uri(), codebook.fingerprint(), rows, skipped, size));
    }

    private ProblemException exists(Destination destination) {
      return new ProblemException(
          ProblemCode.DESTINATION_EXISTS,
          "%s exists already; nothing is overwritten".formatted(destination.uri()));
    }

    private boolean isSame(Path file, Destination destination) throws IOException {
      DataFile there = storage.find(destination.uri()).getFirst();
      if (there.size() != Files.size(file)) {
        return false;
      }
      byte[] ours = new byte[1 << 20];
      byte[] theirs = new byte[1 << 20];
      try (InputStream in = Files.newInputStream(file);
          var other = there.open()) {
        for (long at = 0; at < there.size(); ) {
          int count = in.readNBytes(ours, 0, ours.length);
          other.read(at, theirs, 0, count);
          if (!Arrays.equals(ours, 0, count, theirs, 0, count)) {
            return false;
          }
          at += count;
        }
      }
      return true;
    }

    /** Reserves space for the codes of all rows, as many as the source says. */
    private void reserveCodes(Path file) {
      scratch.reserve(file, rows, (long) levels * Integer.BYTES);
    }

    private void encode() throws IOException {
      int d = source.dimension();
      reserveCodes(codes(run.job().id()));
      int batchRows = Math.clamp(BATCH_BYTES / (4L * d), 1, 1 << 16);
      int[] codes = new int[batchRows * levels];
      ByteBuffer bytes =
          ByteBuffer.allocate(codes.length * Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
      ResidualQuantizer quantizer = codebook.quantizer();
      try (FileChannel channel =
          DataDirectory.create(
              codes(run.job().id()), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
        restore(channel);
        run.beginPhase("encoding", done);
        VectorReader reader = source.reader();
        reader.skip(done);
        try (var ahead = new RowPrefetcher(reader, done, batchRows, request.badRows())) {
          for (Batch batch = ahead.next(); batch.rows() > 0; batch = ahead.next()) {
            quantizer.encode(new VectorBatch(batch.vectors(), batch.rows(), d), codes, pool);
            batch.bad().stream()
                .forEach(row -> Arrays.fill(codes, row * levels, (row + 1) * levels, -1));
            bytes.clear().asIntBuffer().put(codes, 0, batch.rows() * levels);
            write(channel, bytes.limit(batch.rows() * levels * Integer.BYTES));
            done += batch.rows();
            skipped += batch.bad().cardinality();
            ahead.giveBack(batch);
            report();
            run.checkpoint(out -> keep(channel, out));
          }
        }
        if (done != rows) {
          throw new IOException(String.format(Locale.ROOT, "expected %d rows, got %d", rows, done));
        }
      }
    }

    /** Goes on behind what the last checkpoint says is safe. */
    private void restore(FileChannel channel) throws IOException {
      try (InputStream saved = run.savedCheckpoint()) {
        if (saved != null) {
          var in = new DataInputStream(saved);
          done = in.readLong();
          skipped = in.readLong();
        }
      }
      if (channel.size() < done * levels * Integer.BYTES) {
        done = 0;
        skipped = 0;
      }
      channel.truncate(done * levels * Integer.BYTES);
      channel.position(done * levels * Integer.BYTES);
    }

    private void keep(FileChannel channel, OutputStream out) throws IOException {
      try {
        channel.force(true);
      } catch (IOException e) {
        throw noRoom(e);
      }
      var data = new DataOutputStream(out);
      data.writeLong(done);
      data.writeLong(skipped);
    }

    private void report() {
      double rate = run.rowsDone(done);
      run.progress(
          new JobProgress(
              run.phase(),
              null,
              null,
              null,
              done,
              rows,
              skipped > 0 ? skipped : null,
              rate,
              (rows - done) / rate,
              null,
              null,
              (double) done / rows));
    }

    /** Makes the output from the codes; returns its size. */
    private long writeOutput() throws IOException {
      Path output = output(run.job().id());
      scratch.delete(output);
      reserveCodes(output);
      DataDirectory.create(output, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE).close();
      try (var in = new DataInputStream(Files.newInputStream(codes(run.job().id())))) {
        switch (format(request)) {
          case NPY -> writeNpy(in, output);
          case PARQUET -> writeParquet(in, output);
        }
      }
      return Files.size(output);
    }

    private void writeNpy(InputStream in, Path output) throws IOException {
      try (OutputStream out = Files.newOutputStream(output)) {
        out.write(NpyWriter.header("<i4", rows, levels));
        in.transferTo(out);
      } catch (IOException e) {
        throw noRoom(e);
      }
    }

    private void writeParquet(InputStream in, Path output) throws IOException {
      try (IdReader ids = source.ids()) {
        IdType type = ids == null ? IdType.INT64 : ids.type();
        try (ParquetCodesWriter writer =
            ParquetCodesWriter.create(output, type, levels, metadata())) {
          byte[] bytes = new byte[OUTPUT_ROWS * levels * Integer.BYTES];
          int[] codes = new int[OUTPUT_ROWS * levels];
          var batch = new Ids(type);
          long[] numbers = new long[OUTPUT_ROWS];
          for (long row = 0; row < rows; ) {
            run.checkWanted();
            int count = (int) Math.min(OUTPUT_ROWS, rows - row);
            if (ids != null) {
              count = ids.read(batch, count);
              if (count == 0) {
                throw new IOException(
                    String.format(Locale.ROOT, "expected %d ids, got %d", rows, row));
              }
            }
            int length = count * levels * Integer.BYTES;
            if (in.readNBytes(bytes, 0, length) < length) {
              throw new IOException(String.format(Locale.ROOT, "codes of row %d are missing", row));
            }
            ByteBuffer.wrap(bytes, 0, length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .asIntBuffer()
                .get(codes, 0, count * levels);
            if (type == IdType.STRING) {
              writer.write(batch.strings(), codes, close(codes, batch.strings(), count));
            } else {
              if (ids == null) {
                for (int i = 0; i < count; i++) {
                  numbers[i] = row + i;
                }
              }
              long[] longs = ids == null ? numbers : batch.longs();
              writer.write(longs, codes, close(codes, longs, count));
            }
            row += count;
            // Ids may take more than codes.
            scratch.reserveGrowing(output, Files.size(output));
          }
          writer.finish();
        }
      }
      force(output);
    }

    private void force(Path output) {
      try (FileChannel channel = FileChannel.open(output, StandardOpenOption.WRITE)) {
        channel.force(true);
      } catch (IOException e) {
        throw noRoom(e);
      }
    }

    /**
     * Moves the rows that were not skipped together.
     *
     * @param ids an array of their ids
     * @return how many they are
     */
    private int close(int[] codes, Object ids, int count) {
      int kept = 0;
      for (int row = 0; row < count; row++) {
        if (codes[row * levels] >= 0) {
          System.arraycopy(codes, row * levels, codes, kept * levels, levels);
          System.arraycopy(ids, row, ids, kept, 1);
          kept++;
        }
      }
      return kept;
    }

    private Map<String, String> metadata() {
      var metadata = new TreeMap<String, String>();
      metadata.put("codebook", codebook.name());
      metadata.put("version", Integer.toString(codebook.version()));
      metadata.put("fingerprint", codebook.fingerprint());
      if (codebook.embeddingModel() != null) {
        metadata.put(EmbeddingModel.PARAMETER, codebook.embeddingModel());
      }
      return metadata;
    }

    private void write(FileChannel channel, ByteBuffer bytes) {
      try {
        while (bytes.hasRemaining()) {
          channel.write(bytes);
        }
      } catch (IOException e) {
        throw noRoom(e);
      }
    }
  }
}
