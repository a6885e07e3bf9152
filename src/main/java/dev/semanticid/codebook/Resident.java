package dev.semanticid.codebook;

import dev.semanticid.core.encode.ResidualQuantizer;
import dev.semanticid.core.search.ScreeningStatistics;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One resident codebook in words and numbers.
 *
 * @param codebook name
 * @param version number
 * @param fingerprint of the version
 * @param embeddingDim components of a vector
 * @param codebookWidths centroids of each level
 * @param plan how it is encoded with
 * @param planReason why that plan
 * @param residentBytes memory it takes on the device and in tables
 * @param screening what 8-bit products proved since it became resident, if they are used
 */
public record Resident(
    String codebook,
    int version,
    String fingerprint,
    int embeddingDim,
    List<Integer> codebookWidths,
    String plan,
    String planReason,
    long residentBytes,
    @Nullable Screened screening) {

  /**
   * Screening in numbers.
   *
   * @param rows rows screened
   * @param survivorsPerRow centroids of each level that were left, on average
   * @param float64ProductsPerRow dot products then summed in float64, on average
   */
  public record Screened(long rows, List<Double> survivorsPerRow, double float64ProductsPerRow) {
    static @Nullable Screened of(@Nullable ScreeningStatistics done) {
      return done == null || done.rows() == 0
          ? null
          : new Screened(done.rows(), done.survivorsPerRow(), done.summedPerRow());
    }
  }

  static Resident of(ServedCodebook served) {
    ResidualQuantizer quantizer = served.quantizer();
    return new Resident(
        served.name(),
        served.version(),
        served.fingerprint(),
        quantizer.codebook().dimension(),
        quantizer.codebook().widths(),
        quantizer.plan(),
        quantizer.planReason(),
        quantizer.residentBytes(),
        Screened.of(quantizer.screening()));
  }
}
