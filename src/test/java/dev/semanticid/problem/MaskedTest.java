package dev.semanticid.problem;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.Trials;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Secrets in addresses are not shown, and addresses without any stay as they are. */
class MaskedTest {

  /** In every shape below the secret has this in it, and nothing else has. */
  private static final String SECRET = "hush";

  @ParameterizedTest
  @ValueSource(
      strings = {
        "s3://user:hush@bucket/key.npy",
        "s3://hush@bucket/key.npy",
        "S3://user:hush@bucket/key.npy",
        "s3a://user:hush@bucket/key.npy",
        " s3://user:hush@bucket/key.npy",
        "\u200bs3://user:hush@bucket/key.npy",
        "s3:/user:hush@bucket/key.npy",
        "s3:///user:hush@bucket/key.npy",
        "s3:user:hush@bucket/key.npy",
        "s3:user:hush/key.npy",
        "//user:hush@bucket/key.npy",
        "user:hush@bucket/key.npy",
        "user:1/hush@bucket/key.npy",
        "s3://user:a@hush@bucket/key.npy",
        "s3://user:hu?hush@bucket/key.npy",
        "s3://AKIA:ab/hush+/c=@bucket/key.npy",
        "s3://AKIA:ab/hush+/c=@bucket/key@2.npy",
        "s3://AKIA:hush/key.npy",
        "s3://AKIA:hush",
        "s3://user:my hush@bucket/key.npy",
        "s3://user:\"hush\"@bucket/key.npy",
        "s3://user%3Ahush%40bucket/key.npy",
        "s3://user%3ahush%2540bucket/key.npy",
        "s3://user:hush%40bucket/key.npy",
        "s3%3A%2F%2Fuser%3Ahush%40bucket%2Fkey.npy",
        "https://user:hush@host:9000/bucket/key.npy",
        "https://user:hush@[::1]:9000/bucket/key.npy",
        "file://user:hush@host/key.npy",
        "https://b.s3.amazonaws.com/k.npy?X-Amz-Date=1&X-Amz-Signature=hush",
        "https://b.s3.amazonaws.com/k.npy?X-Amz-Credential=hush%2F20260101%2Fs3&X-Amz-Expires=60",
        "s3://bucket/k.npy?X-Amz-Security-Token=hush",
        "s3://bucket/k.npy?x-amz-signature=hush",
        "s3://bucket/k.npy?a=1;X-Amz-Signature=hush",
        "s3://bucket/k.npy?a=b?X-Amz-Signature=hush",
        "s3://bucket/k.npy#X-Amz-Signature=hush",
        "s3://bucket/k.npy%3FX-Amz-Signature%3Dhush",
        "s3://bucket/k.npy?X%2DAmz%2DSignature=hush",
        "s3://bucket/k.npy?X%252DAmz%252DSignature=hush",
        "s3://bucket/k.npy?%X-Amz-Signature=hush",
        "s3://bucket/k.npy?X-Amz-Signature=ab hush",
        "s3://bucket/k.npy?X-Amz-Signature=ab'hush",
        "s3://bucket/k.npy?AWSAccessKeyId=hush&Signature=hush&Expires=1",
        "https://a.blob.core.windows.net/c/k.npy?sv=2024&sig=hush%3D&se=2027",
        "https://storage.googleapis.com/b/k.npy?X-Goog-Signature=hush",
        "https://storage.googleapis.com/b/k.npy?GoogleAccessId=hush",
        "https://host/k.npy?token=hush",
        "https://host/k.npy?access_token=hush#x",
        "https://host/k.npy?password=hush"
      })
  void address_withASecret_isShownWithoutIt(String address) {
    String masked = Masked.address(address);
    assertThat(masked).contains(Masked.MASK).doesNotContain(SECRET);
    assertThat(Masked.address(masked)).isEqualTo(masked);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "s3://bucket/key.npy",
        "s3://bucket/a@b/key@2.npy",
        "s3://bucket/2026-01-01T10:00:00/key.npy",
        "s3://bucket/date=2026-01-01/part-?.npy",
        "s3://bucket/token=5/part-*.npy",
        "s3://bucket/a?/token=5/part-*.npy",
        "s3://bucket/{a,b}/part-[0-9].npy",
        "s3://bucket/dt%3A1/100%25.npy",
        "s3://bucket/a?b=c&d=e.npy",
        "file:///data/a@b/x:y@z.npy",
        "file:/data/a@b.npy",
        "file:///data/a@b?.npy",
        "http://127.0.0.1:9000/bucket/key.npy",
        "http://[::1]:9000/bucket/key.npy",
        "/data/a:b@c.npy",
        "jar:file:///x.jar!/y.npy",
        "urn:a:b",
        "request body",
        "",
        "%",
        "?",
        "://",
        "s3://"
      })
  void address_withoutASecret_staysAsItIs(String address) {
    assertThat(Masked.address(address)).isEqualTo(address);
  }

  @Test
  void text_withAddresses_keepsAllButTheirSecrets() {
    assertThat(
            Masked.text(
                "s3://me:hush@b/k.npy: expected 3, got s3://b/l.npy?a=1&X-Amz-Signature=hush"
                    + " (404)"))
        .isEqualTo("s3://***@b/k.npy: expected 3, got s3://b/l.npy?a=1&X-Amz-Signature=*** (404)");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "job 7 was asked for by jwt:alice@example.com; cancelling it needs the scope admin",
        "S3 cannot be reached at http://127.0.0.1:9000: connection refused",
        "expected \"source\": {\"uri\": \"file:///folder/name.npy\"}",
        "unique_ratio 0.5 is below min_unique_ratio 0.7",
        "the file s3://bucket/key.npy: there is no such object (HTTP 404, NoSuchKey)",
        "Bearer token is missing: what follows is none"
      })
  void text_withoutSecrets_staysAsItIs(String text) {
    assertThat(Masked.text(text)).isEqualTo(text);
  }

  @ParameterizedTest
  @ValueSource(strings = {"x", "%25", "%3F", "?a", ":/", "a:", "@", "?sig=", "&", " "})
  void text_longAndOdd_isDoneInTime(String piece) {
    String text = "s3://" + piece.repeat(Trials.of(200_000));
    assertThat(Masked.text(text)).isNotNull();
    assertThat(Masked.address(text)).isNotNull();
  }
}
