package dev.semanticid.encode;

import dev.semanticid.codebook.CodebookRegistry;
import dev.semanticid.codebook.ServedCodebook;
import dev.semanticid.encode.EncodeService.Encoded;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.settings.SemanticIdProperties;
import dev.semanticid.web.ProblemStatus;
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
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.health.actuate.endpoint.HealthEndpoint;
import org.springframework.boot.health.contributor.Status;
import org.springframework.boot.info.BuildProperties;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.core.JsonGenerator;
import tools.jackson.databind.json.JsonMapper;

/**
 * The Open Inference Protocol (KServe v2) with its binary extension: a codebook is a model with the
 * input {@code embeddings} and the output {@code semantic_ids}.
 */
@RestController
@Tag(
    name = "Open Inference Protocol",
    description = "KServe v2, for clients and gateways that speak it: a codebook is a model")
class InferenceController {

  private static final String HEADER_LENGTH = "Inference-Header-Content-Length";
  private static final String MODEL = "/v2/models/{model}";
  private static final String MODEL_VERSION = "/v2/models/{model}/versions/{version}";

  private final CodebookRegistry registry;
  private final EncodeService service;
  private final HealthEndpoint health;
  private final JsonMapper json;
  private final int maxRows;
  private final String build;

  InferenceController(
      CodebookRegistry registry,
      EncodeService service,
      HealthEndpoint health,
      SemanticIdProperties properties,
      JsonMapper json,
      ObjectProvider<BuildProperties> build) {
    this.registry = registry;
    this.service = service;
    this.health = health;
    this.json = json;
    this.maxRows = properties.encoding().maxRows();
    BuildProperties found = build.getIfAvailable();
    this.build = found == null ? "development" : String.valueOf(found.getVersion());
  }

  record ServerMetadata(String name, String version, List<String> extensions) {}

  record Tensor(
      @Schema(example = "embeddings") String name,
      @Schema(example = "FP32") String datatype,
      @Schema(example = "[-1, 2048]") List<Integer> shape) {}

  record ModelMetadata(
      @Schema(example = "default") String name,
      List<String> versions,
      String platform,
      List<Tensor> inputs,
      List<Tensor> outputs) {}

  @GetMapping(path = "/v2", produces = MediaType.APPLICATION_JSON_VALUE)
  @Operation(summary = "Server metadata")
  ServerMetadata server() {
    return new ServerMetadata("semantic-id-service", build, List.of("binary_tensor_data"));
  }

  @GetMapping(path = "/v2/health/live", produces = MediaType.APPLICATION_JSON_VALUE)
  @Operation(summary = "Whether the server is alive")
  Map<String, Boolean> live() {
    return Map.of("live", true);
  }

  @GetMapping(path = "/v2/health/ready", produces = MediaType.APPLICATION_JSON_VALUE)
  @Operation(summary = "Whether the server is ready")
  @ApiResponse(responseCode = "200", description = "it is")
  @ApiResponse(responseCode = "503", description = "it is not")
  ResponseEntity<Map<String, Boolean>> ready() {
    var readiness = health.healthForPath("readiness");
    boolean ready = readiness != null && Status.UP.equals(readiness.getStatus());
    return ResponseEntity.status(ready ? HttpStatus.OK : HttpStatus.SERVICE_UNAVAILABLE)
        .body(Map.of("ready", ready));
  }

  @GetMapping(
      path = {MODEL, MODEL_VERSION},
      produces = MediaType.APPLICATION_JSON_VALUE)
  @Operation(summary = "Metadata of a codebook as a model")
  @ApiResponse(responseCode = "200", description = "its input and output")
  @ApiResponse(responseCode = "404", description = "{\"error\": \"…\"}, no such model")
  ModelMetadata model(
      @PathVariable String model, @PathVariable(required = false) @Nullable String version) {
    var shape = registry.shape(model, version == null ? CodebookRegistry.ACTIVE : version);
    return new ModelMetadata(
        model,
        registry.versions(model).stream().map(String::valueOf).toList(),
        "semantic-id",
        List.of(new Tensor(InferenceRequest.INPUT, "FP32", List.of(-1, shape.dimension()))),
        List.of(new Tensor(InferenceRequest.OUTPUT, "INT32", List.of(-1, shape.levels()))));
  }

  @GetMapping(
      path = {MODEL + "/ready", MODEL_VERSION + "/ready"},
      produces = MediaType.APPLICATION_JSON_VALUE)
  @Operation(summary = "Whether a codebook can be encoded with")
  @ApiResponse(responseCode = "200", description = "it can")
  @ApiResponse(responseCode = "503", description = "it cannot, or there is none yet")
  ResponseEntity<Map<String, Object>> modelReady(
      @PathVariable String model, @PathVariable(required = false) @Nullable String version) {
    HttpStatus status = HttpStatus.OK;
    try {
      acquire(model, version).release();
    } catch (ProblemException e) {
      status = ProblemStatus.of(e.code());
    }
    return ResponseEntity.status(status)
        .body(Map.of("name", model, "ready", status == HttpStatus.OK));
  }

  private ServedCodebook acquire(String model, @Nullable String version) {
    return registry.acquire(model, version == null ? CodebookRegistry.ACTIVE : version);
  }

  @PostMapping({MODEL + "/infer", MODEL_VERSION + "/infer"})
  @Operation(
      summary = "Encodes embeddings",
      description =
          "JSON, or with Inference-Header-Content-Length the binary extension. Datatypes FP32, and"
              + " FP64; as binary data FP16 and BF16 too.",
      requestBody =
          @RequestBody(
              required = true,
              content =
                  @Content(
                      mediaType = "application/json",
                      examples =
                          @ExampleObject(
                              "{\"inputs\": [{\"name\": \"embeddings\", \"shape\": [1, 3],"
                                  + " \"datatype\": \"FP32\", \"data\": [0.01, -0.02, 0.03]}]}"))))
  @ApiResponse(
      responseCode = "200",
      description = "the output semantic_ids, INT32 of shape [n, L]",
      content = @Content(mediaType = "application/json"))
  @ApiResponse(responseCode = "400", description = "{\"error\": \"…\"}, what is wrong")
  @ApiResponse(responseCode = "404", description = "{\"error\": \"…\"}, no such model")
  @ApiResponse(responseCode = "429", description = "{\"error\": \"…\"}, try again later")
  void infer(
      @PathVariable String model,
      @PathVariable(required = false) @Nullable String version,
      @Parameter(description = "length of the JSON part where binary data follows it")
          @RequestHeader(name = HEADER_LENGTH, required = false)
          @Nullable String headerLength,
      @Parameter(hidden = true) HttpServletRequest request,
      @Parameter(hidden = true) HttpServletResponse response)
      throws IOException {
    var parsed = new InferenceRequest();
    var call =
        new EncodeService.Call(
            model,
            version == null ? CodebookRegistry.ACTIVE : version,
            (bytes, dimension) ->
                Math.min(
                    maxRows, bytes / ((headerLength == null ? 2L : 1L) * Float.BYTES * dimension)),
            (body, target, served) -> parsed.read(body, headerLength, target),
            Set.of());
    try (Encoded encoded = service.encode(request, call)) {
      write(response, parsed, model, encoded);
    }
  }

  private void write(
      HttpServletResponse response, InferenceRequest request, String model, Encoded encoded)
      throws IOException {
    var head = new ByteArrayOutputStream();
    try (JsonGenerator generator = json.createGenerator(head)) {
      generator.writeStartObject();
      generator.writeStringProperty("model_name", model);
      generator.writeStringProperty("model_version", Integer.toString(encoded.version()));
      String id = request.id();
      if (id != null) {
        generator.writeStringProperty("id", id);
      }
      generator.writeArrayPropertyStart("outputs");
      generator.writeStartObject();
      generator.writeStringProperty("name", InferenceRequest.OUTPUT);
      generator.writeStringProperty("datatype", "INT32");
      generator.writeName("shape");
      generator.writeArray(new int[] {encoded.rows(), encoded.codebook().levels()}, 0, 2);
      if (request.binary()) {
        generator.writeObjectPropertyStart("parameters");
        generator.writeNumberProperty("binary_data_size", 4L * encoded.codes().length);
        generator.writeEndObject();
      } else {
        generator.writeName("data");
        generator.writeArray(encoded.codes(), 0, encoded.codes().length);
      }
      generator.writeEndObject();
      generator.writeEndArray();
      generator.writeEndObject();
    }
    byte[] tail = request.binary() ? CodesWriter.littleEndian(encoded.codes()) : new byte[0];
    response.setContentType(
        request.binary()
            ? MediaType.APPLICATION_OCTET_STREAM_VALUE
            : MediaType.APPLICATION_JSON_VALUE);
    if (request.binary()) {
      response.setHeader(HEADER_LENGTH, Integer.toString(head.size()));
    }
    response.setContentLength(head.size() + tail.length);
    OutputStream out = response.getOutputStream();
    head.writeTo(out);
    out.write(tail);
  }
}
