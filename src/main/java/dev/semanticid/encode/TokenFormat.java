package dev.semanticid.encode;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import java.util.Locale;
import tools.jackson.core.JsonGenerator;

/** How recommenders write a semantic ID; {@code tokens} of an answer are in one of these. */
enum TokenFormat {
  /** {@code [12,250,3]}. */
  CODES,
  /** {@code [12,506,515]}: each code plus the widths of the levels above, for embedding tables. */
  OFFSET,
  /** {@code <a_12><b_250><c_3>}, as LC-Rec, LETTER and MiniOneRec read it. */
  LETTERS,
  /** {@code <|sid_begin|><s_a_12><s_b_250><s_c_3><|sid_end|>}, as OpenOneRec reads it. */
  OPENONEREC,
  /** {@code C12C506C515}, as FORGE reads it. */
  FORGE,
  /** {@code 12-250-3}, for addresses and logs. */
  DASH;

  private static final int LETTERS_IN_ALPHABET = 26;

  /** The format of a name. */
  static TokenFormat ofName(String name) {
    return WireNames.constant(TokenFormat.class, name, "format must be one of");
  }

  /** Refuses a codebook whose levels this format has no names for. */
  void requireFit(Codebook codebook) {
    if ((this == LETTERS || this == OPENONEREC) && codebook.levels() > LETTERS_IN_ALPHABET) {
      throw new ProblemException(
          ProblemCode.INVALID_PARAMETER,
          String.format(
              Locale.ROOT,
              "format %s has letters for %d levels, the codebook has %d",
              WireNames.of(this),
              LETTERS_IN_ALPHABET,
              codebook.levels()));
    }
  }

  /**
   * Writes one semantic ID.
   *
   * @param codes L codes from {@code begin} on
   * @param offsets Σ_{j<l} K_j per level
   */
  void write(JsonGenerator json, int[] codes, int begin, int[] offsets) {
    switch (this) {
      case CODES -> json.writeArray(codes, begin, offsets.length);
      case OFFSET -> {
        json.writeStartArray();
        for (int l = 0; l < offsets.length; l++) {
          json.writeNumber(codes[begin + l] + offsets[l]);
        }
        json.writeEndArray();
      }
      default -> json.writeString(text(codes, begin, offsets));
    }
  }

  private String text(int[] codes, int begin, int[] offsets) {
    var text = new StringBuilder(this == OPENONEREC ? "<|sid_begin|>" : "");
    for (int l = 0; l < offsets.length; l++) {
      int code = codes[begin + l];
      char letter = (char) ('a' + l);
      switch (this) {
        case LETTERS -> text.append('<').append(letter).append('_').append(code).append('>');
        case OPENONEREC -> text.append("<s_").append(letter).append('_').append(code).append('>');
        case FORGE -> text.append('C').append(code + offsets[l]);
        default -> text.append(l == 0 ? "" : "-").append(code);
      }
    }
    return text.append(this == OPENONEREC ? "<|sid_end|>" : "").toString();
  }
}
