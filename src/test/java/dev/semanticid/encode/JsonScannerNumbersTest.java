package dev.semanticid.encode;

import static dev.semanticid.encode.ProblemAssertions.assertProblem;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.Trials;
import dev.semanticid.problem.ProblemCode;
import java.io.ByteArrayInputStream;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Every decimal text becomes the float that the platform's parser makes of it, bit for bit: where
 * the scanner computes by itself, where it is too near to the middle between two floats to do so,
 * and beyond all ranges.
 */
class JsonScannerNumbersTest {

  private static final int BATCH = 1000;

  /** How a decimal text comes to be. */
  enum Shape {
    SHORTEST_OF_A_FLOAT(300, random -> Float.toString(finite(random))),
    SHORTEST_OF_A_FLOAT_AS_DOUBLE(300, random -> Double.toString(finite(random))),
    COMPONENT_OF_AN_EMBEDDING(
        300, random -> Double.toString(Math.abs(0.03 * random.nextGaussian()))),
    NINE_DIGITS(300, random -> digits(random, 9)),
    SEVENTEEN_DIGITS(300, random -> digits(random, 17)),
    EIGHTEEN_DIGITS_WITHIN_THE_FAST_RANGE(300, random -> fastRange(random, 18)),
    MIDDLE_OF_TWO_FLOATS(60, random -> written(random, middle(random))),
    MIDDLE_OF_TWO_FLOATS_BUT_FOR_A_FAR_DIGIT(60, JsonScannerNumbersTest::nearMiddle),
    MIDDLE_OF_TWO_FLOATS_BUT_FOR_ROUNDOFFS(300, JsonScannerNumbersTest::roundoffsFromMiddle),
    MIDDLE_OF_TWO_FLOATS_ROUNDED(300, JsonScannerNumbersTest::roundedMiddle),
    SUBNORMAL(200, random -> cut(random, Float.intBitsToFloat(random.nextInt(1 << 23)))),
    AROUND_THE_SMALLEST_NORMAL(
        200,
        random ->
            cut(random, Float.intBitsToFloat((1 << 23) - 50 + random.nextInt(100 + (3 << 23))))),
    AROUND_THE_LARGEST(
        200, random -> cut(random, Float.MAX_VALUE * (1 + (random.nextInt(100) - 50) * 0x1p-26))),
    ANY_EXPONENT(300, JsonScannerNumbersTest::anyExponent),
    ZERO(50, random -> zeros(random, 0) + exponent(random, 120)),
    ZEROS_BEHIND_THE_POINT(
        300, random -> zeros(random, 1) + digits(random, 1, 40, 10) + exponent(random, 50)),
    INTEGER(300, random -> digits(random, 1, 30, 9)),
    MULTIPLE_OF_2_TO_THE_64(50, JsonScannerNumbersTest::multipleOfTwoToThe64),
    FORTY_DIGITS(
        300,
        random ->
            digits(random, 1, 20, 9) + "." + digits(random, 1, 20, 10) + exponent(random, 40));

    private final int batches;

    @SuppressWarnings("ImmutableEnumChecker") // lambdas without state
    private final Function<SplittableRandom, String> maker;

    Shape(int batches, Function<SplittableRandom, String> maker) {
      this.batches = batches;
      this.maker = maker;
    }
  }

  @ParameterizedTest
  @EnumSource
  void numbers_randomTextsOfAShape_areWhatThePlatformReads(Shape shape) {
    var random = new SplittableRandom(shape.name().hashCode());
    for (int batch = 0; batch < Trials.of(shape.batches); batch++) {
      List<String> texts =
          IntStream.range(0, BATCH)
              .mapToObj(i -> (random.nextBoolean() ? "-" : "") + shape.maker.apply(random))
              .toList();
      assertReadAsByThePlatform(texts, 1024 + random.nextInt(8192));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "0",
        "0.0",
        "0e0",
        "0E+9999",
        "0e-99999",
        "0.1",
        "1e10",
        "1e010",
        "1E+0000000000000000000000000000000000000000000000000000000000000000000000000000005",
        "16777217",
        "16777216.99999999999999999999999999999999999999999999999999999999999999999999999999999",
        "16777217.00000000000000000000000000000000000000000000000000000000000000000000000000001",
        "0.00000000000000000000000000000000000000000000000000000000000000000000000000000000001e83",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "18446744073709551617",
        "36893488147419103232",
        "184467440737095516160",
        "18446744073709551616.5",
        "18446744073709551616e-10",
        "1.8446744073709551616",
        "3.4028234663852886e38",
        "3.4028235677973366e38",
        "3.4028235677973365e38",
        "340282356779733661637539395458142568447",
        "340282356779733661637539395458142568448",
        "1.4e-45",
        "7.006492321624085e-46",
        "7.006492321624086e-46",
        "1.1754943508222875e-38",
        "1e60",
        "1e61",
        "1e-60",
        "1e-61",
        "1e9999",
        "1e-9999",
        "1e99999",
        "1e-99999",
        "1e2147483648",
        "1e-9223372036854775809"
      })
  void numbers_textAtALimit_isWhatThePlatformReads(String text) {
    assertReadAsByThePlatform(List.of(text, "-" + text), 1024);
  }

  @ParameterizedTest
  @ValueSource(ints = {7, 8, 9, 15, 16, 17, 18, 19, 20, 24, 25, 55, 56, 57, 62, 63, 64, 65, 2000})
  void numbers_anyCountOfDigits_isWhatThePlatformReads(int count) {
    String nines = "9".repeat(count);
    assertReadAsByThePlatform(
        List.of(
            nines,
            "0." + nines,
            "1." + nines,
            nines + "." + nines.substring(count / 2),
            "1" + "0".repeat(count),
            "0." + "0".repeat(count) + "1",
            "1." + "0".repeat(count) + "1",
            "0." + "0".repeat(count),
            nines + "e-" + count,
            "0." + "0".repeat(count) + "1e" + count),
        1024);
  }

  /** Its exponent may lie behind what the buffer holds, which is not its end. */
  @Test
  void numbers_longNumberAcrossTheBuffersEnd_isReadToItsEnd() {
    for (String digits : List.of("0".repeat(57) + "123", "0".repeat(60))) {
      String number = "-0." + digits + "E+0065";
      float expected = Float.parseFloat(number);
      for (int padding = 900; padding < 1100; padding++) {
        var json = scanner(" ".repeat(padding) + "[" + number + "," + number + "]", 1024);
        float[] found = new float[2];
        json.beginArray();
        assertThat(json.numbers(found, 0, 2)).isEqualTo(2);
        assertThat(found).containsExactly(expected, expected);
      }
    }
  }

  @Test
  void numbers_moreCharactersThanAnyNumberNeeds_areRefused() {
    var json = scanner("[" + "1".repeat(4097) + "]", 1024);
    json.beginArray();
    assertProblem(ProblemCode.MALFORMED_JSON, () -> json.numbers(new float[1], 0, 1));
  }

  private static void assertReadAsByThePlatform(List<String> texts, int bufferSize) {
    var json = scanner("[" + String.join(",", texts) + "]", bufferSize);
    float[] found = new float[texts.size()];
    json.beginArray();
    assertThat(json.numbers(found, 0, found.length)).isEqualTo(found.length);
    assertThat(json.arrayEnded()).isTrue();
    json.expectEnd();
    for (int i = 0; i < found.length; i++) {
      float expected = Float.parseFloat(texts.get(i));
      if (Float.floatToRawIntBits(found[i]) != Float.floatToRawIntBits(expected)) {
        assertThat(found[i]).as(texts.get(i)).isEqualTo(expected);
      }
    }
  }

  private static JsonScanner scanner(String text, int bufferSize) {
    return new JsonScanner(new ByteArrayInputStream(text.getBytes(US_ASCII)), new byte[bufferSize]);
  }

  /** Any positive finite float, each as likely as the others. */
  private static float finite(SplittableRandom random) {
    return Float.intBitsToFloat(random.nextInt(Float.floatToIntBits(Float.POSITIVE_INFINITY)));
  }

  private static BigDecimal middle(SplittableRandom random) {
    float below = random.nextInt(3) == 0 ? finite(random) : (float) random.nextGaussian();
    below = Math.min(Math.abs(below), Math.nextDown(Float.MAX_VALUE));
    return new BigDecimal(((double) below + Math.nextUp(below)) / 2);
  }

  private static String nearMiddle(SplittableRandom random) {
    BigDecimal middle = middle(random);
    BigDecimal step = BigDecimal.ONE.movePointLeft(middle.scale() + random.nextInt(20));
    return written(random, random.nextBoolean() ? middle.add(step) : middle.subtract(step));
  }

  /** So near that the errors of a computation in float64 lead across the middle. */
  private static String roundoffsFromMiddle(SplittableRandom random) {
    double middle = middle(random).doubleValue();
    double near = middle + (random.nextInt(25) - 12) * Math.ulp(middle);
    return random.nextBoolean()
        ? Double.toString(Math.abs(near))
        : new BigDecimal(Math.abs(near)).round(new MathContext(18)).toString();
  }

  private static String roundedMiddle(SplittableRandom random) {
    return written(random, middle(random).round(new MathContext(8 + random.nextInt(16))));
  }

  private static String cut(SplittableRandom random, double value) {
    return switch (random.nextInt(3)) {
      case 0 -> Float.toString((float) Math.min(value, Float.MAX_VALUE));
      case 1 -> Double.toString(value);
      default -> new BigDecimal(value).round(new MathContext(1 + random.nextInt(18))).toString();
    };
  }

  private static String written(SplittableRandom random, BigDecimal value) {
    return random.nextBoolean() ? value.toPlainString() : value.toString();
  }

  private static String digits(SplittableRandom random, int count) {
    return new BigDecimal(finite(random) * (1 + random.nextDouble()))
        .round(new MathContext(count))
        .toString();
  }

  /** Up to so many digits with a point anywhere among them, times up to 10^±20. */
  private static String fastRange(SplittableRandom random, int most) {
    String digits = digits(random, 2, most, 9);
    int point = 1 + random.nextInt(digits.length() - 1);
    return digits.substring(0, point) + "." + digits.substring(point) + exponent(random, 20);
  }

  private static String anyExponent(SplittableRandom random) {
    String exponent = exponent(random, 400);
    String fraction = random.nextBoolean() ? "" : "." + digits(random, 1, 12, 10);
    return digits(random, 1, 12, 9) + fraction + exponent;
  }

  private static String multipleOfTwoToThe64(SplittableRandom random) {
    BigInteger multiple = BigInteger.valueOf(1 + random.nextInt(1 << 20)).shiftLeft(64);
    return multiple
        + List.of("", "." + digits(random, 1, 9, 10), exponent(random, 20)).get(random.nextInt(3));
  }

  /** "0", perhaps with zeros behind a point, {@code fewest} or more. */
  private static String zeros(SplittableRandom random, int fewest) {
    int count = fewest + random.nextInt(30);
    return count == 0 ? "0" : "0." + "0".repeat(count);
  }

  /** Random digits, the first at least {@code 10 − first}. */
  private static String digits(SplittableRandom random, int fewest, int most, int first) {
    int count = random.nextInt(fewest, most + 1);
    var digits = new StringBuilder();
    digits.append((char) ('0' + 10 - first + random.nextInt(first)));
    while (digits.length() < count) {
      digits.append((char) ('0' + random.nextInt(10)));
    }
    return digits.toString();
  }

  /** An exponent in all ways of writing it, or none. */
  private static String exponent(SplittableRandom random, int most) {
    if (random.nextInt(5) == 0) {
      return "";
    }
    return String.join(
        "",
        random.nextBoolean() ? "e" : "E",
        List.of("", "+", "-").get(random.nextInt(3)),
        "0".repeat(random.nextInt(2) * random.nextInt(4)),
        Integer.toString(random.nextInt(most + 1)));
  }
}
