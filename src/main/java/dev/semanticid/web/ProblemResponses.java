package dev.semanticid.web;

import io.swagger.v3.oas.models.media.Content;
import io.swagger.v3.oas.models.media.MediaType;
import io.swagger.v3.oas.models.media.ObjectSchema;
import io.swagger.v3.oas.models.media.Schema;
import io.swagger.v3.oas.models.media.StringSchema;
import io.swagger.v3.oas.models.responses.ApiResponse;
import java.util.List;
import org.springframework.http.HttpStatus;

/** Problem details in the API's description. */
public final class ProblemResponses {

  private ProblemResponses() {}

  /** The answer of a status that comes with one of the codes. */
  public static ApiResponse of(HttpStatus status, List<String> codes) {
    return new ApiResponse()
        .description(status.getReasonPhrase() + ": " + String.join(", ", codes))
        .content(
            new Content()
                .addMediaType(
                    "application/problem+json", new MediaType().schema(schema(status, codes))));
  }

  private static Schema<?> schema(HttpStatus status, List<String> codes) {
    var code = new StringSchema();
    codes.forEach(code::addEnumItem);
    return new ObjectSchema()
        .addProperty("title", new StringSchema().example(status.getReasonPhrase()))
        .addProperty("status", new Schema<Integer>().type("integer").example(status.value()))
        .addProperty("detail", new StringSchema())
        .addProperty("code", code)
        .addProperty("request_id", new StringSchema());
  }
}
