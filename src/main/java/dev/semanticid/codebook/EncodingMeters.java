package dev.semanticid.codebook;

import dev.semanticid.core.encode.ResidualQuantizer;
import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * Meters of how the active version of a codebook encodes; they follow it from version to version,
 * and go with the codebook.
 */
final class EncodingMeters {

  private final MeterRegistry meters;
  private final CodebookRegistry registry;

  /** By codebook; guarded by this. */
  private final Map<String, OfCodebook> registered = new HashMap<>();

  EncodingMeters(MeterRegistry meters, CodebookRegistry registry) {
    this.meters = meters;
    this.registry = registry;
  }

  /** The meters of one codebook. */
  private static final class OfCodebook {
    private final List<Meter> all = new ArrayList<>();

    /** What codes leave over of sampled rows; null until a version was served. */
    private @Nullable DistributionSummary residual;

    /** By level. */
    private final List<DistributionSummary> margins = new ArrayList<>();

    <M extends Meter> M keep(M meter) {
      all.add(meter);
      return meter;
    }
  }

  /** Registers a codebook's meters, those that are not yet. */
  synchronized void register(String codebook, int levels) {
    OfCodebook own = degraded(codebook);
    if (own.residual == null) {
      own.residual = registerOfCodebook(codebook, own);
    }
    for (int level = own.margins.size(); level < levels; level++) {
      own.margins.add(registerOfLevel(codebook, level, own));
    }
  }

  /** Registers whether a codebook's active version is the one that is served, once. */
  synchronized void registerDegraded(String codebook) {
    degraded(codebook);
  }

  private OfCodebook degraded(String codebook) {
    return registered.computeIfAbsent(
        codebook,
        name -> {
          var own = new OfCodebook();
          own.keep(
              Gauge.builder(
                      "semantic_id.codebook.degraded", registry, r -> r.isFailing(name) ? 1 : 0)
                  .description("1 while the active version cannot be served, 0 otherwise")
                  .tag("codebook", name)
                  .register(meters));
          return own;
        });
  }

  /** Removes the meters of all codebooks but these. */
  synchronized void retain(Set<String> codebooks) {
    registered
        .entrySet()
        .removeIf(entry -> {
          boolean gone = !codebooks.contains(entry.getKey());
          if (gone) {
            entry.getValue().all.forEach(meters::remove);
          }
          return gone;
        });
  }

  /**
   * Records how a sampled row was encoded; nothing if the codebook has gone meanwhile.
   *
   * @param margins what the runner-up's squared distance is more, by level
   * @param residual norm of what the code leaves over, as a share of the row's
   */
  synchronized void sampled(String codebook, float[] margins, double residual) {
    OfCodebook own = registered.get(codebook);
    if (own == null || own.residual == null) {
      return;
    }
    for (int level = 0; level < Math.min(margins.length, own.margins.size()); level++) {
      if (Float.isFinite(margins[level])) {
        own.margins.get(level).record(margins[level]);
      }
    }
    if (Double.isFinite(residual)) {
      own.residual.record(residual);
    }
  }

  private DistributionSummary registerOfCodebook(String codebook, OfCodebook own) {
    own.keep(
        Gauge.builder(
                "semantic_id.codebook.version", registry, r -> r.activeVersion(codebook).orElse(-1))
            .description("Number of the version that is served")
            .tag("codebook", codebook)
            .register(meters));
    own.keep(
        gauge("semantic_id.codebook.resident", codebook, ResidualQuantizer::residentBytes)
            .description("Memory of the version that is served, on the device and in tables")
            .baseUnit("bytes")
            .register(meters));
    own.keep(
        gauge(
                "semantic_id.encode.rescored",
                codebook,
                q -> (double) q.rescoredDecisions() / (q.encodedRows() * q.codebook().levels()))
            .description("Share of decisions (row and level) that the float64 loop made")
            .register(meters));
    own.keep(
        gauge(
                "semantic_id.screening.float64.products",
                codebook,
                q -> q.screening() == null ? Double.NaN : q.screening().summedPerRow())
            .description("Dot products summed in float64 per screened row")
            .register(meters));
    return own.keep(
        DistributionSummary.builder("semantic_id.encode.residual.ratio")
            .description(
                "Norm of what the code leaves over, as a share of the row's, of rows sampled")
            .tag("codebook", codebook)
            .serviceLevelObjectives(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2)
            .register(meters));
  }

  private DistributionSummary registerOfLevel(String codebook, int level, OfCodebook own) {
    own.keep(
        gauge("semantic_id.screening.survivors", codebook, q -> survivors(q, level))
            .description("Centroids that 8-bit products leave per screened row")
            .tag("level", String.valueOf(level))
            .register(meters));
    return own.keep(
        DistributionSummary.builder("semantic_id.encode.margin")
            .description("What the runner-up's squared distance is more, of rows sampled")
            .tag("codebook", codebook)
            .tag("level", String.valueOf(level))
            .serviceLevelObjectives(0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1)
            .register(meters));
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
