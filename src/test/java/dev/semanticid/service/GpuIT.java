package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.semanticid.backend.cuda.EmulatedGpu;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** The service on a GPU, emulated: it trains and encodes there, and the GPU fails. */
class GpuIT {

  private static final float[][] ROWS = Embeddings.rows(600, 16, 1);

  @TempDir private Path folder;
  private Path data = Path.of("");
  private Path broken = Path.of("");
  private String[] onGpu = {};

  @BeforeEach
  void emulate() throws IOException {
    data = folder.resolve("data");
    broken = folder.resolve("broken");
    Optional<Path> emulator = EmulatedGpu.folder(folder);
    assumeTrue(emulator.isPresent(), "no g++");
    onGpu =
        new String[] {
          ServiceProcess.QUICK_START,
          "LD_LIBRARY_PATH=" + emulator.get(),
          "EMULATED_GPU_BROKEN=" + broken
        };
  }

  private ServiceProcess start(String... more) {
    var arguments = new ArrayList<>(List.of(onGpu));
    arguments.addAll(Arrays.asList(more));
    return ServiceProcess.start(data, arguments.toArray(String[]::new));
  }

  private ServiceProcess startOnCpu() {
    return ServiceProcess.start(data, ServiceProcess.QUICK_START, "--semantic-id.backend=cpu");
  }

  private static JsonNode device(ServiceClient client) {
    return client.get("/actuator/health").json().path("components").path("device");
  }

  @Test
  void gpu_trainsAndEncodes_asTheCpuDoes() {
    String fingerprint;
    int[][] codes;
    try (ServiceProcess service = start()) {
      ServiceClient client = service.client();
      double before = client.metric("semantic_id_device_memory_bytes");
      client.train(ServiceClient.SMALL, ROWS);
      fingerprint = client.fingerprint("default", 1);
      codes = client.encode("", ROWS).codes();
      assertThat(client.get("/info").json().path("backend").asString()).isEqualTo("cuda");
      assertThat(device(client).path("status").asString()).isEqualTo("UP");
      assertThat(device(client).path("details").path("on").asString()).contains("Emulated GPU");
      assertThat(client.metric("semantic_id_device_memory_bytes"))
          .isGreaterThan(before)
          .isGreaterThan(
              client.metric("semantic_id_codebook_resident_bytes{codebook=\"default\"}"));
      assertThat(client.metric("semantic_id_device_failed")).isZero();
      service.stop();
    }
    try (ServiceProcess service = startOnCpu()) {
      assertThat(service.client().encode("", ROWS).codes()).isDeepEqualTo(codes);
      service.client().train(ServiceClient.SMALL, ROWS);
      assertThat(service.client().fingerprint("default", 2)).isEqualTo(fingerprint);
    }
  }

  @Test
  void gpuThatFails_turnsReadinessOff_andJobsWaitForTheNextProcess() throws IOException {
    String job;
    int[][] codes;
    try (ServiceProcess service = start()) {
      ServiceClient client = service.client();
      client.train(ServiceClient.SMALL, ROWS);
      codes = client.encode("", ROWS).codes();

      Files.createFile(broken);
      byte[] body = Embeddings.octets(ROWS);
      client
          .post("/encode", ServiceClient.OCTETS, body)
          .expectProblem(503, "DEVICE_UNAVAILABLE", "emulated error");
      assertThat(client.get("/actuator/health/readiness").status()).isEqualTo(503);
      client.get("/actuator/health/liveness").expect(200);
      assertThat(device(client).path("status").asString()).isEqualTo("OUT_OF_SERVICE");
      assertThat(client.metric("semantic_id_device_failed")).isEqualTo(1);
      job =
          client
              .post("/train?" + ServiceClient.SMALL, ServiceClient.NPY, Embeddings.npy(ROWS))
              .expect(202)
              .header("Location");
      Await.until(
          "the end of this process's jobs",
          () -> service.log().contains("jobs stop, for the device has failed"),
          service::log);

      Files.delete(broken);
      client
          .post("/encode", ServiceClient.OCTETS, body)
          .expectProblem(503, "DEVICE_UNAVAILABLE", "emulated error");
      service.stop();
    }
    try (ServiceProcess service = start()) {
      assertThat(service.client().awaitJob(job).path("state").asString()).isEqualTo("succeeded");
      assertThat(service.client().encode("version=1", ROWS).codes()).isDeepEqualTo(codes);
    }
  }

  @Test
  void gpuThatFails_withFallback_goesOnOnTheCpu() throws IOException {
    try (ServiceProcess service = start("--semantic-id.device-fallback=true")) {
      ServiceClient client = service.client();
      client.train(ServiceClient.SMALL, ROWS);
      int[][] codes = client.encode("", ROWS).codes();
      Files.createFile(broken);
      assertThat(client.encode("", ROWS).codes()).isDeepEqualTo(codes);
      client.get("/actuator/health/readiness").expect(200);
      assertThat(device(client).path("details").path("failure").asString())
          .contains("emulated error");
      assertThat(client.metric("semantic_id_device_failed")).isEqualTo(1);
      client.train(ServiceClient.SMALL, ROWS);
      assertThat(client.fingerprint("default", 2)).isEqualTo(client.fingerprint("default", 1));
    }
  }

  @Test
  void gpuThatIsAskedFor_andTooOld_isRefusedByName() {
    var arguments = new ArrayList<>(List.of(onGpu));
    arguments.add("EMULATED_GPU_MAJOR=7");
    arguments.add("--semantic-id.backend=cuda");
    try (ServiceProcess service = ServiceProcess.launch(data, arguments.toArray(String[]::new))) {
      assertThat(service.awaitExit()).isNotZero();
      assertThat(service.log())
          .contains(
              "semantic-id.backend is cuda and cannot be: Emulated GPU, compute capability 7.0",
              "the kernels need compute capability 8.0 or later",
              "APPLICATION FAILED TO START");
    }
  }
}
