package dev.semanticid.core.format;

import dev.semanticid.core.format.FormatException.Kind;
import dev.semanticid.core.format.SafetensorsWriter.Tensor;
import dev.semanticid.core.quantizer.Codebook;
import dev.semanticid.core.quantizer.CodebookSettings;
import dev.semanticid.core.quantizer.Provenance;
import dev.semanticid.core.quantizer.TrainingState;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Codebooks as safetensors files: tensors {@code level_0 … level_{L−1}} (F32, K_l × d) and, where
 * known, {@code count_0 …} (I64, K_l, rows absorbed in training). Metadata: {@code
 * normalize_residuals} ("true" or "false", the one thing a foreign file must state), {@code
 * format_version}, {@code fingerprint} (checked on reading), {@code mean_norms} (comma-separated,
 * per level); all other entries are provenance. Specified in docs/codebook-format.md.
 */
public final class CodebookFormat {

  /** The version written, and the newest that is read. */
  public static final int VERSION = 1;

  private static final String NORMALIZE = "normalize_residuals";
  private static final String FORMAT_VERSION = "format_version";
  private static final String FINGERPRINT = "fingerprint";
  private static final String MEAN_NORMS = "mean_norms";
  private static final Set<String> RESERVED =
      Set.of(NORMALIZE, FORMAT_VERSION, FINGERPRINT, MEAN_NORMS);
  private static final Pattern TENSOR = Pattern.compile("(level|count)_(0|[1-9][0-9]{0,3})");

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
    metadata.put(FORMAT_VERSION, Integer.toString(VERSION));
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
    int count = levels.size();
    int dimension = 0;
    for (int l = 0; l < count; l++) {
      TensorInfo level = levels.get(l);
      if (level == null) {
        throw new FormatException(
            Kind.CORRUPT,
            "%d level tensors must be level_0 to level_%d; the file has %s"
                .formatted(count, count - 1, names(reader)));
      }
      long d = level.shape().get(1);
      if (l == 0) {
        dimension = (int) d;
      } else if (d != dimension) {
        throw new FormatException(
            Kind.CORRUPT,
            "level_0 has dimension %d, level_%d has %d; all levels must have the same"
                .formatted(dimension, l, d));
      }
    }
    float[][] centroids = new float[count][];
    long[][] counts = new long[count][];
    for (TensorInfo tensor : reader.tensors()) {
      int level = index(tensor);
      if (tensor.name().startsWith("level_")) {
        centroids[level] = reader.readFloats(tensor);
      } else if (level < count) {
        counts[level] = reader.readLongs(tensor);
      } else {
        throw new FormatException(
            Kind.CORRUPT, "%s counts for a level that is not there".formatted(tensor.name()));
      }
    }
    reader.finish();
    return assemble(settings, dimension, centroids, counts, metadata);
  }

  private static Codebook assemble(
      CodebookSettings settings,
      int dimension,
      float[][] centroids,
      long[][] counts,
      Map<String, String> metadata)
      throws FormatException {
    var provenance = new TreeMap<>(metadata);
    provenance.keySet().removeAll(RESERVED);
    Codebook codebook;
    try {
      codebook =
          Codebook.of(settings, dimension, Arrays.asList(centroids), new Provenance(provenance));
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
    String version = metadata.getOrDefault(FORMAT_VERSION, Integer.toString(VERSION));
    if (!version.equals(Integer.toString(VERSION))) {
      throw new FormatException(
          Kind.UNSUPPORTED,
          "format_version is %s, this release reads %d"
              .formatted(FormatException.abbreviate(version), VERSION));
    }
    String normalize = metadata.get(NORMALIZE);
    if (!"true".equals(normalize) && !"false".equals(normalize)) {
      throw new FormatException(
          Kind.UNSUPPORTED,
          "__metadata__ must hold normalize_residuals \"true\" or \"false\", the file has %s"
              .formatted(normalize == null ? "none" : FormatException.abbreviate(normalize)));
    }
    return new CodebookSettings(Boolean.parseBoolean(normalize));
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
          "a codebook has tensors level_0, level_1, … and count_0, count_1, …; the file has %s"
              .formatted(FormatException.abbreviate(tensor.name())));
    }
    boolean level = matcher.group(1).equals("level");
    String dtype = level ? "F32" : "I64";
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
    return Integer.parseInt(tensor.name().substring(6));
  }

  private static String names(SafetensorsReader reader) {
    return reader.tensors().isEmpty()
        ? "none"
        : FormatException.abbreviate(
            reader.tensors().stream().map(TensorInfo::name).collect(Collectors.joining(", ")));
  }
}
