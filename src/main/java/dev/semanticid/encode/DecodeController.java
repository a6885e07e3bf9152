package dev.semanticid.encode;

import dev.semanticid.budget.MemoryBudget;
import dev.semanticid.codebook.CodebookRegistry;
import dev.semanticid.codebook.ServedCodebook;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.TrainingState;
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
import io.swagger.v3.oas.annotations.parameters.RequestBody;
import io.swagger.v3.oas.annotations.responses.ApiResponse;
import io.swagger.v3.oas.annotations.tags.Tag;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Semaphore;
import org.jspecify.annotations.Nullable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.json.JsonMapper;

/** {@code POST /decode}: the vectors that semantic IDs stand for. */
@RestController
@Tag(name = "Encode")
class DecodeController {

  private static final Set<String> PARAMETERS = Set.of("codebook", "version");

  private final CodebookRegistry registry;
  private final SemanticIdProperties.Encoding limits;

  /** Values that a code needs while it is read and decoded: itself, its norm, and room to grow. */
  private static final long BYTES_PER_CODE = 32;

  private final RateLimit rateLimit;
  private final MemoryBudget memory;
  private final Semaphore turns;
  private final Semaphore places;
  private final JsonMapper json;

  DecodeController(
      CodebookRegistry registry,
      EncodeService service,
      SemanticIdProperties properties,
      RateLimit rateLimit,
      MemoryBudget memory,
      JsonMapper json) {
    this.registry = registry;
    this.rateLimit = rateLimit;
    this.memory = memory;
    this.limits = properties.encoding();
    this.turns = service.turns();
    this.places = new Semaphore(mostRequests());
    this.json = json;
  }

  /** Requests at once: each holds a thread for as long as its client takes to read the answer. */
  private int mostRequests() {
    return Math.max(1, limits.maxQueuedRequests() / 4);
  }

  /** The body of a request; documentation only. */
  record DecodeRequest(
      @Schema(description = "n × L codes") List<List<Integer>> semanticIds,
      @Schema(description = "n × L norms of the residuals, as include=norms gives them")
          @Nullable List<List<Float>> norms) {}

  /** The body of an answer; documentation only. */
  record DecodeResponse(
      @Schema(example = "default") String codebook,
      @Schema(example = "7") int version,
      String fingerprint,
      @Schema(description = "n × d") List<List<Float>> embeddings) {}

  @PostMapping("/decode")
  @Operation(
      summary = "Decodes semantic IDs",
      description =
          "Gives the vector that each semantic ID stands for: ν₀·(C₀[k₀] + ν₁·(C₁[k₁] + …)), where"
              + " ν are the norms given, or else the mean norms of the codebook's training data;"
              + " where residuals are not normalised, the sum of the centroids.",
      requestBody =
          @RequestBody(
              required = true,
              content =
                  @Content(
                      mediaType = "application/json",
                      schema = @Schema(implementation = DecodeRequest.class),
                      examples = @ExampleObject("{\"semantic_ids\": [[12, 250, 3]]}"))))
  @ApiResponse(
      responseCode = "200",
      description = "one vector per semantic ID, in their order",
      content =
          @Content(
              mediaType = "application/json",
              schema = @Schema(implementation = DecodeResponse.class)))
  @ProblemResponse(
      status = "400",
      codes = "MALFORMED_JSON, EMPTY_BATCH, RAGGED_ROWS, INVALID_PARAMETER, UNKNOWN_PARAMETER")
  @ProblemResponse(status = "404", codes = "UNKNOWN_CODEBOOK, UNKNOWN_VERSION")
  @ProblemResponse(status = "408", codes = "REQUEST_TIMEOUT")
  @ProblemResponse(status = "413", codes = "PAYLOAD_TOO_LARGE")
  @ProblemResponse(status = "415", codes = "UNSUPPORTED_MEDIA_TYPE, UNSUPPORTED_CONTENT_ENCODING")
  @ProblemResponse(status = "422", codes = "INVALID_CODE, NORMS_REQUIRED, NON_FINITE_VALUE")
  @ProblemResponse(status = "429", codes = "OVERLOADED, RATE_LIMITED")
  @ProblemResponse(status = "503", codes = "NO_CODEBOOK, CODEBOOK_UNAVAILABLE")
  void decode(
      @Parameter(description = "name of the codebook", example = "default")
          @RequestParam(defaultValue = "default")
          String codebook,
      @Parameter(description = "a version's number, or an alias", example = "active")
          @RequestParam(defaultValue = CodebookRegistry.ACTIVE)
          String version,
      @Parameter(hidden = true) HttpServletRequest request,
      @Parameter(hidden = true) HttpServletResponse response)
      throws IOException {
    if (WireFormat.ofContentType(request.getContentType()) != WireFormat.JSON) {
      throw new ProblemException(
          ProblemCode.UNSUPPORTED_MEDIA_TYPE,
          "Content-Type must be application/json, got " + request.getContentType());
    }
    QueryParameters.requireKnown(request, PARAMETERS);
    rateLimit.require(request);
    if (!places.tryAcquire()) {
      throw ProblemException.overloaded(
          String.format(
              Locale.ROOT,
              "%d requests to decode are under way, which is as many as may",
              mostRequests()),
          1);
    }
    try {
      answer(codebook, version, request, response);
    } finally {
      places.release();
    }
  }

  private void answer(
      String codebook, String version, HttpServletRequest request, HttpServletResponse response)
      throws IOException {
    ServedCodebook served = registry.acquire(codebook, version);
    try (var share = memory.reserve("the codes", 0)) {
      Codebook by = served.quantizer().codebook();
      var body =
          LimitedInputStream.of(request, limits.maxBodySize().toBytes(), limits.bodyTimeout());
      var rows = new Rows(by.levels(), share);
      rows.read(new JsonScanner(body, ReadBuffer.ofThread()));
      int[] codes = rows.codes(by);
      rateLimit.charge(request, codes.length / by.levels());
      float[] norms = rows.norms(by);
      write(response, served, codes, norms);
    } finally {
      served.release();
    }
  }

  private void write(
      HttpServletResponse response, ServedCodebook served, int[] codes, float[] norms)
      throws IOException {
    try (var answer = new JsonAnswer(response, json, turns)) {
      CodesWriter.writeIdentity(
          answer.generator(), served.name(), served.version(), served.fingerprint());
      CodesWriter.writeVectors(answer, "embeddings", served.quantizer().codebook(), codes, norms);
      answer.finish();
    }
  }

  /** The two arrays of a body, each of rows of L numbers. */
  private final class Rows {

    private final int levels;
    private final MemoryBudget.Share share;
    private float @Nullable [] ids;
    private float @Nullable [] norms;

    /**
     * @param share grows with what is read
     */
    Rows(int levels, MemoryBudget.Share share) {
      this.levels = levels;
      this.share = share;
    }

    void read(JsonScanner body) {
      body.beginObject();
      for (String name = body.nextName(); name != null; name = body.nextName()) {
        switch (name) {
          case "semantic_ids" -> ids = rows(body, name, ids);
          case "norms" -> norms = rows(body, name, norms);
          default ->
              throw new ProblemException(
                      ProblemCode.UNKNOWN_PARAMETER,
                      "there is no member '%s'; known are semantic_ids, norms".formatted(name))
                  .with("parameter", name);
        }
      }
      body.expectEnd();
      if (ids == null) {
        throw body.malformed("\"semantic_ids\" is missing; expected {\"semantic_ids\": [[…], …]}");
      }
      if (ids.length == 0) {
        throw new ProblemException(
            ProblemCode.EMPTY_BATCH, "at least one semantic ID is expected, the body has none");
      }
    }

    private float[] rows(JsonScanner body, String name, float @Nullable [] before) {
      if (before != null) {
        throw body.malformed("\"%s\" is there twice".formatted(name));
      }
      float[] values = new float[16 * levels];
      share.resize(BYTES_PER_CODE * values.length);
      int filled = 0;
      body.beginArray();
      while (body.hasNext()) {
        int row = filled / levels;
        if (row == limits.maxRows()) {
          throw new ProblemException(
                  ProblemCode.PAYLOAD_TOO_LARGE,
                  String.format(
                      Locale.ROOT,
                      "a request may have %d rows, this one has more",
                      limits.maxRows()))
              .with("limit", limits.maxRows());
        }
        if (filled == values.length) {
          share.resize(BYTES_PER_CODE * 2 * filled);
          values = Arrays.copyOf(values, 2 * filled);
        }
        body.beginArray();
        int count = body.numbers(values, filled, levels);
        if (count < levels && !body.arrayEnded()) {
          throw body.malformed(
              String.format(
                  Locale.ROOT,
                  "%s row %d place %d must be a number, got %s",
                  name,
                  row,
                  count,
                  body.describeNext()));
        }
        if (!body.arrayEnded() || count != levels) {
          throw new ProblemException(
                  ProblemCode.RAGGED_ROWS,
                  String.format(
                      Locale.ROOT,
                      "the codebook has %d levels, %s row %d has %s numbers",
                      levels,
                      name,
                      row,
                      body.arrayEnded() ? Integer.toString(count) : "more"))
              .with("expected", levels)
              .with("row", row);
        }
        filled += levels;
      }
      return Arrays.copyOf(values, filled);
    }

    int[] codes(Codebook by) {
      float[] values = ids == null ? new float[0] : ids;
      int[] codes = new int[values.length];
      for (int i = 0; i < codes.length; i++) {
        codes[i] = (int) values[i];
        int level = i % levels;
        if (codes[i] != values[i] || codes[i] < 0 || codes[i] >= by.width(level)) {
          throw new ProblemException(
                  ProblemCode.INVALID_CODE,
                  String.format(
                      Locale.ROOT,
                      "level %d has codes 0 to %d, row %d has %s",
                      level,
                      by.width(level) - 1,
                      i / levels,
                      values[i]))
              .with("row", i / levels);
        }
      }
      return codes;
    }

    /** One row of norms for each code, or one for all. */
    float[] norms(Codebook by) {
      if (norms != null) {
        int expected = ids == null ? 0 : ids.length;
        if (norms.length != expected) {
          throw new ProblemException(
              ProblemCode.RAGGED_ROWS,
              String.format(
                  Locale.ROOT,
                  "there are %d semantic IDs and norms of %d",
                  expected / levels,
                  norms.length / levels));
        }
        for (int i = 0; i < norms.length; i++) {
          if (!(norms[i] >= 0 && norms[i] <= Float.MAX_VALUE)) {
            throw new ProblemException(
                    ProblemCode.NON_FINITE_VALUE,
                    String.format(
                        Locale.ROOT,
                        "norms are finite and not negative, row %d has %s",
                        i / levels,
                        norms[i]))
                .with("row", i / levels);
          }
        }
        return norms;
      }
      float[] means = new float[levels];
      TrainingState state = by.trainingState();
      if (state != null) {
        for (int l = 0; l < levels; l++) {
          means[l] = state.meanNorms().get(l).floatValue();
        }
      } else if (by.normalizeResiduals()) {
        throw new ProblemException(
            ProblemCode.NORMS_REQUIRED,
            "the codebook normalises residuals and has no mean norms, because it was not trained"
                + " here; give norms, as include=norms of /encode answers them");
      }
      return means;
    }
  }
}
