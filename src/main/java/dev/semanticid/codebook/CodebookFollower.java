package dev.semanticid.codebook;

import com.zaxxer.hikari.HikariDataSource;
import dev.semanticid.settings.SemanticIdProperties;
import java.sql.Connection;
import java.sql.SQLException;
import org.jspecify.annotations.Nullable;
import org.postgresql.PGConnection;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.SmartLifecycle;
import org.springframework.dao.DataAccessException;
import org.springframework.stereotype.Component;
import org.springframework.transaction.TransactionException;

/**
 * Has the registry follow what others change in the database: at once where PostgreSQL notifies,
 * and whenever the poll interval is over, whatever the database.
 */
@Component
class CodebookFollower implements SmartLifecycle {

  private static final Logger LOG = LoggerFactory.getLogger(CodebookFollower.class);

  private final CodebookRegistry registry;
  private final HikariDataSource database;
  private final boolean notifies;
  private final int pollMillis;
  private volatile boolean running;
  private @Nullable Thread thread;
  private boolean answers = true;

  CodebookFollower(
      CodebookRegistry registry, HikariDataSource database, SemanticIdProperties properties) {
    this.registry = registry;
    this.database = database;
    this.notifies = database.getJdbcUrl().startsWith("jdbc:postgresql:");
    this.pollMillis = Math.toIntExact(properties.store().pollInterval().toMillis());
  }

  @Override
  public synchronized void start() {
    running = true;
    thread = Thread.ofPlatform().daemon().name("codebooks").start(this::run);
  }

  private void run() {
    while (running) {
      try {
        if (notifies) {
          listen();
        } else {
          follow();
          Thread.sleep(pollMillis);
        }
      } catch (InterruptedException e) {
        return;
      } catch (SQLException | DataAccessException | TransactionException e) {
        failed(e);
      } catch (RuntimeException e) {
        LOG.error("aliases cannot be followed for now", e);
        failed(e);
      }
    }
  }

  /** Follows notifications until the connection breaks or the service stops. */
  private void listen() throws SQLException {
    try (Connection connection = database.getConnection();
        var statement = connection.createStatement()) {
      statement.execute("LISTEN semantic_id_aliases");
      PGConnection postgres = connection.unwrap(PGConnection.class);
      while (running) {
        // After LISTEN and after every notification, so that no change is missed.
        follow();
        postgres.getNotifications(pollMillis);
      }
    }
  }

  private void follow() {
    registry.follow();
    if (!answers) {
      answers = true;
      LOG.info("the database answers again");
    }
  }

  private void failed(Exception e) {
    if (answers && running) {
      answers = false;
      LOG.warn("the database does not answer; what is loaded is still served: {}", e.toString());
    }
    try {
      Thread.sleep(pollMillis);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public synchronized void stop() {
    running = false;
    Thread stopped = thread;
    if (stopped != null) {
      stopped.interrupt();
    }
  }

  @Override
  public boolean isRunning() {
    return running;
  }
}
