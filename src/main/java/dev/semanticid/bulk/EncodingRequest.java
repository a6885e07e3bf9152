package dev.semanticid.bulk;

import dev.semanticid.problem.Masked;
import dev.semanticid.source.SourceSpec;
import dev.semanticid.source.SourceSpec.OnBadRow;
import io.swagger.v3.oas.annotations.media.Schema;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A bulk encoding as asked for, and as it is kept in the database.
 *
 * @param codebook the codebook to encode with
 * @param version a number or an alias
 * @param source the vectors
 * @param destination where the codes go
 * @param onBadRow what to do with a row that is no vector
 * @param embeddingModel the model that the vectors come from, if stated
 */
record EncodingRequest(
    @Schema(example = "default", defaultValue = "default") @Nullable String codebook,
    @Schema(example = "active", defaultValue = "active", description = "a number or an alias")
        @Nullable String version,
    @Schema(requiredMode = Schema.RequiredMode.REQUIRED) @Nullable SourceSpec source,
    @Schema(requiredMode = Schema.RequiredMode.REQUIRED) @Nullable Target destination,
    @Schema(
            allowableValues = {"fail", "skip"},
            defaultValue = "fail",
            description =
                "what to do with a row of another length, or with NaN or a value outside float32")
        @Nullable String onBadRow,
    @Nullable String embeddingModel) {

  /**
   * Where codes go.
   *
   * @param uri ends with .npy or .parquet, which decides the format
   */
  record Target(@Schema(example = "file:///data/semantic-ids.parquet") @Nullable String uri) {}

  /** What to do with a row that is no vector. */
  OnBadRow badRows() {
    return OnBadRow.of(onBadRow == null ? "fail" : onBadRow);
  }

  /** The settings as clients see them. */
  Map<String, Object> parameters() {
    var parameters = new LinkedHashMap<String, Object>();
    if (source != null) {
      parameters.put("source", Masked.address(source.uri()));
    }
    if (destination != null && destination.uri() != null) {
      parameters.put("destination", Masked.address(destination.uri()));
    }
    parameters.put("on_bad_row", onBadRow == null ? "fail" : onBadRow);
    return parameters;
  }
}
