package dev.semanticid.train;

import dev.semanticid.budget.ScratchFile;
import dev.semanticid.budget.ScratchSpace;
import dev.semanticid.core.vector.ElementType;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.format.FormatException;
import dev.semanticid.format.NpyHeader;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.source.SourceSpec.OnBadRow;
import dev.semanticid.source.SourceSpec.RawLayout;
import dev.semanticid.store.DataDirectory;
import dev.semanticid.web.LimitedInputStream;
import dev.semanticid.web.RawRows;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;

/**
 * Uploaded training data on its way to disk: written as it arrives, checked on the way, never held
 * whole in memory. A refused upload leaves nothing behind; a complete one is on the disk for good
 * before its job is accepted.
 */
@Component
class UploadSpool {

  private static final String SPOOL = "spool";
  private static final int CHUNK_BYTES = 256 << 10;

  private final ScratchSpace scratch;
  private final Path folder;

  UploadSpool(DataDirectory directory, ScratchSpace scratch) {
    this.scratch = scratch;
    this.folder = directory.folder(SPOOL);
  }

  /**
   * A complete upload.
   *
   * @param name of its file
   * @param raw element type and dimension of an upload without a header
   * @param digest SHA-256 of its bytes
   */
  record Upload(String name, @Nullable RawLayout raw, String digest) {}

  /** An upload's file. */
  Path file(String name) {
    return folder.resolve(name);
  }

  /** Deletes an upload. */
  void discard(String name) throws IOException {
    scratch.delete(file(name));
  }

  /** Deletes the uploads of an earlier process, except these. */
  void retain(Set<String> names) {
    scratch.folder(SPOOL, names);
  }

  /** What to demand of an upload as soon as its shape is known. */
  @FunctionalInterface
  interface ShapeCheck {
    /** Throws if rows × dimension will not do. */
    void check(long rows, int dimension);
  }

  /** Spools a {@code .npy} file, which must be the whole body. */
  Upload npy(LimitedInputStream body, OnBadRow onBadRow, ShapeCheck shape) throws IOException {
    return spool(out -> {
      NpyHeader header;
      try {
        header = NpyHeader.read(new Tee(body, out));
      } catch (FormatException e) {
        throw new ProblemException(
            ProblemCode.MALFORMED_BODY, "not a readable .npy file: " + e.getMessage());
      }
      shape.check(header.rows(), header.dimension());
      var rows = new RowCheck(header.elementType(), header.dimension(), onBadRow);
      long copied = copy(body, out, header.dataBytes(), rows);
      if (copied < header.dataBytes() || body.read() >= 0) {
        throw new ProblemException(
            ProblemCode.MALFORMED_BODY,
            String.format(
                Locale.ROOT,
                "an array of shape %s has %d bytes of data, %s came",
                header.shape(),
                header.dataBytes(),
                copied < header.dataBytes() ? copied : "more"));
      }
      return null;
    });
  }

  /** Spools raw little-endian rows. */
  Upload raw(
      LimitedInputStream body, ElementType type, int dimension, OnBadRow onBadRow, ShapeCheck shape)
      throws IOException {
    return spool(out -> {
      if (body.announced() >= 0) {
        checkLength(body.announced(), type, dimension, shape);
      }
      long copied = copy(body, out, Long.MAX_VALUE, new RowCheck(type, dimension, onBadRow));
      checkLength(copied, type, dimension, shape);
      return new RawLayout(type, dimension);
    });
  }

  private static void checkLength(long bytes, ElementType type, int dimension, ShapeCheck shape) {
    shape.check(RawRows.count(bytes, type, dimension), dimension);
  }

  /** Writes a spool file; returns the layout if the file has no header. */
  @FunctionalInterface
  private interface SpoolWriter {
    @Nullable RawLayout write(OutputStream out) throws IOException;
  }

  private Upload spool(SpoolWriter writer) throws IOException {
    String name = UUID.randomUUID().toString();
    boolean complete = false;
    ScratchSpace.Upload upload = scratch.beginUpload();
    try (upload;
        var out = new ScratchFile(scratch, file(name))) {
      RawLayout layout = writer.write(out);
      String digest = out.finish();
      complete = true;
      return new Upload(name, layout, digest);
    } finally {
      if (!complete) {
        discard(name);
      }
    }
  }

  private static long copy(InputStream in, OutputStream out, long length, RowCheck rows)
      throws IOException {
    byte[] chunk = new byte[CHUNK_BYTES];
    long copied = 0;
    while (copied < length) {
      int count = in.readNBytes(chunk, 0, (int) Math.min(chunk.length, length - copied));
      if (count == 0) {
        break;
      }
      rows.accept(chunk, count);
      out.write(chunk, 0, count);
      copied += count;
    }
    return copied;
  }

  /** Refuses a row with NaN or an infinity as it passes, unless such rows are to be skipped. */
  private static final class RowCheck {

    private final ElementType type;
    private final int dimension;
    private final OnBadRow onBadRow;
    private final float[] components;
    private long checked;

    RowCheck(ElementType type, int dimension, OnBadRow onBadRow) {
      this.type = type;
      this.dimension = dimension;
      this.onBadRow = onBadRow;
      this.components = new float[CHUNK_BYTES / type.bytes()];
    }

    /**
     * Chunks but the last are whole elements, because their size is a multiple of every element's.
     */
    void accept(byte[] chunk, int length) {
      if (onBadRow == OnBadRow.SKIP) {
        return;
      }
      int count = length / type.bytes();
      type.decode(ByteBuffer.wrap(chunk, 0, length), count, components, 0);
      if (VectorBatch.firstNonFiniteRow(components, 0, 1, count) == 0) {
        int at = 0;
        while (Float.isFinite(components[at])) {
          at++;
        }
        long row = (checked + at) / dimension;
        throw new ProblemException(
                ProblemCode.NON_FINITE_VALUE,
                String.format(Locale.ROOT, "row %d holds NaN or a value outside float32", row))
            .with("row", row);
      }
      checked += count;
    }
  }

  /** Writes what is read. */
  private static final class Tee extends FilterInputStream {

    private final OutputStream copy;

    Tee(InputStream in, OutputStream copy) {
      super(in);
      this.copy = copy;
    }

    @Override
    public int read() throws IOException {
      int b = in.read();
      if (b >= 0) {
        copy.write(b);
      }
      return b;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
      int count = in.read(target, offset, length);
      if (count > 0) {
        copy.write(target, offset, count);
      }
      return count;
    }
  }
}
