package dev.semanticid.codebook;

import dev.semanticid.core.report.QuantizationReport;
import io.swagger.v3.oas.annotations.media.Schema;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What is known of a stored version, without its tensors.
 *
 * @param codebook name
 * @param version number, from 1, never given twice
 * @param fingerprint SHA-256 of tensors, shapes and settings
 * @param embeddingDim components of the vectors it quantizes
 * @param codebookWidths centroids of each level
 * @param normalizeResiduals whether each level works on unit vectors
 * @param beamSize partial codes that encoding keeps, 1: greedy
 * @param weighted whether centroids have weights
 * @param embeddingModel the model whose vectors it was made for, if stated
 * @param provenance where it comes from
 * @param report what it did to its training data, and apart to rows held out, if it was trained
 *     here
 * @param sizeBytes size of its safetensors file
 * @param createdAt when it was stored
 * @param aliases the aliases that point to it
 */
@Schema(description = "A stored version of a codebook")
record CodebookVersion(
    @Schema(example = "default") String codebook,
    @Schema(example = "7") int version,
    String fingerprint,
    @Schema(example = "384") int embeddingDim,
    @Schema(example = "[256, 256, 256]") List<Integer> codebookWidths,
    boolean normalizeResiduals,
    @Schema(example = "1") int beamSize,
    boolean weighted,
    @Nullable String embeddingModel,
    Map<String, String> provenance,
    @Nullable QuantizationReport report,
    long sizeBytes,
    Instant createdAt,
    @Schema(example = "[\"active\"]") List<String> aliases) {}
