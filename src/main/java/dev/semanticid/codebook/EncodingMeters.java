package dev.semanticid.codebook;

import dev.semanticid.core.quantizer.ResidualQuantizer;
import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.HashMap;
import java.util.Map;
import java.util.function.ToDoubleFunction;

/**
 * Meters of how the active version of a codebook encodes; they follow it from version to version.
 */
final class EncodingMeters {

  private final MeterRegistry meters;
  private final CodebookRegistry registry;

  /** How many levels have their meters, by codebook. */
  private final Map<String, Integer> registered = new HashMap<>();

  EncodingMeters(MeterRegistry meters, CodebookRegistry registry) {
    this.meters = meters;
    this.registry = registry;
  }

  /** Registers a codebook's meters, those that are not yet; one thread at a time. */
  void register(String codebook, int levels) {
    registerDegraded(codebook);
    int known = registered.getOrDefault(codebook, 0);
    if (known == 0) {
      registerOfCodebook(codebook);
    }
    for (int level = known; level < levels; level++) {
      registerOfLevel(codebook, level);
    }
    registered.put(codebook, Math.max(known, levels));
  }

  private void registerOfCodebook(String codebook) {
    Gauge.builder(
            "semantic_id.codebook.version", registry, r -> r.activeVersion(codebook).orElse(-1))
        .description("Number of the version that is served")
        .tag("codebook", codebook)
        .register(meters);
    gauge("semantic_id.codebook.resident", codebook, ResidualQuantizer::residentBytes)
        .description("Memory of the version that is served, on the device and in tables")
        .baseUnit("bytes")
        .register(meters);
    residual(meters, codebook);
    gauge(
            "semantic_id.encode.rescored",
            codebook,
            q -> (double) q.rescoredDecisions() / (q.encodedRows() * q.codebook().levels()))
        .description("Share of decisions (row and level) that the float64 loop made")
        .register(meters);
    gauge(
            "semantic_id.screening.float64.products",
            codebook,
            q -> q.screening() == null ? Double.NaN : q.screening().summedPerRow())
        .description("Dot products summed in float64 per screened row")
        .register(meters);
  }

  private void registerOfLevel(String codebook, int level) {
    margin(meters, codebook, level);
    gauge("semantic_id.screening.survivors", codebook, q -> survivors(q, level))
        .description("Centroids that 8-bit products leave per screened row")
        .tag("level", String.valueOf(level))
        .register(meters);
  }

  /** Margins of sampled rows on a level. */
  static DistributionSummary margin(MeterRegistry meters, String codebook, int level) {
    return DistributionSummary.builder("semantic_id.encode.margin")
        .description("What the runner-up's squared distance is more, of rows sampled")
        .tag("codebook", codebook)
        .tag("level", String.valueOf(level))
        .serviceLevelObjectives(0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1)
        .register(meters);
  }

  /** What codes leave over of sampled rows. */
  static DistributionSummary residual(MeterRegistry meters, String codebook) {
    return DistributionSummary.builder("semantic_id.encode.residual.ratio")
        .description("Norm of what the code leaves over, as a share of the row's, of rows sampled")
        .tag("codebook", codebook)
        .serviceLevelObjectives(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2)
        .register(meters);
  }

  /** Registers whether a codebook's active version is the one that is served, once. */
  void registerDegraded(String codebook) {
    if (registered.putIfAbsent(codebook, 0) == null) {
      Gauge.builder("semantic_id.codebook.degraded", registry, r -> r.isFailing(codebook) ? 1 : 0)
          .description("1 while the active version cannot be served, 0 otherwise")
          .tag("codebook", codebook)
          .register(meters);
    }
  }

  private static double survivors(ResidualQuantizer quantizer, int level) {
    var done = quantizer.screening();
    return done == null || level >= done.survivors().size()
        ? Double.NaN
        : done.survivorsPerRow().get(level);
  }

  private Gauge.Builder<CodebookRegistry> gauge(
      String name, String codebook, ToDoubleFunction<ResidualQuantizer> value) {
    return Gauge.builder(
            name,
            registry,
            r -> r.activeQuantizer(codebook).map(value::applyAsDouble).orElse(Double.NaN))
        .tag("codebook", codebook);
  }
}
