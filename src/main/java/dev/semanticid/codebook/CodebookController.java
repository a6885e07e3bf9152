package dev.semanticid.codebook;

import com.fasterxml.jackson.annotation.JsonInclude;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.report.QuantizationReport;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.settings.SemanticIdProperties;
import dev.semanticid.web.LimitedInputStream;
import dev.semanticid.web.ProblemResponse;
import dev.semanticid.web.QueryParameters;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.media.Content;
import io.swagger.v3.oas.annotations.media.ExampleObject;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.responses.ApiResponse;
import io.swagger.v3.oas.annotations.tags.Tag;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.PutMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.servlet.mvc.method.annotation.StreamingResponseBody;

/** {@code /codebooks}: versions, aliases, and tensors in and out. */
@RestController
@ProblemResponse(status = "503", codes = "STORE_UNAVAILABLE")
@Tag(
    name = "Codebooks",
    description = "Versions of codebooks, and the aliases that choose among them")
class CodebookController {

  private final CodebookRegistry registry;
  private final CodebookStore store;
  private final CodebookUploads uploads;
  private final long maxUploadBytes;
  private final Duration bodyTimeout;

  CodebookController(
      CodebookRegistry registry,
      CodebookStore store,
      CodebookUploads uploads,
      SemanticIdProperties properties) {
    this.registry = registry;
    this.store = store;
    this.uploads = uploads;
    this.maxUploadBytes = properties.codebooks().maxUploadSize().toBytes();
    this.bodyTimeout = properties.encoding().bodyTimeout();
  }

  record CodebookList(List<CodebookSummary> codebooks) {}

  record CodebookSummary(
      @Schema(example = "default") String codebook,
      @Schema(example = "7") @Nullable Integer active,
      @Schema(example = "[7, 6]") List<Integer> versions) {}

  record CodebookDetails(
      @Schema(example = "default") String codebook,
      @Schema(example = "7") @Nullable Integer active,
      List<CodebookVersion> versions) {}

  record AliasRequest(
      @Schema(example = "5", description = "the version to point to") @Nullable Integer version,
      @Schema(example = "4", description = "where the alias must point now; anywhere if left out")
          @Nullable Integer expected) {}

  record AliasResponse(
      @Schema(example = "default") String codebook,
      @Schema(example = "active") String alias,
      @Schema(example = "5") int version) {}

  /** A report is null, rather than left out, so that two stand side by side whatever there is. */
  @JsonInclude(JsonInclude.Include.ALWAYS)
  record VersionReport(
      @Schema(example = "4") int version, String fingerprint, @Nullable QuantizationReport report) {

    static VersionReport of(CodebookVersion version) {
      return new VersionReport(version.version(), version.fingerprint(), version.report());
    }
  }

  @JsonInclude(JsonInclude.Include.ALWAYS)
  record Reports(
      @Schema(example = "default") String codebook,
      VersionReport from,
      VersionReport to,
      @Nullable ReportChange change) {}

  @GetMapping(path = "/codebooks", produces = MediaType.APPLICATION_JSON_VALUE)
  @Operation(summary = "All codebooks")
  CodebookList list() {
    return new CodebookList(store.names().stream().map(this::summary).toList());
  }

  private CodebookSummary summary(String name) {
    return new CodebookSummary(
        name,
        store.resolve(name, CodebookRegistry.ACTIVE).orElse(null),
        store.versions(name).stream().map(CodebookVersion::version).toList());
  }

  @GetMapping(path = "/codebooks/{name}", produces = MediaType.APPLICATION_JSON_VALUE)
  @Operation(summary = "One codebook with all its versions, newest first")
  @ProblemResponse(status = "404", codes = "UNKNOWN_CODEBOOK")
  CodebookDetails get(@Parameter(example = "default") @PathVariable String name) {
    List<CodebookVersion> versions = store.versions(name);
    if (versions.isEmpty()) {
      throw store.unknownVersion(name, CodebookRegistry.ACTIVE);
    }
    return new CodebookDetails(
        name, store.resolve(name, CodebookRegistry.ACTIVE).orElse(null), versions);
  }

  @GetMapping(
      path = "/codebooks/{name}/versions/{version:[0-9]{1,9}}",
      produces = MediaType.APPLICATION_JSON_VALUE)
  @Operation(summary = "Settings, provenance, report and fingerprint of one version")
  @ProblemResponse(status = "404", codes = "UNKNOWN_CODEBOOK, UNKNOWN_VERSION")
  CodebookVersion version(
      @Parameter(example = "default") @PathVariable String name,
      @Parameter(example = "1") @PathVariable int version) {
    return store.require(name, version);
  }

  @GetMapping(path = "/codebooks/{name}/reports", produces = MediaType.APPLICATION_JSON_VALUE)
  @Operation(
      summary = "The reports of two versions side by side",
      description =
          "`change` has the figures of `to` minus those of `from`. A version that was uploaded has"
              + " no report: then that is null, and so is `change`.")
  @ProblemResponse(status = "400", codes = "INVALID_PARAMETER, UNKNOWN_PARAMETER")
  @ProblemResponse(status = "404", codes = "UNKNOWN_CODEBOOK, UNKNOWN_VERSION")
  Reports reports(
      @Parameter(example = "default") @PathVariable String name,
      @Parameter(description = "a number or an alias", example = "1") @RequestParam String from,
      @Parameter(description = "a number or an alias", example = "active") @RequestParam String to,
      HttpServletRequest request) {
    QueryParameters.requireKnown(request, Set.of("from", "to"));
    CodebookVersion before = store.require(name, registry.require(name, from));
    CodebookVersion after = store.require(name, registry.require(name, to));
    return new Reports(
        name,
        VersionReport.of(before),
        VersionReport.of(after),
        ReportChange.between(before.report(), after.report()));
  }

  @GetMapping(
      path = "/codebooks/{name}/versions/{version:[0-9]{1,9}}.safetensors",
      produces = MediaType.APPLICATION_OCTET_STREAM_VALUE)
  @Operation(
      summary = "The tensors of one version",
      description =
          "A safetensors file: level_0 … level_{L-1} (F32, K_l × d), count_0 … (I64), settings and"
              + " provenance as metadata.")
  @ApiResponse(
      responseCode = "200",
      description = "the file",
      content =
          @Content(
              mediaType = MediaType.APPLICATION_OCTET_STREAM_VALUE,
              schema = @Schema(type = "string", format = "binary")))
  @ProblemResponse(status = "404", codes = "UNKNOWN_CODEBOOK, UNKNOWN_VERSION")
  ResponseEntity<StreamingResponseBody> download(
      @Parameter(example = "default") @PathVariable String name,
      @Parameter(example = "1") @PathVariable int version) {
    CodebookVersion found = store.require(name, version);
    StreamingResponseBody body =
        out -> {
          try (var in = store.open(found)) {
            in.transferTo(out);
          }
        };
    return ResponseEntity.ok()
        .contentType(MediaType.APPLICATION_OCTET_STREAM)
        .contentLength(found.sizeBytes())
        .header(
            HttpHeaders.CONTENT_DISPOSITION,
            String.format(Locale.ROOT, "attachment; filename=\"%s-%d.safetensors\"", name, version))
        .header("X-Codebook", name)
        .header("X-Codebook-Version", Integer.toString(version))
        .header("X-Codebook-Fingerprint", found.fingerprint())
        .body(body);
  }

  @PostMapping(
      path = "/codebooks/{name}/versions",
      consumes = MediaType.APPLICATION_OCTET_STREAM_VALUE,
      produces = MediaType.APPLICATION_JSON_VALUE)
  @Operation(
      summary = "Uploads a version",
      description =
          "A safetensors file with level_0 … level_{L-1} (F32, K_l × d). Its __metadata__ must hold"
              + " normalize_residuals, \"true\" or \"false\".",
      requestBody =
          @io.swagger.v3.oas.annotations.parameters.RequestBody(
              required = true,
              content =
                  @Content(
                      mediaType = MediaType.APPLICATION_OCTET_STREAM_VALUE,
                      schema = @Schema(type = "string", format = "binary"))))
  @ApiResponse(responseCode = "201", description = "stored; Location names the version")
  @ProblemResponse(status = "400", codes = "INVALID_PARAMETER, UNKNOWN_PARAMETER, MALFORMED_BODY")
  @ProblemResponse(status = "408", codes = "REQUEST_TIMEOUT")
  @ProblemResponse(status = "409", codes = "TOO_MANY_CODEBOOKS")
  @ProblemResponse(status = "413", codes = "PAYLOAD_TOO_LARGE")
  @ProblemResponse(status = "415", codes = "UNSUPPORTED_MEDIA_TYPE")
  @ProblemResponse(status = "422", codes = "INVALID_CODEBOOK, MEMORY_BUDGET_EXCEEDED")
  @ProblemResponse(status = "429", codes = "OVERLOADED")
  @ProblemResponse(status = "507", codes = "INSUFFICIENT_STORAGE")
  ResponseEntity<CodebookVersion> upload(
      @Parameter(example = "default") @PathVariable String name,
      @Parameter(description = "whether to serve it from now on")
          @RequestParam(defaultValue = "false")
          boolean activate,
      @Parameter(description = "the model whose vectors it was made for")
          @RequestParam(name = "embedding_model", required = false)
          @Nullable String embeddingModel,
      HttpServletRequest request)
      throws IOException {
    requireContentType(request);
    CodebookRegistry.requireName("codebook", name);
    QueryParameters.requireKnown(request, Set.of("activate", EmbeddingModel.PARAMETER));
    registry.requireRoom(name);
    var body = LimitedInputStream.ofUpload(request, maxUploadBytes, bodyTimeout);
    int version =
        uploads.use(
            body,
            codebook ->
                registry.publish(
                    name, withModel(codebook, embeddingModel), null, activate, number -> {}));
    return ResponseEntity.created(
            URI.create(String.format(Locale.ROOT, "/codebooks/%s/versions/%d", name, version)))
        .body(store.require(name, version));
  }

  private static Codebook withModel(Codebook codebook, @Nullable String embeddingModel) {
    return embeddingModel == null
        ? codebook
        : codebook.withProvenance(
            codebook.provenance().with(EmbeddingModel.PARAMETER, embeddingModel));
  }

  /**
   * Spring takes a body without a type for an octet-stream. A web page can send such a body to any
   * address without asking first, so the type has to be said.
   */
  private static void requireContentType(HttpServletRequest request) {
    if (request.getContentType() == null) {
      throw new ProblemException(
          ProblemCode.UNSUPPORTED_MEDIA_TYPE,
          "Content-Type must be %s, got none".formatted(MediaType.APPLICATION_OCTET_STREAM_VALUE));
    }
  }

  @PutMapping(
      path = "/codebooks/{name}/aliases/{alias}",
      consumes = MediaType.APPLICATION_JSON_VALUE,
      produces = MediaType.APPLICATION_JSON_VALUE)
  @Operation(
      summary = "Points an alias to a version",
      description =
          "`active` is the version that is served: moving it is activation and rollback. With"
              + " `expected` it is a compare-and-set.",
      requestBody =
          @io.swagger.v3.oas.annotations.parameters.RequestBody(
              required = true,
              content =
                  @Content(
                      examples = @ExampleObject("{\"version\": 1}"),
                      schema = @Schema(implementation = AliasRequest.class))))
  @ProblemResponse(status = "400", codes = "INVALID_PARAMETER, MALFORMED_JSON")
  @ProblemResponse(status = "404", codes = "UNKNOWN_CODEBOOK, UNKNOWN_VERSION")
  @ProblemResponse(status = "408", codes = "REQUEST_TIMEOUT")
  @ProblemResponse(status = "409", codes = "ALIAS_CONFLICT")
  @ProblemResponse(status = "413", codes = "PAYLOAD_TOO_LARGE")
  @ProblemResponse(status = "503", codes = "CODEBOOK_UNAVAILABLE, STORE_UNAVAILABLE")
  AliasResponse move(
      @Parameter(example = "default") @PathVariable String name,
      @Parameter(example = "active") @PathVariable String alias,
      @RequestBody AliasRequest target) {
    CodebookRegistry.requireName("alias", alias);
    if (alias.chars().allMatch(Character::isDigit)) {
      throw new ProblemException(
          ProblemCode.INVALID_PARAMETER, "an alias must not be a number, got " + alias);
    }
    if (target.version() == null) {
      throw new ProblemException(
          ProblemCode.INVALID_PARAMETER, "version is missing; expected {\"version\": 5}");
    }
    int version = Objects.requireNonNull(target.version());
    registry.move(name, alias, version, target.expected());
    return new AliasResponse(name, alias, version);
  }

  @DeleteMapping("/codebooks/{name}/aliases/{alias}")
  @ResponseStatus(HttpStatus.NO_CONTENT)
  @Operation(summary = "Deletes an alias other than `active`; the version stays")
  @ProblemResponse(status = "400", codes = "INVALID_PARAMETER")
  @ProblemResponse(status = "404", codes = "UNKNOWN_CODEBOOK, UNKNOWN_VERSION")
  void deleteAlias(
      @Parameter(example = "default") @PathVariable String name,
      @Parameter(example = "canary") @PathVariable String alias) {
    registry.deleteAlias(name, alias);
  }

  @DeleteMapping("/codebooks/{name}/versions/{version:[0-9]{1,9}}")
  @ResponseStatus(HttpStatus.NO_CONTENT)
  @Operation(summary = "Deletes a version that no alias points to and no unfinished job uses")
  @ProblemResponse(status = "404", codes = "UNKNOWN_CODEBOOK, UNKNOWN_VERSION")
  @ProblemResponse(status = "409", codes = "VERSION_IN_USE")
  void delete(
      @Parameter(example = "default") @PathVariable String name,
      @Parameter(example = "1") @PathVariable int version) {
    registry.delete(name, version);
  }

  @DeleteMapping("/codebooks/{name}")
  @ResponseStatus(HttpStatus.NO_CONTENT)
  @Operation(
      summary = "Deletes a codebook with all versions and aliases",
      description =
          "Also the version that is served. Refused while an unfinished job is about the codebook."
              + " The numbers of its versions are not given again.")
  @ProblemResponse(status = "404", codes = "UNKNOWN_CODEBOOK")
  @ProblemResponse(status = "409", codes = "VERSION_IN_USE")
  void delete(@Parameter(example = "default") @PathVariable String name) {
    registry.delete(name);
  }
}
