package dev.semanticid.service;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.testcontainers.DockerClientFactory;
import org.testcontainers.postgresql.PostgreSQLContainer;

/** A real PostgreSQL for all tests of this process, with as many databases as they want. */
final class PostgresServer {

  private static final AtomicInteger DATABASES = new AtomicInteger();
  private static @Nullable Boolean possible;
  private static @Nullable PostgresServer started;

  private final PostgreSQLContainer container;

  private PostgresServer(PostgreSQLContainer container) {
    this.container = container;
  }

  /** Whether there can be one; says so if not. */
  static synchronized boolean isPossible() {
    if (possible == null) {
      possible = DockerClientFactory.instance().isDockerAvailable();
      if (!possible) {
        System.out.println("Not run: tests on PostgreSQL, for no Docker engine answers.");
      }
    }
    return possible;
  }

  /** The server of all tests. */
  static synchronized PostgresServer get() {
    PostgresServer server = started;
    if (server == null) {
      server = start();
      started = server;
    }
    return server;
  }

  /** A server of its own, for a test that stops it. */
  @SuppressWarnings("resource")
  static PostgresServer start() {
    var container = new PostgreSQLContainer("postgres:17");
    container.start();
    Runtime.getRuntime().addShutdownHook(new Thread(container::stop));
    return new PostgresServer(container);
  }

  /** An empty database. */
  Database createDatabase() {
    String name = "test_" + DATABASES.incrementAndGet();
    try (Connection connection = DriverManager.getConnection(url("postgres"), user(), password());
        var statement = connection.createStatement()) {
      statement.execute("CREATE DATABASE " + name);
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
    return new Database(url(name), user(), password());
  }

  /** The container's id. */
  String id() {
    return container.getContainerId();
  }

  private String url(String database) {
    return "jdbc:postgresql://%s:%d/%s"
        .formatted(container.getHost(), container.getFirstMappedPort(), database);
  }

  private String user() {
    return container.getUsername();
  }

  private String password() {
    return container.getPassword();
  }

  /** A database. */
  record Database(String url, String user, String password) {

    /** What tells a service to use it. */
    List<String> arguments() {
      return List.of(
          "--spring.profiles.active=postgres",
          "--spring.datasource.url=" + url,
          "--spring.datasource.username=" + user,
          "--spring.datasource.password=" + password);
    }

    /** A connection of the test's own. */
    Connection connect() throws SQLException {
      return DriverManager.getConnection(url, user, password);
    }
  }
}
