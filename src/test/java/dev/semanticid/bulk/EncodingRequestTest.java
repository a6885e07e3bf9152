package dev.semanticid.bulk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.bulk.EncodingRequest.Target;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.source.SourceSpec;
import dev.semanticid.source.SourceSpec.OnBadRow;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** A bulk encoding as it is asked for and shown. */
class EncodingRequestTest {

  private static EncodingRequest request(String source, String target, @Nullable String onBadRow) {
    return new EncodingRequest(
        null, null, new SourceSpec(source, null, null, null), new Target(target), onBadRow, null);
  }

  @Test
  void parameters_ofAddressesWithSecrets_areShownWithoutThem() {
    assertThat(
            request("s3://me:hush@bucket/x.npy", "s3://bucket/y.npy?X-Amz-Signature=hush", null)
                .parameters())
        .hasEntrySatisfying("source", uri -> assertThat(uri.toString()).doesNotContain("hush"))
        .hasEntrySatisfying("destination", uri -> assertThat(uri.toString()).doesNotContain("hush"))
        .containsEntry("on_bad_row", "fail");
    assertThat(request("file:///a.npy", "file:///b.npy", "skip").parameters())
        .containsEntry("source", "file:///a.npy")
        .containsEntry("destination", "file:///b.npy")
        .containsEntry("on_bad_row", "skip");
    assertThat(new EncodingRequest(null, null, null, null, null, null).parameters())
        .containsOnlyKeys("on_bad_row");
  }

  @Test
  void badRows_byDefault_failTheJob() {
    assertThat(request("a", "b", null).badRows()).isEqualTo(OnBadRow.FAIL);
    assertThat(request("a", "b", "skip").badRows()).isEqualTo(OnBadRow.SKIP);
    assertThatThrownBy(() -> request("a", "b", "guess").badRows())
        .isInstanceOf(ProblemException.class)
        .hasMessageContaining("guess");
  }
}
