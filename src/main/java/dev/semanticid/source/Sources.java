package dev.semanticid.source;

import dev.semanticid.core.vector.ByteSource;
import dev.semanticid.core.vector.VectorReader;
import dev.semanticid.format.RowLayout;
import dev.semanticid.format.RowsReader;
import dev.semanticid.parquet.ParquetVectorReader;
import dev.semanticid.source.OpenedSource.Part;
import dev.semanticid.source.SourceSpec.RawLayout;
import dev.semanticid.storage.DataFile;
import dev.semanticid.storage.Storage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;

/** Opens what clients name as a source. */
@Component
public class Sources {

  private final Storage storage;

  Sources(Storage storage) {
    this.storage = storage;
  }

  /**
   * Finds the files and reads their headers.
   *
   * @throws dev.semanticid.problem.ProblemException if there are none, or they may not be read
   * @throws IOException if one cannot be read, or does not hold vectors as it should
   */
  public OpenedSource open(SourceSpec spec) throws IOException {
    List<DataFile> files = storage.find(spec.uri());
    var parts = new ArrayList<Part>();
    for (DataFile file : files) {
      parts.add(part(file, spec));
    }
    return new OpenedSource(spec, parts);
  }

  /**
   * Refuses what {@link #open} would refuse, as far as can be known without another service.
   *
   * @throws dev.semanticid.problem.ProblemException if it may not be read
   */
  public void requireReadable(SourceSpec spec) {
    storage.requireReadable(spec.uri());
  }

  /**
   * Opens one file of this machine, wherever it lies.
   *
   * @param raw layout of a file without a header, or null
   */
  public OpenedSource openFile(Path file, @Nullable RawLayout raw) throws IOException {
    DataFile found = DataFile.of(file);
    var spec = new SourceSpec(found.uri(), null, null, null);
    if (raw == null) {
      return new OpenedSource(spec, List.of(part(found, spec)));
    }
    RowLayout layout = RowLayout.raw(found.size(), raw.type(), raw.dimension());
    return new OpenedSource(
        spec, List.of(new Part(found, layout, layout.rows(), layout.dimension())));
  }

  private static Part part(DataFile file, SourceSpec spec) throws IOException {
    ByteSource source = file.open();
    try {
      if (ParquetVectorReader.isParquet(source)) {
        try (var reader = ParquetVectorReader.open(source, spec.column())) {
          return new Part(file, null, reader.rows(), reader.dimension());
        }
      }
      RowLayout layout = RowLayout.read(source, spec.tensor());
      return new Part(file, layout, layout.rows(), layout.dimension());
    } finally {
      source.close();
    }
  }

  static VectorReader reader(Part part, SourceSpec spec) throws IOException {
    ByteSource source = part.file().open();
    try {
      RowLayout layout = part.layout();
      return layout == null
          ? ParquetVectorReader.open(source, spec.column())
          : new RowsReader(source, layout);
    } catch (IOException | RuntimeException | Error e) {
      source.close();
      throw e;
    }
  }
}
