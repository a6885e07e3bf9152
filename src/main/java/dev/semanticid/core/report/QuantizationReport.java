package dev.semanticid.core.report;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a codebook did to a data set.
 *
 * @param rows number of rows
 * @param mse mean square of a component of the last residual, as the algorithm sees it
 * @param reconstructionMse mean square of a component of x − x̂, x̂ rebuilt from the codes and the
 *     row's own norms
 * @param uniqueRatio distinct semantic IDs / rows
 * @param collidingShare share of rows whose semantic ID another row has too
 * @param maxGroup rows of the most frequent semantic ID
 * @param levels one report per level
 * @param notes what a reader should know besides, in sentences
 * @param holdout the same for rows that were held out from training, if any were
 */
public record QuantizationReport(
    long rows,
    double mse,
    double reconstructionMse,
    double uniqueRatio,
    double collidingShare,
    long maxGroup,
    List<LevelReport> levels,
    List<String> notes,
    @Nullable QuantizationReport holdout) {

  public QuantizationReport {
    levels = List.copyOf(levels);
    notes = List.copyOf(notes);
  }

  /** The same report with other notes. */
  public QuantizationReport withNotes(List<String> others) {
    return new QuantizationReport(
        rows,
        mse,
        reconstructionMse,
        uniqueRatio,
        collidingShare,
        maxGroup,
        levels,
        others,
        holdout);
  }

  /** The same report with one for rows that were held out. */
  public QuantizationReport withHoldout(QuantizationReport heldOut) {
    return new QuantizationReport(
        rows,
        mse,
        reconstructionMse,
        uniqueRatio,
        collidingShare,
        maxGroup,
        levels,
        notes,
        heldOut);
  }
}
