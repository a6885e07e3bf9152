package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.NPY;
import static dev.semanticid.service.ServiceClient.SMALL;
import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.format.NpyWriter;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** What jobs may take, and how long they are remembered. */
class JobsIT {

  /** Where a thread's scheduling policy is behind its name in /proc/…/stat. */
  private static final int POLICY = 38;

  private static final String SCHED_IDLE = "5";

  private static final int D = 16;
  private static final float[][] ROWS = Embeddings.rows(600, D, 1);

  /** A file of rows that are all zero, which takes no room. */
  private static Path zeros(Path file, long rows, int d) throws IOException {
    byte[] header = NpyWriter.header("<f4", rows, d);
    try (var out = new RandomAccessFile(file.toFile(), "rw")) {
      out.write(header);
      out.setLength(header.length + rows * d * Float.BYTES);
    }
    return file;
  }

  private static String encode(ServiceClient client, Path source, Path destination) {
    return client
        .post(
            "/encode/jobs",
            """
            {"source": {"uri": "file://%s"}, "destination": {"uri": "file://%s"}}
            """
                .formatted(source, destination))
        .expect(202)
        .header("Location");
  }

  @Test
  void jobs_beyondTheirBounds_failWithACodeAndLeaveEncodingAlone(@TempDir Path temp)
      throws IOException, InterruptedException {
    Path folder = temp.toRealPath();
    try (ServiceProcess service =
        ServiceProcess.start(
            folder.resolve("data"),
            "--semantic-id.data-root=" + folder,
            "--semantic-id.jobs.memory-budget=64MB",
            "--semantic-id.jobs.keep=2")) {
      ServiceClient client = service.client();
      client.train("seed=1&" + SMALL, ROWS);
      needsTooMuchMemory(client, folder);
      isForgottenInTime(client);
      isCounted(client);
      runsAtLowestPriority(service);
      findsTheDiskFull(service, folder);
      assertThat(client.encode("", ROWS).codes()).hasDimensions(600, 3);
    }
  }

  /** 8 bytes a row for counting collisions, and batches. */
  private static void needsTooMuchMemory(ServiceClient client, Path folder) throws IOException {
    Path many = zeros(folder.resolve("many.npy"), 10_000_000, 1);
    String request =
        """
        {"codebook": "large", "source": {"uri": "file://%s"}, "codebook_width": 8}
        """
            .formatted(many);
    client.post("/train", request).expectProblem(422, "MEMORY_BUDGET_EXCEEDED", "67108864");
    client
        .post(
            "/train?codebook=wide&num_hierarchies=64&codebook_width=500&activate=never",
            NPY,
            Embeddings.npy(Embeddings.rows(600, 128, 3)))
        .expectProblem(422, "MEMORY_BUDGET_EXCEEDED", "memory-budget");
    Files.delete(many);
  }

  private static void isForgottenInTime(ServiceClient client) {
    var locations = new ArrayList<String>();
    for (int i = 0; i < 4; i++) {
      Answer accepted =
          client.post(
              String.format(Locale.ROOT, "/train?codebook=kept-%d&%s", i, SMALL),
              NPY,
              Embeddings.npy(ROWS));
      locations.add(accepted.expect(202).header("Location"));
      client.awaitJob(locations.getLast());
    }
    Await.until(
        "the oldest jobs are forgotten",
        () -> client.get("/train").json().path("jobs").size() == 2,
        () -> client.get("/train").text());
    client.get(locations.get(0)).expectProblem(404, "UNKNOWN_JOB");
    client.get(locations.get(2)).expect(200);
    client.get("/codebooks/kept-0/versions/1").expect(200);
  }

  private static void isCounted(ServiceClient client) {
    assertThat(client.metric("semantic_id_jobs_ended_total{kind=\"training\",state=\"succeeded\"}"))
        .isGreaterThanOrEqualTo(5);
    assertThat(client.metric("semantic_id_jobs_ended_total{kind=\"encoding\",state=\"failed\"}"))
        .isZero();
    assertThat(client.metric("semantic_id_job_rows_total{kind=\"training\"}"))
        .isGreaterThan(5 * 600);
    for (String gauge : List.of("running", "queued")) {
      assertThat(client.metric("semantic_id_jobs_%s{kind=\"training\"}".formatted(gauge))).isZero();
    }
    assertThat(client.metric("semantic_id_job_progress{kind=\"encoding\"}")).isZero();
  }

  private static void runsAtLowestPriority(ServiceProcess service) throws IOException {
    var policies = new ArrayList<String>();
    try (var tasks =
        Files.list(Path.of(String.format(Locale.ROOT, "/proc/%d/task", service.pid())))) {
      for (Path task : tasks.toList()) {
        String stat = Files.readString(task.resolve("stat"));
        String name = stat.substring(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
        String policy = stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1)[POLICY];
        if (name.matches("(jobs|training|encoding)-[0-9]+")) {
          policies.add(policy);
        } else {
          assertThat(policy).as(name).isEqualTo("0");
        }
      }
    }
    assertThat(policies).isNotEmpty().containsOnly(SCHED_IDLE);
  }

  /** No file may grow beyond 4 MB from now on. */
  private static void findsTheDiskFull(ServiceProcess service, Path folder)
      throws IOException, InterruptedException {
    ServiceClient client = service.client();
    Path zeros = zeros(folder.resolve("zeros.npy"), 1_000_000, D);
    Process limit =
        new ProcessBuilder("prlimit", "--pid", "" + service.pid(), "--fsize=4000000")
            .inheritIO()
            .start();
    assertThat(limit.waitFor()).isZero();
    JsonNode job = client.awaitJob(encode(client, zeros, folder.resolve("codes.npy")));
    assertThat(job.path("state").asString()).as(job.toString()).isEqualTo("failed");
    assertThat(job.path("error").path("code").asString()).isEqualTo("INSUFFICIENT_STORAGE");
    assertThat(folder.resolve("codes.npy")).doesNotExist();
    float[][] large = new float[100_000][];
    Arrays.setAll(large, i -> ROWS[i % ROWS.length]);
    client
        .post("/train?codebook=large&" + SMALL, NPY, Embeddings.npy(large))
        .expectProblem(507, "INSUFFICIENT_STORAGE");
    assertThat(service.spooled()).isEmpty();
    client.train("codebook=after&" + SMALL, ROWS);
  }
}
