package dev.semanticid.service;

import com.zaxxer.hikari.HikariDataSource;
import java.nio.file.Path;
import javax.sql.DataSource;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.jdbc.support.JdbcTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * A migrated SQLite database behind a pool of one connection. Code that asks for a second
 * connection while it holds one fails here, instead of in production when the pool is exhausted.
 */
public final class OneConnection implements AutoCloseable {

  private final HikariDataSource pool = new HikariDataSource();

  /** Makes the database in a folder. */
  public OneConnection(Path folder) {
    String url =
        "jdbc:sqlite:"
            + folder.resolve("store.db")
            + "?journal_mode=WAL&foreign_keys=true&transaction_mode=IMMEDIATE";
    Schema.migrate(url, "", "", "latest");
    pool.setJdbcUrl(url);
    pool.setMaximumPoolSize(1);
    pool.setConnectionTimeout(500);
  }

  /** The pool of one connection. */
  public DataSource dataSource() {
    return pool;
  }

  /** Statements on the one connection. */
  public JdbcClient jdbc() {
    return JdbcClient.create(pool);
  }

  /** Transactions on the one connection. */
  public TransactionTemplate transactions() {
    return new TransactionTemplate(new JdbcTransactionManager(pool));
  }

  @Override
  public void close() {
    pool.close();
  }
}
