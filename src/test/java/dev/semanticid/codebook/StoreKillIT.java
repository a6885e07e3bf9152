package dev.semanticid.codebook;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.service.PostgresServer;
import dev.semanticid.service.Schema;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.jdbc.core.simple.JdbcClient;

/**
 * Publishing that is killed before, between and after each statement, and at random moments: the
 * old version or the new one is active and whole, and nothing is left over.
 */
class StoreKillIT {

  /** Kills at random moments besides those at every step; {@code -Psoak} does a hundred. */
  private static final int RANDOM_KILLS = Integer.getInteger("soak.kills", 1);

  /** Publishing is ended at each step, or at every third one. */
  private static final int STRIDE = Integer.getInteger("kill.stride", 3);

  /** Steps that publishing is longer than. */
  private static final int MOST_STEPS = 60;

  @Test
  void publish_killedOnSqlite_isDoneOrNotBegun(@TempDir Path folder)
      throws IOException, InterruptedException {
    String url =
        "jdbc:sqlite:"
            + folder.resolve("store.db")
            + "?journal_mode=WAL&foreign_keys=true&busy_timeout=10000&transaction_mode=IMMEDIATE";
    killAgainAndAgain(url, "", "");
  }

  @Test
  @ExtendWith(PostgresServer.Required.class)
  void publish_killedOnPostgres_isDoneOrNotBegun() throws IOException, InterruptedException {
    PostgresServer.Database database = PostgresServer.get().createDatabase();
    killAgainAndAgain(database.url(), database.user(), database.password());
  }

  private static void killAgainAndAgain(String url, String user, String password)
      throws IOException, InterruptedException {
    DataSource database = StorePublisher.database(url, user, password);
    Schema.migrate(url, user, password, "latest");
    int step = 0;
    // Until a version was published before the end: then all steps of publishing were ended at.
    for (boolean told = false; !told; step += STRIDE) {
      assertThat(step).isLessThan(MOST_STEPS);
      told = !run(database, url, user, password, step, 0).isEmpty();
    }
    assertThat(step).as("steps at which publishing was ended").isGreaterThan(10);
    var random = new SplittableRandom(1);
    for (int kill = 0; kill < RANDOM_KILLS; kill++) {
      run(database, url, user, password, -1, random.nextInt(200));
    }
  }

  /** Runs the program to its end; checks what it left; gives the versions that it was told of. */
  private static List<Integer> run(
      DataSource database, String url, String user, String password, int calls, long millis)
      throws IOException, InterruptedException {
    Path errors = Files.createTempFile("publisher", ".log");
    Process process =
        new ProcessBuilder(
                ProcessHandle.current().info().command().orElseThrow(),
                "-XX:TieredStopAtLevel=1",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                StorePublisher.class.getName(),
                url,
                user,
                password,
                Integer.toString(calls))
            .redirectError(errors.toFile())
            .start();
    var told = new ArrayList<Integer>();
    try (var lines = process.inputReader()) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (!line.equals("begins")) {
          told.add(Integer.parseInt(line));
        } else if (calls < 0) {
          TimeUnit.MILLISECONDS.sleep(millis);
          process.toHandle().destroyForcibly();
        }
      }
    }
    assertThat(process.waitFor()).as(() -> read(errors)).isEqualTo(137);
    Files.delete(errors);
    verify(database, told);
    return told;
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }

  private static void verify(DataSource database, List<Integer> told) throws IOException {
    CodebookStore store = StorePublisher.store(database);
    List<Integer> versions =
        store.versions(StorePublisher.NAME).stream().map(CodebookVersion::version).toList();
    assertThat(versions).containsAll(told);
    if (!versions.isEmpty()) {
      int active = store.resolve(StorePublisher.NAME, "active").orElseThrow();
      assertThat(active).isEqualTo(versions.getFirst());
      for (int version : versions) {
        assertThat(store.load(store.require(StorePublisher.NAME, version)).fingerprint())
            .isEqualTo(StorePublisher.codebook(version).fingerprint());
      }
    }
    assertThat(
            JdbcClient.create(database)
                .sql(
                    "SELECT COUNT(*) FROM codebook_chunk c WHERE NOT EXISTS (SELECT 1 FROM"
                        + " codebook_version v WHERE v.name = c.name AND v.version = c.version)")
                .query(Integer.class)
                .single())
        .as("orphans")
        .isZero();
    assertThat(
            JdbcClient.create(database)
                .sql("SELECT COUNT(*) FROM codebook_chunk")
                .query(Integer.class)
                .single())
        .isEqualTo(versions.size());
  }
}
