package dev.semanticid.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.source.SourceSpec.OnBadRow;
import dev.semanticid.train.TrainingRequest.Activation;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.json.JsonMapper;

/** Parameters of a training, from a query and from JSON. */
class TrainingParametersTest {

  private static final JsonMapper JSON = JsonMapper.shared();
  private static final int D = 16;

  private static TrainingParameters query(String query) {
    var values = new TreeMap<String, String[]>();
    for (String pair : query.split("&", -1)) {
      if (!pair.isEmpty()) {
        String[] parts = pair.split("=", 2);
        String value = URLDecoder.decode(parts[1], StandardCharsets.UTF_8);
        values.merge(
            parts[0],
            new String[] {value},
            (a, b) -> {
              String[] both = Arrays.copyOf(a, a.length + b.length);
              System.arraycopy(b, 0, both, a.length, b.length);
              return both;
            });
      }
    }
    return TrainingParameters.ofQuery(values, JSON);
  }

  private static TrainingParameters json(String body) {
    return TrainingParameters.ofJson(JSON.readTree(body));
  }

  private static TrainingRequest request(String query) {
    return query(query).request(10_000, D, null);
  }

  private static void problem(ProblemCode code, ThrowingCallable call, String... named) {
    ProblemException problem = catchThrowableOfType(ProblemException.class, call);
    assertThat(problem).as("a problem with code %s", code).isNotNull();
    assertThat(problem.code()).as(problem.detail()).isEqualTo(code);
    assertThat(problem.detail()).contains(named);
  }

  @Test
  void request_withoutParameters_hasTheDefaults() {
    TrainingRequest request = request("");
    assertThat(request.codebook()).isEqualTo("default");
    assertThat(request.config().codebookWidths()).isEqualTo(List.of(256, 256, 256));
    assertThat(request.config().embeddingDim()).isEqualTo(D);
    assertThat(request.activation()).isEqualTo(Activation.IF_PASSES);
    assertThat(request.rows()).isEqualTo(10_000);
    assertThat(request.holdoutRows()).isZero();
    assertThat(query("").onBadRow()).isEqualTo(OnBadRow.FAIL);
  }

  @Test
  void query_andJson_meanTheSame() {
    TrainingRequest asked =
        request(
            "codebook=items&codebook_width=4,8,16&seed=7&max_steps=30&balance=true"
                + "&algorithm=lloyd&tolerance=0.01&holdout_fraction=0.1&activate=never"
                + "&quality_gate.max_dead_codes=3&embedding_model=7&embedding_dim=16");
    TrainingRequest sameInJson =
        json("""
        {"codebook": "items", "codebook_width": [4, 8, 16], "seed": 7, "max_steps": 30,
         "balance": true, "algorithm": "lloyd", "tolerance": 0.01,
         "holdout_fraction": 0.1, "activate": "never", "embedding_model": "7",
         "embedding_dim": 16, "quality_gate": {"max_dead_codes": 3}}
        """)
            .request(10_000, D, null);
    assertThat(sameInJson).isEqualTo(asked);
    assertThat(asked.config().codebookWidths()).isEqualTo(List.of(4, 8, 16));
    assertThat(asked.embeddingModel()).isEqualTo("7");
    assertThat(asked.rows() + asked.holdoutRows()).isEqualTo(10_000);
    assertThat(asked.holdoutRows()).isPositive();
  }

  @Test
  void stored_parameters_meanTheSameAgain() {
    TrainingParameters asked = query("codebook_width=8&num_hierarchies=2&seed=3&activate=always");
    assertThat(TrainingParameters.ofStored(asked.stored()).request(500, D, null))
        .isEqualTo(asked.request(500, D, null));
    assertThat(json("{\"seed\": 1, \"source\": {\"uri\": \"file:///x\"}}").stored())
        .containsOnlyKeys("seed");
  }

  @Test
  void source_ofJson_isWhatItNames() {
    var source =
        json("{\"source\": {\"uri\": \"s3://b/k\", \"column\": \"v\"}}").source().orElseThrow();
    assertThat(source.uri()).isEqualTo("s3://b/k");
    assertThat(source.column()).isEqualTo("v");
    assertThat(source.tensor()).isNull();
    assertThat(json("{}").source()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "num_hierarchies=0 | be 1 to 64",
        "num_hierarchies=65 | be 1 to 64",
        "codebook_width=4,x | be a whole number or one per level",
        "codebook_width=4,8&num_hierarchies=3 | one width for each of the 3",
        "codebook_width=007 | be a whole number",
        "max_steps=1.5 | be a whole number",
        "max_steps=many | be a whole number",
        "seed=9223372036854775808 | below 2⁶³",
        "balance=yes | be true or false",
        "tolerance=x | be a number",
        "learning_rate=true | be a number",
        "algorithm=LLOYD | lloyd",
        "initializer=best | kmeans_plus_plus",
        "activate=maybe | if_passes",
        "quality_gate.min_unique_ratio=2 | 0 to 1",
        "quality_gate.max_dead_codes=-1 | not be negative",
        "holdout_fraction=1 | below 1",
        "codebook=a b | codebook",
        "codebook=.. | codebook",
        "embedding_model=a%0Ab | without control characters",
        "on_bad_row=guess | fail or skip",
        "seed=1&seed=2 | be given once",
      })
  void request_badValue_isRefusedWithIt(String query, String expected) {
    problem(
        ProblemCode.INVALID_PARAMETER,
        () -> {
          var _ = request(query);
        },
        expected);
  }

  @Test
  void names_unknown_areRefused() {
    problem(ProblemCode.UNKNOWN_PARAMETER, () -> query("sede=1"), "sede");
    problem(ProblemCode.UNKNOWN_PARAMETER, () -> json("{\"sede\": 1}"), "sede");
    problem(ProblemCode.UNKNOWN_PARAMETER, () -> json("{\"dtype\": \"f4\"}"), "dtype");
    problem(ProblemCode.UNKNOWN_PARAMETER, () -> json("{\"quality_gate\": {\"best\": 1}}"), "best");
    problem(ProblemCode.INVALID_PARAMETER, () -> json("{\"source\": \"file:///x\"}"), "source");
    problem(ProblemCode.MALFORMED_JSON, () -> json("[]"), "JSON object");
  }

  @Test
  void request_dataThatDoesNotFit_isRefused() {
    problem(
        ProblemCode.DIMENSION_MISMATCH, () -> request("embedding_dim=17"), "17", "dimension 16");
    problem(ProblemCode.TOO_FEW_ROWS, () -> query("").request(255, D, null), "256", "data has 255");
    problem(
        ProblemCode.MEMORY_BUDGET_EXCEEDED,
        () -> request("batch_size=2000000000"),
        "batch_size 2000000000");
    problem(
        ProblemCode.MEMORY_BUDGET_EXCEEDED,
        () -> query("").request(1L << 40, D, null),
        Long.toString(1L << 40));
    problem(
        ProblemCode.HOLDOUT_REQUIRED,
        () -> request("quality_gate.max_holdout_mse=1"),
        "holdout_fraction above 0");
  }

  @Test
  void parameters_ofARequest_areAllThatClientsKnow() {
    Map<String, Object> parameters = request("codebook_width=8&seed=5").parameters();
    assertThat(parameters)
        .containsEntry("codebook_width", Collections.nCopies(3, 8))
        .containsEntry("seed", 5L)
        .containsEntry("algorithm", "minibatch_kmeans")
        .containsKeys("init_buffer_size", "learning_rate", "beam_size")
        .doesNotContainKeys("tolerance", "init_from", "holdout_rows");
  }
}
