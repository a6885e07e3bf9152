package dev.semanticid.service;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.CodebookSettings;
import dev.semanticid.core.codebook.Provenance;
import dev.semanticid.core.encode.ReferenceQuantizer;
import dev.semanticid.format.CodebookFormat;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.LongStream;

/** Seeded embeddings and codebooks, and the bytes they are sent as. */
final class Embeddings {

  private Embeddings() {}

  /** Rows around 32 centres. */
  static float[][] rows(int count, int dimension, long seed) {
    var random = new Random(seed);
    float[][] centres = new float[32][dimension];
    for (float[] centre : centres) {
      for (int i = 0; i < dimension; i++) {
        centre[i] = (float) random.nextGaussian();
      }
    }
    float[][] rows = new float[count][dimension];
    for (float[] row : rows) {
      float[] centre = centres[random.nextInt(centres.length)];
      for (int i = 0; i < dimension; i++) {
        row[i] = centre[i] + 0.5f * (float) random.nextGaussian();
      }
    }
    return rows;
  }

  /** What the definition of semantic IDs says of each row. */
  static int[][] reference(Codebook codebook, float[][] rows) {
    var quantizer = new ReferenceQuantizer(codebook);
    return Arrays.stream(rows).map(quantizer::encode).toArray(int[][]::new);
  }

  private static ByteBuffer buffer(float[][] rows, int bytes) {
    return ByteBuffer.allocate(rows.length * rows[0].length * bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** float32, little-endian, row-major. */
  static byte[] octets(float[][] rows) {
    ByteBuffer buffer = buffer(rows, 4);
    for (float[] row : rows) {
      for (float component : row) {
        buffer.putFloat(component);
      }
    }
    return buffer.array();
  }

  /** float16, rounded. */
  static byte[] halves(float[][] rows) {
    ByteBuffer buffer = buffer(rows, 2);
    for (float[] row : rows) {
      for (float component : row) {
        buffer.putShort(Float.floatToFloat16(component));
      }
    }
    return buffer.array();
  }

  /** bfloat16, cut off. */
  static byte[] bfloats(float[][] rows) {
    ByteBuffer buffer = buffer(rows, 2);
    for (float[] row : rows) {
      for (float component : row) {
        buffer.putShort((short) (Float.floatToRawIntBits(component) >>> 16));
      }
    }
    return buffer.array();
  }

  /** float64, off by less than what float32 can tell. */
  static byte[] doubles(float[][] rows) {
    ByteBuffer buffer = buffer(rows, 8);
    for (float[] row : rows) {
      for (float component : row) {
        buffer.putDouble(component + 0.25 * Math.ulp(component));
      }
    }
    return buffer.array();
  }

  /** A {@code .npy} file of float32, (n, d). */
  static byte[] npy(float[][] rows) {
    return npy("<f4", octets(rows), rows.length, rows[0].length);
  }

  /** A {@code .npy} file, version 1.0, C order. */
  static byte[] npy(String descr, byte[] data, long... shape) {
    String axes = LongStream.of(shape).mapToObj(Long::toString).collect(Collectors.joining(", "));
    return npyOfHeader(
        "{'descr': '%s', 'fortran_order': False, 'shape': (%s%s), }"
            .formatted(descr, axes, shape.length == 1 ? "," : ""),
        1,
        data);
  }

  /** A file with whatever dictionary, of version 1.0 or 2.0. */
  static byte[] npyOfHeader(String dictionary, int major, byte[] data) {
    int prefix = major == 1 ? 10 : 12;
    int padding = 63 - (prefix + dictionary.length()) % 64;
    byte[] text = (dictionary + " ".repeat(padding) + "\n").getBytes(StandardCharsets.ISO_8859_1);
    ByteBuffer file =
        ByteBuffer.allocate(prefix + text.length + data.length).order(ByteOrder.LITTLE_ENDIAN);
    file.put((byte) 0x93).put("NUMPY".getBytes(StandardCharsets.US_ASCII));
    file.put((byte) major).put((byte) 0);
    if (major == 1) {
      file.putShort((short) text.length);
    } else {
      file.putInt(text.length);
    }
    return file.put(text).put(data).array();
  }

  /** Rows as JSON: the shortest decimals that denote each float32. */
  static String json(float[][] rows) {
    return Arrays.stream(rows).map(Arrays::toString).collect(Collectors.joining(",", "[", "]"));
  }

  /** A seeded codebook. */
  static Codebook codebook(int dimension, long seed, int... widths) {
    var random = new Random(seed);
    var levels = new ArrayList<float[]>();
    for (int width : widths) {
      float[] level = new float[width * dimension];
      for (int i = 0; i < level.length; i++) {
        level[i] = (float) (random.nextGaussian() / Math.sqrt(dimension));
      }
      levels.add(level);
    }
    return Codebook.of(new CodebookSettings(true), dimension, levels, Provenance.UNKNOWN);
  }

  /** A codebook whose levels work on residuals as they are. */
  static Codebook rawCodebook(int dimension, float[]... levels) {
    return Codebook.of(new CodebookSettings(false), dimension, List.of(levels), Provenance.UNKNOWN);
  }

  /** A codebook's file. */
  static byte[] safetensors(Codebook codebook) {
    var out = new ByteArrayOutputStream();
    try {
      CodebookFormat.write(codebook, out);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return out.toByteArray();
  }

  /** A safetensors file of whatever header. */
  static byte[] safetensors(String header, byte[] data) {
    byte[] text = header.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(8 + text.length + data.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(text.length)
        .put(text)
        .put(data)
        .array();
  }
}
