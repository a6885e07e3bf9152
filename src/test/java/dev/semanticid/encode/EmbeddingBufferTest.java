package dev.semanticid.encode;

import static dev.semanticid.encode.ProblemAssertions.assertProblem;
import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.budget.MemoryBudget;
import dev.semanticid.core.vector.VectorBatch;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.settings.SemanticIdProperties;
import java.time.Duration;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.util.unit.DataSize;

/** A buffer grows within its permit, keeps what it holds, and gives its array back in any case. */
class EmbeddingBufferTest {

  private static final int DIMENSION = 100;
  private static final long MEMORY = 1L << 30;

  private final FloatArrays arrays = new FloatArrays(1L << 30);
  private final MemoryBudget memory = new MemoryBudget(MEMORY);
  private final Admission admission =
      new Admission(
          new SemanticIdProperties.Encoding(
              500, DataSize.ofMegabytes(1), 600, 4, Duration.ofSeconds(30)),
          () -> 0);

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 99, 100, 101, 1024, 5000})
  void room_pieceAfterPiece_keepsWhatWasWritten(int piece) {
    try (Admission.Permit permit = admission.admit(1);
        var buffer = new EmbeddingBuffer(arrays, permit, memory, DIMENSION, 1)) {
      assertThat(buffer.dimension()).isEqualTo(DIMENSION);
      int total = 500 * DIMENSION;
      while (buffer.filled() < total) {
        int count = Math.min(piece, total - buffer.filled());
        float[] room = buffer.room(count);
        assertThat(room.length).isGreaterThanOrEqualTo(buffer.filled() + count);
        for (int i = buffer.filled(); i < buffer.filled() + count; i++) {
          room[i] = i;
        }
        buffer.advance(count);
        assertThat(buffer.rows()).isEqualTo(buffer.filled() / DIMENSION);
        assertThat(admission.rows()).isEqualTo((buffer.filled() + DIMENSION - 1) / DIMENSION);
      }
      VectorBatch batch = buffer.finish();
      assertThat(batch.rows()).isEqualTo(500);
      assertThat(batch.dimension()).isEqualTo(DIMENSION);
      for (int i = 0; i < total; i++) {
        if (batch.data()[i] != i) {
          assertThat(batch.data()[i]).isEqualTo(i);
        }
      }
      assertThat(arrays.idleBytes()).as("arrays grown out of").isPositive();
    }
    assertThat(admission.rows()).isZero();
  }

  @Test
  void newBuffer_rowsExpected_needsToGrowNoMore() {
    try (Admission.Permit permit = admission.admit(1);
        var buffer = new EmbeddingBuffer(arrays, permit, memory, DIMENSION, 200)) {
      assertThat(admission.rows()).isEqualTo(200);
      assertThat(buffer.room(200 * DIMENSION)).isSameAs(buffer.room(1));
      assertThat(arrays.idleBytes()).isZero();
    }
  }

  @Test
  void newBuffer_rowsExpectedBeyondTheLimit_isRefusedAndTakesNothing() {
    try (Admission.Permit permit = admission.admit(1)) {
      assertProblem(
          ProblemCode.PAYLOAD_TOO_LARGE,
          () -> new EmbeddingBuffer(arrays, permit, memory, DIMENSION, 501).close());
      assertThat(admission.rows()).isEqualTo(1);
      assertThat(arrays.idleBytes()).isZero();
    }
  }

  @Test
  void newBuffer_noRowsExpected_hasRoomForOne() {
    try (Admission.Permit permit = admission.admit(0);
        var buffer = new EmbeddingBuffer(arrays, permit, memory, 3000, 0)) {
      assertThat(buffer.room(0)).hasSizeGreaterThanOrEqualTo(3000);
      assertThat(buffer.rows()).isZero();
      assertThat(buffer.finish().rows()).isZero();
    }
  }

  @Test
  void room_beyondTheRowsOfARequest_isRefusedAndKeepsWhatIsThere() {
    try (Admission.Permit permit = admission.admit(1);
        var buffer = new EmbeddingBuffer(arrays, permit, memory, DIMENSION, 1)) {
      Arrays.fill(buffer.room(450 * DIMENSION), 0, 450 * DIMENSION, 3f);
      buffer.advance(450 * DIMENSION);
      assertProblem(ProblemCode.PAYLOAD_TOO_LARGE, () -> buffer.room(50 * DIMENSION + 1));
      assertProblem(ProblemCode.PAYLOAD_TOO_LARGE, () -> buffer.room(1L << 40));
      assertProblem(ProblemCode.PAYLOAD_TOO_LARGE, () -> buffer.announce(501));
      buffer.announce(500);
      buffer.room(50 * DIMENSION);
      VectorBatch batch = buffer.finish();
      assertThat(Arrays.copyOf(batch.data(), 450 * DIMENSION)).containsOnly(3f);
      assertThat(batch.rows()).isEqualTo(450);
      assertThat(admission.rows()).as("settled").isEqualTo(450);
    }
  }

  @Test
  void room_refusedBecauseOthersAreInside_givesTheArrayBackWhenClosed() {
    try (Admission.Permit others = admission.admit(1);
        Admission.Permit permit = admission.admit(100)) {
      others.ensure(400);
      var buffer = new EmbeddingBuffer(arrays, permit, memory, DIMENSION, 100);
      float[] array = buffer.room(100 * DIMENSION);
      buffer.advance(100 * DIMENSION);
      buffer.announce(200);
      assertProblem(ProblemCode.OVERLOADED, () -> buffer.room(101 * DIMENSION));
      assertThat(buffer.rows()).isEqualTo(100);
      assertThat(arrays.idleBytes()).isZero();
      buffer.close();
      assertThat(arrays.idleBytes()).isEqualTo(4L * array.length);
      assertThat(arrays.take(array.length)).isSameAs(array);
      others.settle(0);
    }
    assertThat(admission.rows()).isZero();
  }

  /** What a request announces is taken when it comes. */
  @Test
  void newBuffer_rowsAnnounced_takesMemoryAsTheyCome() {
    var wide =
        new Admission(
            new SemanticIdProperties.Encoding(
                20_000, DataSize.ofMegabytes(1), 20_000, 4, Duration.ofSeconds(30)),
            () -> 0);
    try (Admission.Permit permit = wide.admit(20_000);
        var buffer = new EmbeddingBuffer(arrays, permit, memory, 1000, 20_000)) {
      assertThat(memory.taken()).isEqualTo(1 << 20);
      buffer.room(300_000);
      buffer.advance(300_000);
      assertThat(memory.taken()).isEqualTo(4L << 19);
      buffer.room(300_000);
      assertThat(memory.taken()).isEqualTo(4L << 20);
    }
    assertThat(memory.taken()).isZero();
  }

  @Test
  void room_moreMemoryThanThereIs_isRefusedAndAllIsGivenBack() {
    var little = new MemoryBudget(64 << 10);
    try (Admission.Permit permit = admission.admit(1);
        var buffer = new EmbeddingBuffer(arrays, permit, little, DIMENSION, 1)) {
      buffer.room(4096);
      buffer.advance(4096);
      assertProblem(ProblemCode.PAYLOAD_TOO_LARGE, () -> buffer.room(16384));
      MemoryBudget.Share other = little.reserve("another", 40 << 10);
      assertProblem(ProblemCode.OVERLOADED, () -> buffer.room(4096));
      other.close();
      assertThat(buffer.filled()).isEqualTo(4096);
    }
    assertThat(little.taken()).isZero();
  }

  @Test
  void close_twice_givesTheArrayBackOnce() {
    try (Admission.Permit permit = admission.admit(1)) {
      var buffer = new EmbeddingBuffer(arrays, permit, memory, DIMENSION, 1);
      buffer.close();
      long once = arrays.idleBytes();
      buffer.close();
      assertThat(once).isPositive();
      assertThat(arrays.idleBytes()).isEqualTo(once);
    }
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
  void finish_componentNotFinite_namesTheFirstSuchRow(float bad) {
    for (int component : new int[] {0, 1, 99, 100, 57 * DIMENSION + 31, 80 * DIMENSION - 1}) {
      try (Admission.Permit permit = admission.admit(1);
          var buffer = new EmbeddingBuffer(arrays, permit, memory, DIMENSION, 1)) {
        float[] room = buffer.room(80 * DIMENSION);
        Arrays.fill(room, 0, 80 * DIMENSION, Float.MAX_VALUE);
        // What is behind the rows is another request's and none of this one's business.
        Arrays.fill(room, 80 * DIMENSION, room.length, Float.NaN);
        room[component] = bad;
        room[80 * DIMENSION - 1] = component == 0 ? bad : room[80 * DIMENSION - 1];
        buffer.advance(80 * DIMENSION);
        int row = component / DIMENSION;
        assertThat(assertProblem(ProblemCode.NON_FINITE_VALUE, buffer::finish).properties())
            .containsEntry("row", row);
      }
    }
  }

  @Test
  void finish_largestAndSmallestComponents_areFinite() {
    try (Admission.Permit permit = admission.admit(1);
        var buffer = new EmbeddingBuffer(arrays, permit, memory, DIMENSION, 1)) {
      float[] room = buffer.room(80 * DIMENSION);
      Arrays.fill(room, 0, 40 * DIMENSION, Float.MAX_VALUE);
      Arrays.fill(room, 40 * DIMENSION, 80 * DIMENSION, -Float.MIN_VALUE);
      buffer.advance(80 * DIMENSION);
      assertThat(buffer.finish().rows()).isEqualTo(80);
    }
  }
}
