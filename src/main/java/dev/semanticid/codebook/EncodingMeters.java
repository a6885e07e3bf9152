package dev.semanticid.codebook;

import dev.semanticid.core.quantizer.ResidualQuantizer;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.function.ToDoubleFunction;

/**
 * Meters of how the active version of a codebook encodes; they follow it from version to version.
 */
final class EncodingMeters {

  private final MeterRegistry meters;
  private final CodebookRegistry registry;

  EncodingMeters(MeterRegistry meters, CodebookRegistry registry) {
    this.meters = meters;
    this.registry = registry;
  }

  /** Registers a codebook's meters, those that are not yet. */
  void register(String codebook, int levels) {
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
    for (int level = 0; level < levels; level++) {
      int l = level;
      gauge("semantic_id.screening.survivors", codebook, q -> survivors(q, l))
          .description("Centroids that 8-bit products leave per screened row")
          .tag("level", String.valueOf(level))
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
