package dev.semanticid.service;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.HashMap;
import java.util.Map;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.api.configuration.FluentConfiguration;
import org.springframework.boot.env.YamlPropertySourceLoader;
import org.springframework.core.env.EnumerablePropertySource;
import org.springframework.core.env.PropertySource;
import org.springframework.core.io.ClassPathResource;

/** The schema that the service makes, as its configuration says, for databases of tests' own. */
public final class Schema {

  private static final String PLACEHOLDERS = "spring.flyway.placeholders.";

  private Schema() {}

  /** Migrates a database to a version of the schema, or to {@code latest}. */
  public static void migrate(String url, String user, String password, String target) {
    boolean postgres = url.startsWith("jdbc:postgresql:");
    FluentConfiguration flyway =
        Flyway.configure()
            .dataSource(url, user, password)
            .placeholders(placeholders(postgres ? "application-postgres.yml" : "application.yml"))
            .target(target);
    if (postgres && target.equals("latest")) {
      flyway.locations("db/migration", "db/postgresql");
    }
    flyway.load().migrate();
  }

  private static Map<String, String> placeholders(String file) {
    var placeholders = new HashMap<String, String>();
    try {
      for (PropertySource<?> source :
          new YamlPropertySourceLoader().load(file, new ClassPathResource(file))) {
        for (String name : ((EnumerablePropertySource<?>) source).getPropertyNames()) {
          if (name.startsWith(PLACEHOLDERS)) {
            placeholders.put(
                name.substring(PLACEHOLDERS.length()), String.valueOf(source.getProperty(name)));
          }
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return placeholders;
  }
}
