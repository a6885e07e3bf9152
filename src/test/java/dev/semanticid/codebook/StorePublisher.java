package dev.semanticid.codebook;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.codebook.CodebookSettings;
import dev.semanticid.core.codebook.Provenance;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import javax.sql.DataSource;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.jdbc.datasource.DelegatingDataSource;
import org.springframework.jdbc.datasource.DriverManagerDataSource;
import org.springframework.jdbc.support.JdbcTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;
import tools.jackson.databind.json.JsonMapper;

/**
 * A program that publishes versions, activated, until it is killed, and tells each one that it was
 * told of. Arguments: JDBC address, user, password, and how many calls to the database it survives,
 * or -1.
 */
final class StorePublisher {

  static final String NAME = "default";

  /** Calls that change something, or make it last. */
  private static final Set<String> CALLS =
      Set.of("executeUpdate", "executeQuery", "execute", "commit");

  private static int callsLeft;

  private StorePublisher() {}

  /** The store of a database. */
  static CodebookStore store(DataSource database) {
    return new CodebookStore(
        JdbcClient.create(database),
        new TransactionTemplate(new JdbcTransactionManager(database)),
        new JsonMapper());
  }

  /** A database as its address says. */
  static DataSource database(String url, String user, String password) {
    return new DriverManagerDataSource(url, user, password);
  }

  /** The codebook that the version of a number has. */
  static Codebook codebook(int number) {
    var random = new SplittableRandom(number);
    List<float[]> levels = new ArrayList<>();
    for (int l = 0; l < 2; l++) {
      float[] level = new float[8 * 4];
      for (int i = 0; i < level.length; i++) {
        level[i] = random.nextInt(1000);
      }
      levels.add(level);
    }
    return Codebook.of(new CodebookSettings(true), 4, levels, Provenance.UNKNOWN);
  }

  public static void main(String[] arguments) {
    callsLeft = Integer.parseInt(arguments[3]);
    DataSource database = database(arguments[0], arguments[1], arguments[2]);
    CodebookStore store = store(new MortalDataSource(database));
    int next = store(database).aliases().getOrDefault(NAME, Map.of()).getOrDefault("active", 0) + 1;
    System.out.println("begins");
    while (true) {
      int number = next++;
      int version = store.insert(NAME, codebook(number), null, "active", v -> {});
      System.out.println(version);
    }
  }

  /** Dies before, or right after, a call: every second count is that of a call made already. */
  private static void mayDie() {
    if (callsLeft >= 0 && callsLeft-- == 0) {
      Runtime.getRuntime().halt(137);
    }
  }

  private static final class MortalDataSource extends DelegatingDataSource {

    MortalDataSource(DataSource target) {
      super(target);
    }

    @Override
    public Connection getConnection() throws SQLException {
      return mortal(Connection.class, super.getConnection());
    }
  }

  private static <T> T mortal(Class<T> type, T target) {
    return type.cast(
        Proxy.newProxyInstance(
            type.getClassLoader(),
            new Class<?>[] {type},
            (proxy, method, arguments) -> {
              boolean counts = CALLS.contains(method.getName());
              if (counts) {
                mayDie();
              }
              Object result;
              try {
                result = method.invoke(target, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
              if (counts) {
                mayDie();
              }
              return method.getReturnType() == PreparedStatement.class
                  ? mortal(PreparedStatement.class, (PreparedStatement) result)
                  : result;
            }));
  }
}
