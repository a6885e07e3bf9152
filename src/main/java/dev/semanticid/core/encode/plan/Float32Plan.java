package dev.semanticid.core.encode.plan;

import dev.semanticid.core.codebook.Centroids;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.ResidentCodebook;
import dev.semanticid.core.search.CertifiedSearch;
import dev.semanticid.core.search.ScoreBounds;

/**
 * Screens with one float32 GEMM for all levels, {@code S = X·Cᵀ} over the stacked centroids.
 *
 * <p>To the E of {@link StackedWorker} it adds
 *
 * <pre>
 *     + a·γ·‖x‖·M                        the GEMM: γ of the backend
 *     + (L + 4)·2⁻²⁴·(P·M + M² + 2W)     the evaluation of s, all its terms rounded to float32
 *     + (1 + a + Σb_j)·d·2⁻¹²⁵·(1 + ‖x‖ + M)  results below the normal range, flushed or not
 * </pre>
 */
public final class Float32Plan implements EncodingPlan {

  private final StackedCodebook stacked;
  private final ResidentCodebook resident;
  private final double gamma;
  private final int blockRows;

  public Float32Plan(StackedCodebook stacked, ComputeBackend backend) {
    this.stacked = stacked;
    Codebook codebook = stacked.codebook;
    int d = codebook.dimension();
    float[] matrix = new float[Math.multiplyExact(stacked.totalWidth, d)];
    int at = 0;
    for (int l = 0; l < codebook.levels(); l++) {
      Centroids level = codebook.centroids(l);
      System.arraycopy(level.data(), 0, matrix, at, level.width() * d);
      at += level.width() * d;
    }
    this.gamma = backend.gamma(d);
    this.resident = backend.makeResident(matrix, stacked.totalWidth, d);
    this.blockRows = BlockSize.rows(4L * stacked.totalWidth + 4L * d);
  }

  @Override
  public String name() {
    return "float32";
  }

  @Override
  public int blockRows() {
    return blockRows;
  }

  @Override
  public long bytes() {
    return resident.bytes() + GramTables.bytes(stacked.codebook);
  }

  @Override
  public Worker newWorker() {
    return new Float32Worker();
  }

  @Override
  public void close() {
    resident.close();
  }

  private final class Float32Worker extends StackedWorker {

    private final double floatEvaluation = (levels + 4) * Centroids.ROUNDOFF_FLOAT;
    private float[] products = {};
    private double floatError;

    Float32Worker() {
      super(Float32Plan.this.stacked);
    }

    @Override
    void multiply(float[] vectors, int offset, int n) {
      if (products.length < n * stacked.totalWidth) {
        products = new float[n * stacked.totalWidth];
      }
      resident.multiply(vectors, offset, n, products);
    }

    @Override
    double squaredNorm(int row) {
      return dotProduct.squaredNorm(x, xBegin, d);
    }

    @Override
    void scoreAll(int row, int l, int begin, double error, double squares) {
      Centroids level = codebook.centroids(l);
      int width = level.width();
      double max = level.maxNorm();
      scoreLevel(
          l,
          level.offsets(),
          scores.products(products, row * stacked.totalWidth + begin, width),
          width);
      floatError =
          CertifiedSearch.SLACK
              * (error
                  + path.a * gamma * xNorm * max
                  + floatEvaluation * squares
                  + (1 + path.a + path.sumOfB(l)) * d * 0x1p-125 * (1 + xNorm + max));
    }

    @Override
    int screen(int l) {
      return scores.within(2 * floatError, codebook.width(l));
    }

    @Override
    void bounds(int row, int l, ScoreBounds into) {
      into.set(scores, floatError);
    }

    @Override
    double lowerBound(int k) {
      return scores.values()[k] - floatError;
    }

    @Override
    double lowerBoundOffset(int l, int count) {
      return 0;
    }

    private void scoreLevel(int l, float[] offsets, float[] product, int width) {
      float[] s = scores.values(width);
      float scale = (float) path.a;
      if (l == 0) {
        score(s, offsets, scale, product, width);
      } else if (l == 1) {
        score(
            s, offsets, scale, product, (float) path.b[0], tables.row(0, 1, path.codes[0]), width);
      } else {
        score(
            s,
            offsets,
            scale,
            product,
            (float) path.b[0],
            tables.row(0, l, path.codes[0]),
            (float) path.b[1],
            tables.row(1, l, path.codes[1]),
            width);
        for (int j = 2; j < l; j++) {
          addScaled(s, (float) path.b[j], tables.row(j, l, path.codes[j]), width);
        }
      }
    }
  }

  // One loop for each number of tables: separate passes would be bound by loads and stores.

  private static void score(float[] s, float[] offsets, float a, float[] product, int width) {
    for (int k = 0; k < width; k++) {
      s[k] = offsets[k] - a * product[k];
    }
  }

  private static void score(
      float[] s, float[] offsets, float a, float[] product, float b0, float[] g0, int width) {
    for (int k = 0; k < width; k++) {
      s[k] = offsets[k] - a * product[k] + b0 * g0[k];
    }
  }

  private static void score(
      float[] s,
      float[] offsets,
      float a,
      float[] product,
      float b0,
      float[] g0,
      float b1,
      float[] g1,
      int width) {
    for (int k = 0; k < width; k++) {
      s[k] = offsets[k] - a * product[k] + b0 * g0[k] + b1 * g1[k];
    }
  }
}
