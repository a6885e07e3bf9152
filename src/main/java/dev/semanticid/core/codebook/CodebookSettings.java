package dev.semanticid.core.codebook;

import java.util.Locale;

/**
 * The settings of a codebook that decide codes; part of its fingerprint.
 *
 * @param normalizeResiduals whether every level works on residuals divided by their norm
 * @param beamSize partial codes that encoding keeps per level, 1 to {@value #LARGEST_BEAM}: 1 is
 *     greedy, the reference
 */
public record CodebookSettings(boolean normalizeResiduals, int beamSize) {

  /** The most partial codes that encoding can keep. */
  public static final int LARGEST_BEAM = 64;

  public CodebookSettings {
    if (beamSize < 1 || beamSize > LARGEST_BEAM) {
      throw new IllegalArgumentException(
          String.format(Locale.ROOT, "beam_size must be 1 to %d, got %d", LARGEST_BEAM, beamSize));
    }
  }

  /** Settings of greedy encoding. */
  public CodebookSettings(boolean normalizeResiduals) {
    this(normalizeResiduals, 1);
  }
}
