package dev.semanticid.parquet;

import java.util.Arrays;
import java.util.Objects;

/** A batch of ids that is filled again and again. Used by one thread at a time. */
public final class Ids {

  private final IdType type;
  private int count;
  private String[] strings = {};
  private long[] longs = {};

  /** An empty batch of ids of {@code type}. */
  public Ids(IdType type) {
    this.type = Objects.requireNonNull(type, "type");
  }

  /** What the ids are. */
  public IdType type() {
    return type;
  }

  /** How many there are. */
  public int count() {
    return count;
  }

  /**
   * The ids in the first {@link #count()} places, not copied, valid until the batch is filled
   * again.
   *
   * @throws IllegalStateException if they are not {@link IdType#STRING}
   */
  public String[] strings() {
    check(IdType.STRING);
    return strings;
  }

  /**
   * The ids in the first {@link #count()} places, not copied, valid until the batch is filled
   * again.
   *
   * @throws IllegalStateException if they are not {@link IdType#INT64}
   */
  public long[] longs() {
    check(IdType.INT64);
    return longs;
  }

  void begin(int most) {
    count = 0;
    if (type == IdType.STRING && strings.length < most) {
      strings = new String[most];
      Arrays.fill(strings, "");
    } else if (type == IdType.INT64 && longs.length < most) {
      longs = new long[most];
    }
  }

  void add(String id) {
    strings[count++] = id;
  }

  void add(long id) {
    longs[count++] = id;
  }

  private void check(IdType wanted) {
    if (type != wanted) {
      throw new IllegalStateException("the ids are %s, not %s".formatted(type, wanted));
    }
  }
}
