package dev.semanticid.backend.onednn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.semanticid.core.compute.Int8Backend;
import dev.semanticid.core.compute.ResidentInt8;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** oneDNN's products against their definition: every one exact, whatever kernel it chooses. */
class OneDnnBackendTest {

  private static final Path TASKS = Path.of("/proc/self/task");

  private static OneDnnBackend backend;

  @BeforeAll
  static void start() {
    backend = new OneDnnBackend();
  }

  @AfterAll
  static void close() {
    backend.close();
  }

  @ParameterizedTest
  @ValueSource(ints = {4, 8, 12, 60, 64, 68, 128, 208, 384, 1000, 2048, 4096})
  void multiply_manyShapes_isExact(int d) {
    var random = new SplittableRandom(d);
    for (int rows : new int[] {1, 2, 3, 7, 16, 17, 48, 65, 300}) {
      byte[] matrix = matrix(random, rows, d, random.nextInt(3));
      try (ResidentInt8 resident = backend.makeResident(matrix, rows, d)) {
        for (int n : new int[] {1, 2, 5, 16, 33}) {
          assertExact(resident, matrix, vectors(random, n, d, random.nextInt(3)), n);
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"300, 300, 384", "300, 1, 64", "256, 768, 768", "100, 300, 4096", "299, 37, 2052"})
  void multiply_largeBlocks_isExact(int n, int rows, int d) {
    var random = new SplittableRandom(d);
    for (int kind = 0; kind < 3; kind++) {
      byte[] matrix = matrix(random, rows, d, kind);
      try (ResidentInt8 resident = backend.makeResident(matrix, rows, d)) {
        assertExact(resident, matrix, vectors(random, n, d, kind), n);
      }
    }
  }

  /** The largest sums there are, which int32 just holds. */
  @Test
  void multiply_mostDimensionsOfLargestValues_isExact() {
    int d = Int8Backend.MOST_DIMENSIONS;
    byte[] matrix = new byte[2 * d];
    Arrays.fill(matrix, 0, d, (byte) 127);
    Arrays.fill(matrix, d, 2 * d, (byte) -127);
    int value = backend.largest() * 0x01010101;
    int[] vector = new int[d / 4];
    Arrays.fill(vector, value);
    int[] products = new int[2];
    try (ResidentInt8 resident = backend.makeResident(matrix, 2, d)) {
      resident.multiply(vector, 1, products);
    }
    int largest = backend.largest() * 127 * d;
    assertThat(products).containsExactly(largest, -largest);
  }

  @Test
  void multiply_blocksThatGrowAndShrink_fillsExactlyTheirPlaces() {
    var random = new SplittableRandom(2);
    byte[] wide = matrix(random, 300, 4, 0);
    byte[] deep = matrix(random, 2, 200, 0);
    try (ResidentInt8 first = backend.makeResident(wide, 300, 4);
        ResidentInt8 second = backend.makeResident(deep, 2, 200)) {
      for (int n : new int[] {1, 300, 2, 299, 1}) {
        assertExact(first, wide, vectors(random, n, 4, 0), n);
        assertExact(second, deep, vectors(random, n, 200, 0), n);
      }
    }
  }

  @Test
  void multiply_fromFourThreads_givesEachItsOwnProducts() throws Exception {
    var random = new SplittableRandom(3);
    int threads = 4;
    byte[] matrix = matrix(random, 50, 36, 0);
    try (ResidentInt8 resident = backend.makeResident(matrix, 50, 36);
        var executor = Executors.newFixedThreadPool(threads)) {
      var start = new CyclicBarrier(threads);
      var results = new ArrayList<Future<?>>();
      for (int t = 0; t < threads; t++) {
        int n = 20 + 17 * t;
        int[] vectors = vectors(random, n, 36, 0);
        results.add(
            executor.submit(() -> {
              start.await();
              for (int round = 0; round < 200; round++) {
                assertExact(resident, matrix, vectors, n);
              }
              return null;
            }));
      }
      for (Future<?> result : results) {
        assertThat(result.get()).isNull();
      }
    }
  }

  /** A thread that oneDNN starts has the name of the one that called it. */
  @Test
  void multiply_largeBlock_startsNoThreads() throws Exception {
    assumeThat(TASKS).isDirectory();
    var random = new SplittableRandom(4);
    byte[] matrix = matrix(random, 512, 512, 0);
    int[] vectors = vectors(random, 512, 512, 0);
    var names = new ArrayList<String>();
    try (ResidentInt8 resident = backend.makeResident(matrix, 512, 512)) {
      Thread caller =
          new Thread(
              () -> {
                resident.multiply(vectors, 512, new int[512 * 512]);
                names.addAll(namesOfThreads());
              },
              "int8-caller");
      caller.start();
      caller.join();
    }
    assertThat(names).containsOnlyOnce("int8-caller");
  }

  @Test
  void makeResident_arrayWrittenAfterwards_keepsWhatItCopied() {
    var random = new SplittableRandom(5);
    byte[] matrix = matrix(random, 8, 8, 0);
    byte[] before = matrix.clone();
    try (ResidentInt8 resident = backend.makeResident(matrix, 8, 8)) {
      Arrays.fill(matrix, (byte) 99);
      assertExact(resident, before, vectors(random, 4, 8, 0), 4);
    }
  }

  @Test
  void makeResident_tellsItsShapeAndMemory() {
    try (ResidentInt8 resident = backend.makeResident(new byte[6 * 16 + 5], 6, 16)) {
      assertThat(resident.rows()).isEqualTo(6);
      assertThat(resident.dimension()).isEqualTo(16);
      assertThat(resident.bytes()).isEqualTo(6 * 16);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "0, 4, 100",
    "-1, 4, 100",
    "1, 0, 100",
    "1, -4, 100",
    "1, 5, 100",
    "3, 6, 100",
    "3, 8, 23",
    "1, 65540, 70000",
    "2147483647, 4, 100"
  })
  void makeResident_wrongShape_saysWhatWasExpectedAndGot(int rows, int dimension, int length) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> backend.makeResident(new byte[length], rows, dimension).close())
        .withMessageMatching("expected .*")
        .withMessageContaining("got %d of %d in an array of %d", rows, dimension, length);
  }

  @Test
  void device_namesLibraryAndSteps() {
    assertThat(backend.largest()).isIn(126, 254);
    assertThat(backend.device())
        .matches("oneDNN \\d+\\.\\d+\\.\\d+, .+, " + (backend.largest() + 1) + " steps");
  }

  private static List<String> namesOfThreads() {
    try (var tasks = Files.newDirectoryStream(TASKS)) {
      var names = new ArrayList<String>();
      for (Path task : tasks) {
        try {
          names.add(Files.readString(task.resolve("comm")).strip());
        } catch (NoSuchFileException e) {
          // ended meanwhile
        }
      }
      return names;
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  /** Multiplies into an array with room left over and compares with sums in index order. */
  private static void assertExact(ResidentInt8 resident, byte[] matrix, int[] vectors, int n) {
    int rows = resident.rows();
    int d = resident.dimension();
    int[] products = new int[n * rows + 3];
    Arrays.fill(products, -7);
    resident.multiply(vectors, n, products);
    int[] expected = new int[n * rows + 3];
    Arrays.fill(expected, -7);
    int[] q = new int[d];
    for (int i = 0; i < n; i++) {
      for (int c = 0; c < d; c++) {
        q[c] = vectors[(i * d + c) / 4] >>> (8 * (c % 4)) & 0xff;
      }
      for (int k = 0; k < rows; k++) {
        int sum = 0;
        for (int c = 0; c < d; c++) {
          sum += q[c] * matrix[k * d + c];
        }
        expected[i * rows + k] = sum;
      }
    }
    assertThat(products).as("%d × %d × %d", n, rows, d).isEqualTo(expected);
  }

  /** Kinds: any values; mostly the largest, whose sums of two saturate first; those alone. */
  private static byte[] matrix(SplittableRandom random, int rows, int d, int kind) {
    byte[] matrix = new byte[rows * d];
    for (int i = 0; i < matrix.length; i++) {
      int sign = i / d % 2 == 0 ? 1 : -1;
      boolean extreme = kind == 2 || (kind == 1 && random.nextInt(8) > 0);
      matrix[i] = (byte) (extreme ? 127 * sign : random.nextInt(-127, 128));
    }
    return matrix;
  }

  private static int[] vectors(SplittableRandom random, int n, int d, int kind) {
    int[] vectors = new int[n * d / 4];
    for (int i = 0; i < 4 * vectors.length; i++) {
      boolean extreme = kind == 2 || (kind == 1 && random.nextInt(8) > 0);
      int q = extreme ? backend.largest() : random.nextInt(backend.largest() + 1);
      vectors[i / 4] |= q << (8 * (i % 4));
    }
    return vectors;
  }
}
