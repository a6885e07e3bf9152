package dev.semanticid.encode;

import dev.semanticid.codebook.CodebookRegistry;
import dev.semanticid.codebook.Resident;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.settings.SemanticIdProperties;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.tags.Tag;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.info.BuildProperties;
import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** {@code GET /info}: what is running, on what, with which codebooks and limits. */
@RestController
@Tag(name = "Info", description = "What is running, on what, with which codebooks and limits")
class InfoController {

  private final CodebookRegistry registry;
  private final ComputeBackend backend;
  private final SemanticIdProperties properties;
  private final @Nullable BuildProperties build;

  InfoController(
      CodebookRegistry registry,
      ComputeBackend backend,
      SemanticIdProperties properties,
      ObjectProvider<BuildProperties> build) {
    this.registry = registry;
    this.backend = backend;
    this.properties = properties;
    this.build = build.getIfAvailable();
  }

  record ServiceInfo(
      @Schema(example = "semantic-id-service") String name,
      @Schema(example = "0.1.0") String version,
      @Nullable Instant builtAt,
      @Schema(example = "nd4j") String backend,
      String device,
      @Schema(example = "oneDNN 3.11.0, AVX-512 VNNI, 255 steps") @Nullable String screeningDevice,
      int threads,
      List<Resident> codebooks,
      Limits limits) {}

  record Limits(
      int encodeMaxRows,
      long encodeMaxBodyBytes,
      int encodeMaxQueuedRows,
      int encodeMaxQueuedRequests,
      long encodeBodyTimeoutMs,
      long trainMaxUploadBytes,
      int jobQueueSize,
      long codebookMaxUploadBytes,
      int codebookMaxNames,
      int maxUploads,
      @Schema(description = "heap that all requests may take together") long requestMemoryBytes) {}

  @GetMapping(path = "/info", produces = MediaType.APPLICATION_JSON_VALUE)
  @Operation(summary = "Build, backend, resident codebooks with their plans, and limits")
  ServiceInfo info() {
    return new ServiceInfo(
        "semantic-id-service",
        build == null ? "development" : String.valueOf(build.getVersion()),
        build == null ? null : build.getTime(),
        backend.name(),
        backend.device(),
        backend.int8() == null ? null : backend.int8().device(),
        properties.effectiveThreads(),
        registry.residents(),
        new Limits(
            properties.encoding().maxRows(),
            properties.encoding().maxBodySize().toBytes(),
            properties.encoding().maxQueuedRows(),
            properties.encoding().maxQueuedRequests(),
            properties.encoding().bodyTimeout().toMillis(),
            properties.training().maxUploadSize().toBytes(),
            properties.jobs().queueSize(),
            properties.codebooks().maxUploadSize().toBytes(),
            properties.codebooks().maxNames(),
            properties.scratch().maxUploads(),
            properties.effectiveRequestMemory()));
  }
}
