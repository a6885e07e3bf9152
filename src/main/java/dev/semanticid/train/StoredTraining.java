package dev.semanticid.train;

import dev.semanticid.core.vector.ElementType;
import dev.semanticid.problem.Masked;
import dev.semanticid.source.SourceSpec;
import dev.semanticid.source.SourceSpec.RawLayout;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * A training as it is kept in the database: what a service needs to run it, whenever it starts.
 *
 * @param parameters as they came, by name
 * @param source where the data are; null for an upload
 * @param upload name of the uploaded file; null for a source
 * @param elementType of an upload without a header
 * @param dimension of an upload without a header
 * @param embeddingModel the model that the vectors come from, if stated
 */
record StoredTraining(
    Map<String, JsonNode> parameters,
    @Nullable SourceSpec source,
    @Nullable String upload,
    @Nullable ElementType elementType,
    @Nullable Integer dimension,
    @Nullable String embeddingModel) {

  /** Layout of an upload without a header. */
  @Nullable RawLayout raw() {
    return elementType == null || dimension == null ? null : new RawLayout(elementType, dimension);
  }

  /** What a person would call the data; secrets in an address are masked. */
  String description() {
    return source == null ? "request body" : Masked.address(source.uri());
  }
}
