package dev.semanticid.encode;

import dev.semanticid.codebook.CodebookRegistry;
import dev.semanticid.codebook.EmbeddingModel;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.settings.SemanticIdProperties;
import dev.semanticid.web.ProblemResponse;
import dev.semanticid.web.QueryParameters;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.media.Content;
import io.swagger.v3.oas.annotations.media.ExampleObject;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.parameters.RequestBody;
import io.swagger.v3.oas.annotations.responses.ApiResponse;
import io.swagger.v3.oas.annotations.tags.Tag;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpHeaders;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.json.JsonMapper;

/** {@code POST /encode}: embeddings in, semantic IDs out. */
@RestController
@Tag(name = "Encode", description = "Semantic IDs of embeddings")
class EncodeController {

  private static final Set<String> PARAMETERS =
      Set.of("codebook", "version", "dtype", "embedding_model", "include", "format", "offset");

  private final EncodeService service;
  private final CodesWriter writer;
  private final int maxRows;

  EncodeController(EncodeService service, SemanticIdProperties properties, JsonMapper json) {
    this.service = service;
    this.writer = new CodesWriter(json, service.turns());
    this.maxRows = properties.encoding().maxRows();
  }

  /** The body of a JSON request; documentation only, bodies are parsed straight into a batch. */
  record EncodeRequest(
      @Schema(
              description = "n × d numbers, or one flat vector of d",
              example = "[[0.01, -0.02, 0.03]]")
          @Nullable List<List<Float>> embeddings,
      @Schema(
              name = "embeddings_base64",
              description = "in their place: base64 of float32 little-endian, row-major")
          @Nullable String embeddingsBase64,
      @Schema(
              name = "embedding_model",
              description = "the model they come from, if it is to be checked")
          @Nullable String embeddingModel) {}

  /** The body of a JSON answer; documentation only. */
  record EncodeResponse(
      @Schema(example = "default") String codebook,
      @Schema(example = "7") int version,
      @Schema(description = "SHA-256 of the codebook's tensors and settings") String fingerprint,
      @Schema(example = "[[12, 250, 3]]") List<List<Integer>> semanticIds,
      @Schema(description = "include=tokens: each ID as format says") @Nullable List<Object> tokens,
      @Schema(description = "include=distances: squared distance to the centroid, per level")
          @Nullable List<List<Float>> distances,
      @Schema(
              description =
                  "include=margins: what the runner-up's squared distance is more, per level; null"
                      + " where there is none")
          @Nullable List<List<Float>> margins,
      @Schema(
              description =
                  "include=norms: norm of the residual, per level; POST /decode takes them")
          @Nullable List<List<Float>> norms,
      @Schema(
              description =
                  "include=reconstruction: the vector that the ID and the norms stand for")
          @Nullable List<List<Float>> reconstruction) {}

  @PostMapping("/encode")
  @Operation(
      summary = "Encodes embeddings",
      description =
          "Gives each embedding its semantic ID: L codes, coarse to fine. The codes are exact, the"
              + " same for a row whatever the batch, the machine and the format. The answer names"
              + " the codebook version that gave them.",
      requestBody =
          @RequestBody(
              required = true,
              content = {
                @Content(
                    mediaType = "application/json",
                    schema = @Schema(implementation = EncodeRequest.class),
                    examples =
                        @ExampleObject(
                            "{\"embeddings\": [[0.01, -0.02, 0.03], [0.2, 0.1, -0.3]]}")),
                @Content(
                    mediaType = "application/octet-stream",
                    schema =
                        @Schema(
                            type = "string",
                            format = "binary",
                            description = "little-endian rows of d elements of type dtype")),
                @Content(
                    mediaType = "application/x-npy",
                    schema =
                        @Schema(
                            type = "string",
                            format = "binary",
                            description = "NumPy array (n, d) or (d,): <f4, <f2 or <f8, C order"))
              }))
  @ApiResponse(
      responseCode = "200",
      description = "one row of L codes per embedding, in their order",
      content = {
        @Content(
            mediaType = "application/json",
            schema = @Schema(implementation = EncodeResponse.class)),
        @Content(
            mediaType = "application/octet-stream",
            schema =
                @Schema(
                    type = "string",
                    format = "binary",
                    description = "int32 little-endian, n × L")),
        @Content(
            mediaType = "application/x-npy",
            schema =
                @Schema(type = "string", format = "binary", description = "int32 array (n, L)"))
      })
  @RowsProblems
  @ProblemResponse(status = "406", codes = "NOT_ACCEPTABLE")
  @ProblemResponse(status = "422", codes = "DIMENSION_MISMATCH, NON_FINITE_VALUE")
  @ProblemResponse(status = "503", codes = "NO_CODEBOOK, CODEBOOK_UNAVAILABLE, DEVICE_UNAVAILABLE")
  void encode(
      @Parameter(description = "name of the codebook", example = "default")
          @RequestParam(defaultValue = "default")
          String codebook,
      @Parameter(description = "a version's number, or an alias", example = "active")
          @RequestParam(defaultValue = CodebookRegistry.ACTIVE)
          String version,
      @Parameter(description = "element type of an octet-stream: f4 (default), f2 or bf16")
          @RequestParam(required = false)
          @Nullable String dtype,
      @Parameter(description = "the model the embeddings come from, if it is to be checked")
          @RequestParam(name = "embedding_model", required = false)
          @Nullable String embeddingModel,
      @Parameter(description = "the same as embedding_model")
          @RequestHeader(name = EmbeddingModel.HEADER, required = false)
          @Nullable String embeddingModelHeader,
      @Parameter(
              description =
                  "what a JSON answer shall hold besides: any of tokens, distances, margins, norms,"
                      + " reconstruction, comma-separated")
          @RequestParam(required = false)
          @Nullable String include,
      @Parameter(
              description =
                  "how tokens are written: codes (default), offset, letters, openonerec, forge or"
                      + " dash")
          @RequestParam(required = false)
          @Nullable String format,
      @Parameter(description = "true: adds the widths of the levels above to each code")
          @RequestParam(required = false)
          @Nullable String offset,
      @Parameter(
              description = "milliseconds after which an answer is of no use",
              schema = @Schema(type = "integer"))
          @RequestHeader(name = Wanted.TIMEOUT_HEADER, required = false)
          @Nullable String timeout,
      @Parameter(hidden = true) HttpServletRequest request,
      @Parameter(hidden = true) HttpServletResponse response)
      throws IOException {
    WireFormat input = WireFormat.ofContentType(request.getContentType());
    WireFormat output = WireFormat.ofAccept(request.getHeader(HttpHeaders.ACCEPT));
    QueryParameters.requireKnown(request, PARAMETERS);
    var rows = new RowsBody(input, dtype, maxRows);
    Set<Include> includes = Include.ofList(include);
    if (!includes.isEmpty() && output != WireFormat.JSON) {
      throw new ProblemException(
          ProblemCode.INVALID_PARAMETER,
          "include goes with JSON answers only, accepted is " + output.mediaTypeName());
    }
    if (format != null && !includes.contains(Include.TOKENS)) {
      throw new ProblemException(
          ProblemCode.INVALID_PARAMETER, "format goes with include=tokens only");
    }
    TokenFormat tokens = format == null ? TokenFormat.CODES : TokenFormat.ofName(format);
    var shape = new CodesWriter.Shape(output, includes, tokens, bool("offset", offset));
    var call =
        new EncodeService.Call(
            codebook,
            version,
            rows::estimate,
            (body, target, served) -> {
              EmbeddingModel.requireSame(served.embeddingModel(), embeddingModel);
              EmbeddingModel.requireSame(served.embeddingModel(), embeddingModelHeader);
              tokens.requireFit(served.quantizer().codebook());
              rows.read(body, target, served);
            },
            includes);
    try (EncodeService.Encoded encoded = service.encode(request, call)) {
      writer.write(response, shape, encoded);
    }
  }

  private static boolean bool(String name, @Nullable String value) {
    return switch (value) {
      case null -> false;
      case "false" -> false;
      case "true" -> true;
      default ->
          throw new ProblemException(
              ProblemCode.INVALID_PARAMETER,
              "%s must be true or false, got '%s'".formatted(name, value));
    };
  }
}
