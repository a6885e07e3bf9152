package dev.semanticid.service;

import static dev.semanticid.service.ServiceClient.NPY;
import static dev.semanticid.service.ServiceClient.SMALL;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** Who may read what the service keeps, and what it gives away. */
class DataDirectoryIT {

  private static final String[] HEAP = {
    "-Xmx921m", "-XX:+ExitOnOutOfMemoryError", ServiceProcess.QUICK_START
  };
  private static final float[][] ROWS = Embeddings.rows(600, 16, 1);

  @TempDir private Path temp;

  private ServiceProcess start(String... more) {
    return ServiceProcess.start(
        temp.resolve("data"), Stream.of(HEAP, more).flatMap(Stream::of).toArray(String[]::new));
  }

  /** Permissions of everything in a folder and of itself, by relative name. */
  private static Map<String, String> modes(Path folder) throws IOException {
    var modes = new TreeMap<String, String>();
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.toList()) {
        modes.put(
            folder.relativize(file).toString(),
            PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
      }
    }
    return modes;
  }

  private void assertOwnersAlone() throws IOException {
    Path data = temp.resolve("data");
    modes(data)
        .forEach((name, mode) ->
            assertThat(mode)
                .as(name)
                .isEqualTo(Files.isDirectory(data.resolve(name)) ? "rwx------" : "rw-------"));
  }

  @Test
  void files_madeByTheService_areItsOwn() throws IOException {
    Path root = Files.createDirectory(temp.resolve("root")).toRealPath();
    Files.write(root.resolve("items.npy"), Embeddings.npy(ROWS));
    String usual =
        PosixFilePermissions.toString(Files.getPosixFilePermissions(root.resolve("items.npy")));
    try (ServiceProcess service = start("--semantic-id.data-root=" + root)) {
      ServiceClient client = service.client();
      client.train(SMALL, ROWS);
      byte[] body = Embeddings.npy(ROWS);
      try (var upload = new RawConnection(client.port())) {
        upload.head(
            "POST /train?codebook=other&" + SMALL,
            "Content-Type: " + NPY,
            "Content-Length: " + body.length);
        upload.send(Arrays.copyOf(body, 1000));
        Await.until("an upload is being written", () -> !service.spooled().isEmpty(), service::log);
        assertOwnersAlone();
        if (!TestStore.POSTGRES) {
          assertThat(modes(temp.resolve("data")))
              .containsKeys(
                  "lock", "identity", "semantic-id.db", "semantic-id.db-wal", "semantic-id.db-shm");
        }
      }
      for (String name : List.of("codes.npy", "codes.parquet")) {
        JsonNode job =
            client.awaitJob(
                client.post(
                    "/encode/jobs",
                    """
                    {"source": {"uri": "file://%s/items.npy"},
                     "destination": {"uri": "file://%s/%s"}}
                    """
                        .formatted(root, root, name)));
        assertThat(job.path("state").asString()).as(job.toString()).isEqualTo("succeeded");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(root.resolve(name))))
            .as(name)
            .isEqualTo(usual);
      }
      assertOwnersAlone();
      assertThat(service.log()).doesNotContain("semantic-id.data-dir");
    }
  }

  @Test
  void directory_ofAnEarlierRelease_isClosedToOthersOnce() throws IOException {
    Path data = temp.resolve("data");
    try (ServiceProcess service = start()) {
      service.client().train(SMALL, ROWS);
      service.stop();
    }
    try (Stream<Path> files = Files.walk(data)) {
      for (Path file : files.toList()) {
        Files.setPosixFilePermissions(
            file,
            PosixFilePermissions.fromString(Files.isDirectory(file) ? "rwxr-xr-x" : "rw-r--r--"));
      }
    }
    Path left = Files.createFile(data.resolve("spool/left"));
    Path foreign = Files.writeString(data.resolve("notes.txt"), "not the service's");
    String foreignMode = PosixFilePermissions.toString(Files.getPosixFilePermissions(foreign));
    try (ServiceProcess service = start()) {
      assertThat(service.log().lines().filter(line -> line.contains("open to other users")))
          .hasSize(1);
      assertThat(left).doesNotExist();
      assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(foreign)))
          .isEqualTo(foreignMode);
      Files.delete(foreign);
      assertOwnersAlone();
      service.client().encode("", ROWS);
      service.stop();
    }
    try (ServiceProcess service = start()) {
      assertThat(service.log()).doesNotContain("open to other users");
      service.stop();
    }
  }

  /** As Kubernetes' volumes are, which belong to root and let in the group of the pod. */
  @Test
  void directory_ofAnotherUser_isLeftAndWarnedOfIfOpenToEverybody() throws IOException {
    Path data = Files.createDirectory(temp.resolve("data"));
    try {
      Files.setAttribute(data, "unix:uid", 12345);
    } catch (FileSystemException e) {
      // Only root may give a folder away.
      return;
    }
    for (String mode : List.of("rwxrwx---", "rwxrwxrwx")) {
      Files.setPosixFilePermissions(data, PosixFilePermissions.fromString(mode));
      try (ServiceProcess service = start()) {
        service.client().train(SMALL, ROWS);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(data)))
            .isEqualTo(mode);
        assertThat(modes(data).get("identity")).isEqualTo("rw-------");
        assertThat(modes(data).get("spool")).isEqualTo("rwx------");
        assertThat(service.log().contains("belongs to another user"))
            .isEqualTo(mode.endsWith("rwx"));
        service.stop();
      }
    }
  }
}
