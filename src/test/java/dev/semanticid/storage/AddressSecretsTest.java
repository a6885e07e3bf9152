package dev.semanticid.storage;

import static dev.semanticid.storage.Refusals.assertProblem;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.problem.ProblemCode;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Addresses with secrets are refused before anything is looked for, and not repeated. */
class AddressSecretsTest {

  private final Storage storage = Settings.local(null);

  @ParameterizedTest
  @ValueSource(
      strings = {
        "s3://AKIA:hush@bucket/key.npy",
        "s3://AKIA:hu/sh@bucket/key.npy",
        "s3://bucket/key.npy?X-Amz-Signature=hush",
        "https://bucket.s3.amazonaws.com/key.npy?X-Amz-Credential=AKIA&X-Amz-Signature=hush",
        "file://user:hush@host/key.npy"
      })
  void address_withASecret_isRefusedAndNotRepeated(String address) {
    assertProblem(
        ProblemCode.UNSUPPORTED_SOURCE, () -> storage.find(address), "credentials", "AWS tools");
    assertProblem(
        ProblemCode.UNSUPPORTED_SOURCE, () -> storage.requireReadable(address), "presigned");
    assertProblem(
        ProblemCode.DESTINATION_INVALID, () -> storage.destination(address), "credentials");
    assertThatThrownBy(() -> storage.find(address))
        .message()
        .doesNotContain("AKIA", "hush", "hu/sh", "user:");
  }

  @Test
  void message_withAnAddress_isMaskedWhoeverWritesIt() {
    var failure =
        new StorageException(ProblemCode.SOURCE_NOT_FOUND, "s3://me:hush@b/k.npy: no such object");
    assertThat(failure).hasMessage("s3://***@b/k.npy: no such object");
    assertThat(failure.toProblem().detail()).doesNotContain("hush");
  }
}
