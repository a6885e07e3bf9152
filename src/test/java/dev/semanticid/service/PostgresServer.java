package dev.semanticid.service;

import com.github.dockerjava.api.DockerClient;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.testcontainers.DockerClientFactory;
import org.testcontainers.postgresql.PostgreSQLContainer;

/** A real PostgreSQL for all tests of this process, with as many databases as they want. */
public final class PostgresServer implements AutoCloseable {

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
  public static synchronized PostgresServer get() {
    PostgresServer server = started;
    if (server == null) {
      server = start();
      started = server;
    }
    return server;
  }

  /** A server of its own, for a test that stops it; on a port that stays when it starts again. */
  @SuppressWarnings("resource")
  static PostgresServer start() {
    var container = new PostgreSQLContainer("postgres:17");
    container.setPortBindings(
        List.of(String.format(Locale.ROOT, "127.0.0.1:%d:5432", ServiceProcess.freePort())));
    container.start();
    Runtime.getRuntime().addShutdownHook(new Thread(container::stop));
    return new PostgresServer(container);
  }

  /** Stops the server as an operator would. */
  void stop() {
    docker().stopContainerCmd(container.getContainerId()).withTimeout(10).exec();
  }

  /** Starts it with the databases that it had. */
  void startAgain() {
    docker().startContainerCmd(container.getContainerId()).exec();
  }

  private static DockerClient docker() {
    return DockerClientFactory.instance().client();
  }

  @Override
  public void close() {
    container.stop();
  }

  /** An empty database. */
  public Database createDatabase() {
    String name = "test_" + DATABASES.incrementAndGet();
    try (Connection connection = DriverManager.getConnection(url("postgres"), user(), password());
        var statement = connection.createStatement()) {
      statement.execute("CREATE DATABASE " + name);
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
    return new Database(url(name), user(), password());
  }

  private String url(String database) {
    return String.format(
        Locale.ROOT,
        "jdbc:postgresql://%s:%d/%s",
        container.getHost(),
        container.getFirstMappedPort(),
        database);
  }

  private String user() {
    return container.getUsername();
  }

  private String password() {
    return container.getPassword();
  }

  /** Tests that need the server run where a Docker engine answers. */
  public static final class Required implements ExecutionCondition {
    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
      return isPossible()
          ? ConditionEvaluationResult.enabled("a Docker engine answers")
          : ConditionEvaluationResult.disabled("no Docker engine answers");
    }
  }

  /** A database. */
  public record Database(String url, String user, String password) {

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
