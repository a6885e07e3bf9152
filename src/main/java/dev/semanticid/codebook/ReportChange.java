package dev.semanticid.codebook;

import dev.semanticid.core.report.LevelReport;
import dev.semanticid.core.report.QuantizationReport;
import io.swagger.v3.oas.annotations.media.Schema;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * By how much the figures of one report differ from those of another: the later minus the earlier.
 *
 * @param rows of rows, on which other figures depend
 * @param mse of {@code mse}
 * @param reconstructionMse of {@code reconstruction_mse}
 * @param uniqueRatio of {@code unique_ratio}
 * @param collidingShare of {@code colliding_share}
 * @param maxGroup of {@code max_group}
 * @param levels of the levels that both have
 * @param holdout of the rows held out, if both have a report on some
 */
@Schema(description = "The figures of `to` minus those of `from`")
record ReportChange(
    long rows,
    double mse,
    double reconstructionMse,
    double uniqueRatio,
    double collidingShare,
    long maxGroup,
    List<LevelChange> levels,
    @Nullable ReportChange holdout) {

  /** The same for a level. */
  record LevelChange(
      int level,
      double inertia,
      double residualNormRatio,
      double coverage,
      int deadCodes,
      double entropy,
      double perplexity) {

    private static LevelChange between(LevelReport from, LevelReport to) {
      return new LevelChange(
          from.level(),
          to.inertia() - from.inertia(),
          to.residualNormRatio() - from.residualNormRatio(),
          to.coverage() - from.coverage(),
          to.deadCodes() - from.deadCodes(),
          to.entropy() - from.entropy(),
          to.perplexity() - from.perplexity());
    }
  }

  /** From one report to another; null if one of them is. */
  static @Nullable ReportChange between(
      @Nullable QuantizationReport from, @Nullable QuantizationReport to) {
    if (from == null || to == null) {
      return null;
    }
    int levels = Math.min(from.levels().size(), to.levels().size());
    return new ReportChange(
        to.rows() - from.rows(),
        to.mse() - from.mse(),
        to.reconstructionMse() - from.reconstructionMse(),
        to.uniqueRatio() - from.uniqueRatio(),
        to.collidingShare() - from.collidingShare(),
        to.maxGroup() - from.maxGroup(),
        IntStream.range(0, levels)
            .mapToObj(l -> LevelChange.between(from.levels().get(l), to.levels().get(l)))
            .toList(),
        between(from.holdout(), to.holdout()));
  }
}
