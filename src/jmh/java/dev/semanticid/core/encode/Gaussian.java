package dev.semanticid.core.encode;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.CodebookSettings;
import dev.semanticid.core.codebook.Provenance;
import dev.semanticid.core.vector.VectorBatch;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/** Seeded vectors of independent normal components, of expected squared norm 1. */
final class Gaussian {

  private Gaussian() {}

  static VectorBatch rows(long seed, int rows, int d) {
    return VectorBatch.of(components(seed, rows, d), d);
  }

  /** A codebook that normalises residuals, as the reference settings do. */
  static Codebook codebook(long seed, int levels, int width, int d) {
    return Codebook.of(
        new CodebookSettings(true),
        d,
        IntStream.range(0, levels).mapToObj(l -> components(seed + l, width, d)).toList(),
        Provenance.UNKNOWN);
  }

  private static float[] components(long seed, int rows, int d) {
    var random = new SplittableRandom(seed);
    float[] components = new float[Math.multiplyExact(rows, d)];
    double scale = 1 / Math.sqrt(d);
    for (int i = 0; i < components.length; i++) {
      components[i] = (float) (scale * random.nextGaussian());
    }
    return components;
  }
}
