package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A database that a newer version of the service has changed is refused, and stays as it is. */
class SchemaIT {

  @Test
  void start_onANewerSchema_isRefusedWithAMessage(@TempDir Path dataDir) throws SQLException {
    try (ServiceProcess service = ServiceProcess.start(dataDir, ServiceProcess.QUICK_START)) {
      service
          .client()
          .upload("default", Embeddings.safetensors(Embeddings.codebook(4, 1, 4)), true);
      service.stop();
    }
    try (Connection database = TestStore.connect(dataDir);
        var statement = database.createStatement()) {
      boolean postgres = database.getMetaData().getURL().startsWith("jdbc:postgresql");
      statement.execute(
          "INSERT INTO flyway_schema_history (installed_rank, version, description, type, script,"
              + " installed_by, execution_time, success) VALUES (99, '99', 'newer', 'SQL',"
              + " 'V99__newer.sql', 'somebody', 1, %s)".formatted(postgres ? "true" : "1"));
      try (ServiceProcess refused = ServiceProcess.launch(dataDir, ServiceProcess.QUICK_START)) {
        assertThat(refused.awaitExit()).isNotZero();
        assertThat(refused.log())
            .contains("changed by a newer version of the service", "nothing was changed");
      }
      statement.execute("DELETE FROM flyway_schema_history WHERE version = '99'");
    }
    try (ServiceProcess service = ServiceProcess.start(dataDir, ServiceProcess.QUICK_START)) {
      assertThat(service.client().encode("", Embeddings.rows(3, 4, 1)).version()).isEqualTo(1);
    }
  }
}
