package dev.semanticid.format;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.CodebookSettings;
import dev.semanticid.core.codebook.Provenance;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Files do not depend on the language of the machine: neither its digits nor its letters. */
@Isolated("it sets the locale")
class LocaleTest {

  /**
   * Arabic digits, Devanagari digits, and a language in which {@code "I"} is no upper {@code i}.
   */
  @ParameterizedTest
  @ValueSource(strings = {"ar-EG", "ar-EG-u-nu-arab", "hi-IN-u-nu-deva", "tr-TR"})
  void files_writtenInAnyLanguage_areTheSameBytes(String language) throws IOException {
    byte[] codebook = codebook();
    byte[] npy = npy();
    Locale before = Locale.getDefault();
    Locale.setDefault(Locale.forLanguageTag(language));
    try {
      assertThat(codebook()).isEqualTo(codebook);
      assertThat(npy()).isEqualTo(npy);
      assertThat(CodebookFormat.read(new ByteArrayInputStream(codebook), Long.MAX_VALUE).widths())
          .containsExactly(2, 2);
    } finally {
      Locale.setDefault(before);
    }
  }

  private static byte[] codebook() throws IOException {
    Codebook codebook =
        Codebook.of(
            new CodebookSettings(true),
            2,
            List.of(new float[] {1, 2, 3, 4}, new float[] {5, 6, 7, 8}),
            Provenance.UNKNOWN);
    var out = new ByteArrayOutputStream();
    CodebookFormat.write(codebook, out);
    return out.toByteArray();
  }

  private static byte[] npy() throws IOException {
    var out = new ByteArrayOutputStream();
    NpyWriter.writeFloats(out, new float[] {1, 2}, 1, 2);
    return out.toByteArray();
  }
}
