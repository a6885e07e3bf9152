package dev.semanticid.core.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.semanticid.backend.nd4j.Nd4jBackend;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.NonFiniteVectorException;
import dev.semanticid.core.codebook.Provenance;
import dev.semanticid.core.codebook.TrainingState;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.ExactInt8;
import dev.semanticid.core.compute.ForwardingBackend;
import dev.semanticid.core.compute.JavaBackend;
import dev.semanticid.core.compute.ResidentCodebook;
import dev.semanticid.core.compute.WorkerPool;
import dev.semanticid.core.encode.ReferenceQuantizer;
import dev.semanticid.core.encode.ResidualQuantizer;
import dev.semanticid.core.report.QuantizationEvaluator;
import dev.semanticid.core.search.Screening;
import dev.semanticid.core.train.IterationStats.Phase;
import dev.semanticid.core.vector.InMemoryVectorSource;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.core.vector.VectorSource;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Training against its definition, and what must hold whatever the data, threads and backend. */
@TestInstance(Lifecycle.PER_CLASS)
class ResidualQuantizerTrainerTest {

  private final ComputeBackend java = new JavaBackend();
  private final ComputeBackend nd4j = new Nd4jBackend();
  private final List<WorkerPool> pools =
      List.of(new WorkerPool(1, "one"), new WorkerPool(2, "two"), new WorkerPool(3, "three"));

  @AfterAll
  void close() {
    pools.forEach(WorkerPool::close);
    java.close();
    nd4j.close();
  }

  /** Settings that a test varies; the rest is the same for all. */
  record Settings(
      int d,
      List<Integer> widths,
      int bufferSize,
      int batchSize,
      int maxSteps,
      boolean normalize,
      boolean layerWise) {

    ResidualQuantizerConfig config(boolean shuffle, CentroidInitializer initializer, long seed) {
      return new ResidualQuantizerConfig(
          d,
          widths,
          bufferSize,
          batchSize,
          maxSteps,
          0.5,
          normalize,
          layerWise,
          true,
          shuffle,
          initializer,
          seed);
    }

    ResidualQuantizerConfig config() {
      return config(true, CentroidInitializer.KMEANS_PLUS_PLUS, 42);
    }
  }

  record Case(int n, double learningRate, boolean track, Settings settings) {

    /** In the order of the data, as the reference wants it. */
    ResidualQuantizerConfig config() {
      return new ResidualQuantizerConfig(
          settings.d(),
          settings.widths(),
          settings.bufferSize(),
          settings.batchSize(),
          settings.maxSteps(),
          learningRate,
          settings.normalize(),
          settings.layerWise(),
          track,
          false,
          CentroidInitializer.KMEANS_PLUS_PLUS,
          1);
    }
  }

  static Stream<Case> cases() {
    var cases = new ArrayList<Case>();
    for (boolean normalize : new boolean[] {true, false}) {
      for (boolean layerWise : new boolean[] {true, false}) {
        for (int d : new int[] {1, 3, 17}) {
          cases.add(caseOf(101, 0.5, true, d, 40, 16, 20, normalize, layerWise));
          cases.add(caseOf(130, 0.3, false, d, 1000, 33, 13, normalize, layerWise));
          cases.add(caseOf(40, 1.0, true, d, 17, 500, 11, normalize, layerWise));
          cases.add(caseOf(192, 0.5, true, d, 128, 64, 12, normalize, layerWise));
          cases.add(caseOf(97, 0.5, true, d, 5, 1, 100, normalize, layerWise));
          cases.add(caseOf(200, 0.5, true, d, 150, 131, 30, normalize, layerWise));
          cases.add(caseOf(50, 0.5, true, d, 20, 7, 2, normalize, layerWise));
        }
      }
    }
    return cases.stream();
  }

  private static Case caseOf(
      int n,
      double learningRate,
      boolean track,
      int d,
      int bufferSize,
      int batchSize,
      int maxSteps,
      boolean normalize,
      boolean layerWise) {
    return new Case(
        n,
        learningRate,
        track,
        new Settings(d, List.of(3, 5, 2), bufferSize, batchSize, maxSteps, normalize, layerWise));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void train_fromGivenCentroids_followsTheDefinitionStepByStep(Case given) throws IOException {
    Settings s = given.settings();
    ResidualQuantizerConfig config = given.config();
    var random = new SplittableRandom(given.n() + s.d());
    float[] data = clustered(random, given.n(), s.d(), 6);
    var initial = new ArrayList<float[]>();
    for (int width : s.widths()) {
      initial.add(gaussians(random, width * s.d(), 0.5));
    }
    List<float[]> unchanged = initial.stream().map(float[]::clone).toList();

    var stats = new ArrayList<IterationStats>();
    ResidualQuantizerTrainer.Result result =
        new ResidualQuantizerTrainer(config, java, pools.get(1))
            .train(source(data, s.d()), initial, stats::add);
    ReferenceTrainer.Outcome expected = ReferenceTrainer.train(config, data, initial);

    assertSame(result, stats, expected);
    for (int l = 0; l < s.widths().size(); l++) {
      assertThat(initial.get(l)).as("the caller's array").isEqualTo(unchanged.get(l));
    }
    assertThat(result.codebook().settings().normalizeResiduals()).isEqualTo(s.normalize());
  }

  /** Half of the data makes a codebook, the other half trains it further. */
  @ParameterizedTest
  @MethodSource("cases")
  void trainFrom_aCodebook_followsTheDefinitionStepByStep(Case given) throws IOException {
    ResidualQuantizerConfig config = given.config();
    int d = given.settings().d();
    float[] data = clustered(new SplittableRandom(given.n() + d), given.n(), d, 6);
    int half = given.n() / 2 * d;
    var trainer = new ResidualQuantizerTrainer(config, java, pools.get(1));
    Codebook from = continuable(trainer.train(source(Arrays.copyOf(data, half), d), s -> {}));
    List<float[]> centroids = centroids(from);
    List<long[]> counts = state(from).counts();

    float[] more = Arrays.copyOfRange(data, half, data.length);
    var stats = new ArrayList<IterationStats>();
    ResidualQuantizerTrainer.Result result = trainer.trainFrom(source(more, d), from, stats::add);
    assertSame(result, stats, ReferenceTrainer.trainFrom(config, more, centroids, counts));
    assertThat(stats).allMatch(step -> step.phase() == Phase.UPDATE);
    assertThat(from.fingerprint())
        .as("the codebook continued")
        .isEqualTo(
            Codebook.of(from.settings(), d, centroids(from), Provenance.UNKNOWN).fingerprint());
    assertThat(state(from).counts().toArray(long[][]::new))
        .isDeepEqualTo(counts.toArray(long[][]::new));
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void trainFrom_aCodebook_staysNearItAndKeepsItsNumbering(boolean layerWise) throws IOException {
    int d = 12;
    var settings = new Settings(d, List.of(16, 16, 16), 400, 150, 300, true, layerWise);
    float[] data = clustered(new SplittableRandom(7), 1200, d, 60);
    ResidualQuantizerConfig config = settings.config();
    Codebook from = continuable(train(config, data, d));
    float[] more = clustered(new SplittableRandom(7), 1260, d, 60);
    Codebook further =
        new ResidualQuantizerTrainer(config, java, pools.get(1))
            .trainFrom(source(more, d), from, s -> {})
            .codebook();
    Codebook fresh = train(settings.config(true, config.initializer(), 43), more, d).codebook();
    assertThat(changed(from, further, data)).isLessThan(0.25);
    assertThat(changed(from, fresh, data)).isGreaterThan(0.9);
  }

  /** The share of rows whose first code two codebooks differ in. */
  private static double changed(Codebook one, Codebook other, float[] data) {
    int n = data.length / one.dimension();
    int levels = one.levels();
    int[] before = new ReferenceQuantizer(one).encodeAll(data, n);
    int[] after = new ReferenceQuantizer(other).encodeAll(data, n);
    return IntStream.range(0, n).filter(i -> before[i * levels] != after[i * levels]).count()
        / (double) n;
  }

  @Test
  void trainFrom_fewerRowsThanCentroids_isEnough() throws IOException {
    var settings = new Settings(4, List.of(9, 5), 20, 10, 6, true, true);
    float[] data = gaussians(new SplittableRandom(1), 40 * 4, 1);
    Codebook from = continuable(train(settings.config(), data, 4));
    var trainer = new ResidualQuantizerTrainer(settings.config(), java, pools.getFirst());
    ResidualQuantizerTrainer.Result result =
        trainer.trainFrom(source(Arrays.copyOf(data, 2 * 4), 4), from, s -> {});
    // three steps of the two rows
    assertThat(Arrays.stream(result.counts().getFirst()).sum())
        .isEqualTo(Arrays.stream(state(from).counts().getFirst()).sum() + 6);
  }

  @Test
  void trainFrom_anotherShapeOrWithoutCounts_isRefusedWithBoth() throws IOException {
    var settings = new Settings(4, List.of(5, 3), 20, 10, 6, true, true);
    float[] data = gaussians(new SplittableRandom(1), 40 * 4, 1);
    Codebook from = continuable(train(settings.config(), data, 4));
    for (Settings others :
        List.of(
            new Settings(3, List.of(5, 3), 20, 10, 6, true, true),
            new Settings(4, List.of(5, 4), 20, 10, 6, true, true),
            new Settings(4, List.of(5, 3, 3), 20, 10, 6, true, true),
            new Settings(4, List.of(5, 3), 20, 10, 6, false, true))) {
      var trainer = new ResidualQuantizerTrainer(others.config(), java, pools.getFirst());
      var rows = source(new float[others.d() * 10], others.d());
      assertThatIllegalArgumentException()
          .isThrownBy(() -> trainer.trainFrom(rows, from, s -> {}))
          .withMessageContainingAll(
              "dimension " + others.d(),
              "widths " + others.widths(),
              "normalize_residuals " + others.normalize(),
              "got 4, [5, 3], true");
    }
    Codebook bare = Codebook.of(from.settings(), 4, centroids(from), Provenance.UNKNOWN);
    var trainer = new ResidualQuantizerTrainer(settings.config(), java, pools.getFirst());
    assertThatIllegalArgumentException()
        .isThrownBy(() -> trainer.trainFrom(source(data, 4), bare, s -> {}))
        .withMessageContaining("absorbed");
  }

  private static List<float[]> centroids(Codebook codebook) {
    return IntStream.range(0, codebook.levels())
        .mapToObj(l -> codebook.centroids(l).data().clone())
        .toList();
  }

  private static TrainingState state(Codebook codebook) {
    return Objects.requireNonNull(codebook.trainingState());
  }

  /** What a training made, with what it takes to train it further. */
  private static Codebook continuable(ResidualQuantizerTrainer.Result result) {
    return result
        .codebook()
        .withTrainingState(
            new TrainingState(result.counts(), Collections.nCopies(result.counts().size(), 1.0)));
  }

  private static void assertSame(
      ResidualQuantizerTrainer.Result result,
      List<IterationStats> stats,
      ReferenceTrainer.Outcome expected) {
    assertThat(stats).hasSameSizeAs(expected.steps());
    for (int i = 0; i < stats.size(); i++) {
      assertSameStep("step " + i, stats.get(i), expected.steps().get(i));
    }
    for (int l = 0; l < expected.centroids().size(); l++) {
      float[] trained = result.codebook().centroids(l).data();
      assertThat(trained).hasSameSizeAs(expected.centroids().get(l));
      for (int i = 0; i < trained.length; i++) {
        assertThat((double) trained[i])
            .as("level %d component %d", l, i)
            .isCloseTo(expected.centroids().get(l)[i], within(1e-6));
      }
      assertThat(result.counts().get(l)).isEqualTo(expected.counts().get(l));
    }
    assertThat(result.bufferRows()).isEqualTo(expected.bufferRows());
  }

  private static void assertSameStep(
      String what, IterationStats actual, ReferenceTrainer.Step expected) {
    assertThat(actual.level()).as(what).isEqualTo(expected.level());
    assertThat(actual.phase())
        .as(what)
        .isEqualTo(expected.update() ? Phase.UPDATE : Phase.INITIALIZATION);
    assertThat(actual.step()).as(what).isEqualTo(expected.number());
    assertThat(actual.steps()).as(what).isEqualTo(expected.of());
    assertThat(actual.rows()).as(what).isEqualTo(expected.rows());
    assertThat(actual.loss())
        .as("loss of %s", what)
        .isCloseTo(expected.loss(), within(1e-9 * expected.loss()));
    if (expected.update()) {
      assertThat(actual.inertia())
          .as("inertia of %s", what)
          .isCloseTo(
              expected.inertia(), within(1e-9 * expected.inertia() + 1e-11 * expected.rows()));
    } else {
      assertThat(actual.inertia()).as("inertia of %s", what).isZero();
    }
    if (Double.isNaN(expected.ratio())) {
      assertThat(actual.residualNormRatio()).as("ratio of %s", what).isNaN();
    } else {
      double ratio = expected.ratio();
      assertThat(actual.residualNormRatio() * actual.residualNormRatio())
          .as("squared ratio of %s", what)
          .isCloseTo(ratio * ratio, within(1e-9 * ratio * ratio + 1e-11));
    }
  }

  @Test
  void train_layerWise_finishesALevelBeforeTheNextBegins() throws IOException {
    var settings = new Settings(3, List.of(4, 3), 50, 20, 9, true, true);
    assertThat(steps(settings, clustered(new SplittableRandom(1), 90, 3, 5)))
        .containsExactly(
            "0 INITIALIZATION 1/4 20",
            "0 INITIALIZATION 2/4 20",
            "0 INITIALIZATION 3/4 10",
            "0 UPDATE 1/4 20",
            "0 UPDATE 2/4 20",
            "0 UPDATE 3/4 20",
            "0 UPDATE 4/4 20",
            "1 INITIALIZATION 1/4 20",
            "1 INITIALIZATION 2/4 20",
            "1 INITIALIZATION 3/4 10",
            "1 UPDATE 1/4 20",
            "1 UPDATE 2/4 20",
            "1 UPDATE 3/4 20",
            "1 UPDATE 4/4 20");
  }

  @Test
  void train_jointly_startsALevelWithTheBatchThatFilledTheOneAbove() throws IOException {
    var settings = new Settings(3, List.of(4, 3), 30, 20, 2, false, false);
    assertThat(steps(settings, clustered(new SplittableRandom(1), 90, 3, 5)))
        .containsExactly(
            "0 INITIALIZATION 1/2 20",
            "0 INITIALIZATION 2/2 10",
            "1 INITIALIZATION 1/2 20",
            "1 INITIALIZATION 2/2 10",
            "0 UPDATE 1/2 20",
            "1 UPDATE 1/2 20",
            "0 UPDATE 2/2 20",
            "1 UPDATE 2/2 20");
  }

  private List<String> steps(Settings settings, float[] data) throws IOException {
    var steps = new ArrayList<String>();
    new ResidualQuantizerTrainer(settings.config(), java, pools.getFirst())
        .train(
            source(data, settings.d()),
            s ->
                steps.add(
                    String.format(
                        Locale.ROOT,
                        "%d %s %d/%d %d",
                        s.level(),
                        s.phase(),
                        s.step(),
                        s.steps(),
                        s.rows())));
    return steps;
  }

  @ParameterizedTest
  @CsvSource({"true,true", "true,false", "false,true", "false,false"})
  void train_onAnyThreadsAndBackend_givesTheSameBytes(boolean normalize, boolean layerWise)
      throws IOException {
    // more components than one task sums up, more rows than one block holds, none a multiple
    int d = 150;
    var settings = new Settings(d, List.of(12, 7, 5), 300, 200, 9, normalize, layerWise);
    float[] data = clustered(new SplittableRandom(2), 701, d, 30);
    var fingerprints = new HashSet<String>();
    for (CentroidInitializer initializer : CentroidInitializer.values()) {
      var config = settings.config(true, initializer, 9);
      Training expected = train(config, data, java, pools.getFirst());
      for (ComputeBackend backend : List.of(java, nd4j)) {
        for (WorkerPool pool : pools) {
          Training actual = train(config, data, backend, pool);
          assertThat(actual.fingerprint())
              .as("%s on %d threads", backend.name(), pool.threads())
              .isEqualTo(expected.fingerprint());
          assertThat(actual.stats()).isEqualTo(expected.stats());
          assertThat(actual.counts()).isDeepEqualTo(expected.counts());
        }
      }
      for (int largest : new int[] {6, 126}) {
        var screening = ExactInt8.beside(java, new ExactInt8(largest));
        Training actual =
            trainWith(
                new ResidualQuantizerTrainer(config, screening, pools.getLast(), Screening.ALWAYS),
                data,
                d);
        assertThat(actual.fingerprint()).as(screening.device()).isEqualTo(expected.fingerprint());
        assertThat(actual.stats()).isEqualTo(expected.stats());
      }
      fingerprints.add(expected.fingerprint());
    }
    assertThat(fingerprints).as("each initializer chooses others").hasSize(2);
  }

  @ParameterizedTest
  @CsvSource({"true,KMEANS_PLUS_PLUS", "true,RANDOM", "false,KMEANS_PLUS_PLUS", "false,RANDOM"})
  void train_otherSeed_givesOtherBytes(boolean shuffle, CentroidInitializer initializer)
      throws IOException {
    var settings = new Settings(4, List.of(6, 6), 100, 32, 8, true, true);
    float[] data = clustered(new SplittableRandom(3), 150, 4, 9);
    var fingerprints = new HashSet<String>();
    for (long seed : new long[] {0, 1, 2, -1, Long.MIN_VALUE, 1L << 40}) {
      var config = settings.config(shuffle, initializer, seed);
      fingerprints.add(train(config, data, java, pools.getFirst()).fingerprint());
    }
    assertThat(fingerprints).hasSize(6);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4, 10})
  void train_shuffled_readsEveryRowOncePerPassInAnotherOrder(int batchSize) throws IOException {
    int n = 30;
    var settings = new Settings(2, List.of(3), 10, batchSize, 60, true, true);
    var reads = new ArrayList<Integer>();
    float[] data = clustered(new SplittableRandom(4), n, 2, 3);
    var source =
        new ForwardingSource(source(data, 2)) {
          @Override
          public void read(long firstRow, int count, float[] target, int offset)
              throws IOException {
            IntStream.range(0, count).forEach(i -> reads.add((int) firstRow + i));
            super.read(firstRow, count, target, offset);
          }
        };
    new ResidualQuantizerTrainer(settings.config(), java, pools.getFirst())
        .train(source, TrainingListener.NONE);
    var passes = new HashSet<List<Integer>>();
    for (int begin = 0; begin + n <= reads.size(); begin += n) {
      List<Integer> pass = List.copyOf(reads.subList(begin, begin + n));
      assertThat(pass).containsExactlyInAnyOrderElementsOf(IntStream.range(0, n).boxed().toList());
      assertThat(passes.add(pass)).as("a pass in an order of its own").isTrue();
    }
    assertThat(passes).hasSizeGreaterThanOrEqualTo(2);
  }

  /** Data on which residuals vanish or centroids outnumber what there is to cluster. */
  enum Degenerate {
    FEWER_DISTINCT_ROWS_THAN_CENTROIDS {
      @Override
      float[] rows(SplittableRandom random, int d) {
        float[] distinct = gaussians(random, 5 * d, 1);
        float[] rows = new float[200 * d];
        for (int row = 0; row < 200; row++) {
          System.arraycopy(distinct, row % 5 * d, rows, row * d, d);
        }
        return rows;
      }
    },
    ONE_ROW_MANY_TIMES {
      @Override
      float[] rows(SplittableRandom random, int d) {
        float[] rows = clustered(random, 200, d, 40);
        for (int row = 0; row < 200; row++) {
          if (row % 3 != 0) {
            System.arraycopy(rows, 0, rows, row * d, d);
          }
        }
        return rows;
      }
    },
    ALL_ROWS_EQUAL {
      @Override
      float[] rows(SplittableRandom random, int d) {
        float[] one = gaussians(random, d, 3);
        float[] rows = new float[200 * d];
        for (int i = 0; i < rows.length; i++) {
          rows[i] = one[i % d];
        }
        return rows;
      }
    },
    ALL_ZERO {
      @Override
      float[] rows(SplittableRandom random, int d) {
        return new float[200 * d];
      }
    },
    MANY_ZERO {
      @Override
      float[] rows(SplittableRandom random, int d) {
        float[] rows = clustered(random, 200, d, 10);
        Arrays.fill(rows, 0, 120 * d, 0f);
        return rows;
      }
    },
    TINY_AND_HUGE {
      @Override
      float[] rows(SplittableRandom random, int d) {
        float[] rows = clustered(random, 200, d, 10);
        for (int i = 0; i < rows.length; i++) {
          rows[i] *= i / d % 2 == 0 ? 1e-30f : 1e15f;
        }
        return rows;
      }
    };

    abstract float[] rows(SplittableRandom random, int d);
  }

  @ParameterizedTest
  @EnumSource(Degenerate.class)
  void train_degenerateRows_staysFiniteAndRepeatable(Degenerate kind) throws IOException {
    int d = 6;
    float[] data = kind.rows(new SplittableRandom(5), d);
    for (boolean normalize : new boolean[] {true, false}) {
      for (boolean layerWise : new boolean[] {true, false}) {
        for (CentroidInitializer initializer : CentroidInitializer.values()) {
          var settings = new Settings(d, List.of(8, 6, 4), 90, 70, 12, normalize, layerWise);
          var config = settings.config(true, initializer, 6);
          Training expected = train(config, data, java, pools.getFirst());
          for (IterationStats step : expected.stats()) {
            assertThat(step.loss()).as("%s", step).isNotNegative().isFinite();
            assertThat(step.inertia()).as("%s", step).isNotNegative().isFinite();
          }
          Training other = train(config, data, nd4j, pools.getLast());
          assertThat(other.fingerprint()).isEqualTo(expected.fingerprint());
          assertThat(other.stats()).isEqualTo(expected.stats());
          var screening = ExactInt8.beside(java, new ExactInt8(126));
          Training screened =
              trainWith(
                  new ResidualQuantizerTrainer(
                      config, screening, pools.getLast(), Screening.ALWAYS),
                  data,
                  d);
          assertThat(screened.fingerprint()).isEqualTo(expected.fingerprint());

          Codebook codebook = expected.result().codebook();
          try (var quantizer =
              new ResidualQuantizer(codebook, java, pools.get(1), Long.MAX_VALUE)) {
            assertThat(quantizer.encode(VectorBatch.of(data, d)))
                .isEqualTo(new ReferenceQuantizer(codebook).encodeAll(data, data.length / d));
          }
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void train_rowsThatAreTheirCentroids_leavesThemOutOfDeeperLevels(boolean layerWise)
      throws IOException {
    int d = 6;
    float[] data = Degenerate.FEWER_DISTINCT_ROWS_THAN_CENTROIDS.rows(new SplittableRandom(5), d);
    var settings = new Settings(d, List.of(8, 4), 90, 70, 12, true, layerWise);
    Training training = train(settings.config(), data, java, pools.getFirst());
    assertThat(training.result().bufferRows()).containsExactly(90, 0);
    assertThat(Arrays.stream(training.counts()[0]).sum()).isEqualTo(layerWise ? 6 * 70 : 12 * 70);
    assertThat(training.counts()[1]).containsOnly(0);
    assertThat(training.stats())
        .filteredOn(step -> step.level() == 1)
        .hasSizeGreaterThan(layerWise ? 6 : 12)
        .allMatch(step -> step.rows() == 0 && step.loss() == 0 && step.inertia() == 0);
    assertThat(training.result().codebook().centroids(1).data()).containsOnly(0f);
  }

  @ParameterizedTest
  @CsvSource({"true,true", "true,false", "false,true", "false,false"})
  void train_moreSteps_reducesTheErrorOfTheFirstCentroids(boolean normalize, boolean layerWise)
      throws IOException {
    int d = 12;
    float[] data = clustered(new SplittableRandom(7), 1200, d, 60);
    for (CentroidInitializer initializer : CentroidInitializer.values()) {
      // three levels share two steps, so layer-wise none gets any; jointly one step is the least
      var few =
          new Settings(d, List.of(16, 16, 16), 400, 150, layerWise ? 2 : 1, normalize, layerWise);
      var many = new Settings(d, List.of(16, 16, 16), 400, 150, 150, normalize, layerWise);
      double first = mse(train(few.config(true, initializer, 8), data, java, pools.get(1)), data);
      double last = mse(train(many.config(true, initializer, 8), data, java, pools.get(1)), data);
      assertThat(last).as("%s", initializer).isLessThan((layerWise ? 0.8 : 0.95) * first);
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void train_widerOrDeeper_hasSmallerError(boolean normalize) throws IOException {
    int d = 12;
    float[] data = clustered(new SplittableRandom(7), 1200, d, 60);
    double previous = Double.POSITIVE_INFINITY;
    for (int width : new int[] {2, 8, 32}) {
      var settings = new Settings(d, List.of(width, width), 400, 150, 40, false, true);
      double mse = mse(train(settings.config(), data, java, pools.get(1)), data);
      assertThat(mse).as("width %d", width).isLessThan(previous);
      previous = mse;
    }
    var settings = new Settings(d, List.of(8, 8, 8), 400, 150, 60, normalize, true);
    Training training = train(settings.config(), data, java, pools.get(1));
    assertThat(training.stats())
        .filteredOn(step -> step.phase() == Phase.UPDATE && step.step() == step.steps())
        .extracting(IterationStats::residualNormRatio)
        .hasSize(3)
        .allMatch(ratio -> ratio > 0 && ratio < 1);
  }

  @Test
  void train_otherDimension_isRefusedWithBoth() {
    var settings = new Settings(5, List.of(3), 10, 10, 5, true, true);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> train(settings.config(), new float[40], 4))
        .withMessageContainingAll("embedding_dim is 5", "dimension 4");
  }

  @Test
  void train_fewerRowsThanTheWidestLevel_isRefusedWithBoth() throws IOException {
    var settings = new Settings(4, List.of(3, 9, 2), 10, 10, 5, true, true);
    float[] data = gaussians(new SplittableRandom(1), 9 * 4, 1);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> train(settings.config(), Arrays.copyOf(data, 8 * 4), 4))
        .withMessageContainingAll("9", "8");
    assertThat(train(settings.config(), data, 4).codebook().widths()).containsExactly(3, 9, 2);
  }

  @Test
  void train_initialCentroidsOfAnotherShape_areRefusedWithBoth() {
    var settings = new Settings(2, List.of(3, 3), 10, 10, 5, true, true);
    var trainer = new ResidualQuantizerTrainer(settings.config(), java, pools.getFirst());
    float[] data = gaussians(new SplittableRandom(1), 40, 1);
    assertThatIllegalArgumentException()
        .isThrownBy(
            () -> trainer.train(source(data, 2), List.of(new float[6]), TrainingListener.NONE))
        .withMessageContainingAll("1 levels", "2");
    assertThatIllegalArgumentException()
        .isThrownBy(() ->
            trainer.train(
                source(data, 2), List.of(new float[6], new float[8]), TrainingListener.NONE))
        .withMessageContainingAll("6 components", "got 8");
  }

  @ParameterizedTest
  @CsvSource({"true,NaN", "false,NaN", "true,Infinity", "false,-Infinity"})
  void train_nonFiniteRow_isNamed(boolean shuffle, float bad) {
    var settings = new Settings(3, List.of(4, 4), 20, 16, 50, true, true);
    float[] data = clustered(new SplittableRandom(2), 60, 3, 4);
    data[37 * 3 + 1] = bad;
    var config = settings.config(shuffle, CentroidInitializer.RANDOM, 3);
    var backend = new CountingBackend();
    assertThatThrownBy(() ->
            new ResidualQuantizerTrainer(config, backend, pools.getFirst())
                .train(source(data, 3), TrainingListener.NONE))
        .isInstanceOfSatisfying(
            NonFiniteVectorException.class, e -> assertThat(e.row()).isEqualTo(37))
        .hasMessageContainingAll("row 37", "60 rows in memory");
    assertThat(backend.open).hasValue(0);
  }

  @ParameterizedTest
  @CsvSource({"true,1", "true,3", "true,7", "true,20", "false,1", "false,9", "false,20"})
  void train_listenerThrows_stopsAtThatStepAndFreesTheDevice(boolean layerWise, int at) {
    var settings = new Settings(3, List.of(4, 4), 20, 16, 60, true, layerWise);
    float[] data = clustered(new SplittableRandom(2), 60, 3, 4);
    var backend = new CountingBackend();
    var heard = new AtomicInteger();
    var stop = new IllegalStateException("cancelled");
    assertThatThrownBy(() ->
            new ResidualQuantizerTrainer(settings.config(), backend, pools.get(1))
                .train(
                    source(data, 3),
                    step -> {
                      if (heard.incrementAndGet() == at) {
                        throw stop;
                      }
                    }))
        .isSameAs(stop);
    assertThat(heard).hasValue(at);
    assertThat(backend.open).hasValue(0);
  }

  @Test
  void train_finished_holdsNothingOnTheDevice() throws IOException {
    var settings = new Settings(3, List.of(4, 4), 20, 16, 20, true, true);
    var backend = new CountingBackend();
    Training training =
        train(
            settings.config(),
            clustered(new SplittableRandom(2), 60, 3, 4),
            backend,
            pools.getFirst());
    assertThat(training.stats()).hasSize(4 + 20);
    assertThat(backend.made.get()).isGreaterThanOrEqualTo(2);
    assertThat(backend.open).hasValue(0);
  }

  @Test
  void train_sourceFails_passesItsExceptionOn() {
    var settings = new Settings(3, List.of(4, 4), 20, 16, 20, true, true);
    var reads = new AtomicInteger();
    var failure = new IOException("disk on fire");
    var source =
        new ForwardingSource(source(clustered(new SplittableRandom(2), 60, 3, 4), 3)) {
          @Override
          public void read(long firstRow, int count, float[] target, int offset)
              throws IOException {
            if (reads.incrementAndGet() == 100) {
              throw failure;
            }
            super.read(firstRow, count, target, offset);
          }
        };
    assertThatThrownBy(() ->
            new ResidualQuantizerTrainer(settings.config(), java, pools.getFirst())
                .train(source, TrainingListener.NONE))
        .isSameAs(failure);
  }

  private record Training(ResidualQuantizerTrainer.Result result, List<IterationStats> stats) {

    String fingerprint() {
      return result.codebook().fingerprint();
    }

    long[][] counts() {
      return result.counts().toArray(long[][]::new);
    }
  }

  private static Training train(
      ResidualQuantizerConfig config, float[] data, ComputeBackend backend, WorkerPool pool)
      throws IOException {
    return trainWith(
        new ResidualQuantizerTrainer(config, backend, pool), data, config.embeddingDim());
  }

  private static Training trainWith(ResidualQuantizerTrainer trainer, float[] data, int d)
      throws IOException {
    var stats = new ArrayList<IterationStats>();
    return new Training(trainer.train(source(data, d), stats::add), List.copyOf(stats));
  }

  private ResidualQuantizerTrainer.Result train(
      ResidualQuantizerConfig config, float[] data, int dimension) throws IOException {
    return new ResidualQuantizerTrainer(config, java, pools.getFirst())
        .train(source(data, dimension), TrainingListener.NONE);
  }

  private double mse(Training training, float[] data) throws IOException {
    Codebook codebook = training.result().codebook();
    try (var quantizer = new ResidualQuantizer(codebook, java, pools.get(1), Long.MAX_VALUE)) {
      return new QuantizationEvaluator(quantizer, pools.get(1))
          .evaluate(source(data, codebook.dimension()), done -> {})
          .reconstructionMse();
    }
  }

  private static VectorSource source(float[] data, int d) {
    return new InMemoryVectorSource(VectorBatch.of(data, d));
  }

  /** n rows around {@code centers} random points, of different lengths. */
  private static float[] clustered(SplittableRandom random, int n, int d, int centers) {
    float[] center = gaussians(random, centers * d, 1);
    float[] rows = gaussians(random, n * d, 0.15);
    for (int row = 0; row < n; row++) {
      int at = random.nextInt(centers) * d;
      float length = 0.5f + random.nextFloat();
      for (int i = 0; i < d; i++) {
        rows[row * d + i] = length * (rows[row * d + i] + center[at + i]);
      }
    }
    return rows;
  }

  private static float[] gaussians(SplittableRandom random, int length, double size) {
    float[] values = new float[length];
    for (int i = 0; i < length; i++) {
      values[i] = (float) (size * random.nextGaussian());
    }
    return values;
  }

  /** A source in front of another one. */
  private static class ForwardingSource implements VectorSource {

    private final VectorSource source;

    ForwardingSource(VectorSource source) {
      this.source = source;
    }

    @Override
    public int dimension() {
      return source.dimension();
    }

    @Override
    public long rows() {
      return source.rows();
    }

    @Override
    public void read(long firstRow, int count, float[] target, int offset) throws IOException {
      source.read(firstRow, count, target, offset);
    }

    @Override
    public String description() {
      return source.description();
    }

    @Override
    public void close() throws IOException {
      source.close();
    }
  }

  /** The Java backend, counting what is on its device. */
  private static final class CountingBackend extends ForwardingBackend {

    private final AtomicInteger made = new AtomicInteger();
    private final AtomicInteger open = new AtomicInteger();

    CountingBackend() {
      super(new JavaBackend());
    }

    @Override
    public ResidentCodebook makeResident(float[] matrix, int rows, int dimension) {
      made.incrementAndGet();
      open.incrementAndGet();
      return new Resident(super.makeResident(matrix, rows, dimension)) {
        @Override
        public void close() {
          open.decrementAndGet();
          super.close();
        }
      };
    }
  }
}
