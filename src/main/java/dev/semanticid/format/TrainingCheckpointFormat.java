package dev.semanticid.format;

import dev.semanticid.core.train.TrainingCheckpoint;
import dev.semanticid.format.FormatException.Kind;
import dev.semanticid.format.SafetensorsWriter.Tensor;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * Training checkpoints as safetensors: tensors {@code level_l} (F32, K_l × d) and {@code count_l}
 * (I64, K_l) of the levels that have centroids, {@code weight_l} (F32, K_l) of those that are
 * balanced, the rest as metadata.
 */
public final class TrainingCheckpointFormat {

  private static final String BUFFER_ROWS = "buffer_rows";
  private static final String STEPS = "steps";
  private static final String INERTIA = "inertia";
  private static final String REFINED = "refined";
  private static final String PASS = "pass";
  private static final String POSITION = "position";

  private TrainingCheckpointFormat() {}

  /**
   * Writes a checkpoint.
   *
   * @param dimension components of a centroid
   */
  public static void write(TrainingCheckpoint checkpoint, int dimension, OutputStream out)
      throws IOException {
    var metadata = new TreeMap<String, String>();
    metadata.put(
        BUFFER_ROWS,
        checkpoint.bufferRows().stream().map(String::valueOf).collect(Collectors.joining(",")));
    metadata.put(STEPS, Integer.toString(checkpoint.steps()));
    metadata.put(INERTIA, Double.toString(checkpoint.inertia()));
    metadata.put(REFINED, Integer.toString(checkpoint.refined()));
    metadata.put(PASS, Long.toString(checkpoint.pass()));
    metadata.put(POSITION, Long.toString(checkpoint.position()));
    var tensors = new ArrayList<Tensor>();
    for (int l = 0; l < checkpoint.centroids().size(); l++) {
      long[] counts = checkpoint.counts().get(l);
      tensors.add(
          Tensor.ofFloats("level_" + l, checkpoint.centroids().get(l), counts.length, dimension));
      tensors.add(Tensor.ofLongs("count_" + l, counts, counts.length));
      if (l < checkpoint.weights().size()) {
        tensors.add(Tensor.ofFloats("weight_" + l, checkpoint.weights().get(l), counts.length));
      }
    }
    SafetensorsWriter.write(out, metadata, tensors);
  }

  /**
   * Reads a checkpoint.
   *
   * @param in the whole stream is the checkpoint; not closed
   * @throws FormatException {@code CORRUPT} if it is none
   * @throws IOException if the stream fails
   */
  public static TrainingCheckpoint read(InputStream in) throws IOException {
    var reader = new SafetensorsReader(in, Long.MAX_VALUE);
    int levels = (int) reader.tensors().stream().filter(t -> t.name().startsWith("count_")).count();
    float[][] centroids = new float[levels][];
    long[][] counts = new long[levels][];
    var weights = new TreeMap<Integer, float[]>();
    try {
      for (TensorInfo tensor : reader.tensors()) {
        int level = Integer.parseInt(tensor.name().substring(tensor.name().indexOf('_') + 1));
        if (tensor.name().startsWith("level_")) {
          centroids[level] = reader.readFloats(tensor);
        } else if (tensor.name().startsWith("weight_")) {
          weights.put(level, reader.readFloats(tensor));
        } else {
          counts[level] = reader.readLongs(tensor);
        }
      }
      reader.finish();
      Map<String, String> metadata = reader.metadata();
      return new TrainingCheckpoint(
          Arrays.asList(centroids),
          Arrays.asList(counts),
          Arrays.stream(text(metadata, BUFFER_ROWS).split(",")).map(Integer::valueOf).toList(),
          List.copyOf(weights.values()),
          Integer.parseInt(text(metadata, STEPS)),
          Double.parseDouble(text(metadata, INERTIA)),
          Integer.parseInt(text(metadata, REFINED)),
          Long.parseLong(text(metadata, PASS)),
          Long.parseLong(text(metadata, POSITION)));
    } catch (IllegalArgumentException | IndexOutOfBoundsException | NullPointerException e) {
      throw new FormatException(Kind.CORRUPT, "no training checkpoint: " + e.getMessage());
    }
  }

  private static String text(Map<String, String> metadata, String name) throws FormatException {
    String value = metadata.get(name);
    if (value == null) {
      throw new FormatException(Kind.CORRUPT, "a training checkpoint has no " + name);
    }
    return value;
  }
}
