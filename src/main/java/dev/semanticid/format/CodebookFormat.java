package dev.semanticid.format;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.CodebookSettings;
import dev.semanticid.core.codebook.Provenance;
import dev.semanticid.core.codebook.TrainingState;
import dev.semanticid.format.FormatException.Kind;
import dev.semanticid.format.SafetensorsWriter.Tensor;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Codebooks as safetensors files: tensors {@code level_0 … level_{L−1}} (F32, K_l × d), {@code
 * weight_0 …} (F32, K_l) where centroids have weights and, where known, {@code count_0 …} (I64,
 * K_l, rows absorbed in training). Metadata: {@code normalize_residuals} ("true" or "false", the
 * one thing a foreign file must state), {@code beam_size} (1 if not there), {@code format_version},
 * {@code fingerprint} (checked on reading), {@code mean_norms} (comma-separated, per level); all
 * other entries are provenance. Specified in docs/codebook-format.md.
 */
public final class CodebookFormat {

  /** The newest version that is read; written where there are weights or a beam, else 1. */
  public static final int VERSION = 2;

  private static final String NORMALIZE = "normalize_residuals";
  private static final String BEAM_SIZE = "beam_size";
  private static final String FORMAT_VERSION = "format_version";
  private static final String FINGERPRINT = "fingerprint";
  private static final String MEAN_NORMS = "mean_norms";
  private static final Set<String> RESERVED =
      Set.of(NORMALIZE, BEAM_SIZE, FORMAT_VERSION, FINGERPRINT, MEAN_NORMS);
  private static final Pattern TENSOR = Pattern.compile("(level|weight|count)_(0|[1-9][0-9]{0,3})");

  private CodebookFormat() {}

  /** Writes a codebook; the same codebook gives the same bytes. */
  public static void write(Codebook codebook, OutputStream out) throws IOException {
    SafetensorsWriter.write(out, metadata(codebook), tensors(codebook));
  }

  /** Bytes that {@link #write} writes. */
  public static long size(Codebook codebook) {
    return SafetensorsWriter.size(metadata(codebook), tensors(codebook));
  }

  private static Map<String, String> metadata(Codebook codebook) {
    var metadata = new TreeMap<>(codebook.provenance().values());
    metadata.keySet().removeAll(RESERVED);
    int beam = codebook.settings().beamSize();
    metadata.put(FORMAT_VERSION, codebook.weighted() || beam > 1 ? "2" : "1");
    if (beam > 1) {
      metadata.put(BEAM_SIZE, Integer.toString(beam));
    }
    metadata.put(NORMALIZE, Boolean.toString(codebook.normalizeResiduals()));
    metadata.put(FINGERPRINT, codebook.fingerprint());
    TrainingState state = codebook.trainingState();
    if (state != null) {
      metadata.put(
          MEAN_NORMS,
          state.meanNorms().stream().map(String::valueOf).collect(Collectors.joining(",")));
    }
    return metadata;
  }

  private static List<Tensor> tensors(Codebook codebook) {
    var tensors = new ArrayList<Tensor>();
    TrainingState state = codebook.trainingState();
    for (int l = 0; l < codebook.levels(); l++) {
      tensors.add(
          Tensor.ofFloats(
              "level_" + l, codebook.centroids(l).data(), codebook.width(l), codebook.dimension()));
      if (codebook.weighted()) {
        tensors.add(
            Tensor.ofFloats("weight_" + l, codebook.centroids(l).weights(), codebook.width(l)));
      }
      if (state != null) {
        tensors.add(Tensor.ofLongs("count_" + l, state.counts().get(l), codebook.width(l)));
      }
    }
    return tensors;
  }

  /**
   * Reads a codebook.
   *
   * @param in the whole stream is the file; not closed
   * @param maxBytes most bytes of tensors to accept
   * @throws FormatException if it is not a codebook, with what was expected and what came; {@code
   *     UNSUPPORTED} for a newer format, {@code CORRUPT} where the content does not have the
   *     fingerprint that the file states
   * @throws IOException if the stream fails
   */
  public static Codebook read(InputStream in, long maxBytes) throws IOException {
    var reader = new SafetensorsReader(in, maxBytes);
    Map<String, String> metadata = reader.metadata();
    CodebookSettings settings = settings(metadata);
    var levels = new HashMap<Integer, TensorInfo>();
    for (TensorInfo tensor : reader.tensors()) {
      check(tensor);
      if (tensor.name().startsWith("level_")) {
        levels.put(index(tensor), tensor);
      }
    }
    if (levels.isEmpty()) {
      throw new FormatException(
          Kind.UNSUPPORTED,
          "a codebook has tensors level_0, level_1, …; the file has %s".formatted(names(reader)));
    }
    if (levels.size() > Codebook.MOST_LEVELS) {
      throw new FormatException(
          Kind.UNSUPPORTED,
          String.format(
              Locale.ROOT,
              "a codebook may have %d levels, the file has %d",
              Codebook.MOST_LEVELS,
              levels.size()));
    }
    int count = levels.size();
    int dimension = 0;
    for (int l = 0; l < count; l++) {
      TensorInfo level = levels.get(l);
      if (level == null) {
        throw new FormatException(
            Kind.CORRUPT,
            String.format(
                Locale.ROOT,
                "%d level tensors must be level_0 to level_%d; the file has %s",
                count,
                count - 1,
                names(reader)));
      }
      long d = level.shape().get(1);
      if (d > Codebook.MOST_DIMENSION) {
        throw new FormatException(
            Kind.TOO_LARGE,
            String.format(
                Locale.ROOT,
                "a codebook may have dimension %d, level_%d has %d",
                Codebook.MOST_DIMENSION,
                l,
                d));
      }
      if (l == 0) {
        dimension = (int) d;
      } else if (d != dimension) {
        throw new FormatException(
            Kind.CORRUPT,
            String.format(
                Locale.ROOT,
                "level_0 has dimension %d, level_%d has %d; all levels must have the same",
                dimension,
                l,
                d));
      }
    }
    float[][] centroids = new float[count][];
    float[][] weights = new float[count][];
    long[][] counts = new long[count][];
    for (TensorInfo tensor : reader.tensors()) {
      int level = index(tensor);
      if (tensor.name().startsWith("level_")) {
        centroids[level] = reader.readFloats(tensor);
      } else if (level >= count) {
        throw new FormatException(
            Kind.CORRUPT, "%s is for a level that is not there".formatted(tensor.name()));
      } else if (tensor.name().startsWith("weight_")) {
        weights[level] = reader.readFloats(tensor);
      } else {
        counts[level] = reader.readLongs(tensor);
      }
    }
    reader.finish();
    return assemble(settings, dimension, centroids, given(weights), counts, metadata);
  }

  /** Weights of all levels, or none. */
  private static List<float[]> given(float[][] weights) throws FormatException {
    long levels = Arrays.stream(weights).filter(level -> level != null).count();
    if (levels != 0 && levels != weights.length) {
      throw new FormatException(
          Kind.CORRUPT,
          String.format(
              Locale.ROOT,
              "weights for %d of %d levels; expected all or none",
              levels,
              weights.length));
    }
    return levels == 0 ? List.of() : Arrays.asList(weights);
  }

  private static Codebook assemble(
      CodebookSettings settings,
      int dimension,
      float[][] centroids,
      List<float[]> weights,
      long[][] counts,
      Map<String, String> metadata)
      throws FormatException {
    var provenance = new TreeMap<>(metadata);
    provenance.keySet().removeAll(RESERVED);
    Codebook codebook;
    try {
      codebook =
          Codebook.of(
              settings, dimension, Arrays.asList(centroids), weights, new Provenance(provenance));
      if (Arrays.stream(counts).allMatch(c -> c != null) && metadata.containsKey(MEAN_NORMS)) {
        codebook =
            codebook.withTrainingState(
                new TrainingState(Arrays.asList(counts), meanNorms(metadata.get(MEAN_NORMS))));
      }
    } catch (IllegalArgumentException e) {
      throw new FormatException(Kind.CORRUPT, String.valueOf(e.getMessage()));
    }
    String stated = metadata.get(FINGERPRINT);
    if (stated != null && !stated.equals(codebook.fingerprint())) {
      throw new FormatException(
          Kind.CORRUPT,
          "the file states fingerprint %s, its content has %s"
              .formatted(FormatException.abbreviate(stated), codebook.fingerprint()));
    }
    return codebook;
  }

  private static CodebookSettings settings(Map<String, String> metadata) throws FormatException {
    String version = metadata.getOrDefault(FORMAT_VERSION, "1");
    if (!version.equals("1") && !version.equals("2")) {
      throw new FormatException(
          Kind.UNSUPPORTED,
          String.format(
              Locale.ROOT,
              "format_version is %s, this release reads 1 to %d",
              FormatException.abbreviate(version),
              VERSION));
    }
    String normalize = metadata.get(NORMALIZE);
    if (!"true".equals(normalize) && !"false".equals(normalize)) {
      throw new FormatException(
          Kind.UNSUPPORTED,
          "__metadata__ must hold normalize_residuals \"true\" or \"false\", the file has %s"
              .formatted(normalize == null ? "none" : FormatException.abbreviate(normalize)));
    }
    String beam = metadata.getOrDefault(BEAM_SIZE, "1");
    try {
      return new CodebookSettings(Boolean.parseBoolean(normalize), Integer.parseInt(beam));
    } catch (IllegalArgumentException e) {
      throw new FormatException(
          Kind.UNSUPPORTED,
          String.format(
              Locale.ROOT,
              "beam_size must be 1 to %d, the file has %s",
              CodebookSettings.LARGEST_BEAM,
              FormatException.abbreviate(beam)));
    }
  }

  private static List<Double> meanNorms(String text) {
    var norms = new ArrayList<Double>();
    for (String part : text.split(",", -1)) {
      double norm = Double.parseDouble(part);
      if (!(norm >= 0 && norm <= Double.MAX_VALUE)) {
        throw new IllegalArgumentException("mean_norms holds " + part);
      }
      norms.add(norm);
    }
    return norms;
  }

  private static void check(TensorInfo tensor) throws FormatException {
    Matcher matcher = TENSOR.matcher(tensor.name());
    if (!matcher.matches()) {
      throw new FormatException(
          Kind.UNSUPPORTED,
          "a codebook has tensors level_0, level_1, …, weight_0, … and count_0, …; the file has %s"
              .formatted(FormatException.abbreviate(tensor.name())));
    }
    boolean level = matcher.group(1).equals("level");
    String dtype = matcher.group(1).equals("count") ? "I64" : "F32";
    int rank = level ? 2 : 1;
    if (!tensor.dtype().equals(dtype)
        || tensor.shape().size() != rank
        || tensor.shape().stream().anyMatch(n -> n < 1 || n > Integer.MAX_VALUE - 8)) {
      throw new FormatException(
          Kind.UNSUPPORTED,
          "%s must be %s of shape %s with no empty side, it is %s %s"
              .formatted(
                  tensor.name(), dtype, level ? "[K, d]" : "[K]", tensor.dtype(), tensor.shape()));
    }
  }

  private static int index(TensorInfo tensor) {
    return Integer.parseInt(tensor.name().substring(tensor.name().indexOf('_') + 1));
  }

  private static String names(SafetensorsReader reader) {
    return reader.tensors().isEmpty()
        ? "none"
        : FormatException.abbreviate(
            reader.tensors().stream().map(TensorInfo::name).collect(Collectors.joining(", ")));
  }
}
