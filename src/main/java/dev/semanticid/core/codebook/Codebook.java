package dev.semanticid.core.codebook;

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
 * <p>With residuals r, centroids C_l (K_l × d) and their weights w_l (0 unless given), level l
 * chooses {@code k_l = argmin_k ½‖u − C_l[k]‖² + w_l[k]} for {@code u = r/‖r‖} ({@code u = r} when
 * residuals are not normalised) and leaves {@code r ← u − C_l[k_l]} to level l+1 (Chen, Guan & Wang
 * 2010, "Approximate Nearest Neighbor Search by Residual Vector Quantization").
 *
 * <p>With a beam of size B > 1, each level keeps the B partial codes of the least squared residual
 * instead, {@link BeamLoop} says how; weights cannot be combined with it.
 *
 * <p>The fingerprint is the SHA-256 of tensors, shapes and settings: two codebooks that give the
 * same codes to everything because they hold the same bytes have the same one. Statistics and
 * provenance do not enter it.
 */
public final class Codebook {

  /**
   * The most components of a vector: blocks of rows of that length still fit an array, and no
   * product of it with a number of rows overflows before it is checked.
   */
  public static final int MOST_DIMENSION = 1 << 20;

  /**
   * Below level 0 a residual this short is rounding noise: it is taken as zero, there and at every
   * deeper level.
   */
  public static final double EXHAUSTED_NORM = 1e-6;

  /** The most levels; tables between all pairs of levels take memory. */
  public static final int MOST_LEVELS = 256;

  /** The largest weight by amount, far beyond any that has an effect. */
  public static final float LARGEST_WEIGHT = 1e30f;

  private final int dimension;
  private final CodebookSettings settings;
  private final List<Centroids> levels;
  private final @Nullable TrainingState trainingState;
  private final Provenance provenance;
  private final String fingerprint;

  private Codebook(
      int dimension,
      CodebookSettings settings,
      List<Centroids> levels,
      @Nullable TrainingState trainingState,
      Provenance provenance,
      String fingerprint) {
    this.dimension = dimension;
    this.settings = settings;
    this.levels = levels;
    this.trainingState = trainingState;
    this.provenance = provenance;
    this.fingerprint = fingerprint;
  }

  /** Makes a codebook without weights. */
  public static Codebook of(
      CodebookSettings settings, int dimension, List<float[]> levels, Provenance provenance) {
    return of(settings, dimension, levels, List.of(), provenance);
  }

  /**
   * Makes a codebook.
   *
   * @param settings what decides codes besides the centroids
   * @param dimension components d of a vector, 1 or more
   * @param levels for each level K_l × d centroids, row-major; kept, not copied, and not to be
   *     written afterwards
   * @param weights for each level K_l weights; kept, and not to be written afterwards; none if
   *     empty, which weights that are all 0 are taken for
   * @param provenance where it comes from
   * @throws IllegalArgumentException if there is no level or there are too many, a level is not a
   *     whole number of centroids or has none, a component is not finite, weights are not as many
   *     as centroids, beyond ±10³⁰, or come with a beam
   */
  public static Codebook of(
      CodebookSettings settings,
      int dimension,
      List<float[]> levels,
      List<float[]> weights,
      Provenance provenance) {
    if (dimension < 1) {
      throw new IllegalArgumentException("dimension must be at least 1, got " + dimension);
    }
    if (levels.isEmpty()) {
      throw new IllegalArgumentException("a codebook needs at least one level, got none");
    }
    if (levels.size() > MOST_LEVELS) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "a codebook may have %d levels, got %d", MOST_LEVELS, levels.size()));
    }
    boolean weighted = weights.stream().anyMatch(Codebook::notAllZero);
    if (!weights.isEmpty() && weights.size() != levels.size()) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "weights of %d levels for a codebook of %d",
              weights.size(),
              levels.size()));
    }
    if (weighted && settings.beamSize() > 1) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "a codebook with weights is encoded greedily; it cannot have beam_size %d",
              settings.beamSize()));
    }
    var made = new ArrayList<Centroids>(levels.size());
    for (int l = 0; l < levels.size(); l++) {
      float[] data = levels.get(l);
      if (data.length == 0 || data.length % dimension != 0) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "level %d has %d components, not a positive multiple of the dimension %d",
                l,
                data.length,
                dimension));
      }
      for (int i = 0; i < data.length; i++) {
        if (!Float.isFinite(data[i])) {
          throw new IllegalArgumentException(
              String.format(
                  Locale.ROOT,
                  "level %d centroid %d holds %s; every component must be finite",
                  l,
                  i / dimension,
                  data[i]));
        }
      }
      int width = data.length / dimension;
      made.add(
          weights.isEmpty()
              ? new Centroids(data, width, dimension)
              : new Centroids(data, width, dimension, checked(weights.get(l), l, width)));
    }
    return new Codebook(
        dimension,
        settings,
        List.copyOf(made),
        null,
        provenance,
        fingerprint(settings, dimension, levels, weighted ? weights : List.of()));
  }

  private static boolean notAllZero(float[] weights) {
    for (float weight : weights) {
      if (weight != 0) {
        return true;
      }
    }
    return false;
  }

  private static float[] checked(float[] weights, int level, int width) {
    if (weights.length != width) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "level %d has %d weights for %d centroids",
              level,
              weights.length,
              width));
    }
    for (int k = 0; k < width; k++) {
      if (!(Math.abs(weights[k]) <= LARGEST_WEIGHT)) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "level %d weight %d is %s; expected a number within ±%s",
                level,
                k,
                weights[k],
                LARGEST_WEIGHT));
      }
    }
    return weights;
  }

  /** The same codebook with what its training left behind. */
  public Codebook withTrainingState(TrainingState state) {
    if (state.counts().size() != levels.size()) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "state of %d levels for a codebook of %d",
              state.counts().size(),
              levels.size()));
    }
    for (int l = 0; l < levels.size(); l++) {
      if (state.counts().get(l).length != width(l)) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "level %d has %d counts for %d centroids",
                l,
                state.counts().get(l).length,
                width(l)));
      }
    }
    return new Codebook(
        dimension, settings, levels, Objects.requireNonNull(state), provenance, fingerprint);
  }

  /** The same codebook with another provenance. */
  public Codebook withProvenance(Provenance other) {
    return new Codebook(
        dimension, settings, levels, trainingState, Objects.requireNonNull(other), fingerprint);
  }

  private static String fingerprint(
      CodebookSettings settings, int dimension, List<float[]> levels, List<float[]> weights) {
    MessageDigest digest = sha256();
    var header = new StringBuilder("semantic-id codebook 1\n");
    header.append("normalize_residuals=").append(settings.normalizeResiduals()).append('\n');
    if (settings.beamSize() > 1) {
      header.append("beam_size=").append(settings.beamSize()).append('\n');
    }
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
    for (int l = 0; l < weights.size(); l++) {
      header
          .append(String.format(Locale.ROOT, "weight_%d F32 [%d]", l, weights.get(l).length))
          .append('\n');
    }
    digest.update(header.toString().getBytes(StandardCharsets.US_ASCII));
    ByteBuffer bytes = ByteBuffer.allocate(1 << 16).order(ByteOrder.LITTLE_ENDIAN);
    levels.forEach(level -> update(digest, level, bytes));
    weights.forEach(level -> update(digest, level, bytes));
    return HexFormat.of().formatHex(digest.digest());
  }

  private static void update(MessageDigest digest, float[] values, ByteBuffer bytes) {
    for (int begin = 0; begin < values.length; begin += bytes.capacity() / 4) {
      int count = Math.min(bytes.capacity() / 4, values.length - begin);
      bytes.clear().limit(4 * count);
      bytes.asFloatBuffer().put(values, begin, count);
      digest.update(bytes);
    }
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
    return settings.normalizeResiduals();
  }

  /** Whether centroids have weights. */
  public boolean weighted() {
    return levels.stream().anyMatch(level -> level.maxWeight() > 0);
  }

  /** What decides codes besides the centroids. */
  public CodebookSettings settings() {
    return settings;
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
