package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.JSON;
import static dev.semanticid.service.ServiceClient.NPY;
import static dev.semanticid.service.ServiceClient.SMALL;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** Whose a job is: who may cancel it, and whose idempotency keys stand for it. */
class JobOwnersIT {

  private static final float[][] ROWS = Embeddings.rows(600, 16, 1);
  private static final String ENDLESS = SMALL.replace("max_steps=30", "max_steps=2000000000");

  private static String[] pipeline = {};
  private static String[] other = {};
  private static String[] boss = {};
  private static Path folder;
  private static Issuer issuer;
  private static ServiceProcess service;
  private static ServiceClient client;

  @BeforeAll
  static void start(@TempDir Path temp) throws IOException {
    folder = temp.toRealPath();
    var keys = new TestKeys(folder.resolve("keys.yaml"));
    pipeline = header(keys.add("pipeline", "train"));
    other = header(keys.add("other", "train"));
    boss = header(keys.add("boss", "admin"));
    issuer = new Issuer();
    issuer.start();
    service =
        ServiceProcess.start(
            folder.resolve("data"),
            "-Xmx921m",
            "-XX:+ExitOnOutOfMemoryError",
            "--semantic-id.data-root=" + folder,
            "--semantic-id.security.api-keys-file=" + keys.write(),
            issuer.arguments()[0],
            issuer.arguments()[1]);
    client = service.client();
    Files.write(folder.resolve("rows.npy"), Embeddings.npy(ROWS));
    awaitState(train("default", SMALL, pipeline).expect(202).header("Location"), "succeeded");
  }

  @AfterAll
  static void stop() {
    service.close();
    issuer.close();
  }

  private static String[] header(String key) {
    return new String[] {"X-API-Key", key};
  }

  private static String[] with(String[] headers, String idempotencyKey) {
    return new String[] {headers[0], headers[1], "Idempotency-Key", idempotencyKey};
  }

  private static Answer train(String codebook, String settings, String... headers) {
    return client.post(
        "/train?codebook=%s&%s".formatted(codebook, settings), NPY, Embeddings.npy(ROWS), headers);
  }

  private static Answer encode(String output, String... headers) {
    return client.post(
        "/encode/jobs",
        JSON,
        Bytes.utf8(
            """
            {"source": {"uri": "file://%s/rows.npy"}, "destination": {"uri": "file://%s/%s"}}
            """
                .formatted(folder, folder, output)),
        headers);
  }

  private static Answer cancel(String location, String... headers) {
    return client.send("DELETE", location, new byte[0], headers);
  }

  private static void awaitState(String location, String state) {
    Await.until(
        "%s is %s".formatted(location, state),
        () ->
            client
                .get(location, pipeline)
                .expect(200)
                .json()
                .path("state")
                .asString()
                .equals(state),
        () -> client.get(location, pipeline).text());
  }

  @Test
  void training_ofAClient_isCancelledByItAndByAdminsAlone() {
    Answer accepted = train("owned", ENDLESS, pipeline).expect(202);
    assertThat(accepted.json().path("client").asString()).isEqualTo("key:pipeline");
    String first = accepted.header("Location");
    String second = train("owned-too", ENDLESS, pipeline).expect(202).header("Location");
    JsonNode listed = client.get("/train?limit=1", other).expect(200).json().path("jobs").get(0);
    assertThat(listed.path("client").asString()).isEqualTo("key:pipeline");
    for (String location : List.of(first, second)) {
      Answer refused =
          cancel(location, other).expectProblem(403, "FORBIDDEN", "key:pipeline", "scope admin");
      assertThat(refused.json().path("scopes").toString()).isEqualTo("[\"admin\"]");
      assertThat(client.get(location, other).json().path("state").asString())
          .isIn("queued", "running");
    }
    cancel(first, pipeline).expect(202);
    cancel(second, boss).expect(202);
    awaitState(first, "cancelled");
    awaitState(second, "cancelled");
    cancel(first, other).expectProblem(403, "FORBIDDEN");
    cancel(first, pipeline).expectProblem(409, "JOB_FINISHED");
    cancel("/train/none", other).expectProblem(404, "UNKNOWN_JOB");
  }

  @Test
  void encoding_ofAClient_isCancelledByItAndByAdminsAlone() {
    Answer accepted = encode("owned.npy", pipeline).expect(202);
    assertThat(accepted.json().path("client").asString()).isEqualTo("key:pipeline");
    String location = accepted.header("Location");
    cancel(location, other).expectProblem(403, "FORBIDDEN", "key:pipeline", "scope admin");
    assertThat(cancel(location, boss).status()).isIn(202, 409);
    assertThat(cancel(location, pipeline).status()).isIn(202, 409);
    assertThat(
            client
                .get("/encode/jobs?limit=1", other)
                .json()
                .path("jobs")
                .get(0)
                .path("client")
                .asString())
        .isEqualTo("key:pipeline");
  }

  @Test
  void client_ofAToken_isItsSubject() {
    String[] token = bearer("pipeline");
    Answer accepted = train("by-token", ENDLESS, token).expect(202);
    assertThat(accepted.json().path("client").asString()).isEqualTo("jwt:pipeline");
    String location = accepted.header("Location");
    cancel(location, pipeline).expectProblem(403, "FORBIDDEN", "jwt:pipeline");
    cancel(location, token).expect(202);
    awaitState(location, "cancelled");
  }

  @Test
  void client_withAVeryLongName_ownsItsJobsAsWell() {
    String[] token = bearer("x".repeat(2000));
    String[] longer = bearer("x".repeat(2001));
    String location = train("by-long", ENDLESS, token).expect(202).header("Location");
    cancel(location, longer).expectProblem(403, "FORBIDDEN");
    cancel(location, token).expect(202);
    awaitState(location, "cancelled");
  }

  private static String[] bearer(String subject) {
    return new String[] {
      "Authorization",
      "Bearer " + issuer.sign(issuer.claims().subject(subject).claim("scope", "train"))
    };
  }

  @Test
  void idempotencyKey_ofAnotherClient_isAnotherKey() {
    String first =
        train("keyed-1", SMALL, with(pipeline, "nightly")).expect(202).header("Location");
    String second = train("keyed-2", SMALL, with(other, "nightly")).expect(202).header("Location");
    assertThat(second).isNotEqualTo(first);
    assertThat(train("keyed-1", SMALL, with(pipeline, "nightly")).expect(202).header("Location"))
        .isEqualTo(first);
    assertThat(train("keyed-2", SMALL, with(other, "nightly")).expect(202).header("Location"))
        .isEqualTo(second);
    Answer reused =
        train("keyed-3", SMALL, with(other, "nightly"))
            .expectProblem(422, "IDEMPOTENCY_KEY_REUSED");
    assertThat(reused.json().path("job").asString()).isEqualTo(second);
    assertThat(reused.text()).doesNotContain(first);

    String encoded =
        encode("keyed-1.npy", with(pipeline, "nightly")).expect(202).header("Location");
    assertThat(encode("keyed-2.npy", with(other, "nightly")).expect(202).header("Location"))
        .isNotEqualTo(encoded);
    assertThat(
            encode("keyed-3.npy", with(pipeline, "nightly"))
                .expectProblem(422, "IDEMPOTENCY_KEY_REUSED")
                .json()
                .path("job")
                .asString())
        .isEqualTo(encoded);
    awaitState(first, "succeeded");
    awaitState(second, "succeeded");
  }
}
