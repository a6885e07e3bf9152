package dev.semanticid.service;

import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The databases of the services under test: SQLite in their data directories or, by {@code
 * -Dstore=postgres}, a PostgreSQL database for each data directory.
 */
final class TestStore {

  static final boolean POSTGRES = "postgres".equals(System.getProperty("store"));
  private static final Map<Path, PostgresServer.Database> DATABASES = new ConcurrentHashMap<>();

  private TestStore() {}

  /** What tells a service of that data directory to use its database. */
  static List<String> arguments(Path dataDir) {
    return POSTGRES ? database(dataDir).arguments() : List.of();
  }

  /** A connection of the test's own. */
  static Connection connect(Path dataDir) throws SQLException {
    return POSTGRES
        ? database(dataDir).connect()
        : DriverManager.getConnection("jdbc:sqlite:" + dataDir.resolve("semantic-id.db"));
  }

  /** Makes a database as an earlier version of the service did, up to that schema. */
  static void migrate(Path dataDir, String target) {
    if (POSTGRES) {
      PostgresServer.Database database = database(dataDir);
      Schema.migrate(database.url(), database.user(), database.password(), target);
    } else {
      Schema.migrate("jdbc:sqlite:" + dataDir.resolve("semantic-id.db"), "", "", target);
    }
  }

  private static PostgresServer.Database database(Path dataDir) {
    return DATABASES.computeIfAbsent(
        dataDir.toAbsolutePath(), path -> PostgresServer.get().createDatabase());
  }
}
