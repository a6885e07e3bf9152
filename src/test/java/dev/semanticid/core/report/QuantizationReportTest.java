package dev.semanticid.core.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.json.JsonMapper;

/** Reports as they are stored with versions. */
class QuantizationReportTest {

  private static final JsonMapper JSON =
      JsonMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
          .build();

  /** As it was written before rows could be held out. */
  private static final String OLD =
      """
      {"rows":5,"mse":0.5,"reconstruction_mse":0.25,"unique_ratio":0.4,"colliding_share":0.6,
       "max_group":3,"levels":[{"level":0,"width":2,"inertia":1.5,"residual_norm_ratio":0.5,
       "coverage":1.0,"dead_codes":0,"entropy":0.5,"perplexity":1.6,"exhausted":0,
       "mean_norm":1.0}],"notes":["a note"]}
      """;

  @Test
  void read_reportWithoutHoldout_hasNone() {
    QuantizationReport report = JSON.readValue(OLD, QuantizationReport.class);
    assertThat(report.holdout()).isNull();
    assertThat(report.maxGroup()).isEqualTo(3);
    QuantizationReport both = report.withHoldout(report).withNotes(List.of("another"));
    QuantizationReport read =
        JSON.readValue(JSON.writeValueAsString(both), QuantizationReport.class);
    assertThat(read).isEqualTo(both);
    assertThat(Objects.requireNonNull(read.holdout()).notes()).containsExactly("a note");
  }
}
