package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.NPY;
import static dev.semanticid.service.ServiceClient.SMALL;
import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How many may listen to jobs, and that those who went away are let go. */
class JobEventsIT {

  private static final int MOST_OF_A_CLIENT = 16;

  private static final float[][] ROWS = Embeddings.rows(600, 16, 1);

  private static final String ENDLESS = SMALL.replace("max_steps=30", "max_steps=2000000000");

  private static String pipeline = "";
  private static String other = "";

  /** A job whose progress changes all the time, and one about which nothing changes. */
  private static String running = "";

  private static String queued = "";
  private static ServiceProcess service;
  private static ServiceClient client;

  private final List<RawConnection> listeners = new ArrayList<>();

  @BeforeAll
  static void start(@TempDir Path folder) {
    var keys = new TestKeys(folder.resolve("keys.yaml"));
    pipeline = keys.add("pipeline", "train");
    other = keys.add("other", "train");
    // Fewer request threads than listeners.
    service =
        ServiceProcess.start(
            folder.resolve("data"),
            "-Xmx921m",
            "-XX:+ExitOnOutOfMemoryError",
            "--server.tomcat.threads.max=6",
            "--semantic-id.encoding.max-queued-requests=4",
            "--semantic-id.security.api-keys-file=" + keys.write());
    client = service.client();
    running = train("running");
    queued = train("queued");
    Await.until(
        "a job runs", () -> get(running).text().contains("\"state\":\"running\""), service::log);
  }

  @AfterAll
  static void stop() {
    service.close();
  }

  @AfterEach
  void close() {
    listeners.forEach(RawConnection::close);
    assertThat(service.log()).doesNotContain("Exception", "\tat ");
  }

  private static String train(String codebook) {
    return client
        .post(
            "/train?codebook=%s&%s".formatted(codebook, ENDLESS),
            NPY,
            Embeddings.npy(ROWS),
            "X-API-Key",
            pipeline)
        .expect(202)
        .header("Location");
  }

  private static Answer get(String path) {
    return client.get(path, "X-API-Key", pipeline).expect(200);
  }

  /** Listens to a job; false if it may not. */
  private boolean listen(String job, String key) {
    var connection =
        new RawConnection(client.port()).head("GET " + job + "/events", "X-API-Key: " + key);
    if (connection.receiveStatus() == 200) {
      listeners.add(connection);
      return true;
    }
    connection.close();
    return false;
  }

  private void awaitListener(String job, String key) {
    Await.until("another listener is let in", () -> listen(job, key), () -> "nobody is let go");
  }

  @Test
  void listeners_ofOneClientBeyondItsBound_areRefusedUntilOthersGo() {
    awaitListener(queued, pipeline);
    for (int i = 1; i < MOST_OF_A_CLIENT; i++) {
      awaitListener(queued, pipeline);
    }
    client
        .get(queued + "/events", "X-API-Key", pipeline)
        .expectProblem(429, "TOO_MANY_LISTENERS", "key:pipeline", MOST_OF_A_CLIENT);
    client
        .get(running + "/events", "X-API-Key", pipeline)
        .expectProblem(429, "TOO_MANY_LISTENERS", "one client");
    assertThat(listen(queued, other)).isTrue();

    // Closed in order, with all that came read, while nothing changes.
    listeners.forEach(listener -> listener.receiveUntil("\"state\":\"queued\""));
    listeners.forEach(RawConnection::close);
    listeners.clear();
    for (int i = 0; i < MOST_OF_A_CLIENT; i++) {
      awaitListener(queued, pipeline);
    }
  }

  @Test
  void listeners_thatNeitherReadNorStay_areLetGo() {
    for (int i = 0; i < MOST_OF_A_CLIENT; i++) {
      awaitListener(running, pipeline);
    }
    listeners.forEach(RawConnection::close);
    listeners.clear();
    for (int i = 0; i < MOST_OF_A_CLIENT; i++) {
      awaitListener(running, pipeline);
    }
  }

  @Test
  void listener_besideSlowOnes_isToldAsUsualAndRequestsAreAnswered() {
    for (int i = 0; i < MOST_OF_A_CLIENT; i++) {
      awaitListener(running, pipeline);
    }
    awaitListener(running, other);
    RawConnection quick = listeners.getLast();
    for (int i = 0; i < 5; i++) {
      quick.receiveUntil("data:");
      get(running);
    }
    awaitListener(queued, other);
    listeners.getLast().receiveUntil(":still here");
  }
}
