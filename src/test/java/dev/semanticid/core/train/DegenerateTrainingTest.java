package dev.semanticid.core.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.CodebookSettings;
import dev.semanticid.core.codebook.Provenance;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.ExactInt8;
import dev.semanticid.core.compute.JavaBackend;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.encode.ReferenceQuantizer;
import dev.semanticid.core.encode.ResidualQuantizer;
import dev.semanticid.core.search.Screening;
import dev.semanticid.core.vector.InMemoryVectorSource;
import dev.semanticid.core.vector.VectorBatch;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Every kind of training on rows that there is little to learn from: a finite codebook, the same
 * one on any threads, whose codes are the definition's.
 */
@TestInstance(Lifecycle.PER_CLASS)
@Timeout(value = 5, unit = TimeUnit.MINUTES)
class DegenerateTrainingTest {

  /** How often one row is repeated; {@code -Drepeated.rows=1000000} does it a million times. */
  private static final int REPEATED = Integer.getInteger("repeated.rows", 20_000);

  private static final int D = 6;
  private static final List<Integer> WIDTHS = List.of(8, 6, 4);

  private final ComputeBackend java = new JavaBackend();
  private final ComputeBackend screening = ExactInt8.beside(java, new ExactInt8(126));
  private final WorkerPool one = new WorkerPool(1, "one");
  private final WorkerPool two = new WorkerPool(2, "two");

  @AfterAll
  void close() {
    one.close();
    two.close();
    java.close();
  }

  /** Rows that break an algorithm which thinks of a cloud of points. */
  enum Rows {
    ALL_EQUAL {
      @Override
      float[] make(SplittableRandom random) {
        return repeated(TrainingKind.gaussians(random, D, 3), 200);
      }
    },
    ALL_ZERO {
      @Override
      float[] make(SplittableRandom random) {
        return new float[200 * D];
      }
    },
    ALL_ZERO_BUT_ONE {
      @Override
      float[] make(SplittableRandom random) {
        float[] rows = new float[200 * D];
        Arrays.fill(rows, 150 * D, 151 * D, 0.5f);
        return rows;
      }
    },
    FEWER_DISTINCT_ONES_THAN_CENTROIDS {
      @Override
      float[] make(SplittableRandom random) {
        return repeated(TrainingKind.gaussians(random, 5 * D, 1), 40);
      }
    },
    AS_MANY_AS_CENTROIDS {
      @Override
      float[] make(SplittableRandom random) {
        return TrainingKind.gaussians(random, 8 * D, 1);
      }
    },
    ONE_BETWEEN_EACH_TWO {
      @Override
      float[] make(SplittableRandom random) {
        float[] rows = new float[200 * D];
        for (int row = 0; row < 200; row++) {
          rows[row * D] = row % 3 - 1;
        }
        return rows;
      }
    },
    ONE_HUGE {
      @Override
      float[] make(SplittableRandom random) {
        float[] rows = TrainingKind.clustered(random, 200, D, 10);
        rows[60 * D + 2] = 1e30f;
        return rows;
      }
    },
    ONE_AS_LARGE_AS_CAN_BE {
      @Override
      float[] make(SplittableRandom random) {
        float[] rows = TrainingKind.clustered(random, 200, D, 10);
        Arrays.fill(rows, 199 * D, 200 * D, Float.MAX_VALUE);
        return rows;
      }
    },
    ALL_HUGE_IN_BOTH_DIRECTIONS {
      @Override
      float[] make(SplittableRandom random) {
        float[] rows = new float[200 * D];
        for (int i = 0; i < rows.length; i++) {
          rows[i] = random.nextBoolean() ? Float.MAX_VALUE : -Float.MAX_VALUE;
        }
        return rows;
      }
    },
    ALL_TINY {
      @Override
      float[] make(SplittableRandom random) {
        float[] rows = new float[200 * D];
        for (int i = 0; i < rows.length; i++) {
          rows[i] = random.nextInt(5) * Float.MIN_VALUE;
        }
        return rows;
      }
    };

    abstract float[] make(SplittableRandom random);

    private static float[] repeated(float[] distinct, int times) {
      float[] rows = new float[times * distinct.length];
      for (int i = 0; i < times; i++) {
        System.arraycopy(distinct, 0, rows, i * distinct.length, distinct.length);
      }
      return rows;
    }
  }

  static Stream<Arguments> cases() {
    return Arrays.stream(Rows.values())
        .flatMap(rows ->
            TrainingKind.all()
                // Raw residuals are beyond float32; see below.
                .filter(kind -> kind.normalize() || rows != Rows.ALL_HUGE_IN_BOTH_DIRECTIONS)
                .map(kind -> Arguments.of(rows, kind)));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void train_degenerateRows_givesAFiniteCodebookThatIsExact(Rows kindOfRows, TrainingKind kind)
      throws IOException {
    float[] rows = kindOfRows.make(new SplittableRandom(5));
    ResidualQuantizerConfig config = kind.config(D, WIDTHS, 90, 70, 12);
    var steps = new ArrayList<IterationStats>();
    Codebook codebook = train(config, java, one, rows, steps::add);
    for (IterationStats step : steps) {
      assertThat(step.loss()).as("%s", step).isNotNegative().isFinite();
      assertThat(step.inertia()).as("%s", step).isNotNegative().isFinite();
    }
    assertThat(codebook.widths()).isEqualTo(WIDTHS);
    for (int l = 0; l < WIDTHS.size(); l++) {
      for (float component : codebook.centroids(l).data()) {
        assertThat(Float.isFinite(component)).isTrue();
      }
      for (float weight : codebook.centroids(l).weights()) {
        assertThat(Float.isFinite(weight)).isTrue();
      }
    }
    assertThat(train(config, screening, two, rows, TrainingListener.NONE).fingerprint())
        .isEqualTo(codebook.fingerprint());
    int[] expected = new ReferenceQuantizer(codebook).encodeAll(rows, rows.length / D);
    for (long budget : new long[] {0, Long.MAX_VALUE}) {
      try (var quantizer = new ResidualQuantizer(codebook, java, two, budget)) {
        assertThat(quantizer.encode(VectorBatch.of(rows, D)))
            .as("%s", quantizer.plan())
            .isEqualTo(expected);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("kinds")
  void train_rawResidualsBeyondFloat32_isRefused(TrainingKind kind) {
    if (!kind.normalize()) {
      float[] rows = Rows.ALL_HUGE_IN_BOTH_DIRECTIONS.make(new SplittableRandom(5));
      ResidualQuantizerConfig config = kind.config(D, WIDTHS, 90, 70, 12);
      assertThatIllegalArgumentException()
          .isThrownBy(() -> train(config, java, one, rows, TrainingListener.NONE))
          .withMessageContaining("level 1");
    }
  }

  static Stream<TrainingKind> fewKinds() {
    return TrainingKind.all()
        .filter(kind -> kind.tolerance() == 1e-4 && kind.layerWise())
        .filter(kind -> !kind.balance() || kind.algorithm() == Algorithm.LLOYD);
  }

  static Stream<TrainingKind> kinds() {
    return TrainingKind.all();
  }

  @ParameterizedTest
  @MethodSource("fewKinds")
  void train_oneRowManyTimes_ends(TrainingKind kind) throws IOException {
    float[] rows = new float[REPEATED * 2];
    for (int i = 0; i < rows.length; i += 2) {
      rows[i] = 0.6f;
      rows[i + 1] = -0.3f;
    }
    ResidualQuantizerConfig config = kind.config(2, List.of(4, 3), 100, 8192, 8);
    try (var source = new InMemoryVectorSource(VectorBatch.of(rows, 2))) {
      Codebook codebook =
          new ResidualQuantizerTrainer(config, java, two)
              .train(source, TrainingListener.NONE)
              .codebook();
      float[] row = Arrays.copyOf(rows, 2);
      assertThat(new ReferenceQuantizer(codebook).encode(row)).hasSize(2);
    }
  }

  @ParameterizedTest
  @MethodSource("kinds")
  void train_fewerRowsThanCentroids_isRefusedWithBoth(TrainingKind kind) {
    float[] rows = TrainingKind.gaussians(new SplittableRandom(1), 7 * D, 1);
    ResidualQuantizerConfig config = kind.config(D, WIDTHS, 90, 70, 12);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> train(config, java, one, rows, TrainingListener.NONE))
        .withMessageContainingAll("8", "7");
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
  void of_centroidOrWeightThatIsNoNumber_isRefused(float bad) {
    var settings = new CodebookSettings(true);
    List<float[]> levels = List.of(new float[] {1, 2}, new float[] {3});
    assertThatIllegalArgumentException()
        .isThrownBy(() ->
            Codebook.of(
                settings, 1, List.of(levels.getFirst(), new float[] {bad}), Provenance.UNKNOWN))
        .withMessageContainingAll("level 1 centroid 0", Float.toString(bad));
    assertThatIllegalArgumentException()
        .isThrownBy(() ->
            Codebook.of(
                settings,
                1,
                levels,
                List.of(new float[] {0, bad}, new float[1]),
                Provenance.UNKNOWN))
        .withMessageContainingAll("level 0 weight 1", Float.toString(bad));
  }

  private static Codebook train(
      ResidualQuantizerConfig config,
      ComputeBackend backend,
      WorkerPool pool,
      float[] rows,
      TrainingListener listener)
      throws IOException {
    try (var source = new InMemoryVectorSource(VectorBatch.of(rows, D))) {
      return new ResidualQuantizerTrainer(config, backend, pool, Screening.ALWAYS)
          .train(source, listener)
          .codebook();
    }
  }
}
