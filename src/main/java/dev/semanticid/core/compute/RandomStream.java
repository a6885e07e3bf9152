package dev.semanticid.core.compute;

import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;

/**
 * Random numbers of a training, from its one seed: each purpose has a stream of its own, so that
 * one more draw here changes nothing there. The generator is L64X128MixRandom, whose algorithm the
 * Java platform specifies; how its bits become numbers is fixed here.
 */
public final class RandomStream {

  private static final RandomGeneratorFactory<RandomGenerator> FACTORY =
      RandomGeneratorFactory.of("L64X128MixRandom");

  private RandomStream() {}

  /** What random numbers are drawn for. */
  public enum Purpose {
    /** Centroids of a level; the index is the level. */
    INITIALIZATION(0x632BE59BD9B4E019L),
    /** Order in which parts of the data come in a pass over them; the index is the pass. */
    SHUFFLE(0x9E3779B97F4A7C15L),
    /** Order of the rows within a part of a pass; the index is where that begins. */
    SHUFFLE_WINDOW(0xA0761D6478BD642FL),
    /** Whether a row is held out from training; the index is the row. */
    HOLDOUT(0xE7037ED1A0B428DBL),
    /** Rows that a codebook is tested with before it serves. */
    SELF_TEST(0xD1B54A32D192ED03L);

    private final long salt;

    Purpose(long salt) {
      this.salt = salt;
    }
  }

  /** The stream for a purpose. */
  public static RandomGenerator of(long seed, Purpose purpose, long index) {
    return FACTORY.create(bits(seed, purpose, index));
  }

  /**
   * One number for a purpose and an index, uniform in [0, 1): for choices that must not depend on
   * what was drawn before.
   */
  public static double unit(long seed, Purpose purpose, long index) {
    return unit(bits(seed, purpose, index));
  }

  private static long bits(long seed, Purpose purpose, long index) {
    return mix(mix(seed) + mix(purpose.salt + index));
  }

  /** Finaliser of Stafford's variant 13, as used by splittable generators. */
  public static long mix(long z) {
    long a = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    long b = (a ^ (a >>> 27)) * 0x94D049BB133111EBL;
    return b ^ (b >>> 31);
  }

  /** Uniform in 0 … bound−1. */
  public static int below(RandomGenerator random, int bound) {
    return (int) Math.unsignedMultiplyHigh(random.nextLong(), bound);
  }

  /** Uniform in [0, 1), a multiple of 2⁻⁵³. */
  public static double unit(RandomGenerator random) {
    return unit(random.nextLong());
  }

  private static double unit(long bits) {
    return (bits >>> 11) * 0x1p-53;
  }
}
