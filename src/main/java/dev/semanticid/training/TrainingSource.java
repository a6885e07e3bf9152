package dev.semanticid.training;

import dev.semanticid.core.format.ConcatenatedVectorSource;
import dev.semanticid.core.format.FileVectorSource;
import dev.semanticid.core.vector.ElementType;
import dev.semanticid.core.vector.VectorSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The data of a training.
 *
 * @param files one file or more, read one after the other
 * @param raw element type and dimension of files without a header; null for {@code .npy} files
 * @param spooled whether the files are an upload, to be deleted afterwards
 * @param description what a person would call it
 */
record TrainingSource(
    List<Path> files, @Nullable RawLayout raw, boolean spooled, String description) {

  TrainingSource {
    files = List.copyOf(files);
  }

  /** Layout of a file without a header. */
  record RawLayout(ElementType type, int dimension) {}

  VectorSource open() throws IOException {
    var opened = new ArrayList<VectorSource>();
    try {
      for (Path file : files) {
        opened.add(
            raw == null
                ? FileVectorSource.openNpy(file)
                : FileVectorSource.openRaw(file, raw.type(), raw.dimension()));
      }
      return opened.size() == 1 ? opened.getFirst() : ConcatenatedVectorSource.of(opened);
    } catch (IOException | RuntimeException | Error e) {
      for (VectorSource source : opened) {
        source.close();
      }
      throw e;
    }
  }

  /** Deletes an upload; other sources are left alone. */
  void discard() throws IOException {
    if (spooled) {
      for (Path file : files) {
        Files.deleteIfExists(file);
      }
    }
  }
}
