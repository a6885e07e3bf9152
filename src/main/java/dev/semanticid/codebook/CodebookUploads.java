package dev.semanticid.codebook;

import dev.semanticid.budget.MemoryBudget;
import dev.semanticid.budget.ScratchFile;
import dev.semanticid.budget.ScratchSpace;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.format.CodebookFormat;
import dev.semanticid.format.FormatException;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.web.LimitedInputStream;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.UUID;
import java.util.function.ToIntFunction;
import org.springframework.stereotype.Component;

/**
 * Codebooks that are uploaded. A body is written to a file first, as it arrives. Memory is taken
 * once all of it is there, for what is there and not for what its header promises.
 */
@Component
class CodebookUploads {

  private static final int BUFFER_BYTES = 64 << 10;

  private final ScratchSpace scratch;
  private final MemoryBudget memory;
  private final Path folder;

  CodebookUploads(ScratchSpace scratch, MemoryBudget memory) {
    this.scratch = scratch;
    this.memory = memory;
    this.folder = scratch.folder("uploads", Set.of());
  }

  /**
   * Reads a codebook.
   *
   * @param use what to do with it, as long as its memory counts as taken
   * @return what {@code use} returns
   * @throws ProblemException {@code INVALID_CODEBOOK} if it is none, {@code OVERLOADED}, {@code
   *     PAYLOAD_TOO_LARGE} or {@code INSUFFICIENT_STORAGE} if there is no room for it
   */
  int use(LimitedInputStream body, ToIntFunction<Codebook> use) throws IOException {
    Path file = folder.resolve(UUID.randomUUID().toString());
    ScratchSpace.Upload upload = scratch.beginUpload();
    try (upload) {
      try (var out = new ScratchFile(scratch, file)) {
        body.transferTo(out);
      }
      long bytes = Files.size(file);
      return memory.with(
          "the codebook",
          CodebookRegistry.loadBytes(bytes),
          () -> use.applyAsInt(read(file, bytes)));
    } finally {
      scratch.delete(file);
    }
  }

  private static Codebook read(Path file, long bytes) {
    try (var in = new BufferedInputStream(Files.newInputStream(file), BUFFER_BYTES)) {
      return CodebookFormat.read(in, bytes);
    } catch (FormatException e) {
      throw new ProblemException(ProblemCode.INVALID_CODEBOOK, "not a codebook: " + e.getMessage());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
