package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.OCTETS;
import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How many rows a client may have encoded. */
class RateLimitIT {

  private static final float[][] ROWS = Embeddings.rows(600, 16, 1);

  /** So slow that a budget that is used up stays so for minutes. */
  private static final String SLOW = "--semantic-id.rate-limit.rows-per-second=2";

  private static final String BURST = "--semantic-id.rate-limit.burst-rows=1000";

  @TempDir Path folder;

  @Test
  void eachClient_hasItsOwnBudget() {
    var file = new TestKeys(folder.resolve("keys.yaml"));
    String greedy = file.add("greedy", "encode", "train");
    String modest = file.add("modest", "encode");
    String patient = file.add("patient", "encode");
    try (ServiceProcess service =
        ServiceProcess.start(
            folder.resolve("data"),
            ServiceProcess.QUICK_START,
            SLOW,
            BURST,
            "--semantic-id.security.api-keys-file=" + file.write())) {
      ServiceClient client = service.client();
      String job =
          client
              .post(
                  "/train?" + ServiceClient.SMALL,
                  ServiceClient.NPY,
                  Embeddings.npy(ROWS),
                  "X-API-Key",
                  greedy)
              .expect(202)
              .header("Location");
      Await.until(
          "a codebook",
          () -> client.get(job, "X-API-Key", greedy).text().contains("succeeded"),
          service::log);

      // 1000 of 1200 rows fit, the second request is let in whole, and 200 are owed.
      encode(client, greedy).expect(200);
      encode(client, greedy).expect(200);
      Answer refused =
          encode(client, greedy).expectProblem(429, "RATE_LIMITED", "2 rows", "1000 at once");
      int seconds = Integer.parseInt(refused.header("Retry-After"));
      assertThat(seconds).isBetween(1, 101);
      assertThat(refused.json().path("retry_after_seconds").asInt()).isEqualTo(seconds);
      client
          .post("/decode", "{\"semantic_ids\": [[0,0,0]]}", "X-API-Key", greedy)
          .expectProblem(429, "RATE_LIMITED");
      assertThat(
              client
                  .post(
                      "/v2/models/default/infer",
                      OCTETS,
                      Embeddings.octets(ROWS),
                      "Inference-Header-Content-Length",
                      "0",
                      "X-API-Key",
                      greedy)
                  .expect(429)
                  .json()
                  .path("error")
                  .asString())
          .contains("2 rows");
      encode(client, modest).expect(200);

      // Whose body nobody waits for.
      try (var connection = new RawConnection(client.port())) {
        connection.head(
            "POST /encode",
            "Content-Type: " + OCTETS,
            "Content-Length: 1000000",
            "Expect: 100-continue",
            "X-API-Key: " + greedy);
        connection.receive().expect(429);
      }

      // Who owes little is soon let in again.
      encode(client, patient, 600).expect(200);
      encode(client, patient, 390).expect(200);
      Await.until(
          "the end of a budget", () -> encode(client, patient, 3).status() == 429, service::log);
      Await.until("the budget", () -> encode(client, patient, 1).status() == 200, service::log);
    }
  }

  @Test
  void withoutCredentials_anAddressIsAClient() {
    try (ServiceProcess service =
        ServiceProcess.start(folder.resolve("data"), ServiceProcess.QUICK_START, SLOW)) {
      ServiceClient client = service.client();
      client.train(ServiceClient.SMALL, ROWS);
      client.post("/encode", OCTETS, Embeddings.octets(ROWS)).expect(200);
      Answer refused =
          client
              .post("/encode", OCTETS, Embeddings.octets(ROWS))
              .expectProblem(429, "RATE_LIMITED", "2 at once");
      assertThat(Integer.parseInt(refused.header("Retry-After"))).isBetween(2, 300);
    }
  }

  private static Answer encode(ServiceClient client, String key) {
    return encode(client, key, ROWS.length);
  }

  private static Answer encode(ServiceClient client, String key, int rows) {
    byte[] body = Embeddings.octets(Arrays.copyOf(ROWS, rows));
    return client.post("/encode", OCTETS, body, "X-API-Key", key);
  }
}
