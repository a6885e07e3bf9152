package dev.semanticid.encoding;

import dev.semanticid.codebook.CodebookRegistry;
import dev.semanticid.codebook.ServedCodebook;
import dev.semanticid.core.vector.ElementType;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.system.EmbeddingModel;
import dev.semanticid.system.LimitedInputStream;
import dev.semanticid.system.ProblemCode;
import dev.semanticid.system.ProblemException;
import dev.semanticid.system.ProblemResponse;
import dev.semanticid.system.QueryParameters;
import dev.semanticid.system.RawRows;
import dev.semanticid.system.SemanticIdProperties;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
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
      Set.of("codebook", "version", "dtype", "embedding_model");

  private final CodebookRegistry registry;
  private final SemanticIdProperties.Encoding limits;
  private final CodesWriter writer;
  private final Counter rows;

  EncodeController(
      CodebookRegistry registry,
      SemanticIdProperties properties,
      JsonMapper json,
      MeterRegistry meters) {
    this.registry = registry;
    this.limits = properties.encoding();
    this.writer = new CodesWriter(json);
    this.rows =
        Counter.builder("semantic_id.encoded.rows")
            .description("Embeddings encoded over HTTP")
            .baseUnit("rows")
            .register(meters);
  }

  /** The body of a JSON request; documentation only, bodies are parsed straight into a batch. */
  record EncodeRequest(
      @Schema(
              description = "n × d numbers, or one flat vector of d",
              example = "[[0.01, -0.02, 0.03]]")
          List<List<Float>> embeddings,
      @Schema(
              name = "embedding_model",
              description = "the model they come from, if it is to be checked")
          @Nullable String embeddingModel) {}

  /** The body of a JSON answer; documentation only. */
  record EncodeResponse(
      @Schema(example = "default") String codebook,
      @Schema(example = "7") int version,
      @Schema(description = "SHA-256 of the codebook's tensors and settings") String fingerprint,
      @Schema(example = "[[12, 250, 3]]") List<List<Integer>> semanticIds) {}

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
  @ProblemResponse(
      status = "400",
      codes =
          "MALFORMED_JSON, MALFORMED_BODY, EMPTY_BATCH, RAGGED_ROWS, INVALID_PARAMETER,"
              + " UNKNOWN_PARAMETER")
  @ProblemResponse(status = "404", codes = "UNKNOWN_CODEBOOK, UNKNOWN_VERSION")
  @ProblemResponse(status = "406", codes = "NOT_ACCEPTABLE")
  @ProblemResponse(status = "409", codes = "EMBEDDING_MODEL_MISMATCH")
  @ProblemResponse(status = "413", codes = "PAYLOAD_TOO_LARGE")
  @ProblemResponse(status = "415", codes = "UNSUPPORTED_MEDIA_TYPE")
  @ProblemResponse(status = "422", codes = "DIMENSION_MISMATCH, NON_FINITE_VALUE")
  @ProblemResponse(status = "503", codes = "NO_CODEBOOK, CODEBOOK_UNAVAILABLE")
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
      @Parameter(hidden = true) HttpServletRequest request,
      @Parameter(hidden = true) HttpServletResponse response)
      throws IOException {
    WireFormat input = WireFormat.ofContentType(request.getContentType());
    WireFormat output = WireFormat.ofAccept(request.getHeader(HttpHeaders.ACCEPT));
    QueryParameters.requireKnown(request, PARAMETERS);
    ElementType type = elementType(dtype, input);
    ServedCodebook served = registry.acquire(codebook, version);
    int[] codes;
    try {
      EmbeddingModel.requireSame(served.embeddingModel(), embeddingModel);
      EmbeddingModel.requireSame(served.embeddingModel(), embeddingModelHeader);
      VectorBatch batch = read(request, input, type, served);
      codes = served.quantizer().encode(batch);
      rows.increment(batch.rows());
    } finally {
      served.release();
    }
    writer.write(response, output, served, codes);
  }

  private VectorBatch read(
      HttpServletRequest request, WireFormat input, ElementType type, ServedCodebook served)
      throws IOException {
    long announced = request.getContentLengthLong();
    var body =
        new LimitedInputStream(request.getInputStream(), announced, limits.maxBodySize().toBytes());
    int dimension = served.quantizer().codebook().dimension();
    var binary = new BinaryEmbeddingsReader(dimension, limits.maxRows());
    return switch (input) {
      case OCTET_STREAM -> binary.readRaw(body, type, announced);
      case NPY -> binary.readNpy(body);
      case JSON -> {
        JsonEmbeddingsReader.Body json =
            JsonEmbeddingsReader.read(body, dimension, limits.maxRows());
        EmbeddingModel.requireSame(served.embeddingModel(), json.embeddingModel());
        yield json.batch();
      }
    };
  }

  private static ElementType elementType(@Nullable String dtype, WireFormat input) {
    if (dtype == null) {
      return ElementType.F4;
    }
    if (input != WireFormat.OCTET_STREAM) {
      throw new ProblemException(
          ProblemCode.INVALID_PARAMETER,
          "dtype goes with application/octet-stream only; other formats state their own");
    }
    return RawRows.elementType(dtype);
  }
}
