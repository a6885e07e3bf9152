package dev.semanticid.core.encode.plan;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.search.FasterWay;
import dev.semanticid.core.search.ScreeningStatistics;
import java.util.List;
import java.util.Locale;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Screens in 8 bits where that is faster than in float32, which depends on the data, the CPU and
 * the size of the block. Each block goes to the plan that has taken less time per row on blocks of
 * such a size; now and then a piece goes to the other one, to notice when that changes. Both find
 * the same codes, so a wrong choice costs time and nothing else.
 */
public final class AdaptivePlan implements EncodingPlan {

  /** Blocks of up to so many rows are timed together; larger ones too. */
  private static final int[] SIZES = {1, 4, 15, 63, Integer.MAX_VALUE};

  /** Rows of a trial: enough that its time per row says something about large blocks. */
  private static final int MOST_TRIAL_ROWS = 128;

  private static final int WARM_UP_ROUNDS = 8;
  private static final long LONGEST_WARM_UP = 1_000_000_000;

  private final LongSupplier clock;
  private final Codebook codebook;
  private final Float32Plan float32;
  private final Int8Plan int8;
  private final List<EncodingPlan> plans;
  private final FasterWay[] choices = new FasterWay[SIZES.length];

  /**
   * @param clock nanoseconds
   */
  public AdaptivePlan(Codebook codebook, Float32Plan float32, Int8Plan int8, LongSupplier clock) {
    this.clock = clock;
    this.codebook = codebook;
    this.float32 = float32;
    this.int8 = int8;
    this.plans = List.of(float32, int8);
    for (int i = 0; i < choices.length; i++) {
      choices[i] = new FasterWay();
    }
  }

  @Override
  public String name() {
    return plans.get(choices[choices.length - 1].faster()).name();
  }

  @Override
  public String reason() {
    FasterWay large = choices[choices.length - 1];
    return String.format(
        Locale.ROOT,
        "float32 took %.1f µs a row and int8 %.1f in blocks of %d and more",
        large.nanosPerRow(0) / 1e3,
        large.nanosPerRow(1) / 1e3,
        SIZES[SIZES.length - 2] + 1);
  }

  @Override
  public List<EncodingPlan> alternatives() {
    return plans;
  }

  @Override
  public @Nullable ScreeningStatistics screening() {
    return int8.screening();
  }

  @Override
  public int blockRows() {
    return float32.blockRows();
  }

  @Override
  public long bytes() {
    return float32.bytes() + int8.deviceBytes();
  }

  /**
   * Times both plans on blocks of every size, at least once, and again while there is time, because
   * the first times are those of code not yet compiled.
   */
  @Override
  public void warmUp(float[] vectors, int n, int[] codes) {
    var worker = new AdaptiveWorker();
    long began = clock.getAsLong();
    for (int round = 0; round < WARM_UP_ROUNDS; round++) {
      for (int size : SIZES) {
        FasterWay choice = choices[sizeOf(size)];
        for (int plan = 0; plan < plans.size(); plan++) {
          int rows = Math.min(Math.min(n, size), plans.get(plan).blockRows());
          worker.encodeBy(choice, plan, vectors, 0, rows, codes, 0);
        }
      }
      if (clock.getAsLong() - began > LONGEST_WARM_UP) {
        break;
      }
    }
    int8.warmUp(vectors, 0, codes);
  }

  @Override
  public Worker newWorker() {
    return new AdaptiveWorker();
  }

  @Override
  public void close() {
    float32.close();
    int8.close();
  }

  private static int sizeOf(int n) {
    int size = 0;
    while (n > SIZES[size]) {
      size++;
    }
    return size;
  }

  private final class AdaptiveWorker implements Worker {

    private final Worker[] workers = {float32.newWorker(), int8.newWorker()};

    @Override
    public int encode(float[] vectors, int offset, int n, int[] codes, int codesBegin) {
      int rescored = 0;
      int rows;
      for (int begin = 0; begin < n; begin += rows) {
        int left = n - begin;
        FasterWay choice = choices[sizeOf(left)];
        int plan = choice.choose(Math.min(left, MOST_TRIAL_ROWS));
        int most = plan == choice.faster() ? Integer.MAX_VALUE : MOST_TRIAL_ROWS;
        rows = Math.min(Math.min(left, most), plans.get(plan).blockRows());
        rescored +=
            encodeBy(
                choice,
                plan,
                vectors,
                offset + begin * codebook.dimension(),
                rows,
                codes,
                codesBegin + begin * codebook.levels());
      }
      return rescored;
    }

    int encodeBy(
        FasterWay choice,
        int plan,
        float[] vectors,
        int offset,
        int n,
        int[] codes,
        int codesBegin) {
      long began = clock.getAsLong();
      int rescored = workers[plan].encode(vectors, offset, n, codes, codesBegin);
      choice.took(plan, n, clock.getAsLong() - began);
      return rescored;
    }
  }
}
