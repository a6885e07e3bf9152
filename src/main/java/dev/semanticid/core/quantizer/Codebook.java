package dev.semanticid.core.quantizer;

import dev.semanticid.core.clustering.Centroids;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A trained residual quantizer's parameters: L levels of centroids with the settings that decide
 * codes. Immutable.
 *
 * <p>With residuals r and centroids C_l (K_l × d), level l chooses {@code k_l = argmin_k ½‖u −
 * C_l[k]‖²} for {@code u = r/‖r‖} ({@code u = r} when residuals are not normalised) and leaves
 * {@code r ← u − C_l[k_l]} to level l+1 (Chen, Guan & Wang 2010, "Approximate Nearest Neighbor
 * Search by Residual Vector Quantization").
 *
 * <p>The fingerprint is the SHA-256 of tensors, shapes and settings: two codebooks that give the
 * same codes to everything because they hold the same bytes have the same one. Statistics and
 * provenance do not enter it.
 */
public final class Codebook {

  /**
   * Below level 0 a residual this short is rounding noise: it is taken as zero, there and at every
   * deeper level.
   */
  public static final double EXHAUSTED_NORM = 1e-6;

  private final int dimension;
  private final boolean normalizeResiduals;
  private final List<Centroids> levels;
  private final @Nullable TrainingState trainingState;
  private final Provenance provenance;
  private final String fingerprint;

  private Codebook(
      int dimension,
      boolean normalizeResiduals,
      List<Centroids> levels,
      @Nullable TrainingState trainingState,
      Provenance provenance,
      String fingerprint) {
    this.dimension = dimension;
    this.normalizeResiduals = normalizeResiduals;
    this.levels = levels;
    this.trainingState = trainingState;
    this.provenance = provenance;
    this.fingerprint = fingerprint;
  }

  /**
   * Makes a codebook.
   *
   * @param settings what decides codes besides the centroids
   * @param dimension components d of a vector, 1 or more
   * @param levels for each level K_l × d centroids, row-major; kept, not copied, and not to be
   *     written afterwards
   * @param provenance where it comes from
   * @throws IllegalArgumentException if there is no level, a level is not a whole number of
   *     centroids or has none, or a component is not finite
   */
  public static Codebook of(
      CodebookSettings settings, int dimension, List<float[]> levels, Provenance provenance) {
    if (dimension < 1) {
      throw new IllegalArgumentException("dimension must be at least 1, got " + dimension);
    }
    if (levels.isEmpty()) {
      throw new IllegalArgumentException("a codebook needs at least one level, got none");
    }
    var made = new ArrayList<Centroids>(levels.size());
    for (int l = 0; l < levels.size(); l++) {
      float[] data = levels.get(l);
      if (data.length == 0 || data.length % dimension != 0) {
        throw new IllegalArgumentException(
            "level %d has %d components, not a positive multiple of the dimension %d"
                .formatted(l, data.length, dimension));
      }
      for (int i = 0; i < data.length; i++) {
        if (!Float.isFinite(data[i])) {
          throw new IllegalArgumentException(
              "level %d centroid %d holds %s; every component must be finite"
                  .formatted(l, i / dimension, data[i]));
        }
      }
      made.add(new Centroids(data, data.length / dimension, dimension));
    }
    return new Codebook(
        dimension,
        settings.normalizeResiduals(),
        List.copyOf(made),
        null,
        provenance,
        fingerprint(settings, dimension, levels));
  }

  /** The same codebook with what its training left behind. */
  public Codebook withTrainingState(TrainingState state) {
    if (state.counts().size() != levels.size()) {
      throw new IllegalArgumentException(
          "state of %d levels for a codebook of %d"
              .formatted(state.counts().size(), levels.size()));
    }
    for (int l = 0; l < levels.size(); l++) {
      if (state.counts().get(l).length != width(l)) {
        throw new IllegalArgumentException(
            "level %d has %d counts for %d centroids"
                .formatted(l, state.counts().get(l).length, width(l)));
      }
    }
    return new Codebook(
        dimension,
        normalizeResiduals,
        levels,
        Objects.requireNonNull(state),
        provenance,
        fingerprint);
  }

  /** The same codebook with another provenance. */
  public Codebook withProvenance(Provenance other) {
    return new Codebook(
        dimension,
        normalizeResiduals,
        levels,
        trainingState,
        Objects.requireNonNull(other),
        fingerprint);
  }

  private static String fingerprint(
      CodebookSettings settings, int dimension, List<float[]> levels) {
    MessageDigest digest = sha256();
    var header = new StringBuilder("semantic-id codebook 1\n");
    header.append("normalize_residuals=").append(settings.normalizeResiduals()).append('\n');
    for (int l = 0; l < levels.size(); l++) {
      header
          .append(
              String.format(
                  Locale.ROOT,
                  "level_%d F32 [%d,%d]",
                  l,
                  levels.get(l).length / dimension,
                  dimension))
          .append('\n');
    }
    digest.update(header.toString().getBytes(StandardCharsets.US_ASCII));
    ByteBuffer bytes = ByteBuffer.allocate(1 << 16).order(ByteOrder.LITTLE_ENDIAN);
    for (float[] level : levels) {
      for (int begin = 0; begin < level.length; begin += bytes.capacity() / 4) {
        int count = Math.min(bytes.capacity() / 4, level.length - begin);
        bytes.clear().limit(4 * count);
        bytes.asFloatBuffer().put(level, begin, count);
        digest.update(bytes);
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  /** Components d of the vectors it quantizes. */
  public int dimension() {
    return dimension;
  }

  /** Number of levels L, the length of a semantic ID. */
  public int levels() {
    return levels.size();
  }

  /** Number of centroids K_l of a level. */
  public int width(int level) {
    return levels.get(level).width();
  }

  /** K_0 … K_{L−1}. */
  public List<Integer> widths() {
    return levels.stream().map(Centroids::width).toList();
  }

  /** The centroids of a level. */
  public Centroids centroids(int level) {
    return levels.get(level);
  }

  /** Whether each level works on unit vectors. */
  public boolean normalizeResiduals() {
    return normalizeResiduals;
  }

  /** What decides codes besides the centroids. */
  public CodebookSettings settings() {
    return new CodebookSettings(normalizeResiduals);
  }

  /** What training left behind, if the codebook was trained here or carried it along. */
  public @Nullable TrainingState trainingState() {
    return trainingState;
  }

  /** Where it comes from. */
  public Provenance provenance() {
    return provenance;
  }

  /** SHA-256 of tensors, shapes and settings, 64 lower-case hex digits. */
  public String fingerprint() {
    return fingerprint;
  }
}
