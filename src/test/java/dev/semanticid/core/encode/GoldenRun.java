package dev.semanticid.core.encode;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.CodebookSettings;
import dev.semanticid.core.codebook.Provenance;
import dev.semanticid.core.train.ResidualQuantizerConfig;
import dev.semanticid.core.vector.VectorBatch;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * One run of the research implementation that this service must reproduce: its data, first
 * centroids, losses, trained centroids and codes.
 */
public record GoldenRun(
    String name, Path folder, Path dataFile, int trainRows, int batchSize, int bufferSize) {

  public static final int LEVELS = 3;

  /** The small runs, which live in this repository. */
  public static Stream<GoldenRun> small() {
    Path sample = Path.of("src/samples/sample-4096-f2.npy");
    Path folder = Path.of("src/test/resources/reference");
    return Stream.of("small-normalized-32", "small-raw-32")
        .map(name -> new GoldenRun(name, folder.resolve(name), sample, 3584, 512, 1024));
  }

  /**
   * The full runs, below the folder that the system property {@code golden.dir} names, if it does.
   */
  static Stream<GoldenRun> full(String... names) {
    String dir = System.getProperty("golden.dir", "");
    if (dir.isEmpty()) {
      return Stream.empty();
    }
    Path root = Path.of(dir);
    return Arrays.stream(names)
        .map(name ->
            new GoldenRun(
                name,
                root.resolve("reference").resolve(name),
                root.resolve("data/catalog-minilm.npy"),
                20480,
                2048,
                3072));
  }

  boolean normalized() {
    return name.contains("normalized");
  }

  float[] rows() {
    return floats(dataFile);
  }

  int dimension() {
    return 384;
  }

  VectorBatch train() {
    return new VectorBatch(rows(), trainRows, dimension());
  }

  public VectorBatch holdout() {
    float[] rows = rows();
    return VectorBatch.of(
        Arrays.copyOfRange(rows, trainRows * dimension(), rows.length), dimension());
  }

  List<float[]> levels(String file) {
    float[] all = floats(folder.resolve(file));
    var levels = new ArrayList<float[]>();
    int size = all.length / LEVELS;
    for (int l = 0; l < LEVELS; l++) {
      levels.add(Arrays.copyOfRange(all, l * size, (l + 1) * size));
    }
    return levels;
  }

  public Codebook codebook() {
    return Codebook.of(
        new CodebookSettings(normalized()),
        dimension(),
        levels("codebooks.npy"),
        Provenance.UNKNOWN);
  }

  /** Codes that the contract gives, n × L; train rows first, then the holdout. */
  int[] codes() {
    int[] train = ints(folder.resolve("codes_train.npy"));
    int[] holdout = ints(folder.resolve("codes_holdout.npy"));
    int[] all = Arrays.copyOf(train, train.length + holdout.length);
    System.arraycopy(holdout, 0, all, train.length, holdout.length);
    return all;
  }

  JsonNode run() {
    return JsonMapper.shared().readTree(folder.resolve("run.json").toFile());
  }

  ResidualQuantizerConfig config() {
    int width = levels("codebooks.npy").getFirst().length / dimension();
    ResidualQuantizerConfig defaults = ResidualQuantizerConfig.reference(dimension());
    return new ResidualQuantizerConfig(
        dimension(),
        List.of(width, width, width),
        bufferSize,
        batchSize,
        30,
        defaults.learningRate(),
        normalized(),
        true,
        true,
        false,
        defaults.initializer(),
        defaults.seed());
  }

  private static ByteBuffer data(Path npy) {
    try {
      ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(npy)).order(ByteOrder.LITTLE_ENDIAN);
      return bytes.position(10 + bytes.getShort(8)).slice().order(ByteOrder.LITTLE_ENDIAN);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static float[] floats(Path npy) {
    ByteBuffer data = data(npy);
    if (npy.toString().contains("-f2")) {
      float[] values = new float[data.remaining() / 2];
      for (int i = 0; i < values.length; i++) {
        values[i] = Float.float16ToFloat(data.getShort(2 * i));
      }
      return values;
    }
    float[] values = new float[data.remaining() / 4];
    data.asFloatBuffer().get(values);
    return values;
  }

  private static int[] ints(Path npy) {
    ByteBuffer data = data(npy);
    int[] values = new int[data.remaining() / 4];
    data.asIntBuffer().get(values);
    return values;
  }

  @Override
  public String toString() {
    return name;
  }
}
