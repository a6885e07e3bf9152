package dev.semanticid.encode;

import dev.semanticid.codebook.CodebookComparison;
import dev.semanticid.settings.SemanticIdProperties;
import dev.semanticid.web.ProblemResponse;
import dev.semanticid.web.QueryParameters;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.media.Content;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.parameters.RequestBody;
import io.swagger.v3.oas.annotations.tags.Tag;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/** {@code POST /codebooks/{name}/compare}: what changes for a sample between two versions. */
@RestController
@Tag(name = "Codebooks")
class CompareController {

  private final EncodeService service;
  private final int maxRows;

  CompareController(EncodeService service, SemanticIdProperties properties) {
    this.service = service;
    this.maxRows = properties.encoding().maxRows();
  }

  /** What changed between two versions; levels as in {@link CodebookComparison}. */
  record Comparison(
      @Schema(example = "default") String codebook,
      @Schema(example = "4") int from,
      @Schema(example = "5") int to,
      @Schema(example = "10000") long rows,
      @Schema(example = "0.08", description = "share of rows whose semantic ID differs")
          double changed,
      @Schema(
              example = "0.02",
              description =
                  "the same once centroids of both versions are matched: what is no mere"
                      + " renumbering; left out if a level cannot be matched")
          @Nullable Double changedAfterMatching,
      List<CodebookComparison.Level> levels) {}

  @PostMapping(path = "/codebooks/{name}/compare", produces = MediaType.APPLICATION_JSON_VALUE)
  @Operation(
      summary = "Compares two versions by a sample",
      description =
          "Encodes the sample, which comes as for /encode, with both versions: the share of rows"
              + " whose code changed, per level and in all, before and after the best matching of"
              + " centroids, so that a renumbering is told from drift.",
      requestBody =
          @RequestBody(
              required = true,
              content = {
                @Content(
                    mediaType = "application/json",
                    schema = @Schema(implementation = EncodeController.EncodeRequest.class)),
                @Content(
                    mediaType = "application/octet-stream",
                    schema = @Schema(type = "string", format = "binary")),
                @Content(
                    mediaType = "application/x-npy",
                    schema = @Schema(type = "string", format = "binary"))
              }))
  @RowsProblems
  @ProblemResponse(
      status = "422",
      codes = "DIMENSION_MISMATCH, CODEBOOK_MISMATCH, NON_FINITE_VALUE")
  @ProblemResponse(
      status = "503",
      codes = "CODEBOOK_UNAVAILABLE, DEVICE_UNAVAILABLE, STORE_UNAVAILABLE")
  Comparison compare(
      @Parameter(example = "default") @PathVariable String name,
      @Parameter(description = "a number or an alias", example = "1") @RequestParam String from,
      @Parameter(description = "a number or an alias", example = "active") @RequestParam String to,
      @Parameter(description = "element type of an octet-stream: f4 (default), f2 or bf16")
          @RequestParam(required = false)
          @Nullable String dtype,
      @Parameter(hidden = true) HttpServletRequest request)
      throws IOException {
    WireFormat input = WireFormat.ofContentType(request.getContentType());
    QueryParameters.requireKnown(request, Set.of("from", "to", "dtype"));
    var rows = new RowsBody(input, dtype, maxRows);
    var call = new EncodeService.Call(name, from, rows::estimate, rows::read, Set.of());
    EncodeService.Comparison compared = service.compare(request, call, to);
    CodebookComparison codebooks = compared.codebooks();
    return new Comparison(
        name,
        compared.from(),
        compared.to(),
        codebooks.rows(),
        codebooks.changed(),
        codebooks.changedAfterMatching(),
        codebooks.levels());
  }
}
