package dev.semanticid.core.vector;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Each type's every element becomes the float it stands for, wherever it lies. */
class ElementTypeTest {

  private static final float UNTOUCHED = -12345.5f;

  @Test
  void decode_everyHalf_isWhatThePlatformMakesOfIt() {
    float[] decoded = everyPattern(ElementType.F2);
    for (int bits = 0; bits < 1 << 16; bits++) {
      float expected = Float.float16ToFloat((short) bits);
      if (Float.floatToIntBits(decoded[bits]) != Float.floatToIntBits(expected)) {
        assertThat(decoded[bits]).as("half 0x%04x", bits).isEqualTo(expected);
      }
    }
  }

  /** And by its definition: sign, 5 bits of exponent, 10 of fraction. */
  @Test
  void decode_everyHalf_isWhatTheStandardSays() {
    float[] decoded = everyPattern(ElementType.F2);
    for (int bits = 0; bits < 1 << 16; bits++) {
      int exponent = (bits >> 10) & 31;
      int fraction = bits & 1023;
      double magnitude =
          switch (exponent) {
            case 0 -> Math.scalb((double) fraction, -24);
            case 31 -> fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
            default -> Math.scalb(1024.0 + fraction, exponent - 25);
          };
      float expected = (float) (bits >> 15 == 0 ? magnitude : -magnitude);
      if (Float.floatToIntBits(decoded[bits]) != Float.floatToIntBits(expected)) {
        assertThat(decoded[bits]).as("half 0x%04x", bits).isEqualTo(expected);
      }
    }
  }

  @Test
  void decode_everyBfloat16_isTheUpperHalfOfAFloat() {
    float[] decoded = everyPattern(ElementType.BF16);
    for (int bits = 0; bits < 1 << 16; bits++) {
      if (Float.floatToRawIntBits(decoded[bits]) != bits << 16) {
        assertThat(decoded[bits])
            .as("bfloat16 0x%04x", bits)
            .isEqualTo(Float.intBitsToFloat(bits << 16));
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void decode_anyCountAndPlace_fillsThatAndNothingElse(ElementType type) {
    var random = new SplittableRandom(type.bytes());
    for (int count : new int[] {0, 1, 2, 3, 7, 8, 31, 1023, 2047, 2048, 2049, 4095, 4096, 4099}) {
      for (int offset : new int[] {0, 1, 3, 16, 17}) {
        for (int position : new int[] {0, 1, 2, 5, 8}) {
          byte[] bytes = new byte[position + count * type.bytes() + 3];
          random.nextBytes(bytes);
          ByteBuffer direct = ByteBuffer.allocateDirect(bytes.length).put(bytes);
          for (ByteBuffer source :
              new ByteBuffer[] {
                ByteBuffer.wrap(bytes),
                ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asReadOnlyBuffer(),
                direct
              }) {
            float[] target = new float[offset + count + 5];
            Arrays.fill(target, UNTOUCHED);
            source.position(position);
            type.decode(source, count, target, offset);
            assertThat(source.position()).isEqualTo(position + count * type.bytes());
            for (int i = 0; i < target.length; i++) {
              int at = position + (i - offset) * type.bytes();
              float expected =
                  i < offset || i >= offset + count ? UNTOUCHED : element(type, bytes, at);
              if (Float.floatToIntBits(target[i]) != Float.floatToIntBits(expected)) {
                assertThat(target[i])
                    .as("component %d of %d at %d from %d", i, count, offset, position)
                    .isEqualTo(expected);
              }
            }
          }
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      doubles = {
        0.1,
        -0.0,
        1e-46,
        1.401298464324817e-45,
        16777217,
        3.4028235677973362e38,
        3.4028235677973366e38,
        -1e300,
        Double.NaN,
        Double.NEGATIVE_INFINITY,
        Double.MIN_VALUE
      })
  void decode_float64_isRoundedOnceToTheNearest(double value) {
    ByteBuffer source = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putDouble(value);
    float[] target = new float[1];
    ElementType.F8.decode(source.flip(), 1, target, 0);
    assertThat(Float.floatToIntBits(target[0])).isEqualTo(Float.floatToIntBits((float) value));
  }

  @Test
  void ofWireName_rawTypes_areFoundByTheirNames() {
    for (ElementType type : new ElementType[] {ElementType.F4, ElementType.F2, ElementType.BF16}) {
      assertThat(ElementType.ofWireName(type.wireName())).contains(type);
    }
    assertThat(ElementType.F8.wireName()).isEqualTo("f8");
    for (String other : new String[] {"f8", "F4", "float32", "", "f4 "}) {
      assertThat(ElementType.ofWireName(other)).isEmpty();
    }
  }

  /** All 65,536 patterns of a type of two bytes, decoded to an odd offset. */
  private static float[] everyPattern(ElementType type) {
    ByteBuffer source = ByteBuffer.allocate(2 << 16).order(ByteOrder.LITTLE_ENDIAN);
    for (int bits = 0; bits < 1 << 16; bits++) {
      source.putShort((short) bits);
    }
    float[] target = new float[(1 << 16) + 3];
    type.decode(source.flip(), 1 << 16, target, 3);
    return Arrays.copyOfRange(target, 3, target.length);
  }

  private static float element(ElementType type, byte[] bytes, int at) {
    long bits = 0;
    for (int i = type.bytes() - 1; i >= 0; i--) {
      bits = bits << 8 | (bytes[at + i] & 0xFF);
    }
    return switch (type) {
      case F2 -> Float.float16ToFloat((short) bits);
      case BF16 -> Float.intBitsToFloat((int) bits << 16);
      case F4 -> Float.intBitsToFloat((int) bits);
      case F8 -> (float) Double.longBitsToDouble(bits);
    };
  }
}
