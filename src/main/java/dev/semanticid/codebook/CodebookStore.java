package dev.semanticid.codebook;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.report.QuantizationReport;
import dev.semanticid.format.CodebookFormat;
import dev.semanticid.problem.Masked;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.store.ChunkTable;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import org.springframework.transaction.support.TransactionTemplate;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.json.JsonMapper;

/**
 * Codebook versions and aliases in the database. A version is immutable; storing one and moving an
 * alias to it is one transaction. The tensors are kept as the version's safetensors file, in
 * chunks, and are checked against the stored fingerprint whenever they are read.
 */
@Component
class CodebookStore {

  private static final String COLUMNS =
      "name, version, fingerprint, dimension, widths, normalize, beam_size, weighted,"
          + " embedding_model, provenance, report, size_bytes, created_at";

  private final JdbcClient jdbc;
  private final TransactionTemplate transactions;
  private final JsonMapper json;
  private final ChunkTable chunks;

  CodebookStore(JdbcClient jdbc, TransactionTemplate transactions, JsonMapper json) {
    this.jdbc = jdbc;
    this.transactions = transactions;
    this.json = json;
    this.chunks = new ChunkTable(jdbc, "codebook_chunk", "name", "version");
  }

  /**
   * Stores a new version.
   *
   * @param alias an alias to move to it, or null
   * @param withinTransaction is told the version's number before the transaction is committed
   * @return the version's number
   */
  int insert(
      String name,
      Codebook codebook,
      @Nullable QuantizationReport report,
      @Nullable String alias,
      IntConsumer withinTransaction) {
    return Objects.requireNonNull(
        transactions.execute(status -> {
          int version =
              jdbc.sql(
                      "INSERT INTO codebook (name, last_version) VALUES (?, 1) ON CONFLICT"
                          + " (name) DO UPDATE SET last_version = codebook.last_version + 1"
                          + " RETURNING last_version")
                  .param(name)
                  .query(Integer.class)
                  .single();
          jdbc.sql(
                  "INSERT INTO codebook_version (%s) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"
                      .formatted(COLUMNS))
              .param(name)
              .param(version)
              .param(codebook.fingerprint())
              .param(codebook.dimension())
              .param(json.writeValueAsString(codebook.widths()))
              .param(codebook.normalizeResiduals() ? 1 : 0)
              .param(codebook.settings().beamSize())
              .param(codebook.weighted() ? 1 : 0)
              .param(codebook.provenance().values().get(EmbeddingModel.PARAMETER))
              .param(json.writeValueAsString(codebook.provenance().values()))
              .param(report == null ? null : json.writeValueAsString(report))
              .param(CodebookFormat.size(codebook))
              .param(Instant.now().truncatedTo(ChronoUnit.MILLIS).toString())
              .update();
          try (var out = chunks.write(name, version)) {
            CodebookFormat.write(codebook, out);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
          if (alias != null) {
            point(name, alias, version);
          }
          withinTransaction.accept(version);
          return version;
        }));
  }

  /** Nobody else changes anything about a codebook until the caller's transaction has ended. */
  void lock(String name) {
    jdbc.sql("UPDATE codebook SET last_version = last_version WHERE name = ?").param(name).update();
  }

  private void point(String name, String alias, int version) {
    jdbc.sql(
            "INSERT INTO codebook_alias (name, alias, version) VALUES (?, ?, ?) ON CONFLICT (name,"
                + " alias) DO UPDATE SET version = excluded.version")
        .params(name, alias, version)
        .update();
  }

  /**
   * Points an alias to a version.
   *
   * @param expected where the alias must point now, or null for anywhere
   * @throws ProblemException if the version is not there, or the alias points elsewhere than
   *     expected
   */
  void move(String name, String alias, int version, @Nullable Integer expected) {
    transactions.executeWithoutResult(status -> {
      lock(name);
      require(name, version);
      Optional<Integer> current = resolve(name, alias);
      if (expected != null && !expected.equals(current.orElse(null))) {
        throw new ProblemException(
                ProblemCode.ALIAS_CONFLICT,
                String.format(
                    Locale.ROOT,
                    "alias '%s' of codebook '%s' was expected at version %d and is at %s",
                    alias,
                    name,
                    expected,
                    current.map(v -> "version " + v).orElse("no version")))
            .with("expected", expected)
            .with("actual", current.<Object>map(v -> v).orElse("none"));
      }
      point(name, alias, version);
    });
  }

  /**
   * Deletes an alias.
   *
   * @throws ProblemException if it is not there
   */
  void deleteAlias(String name, String alias) {
    int deleted =
        jdbc.sql("DELETE FROM codebook_alias WHERE name = ? AND alias = ?")
            .params(name, alias)
            .update();
    if (deleted == 0) {
      throw unknownVersion(name, alias);
    }
  }

  /**
   * Deletes a version that no alias points to.
   *
   * @param withinTransaction is done first, while nobody else changes anything about the codebook
   */
  void delete(String name, int version, Runnable withinTransaction) {
    transactions.executeWithoutResult(status -> {
      lock(name);
      withinTransaction.run();
      CodebookVersion found = require(name, version);
      if (!found.aliases().isEmpty()) {
        throw new ProblemException(
                ProblemCode.VERSION_IN_USE,
                String.format(
                    Locale.ROOT,
                    "version %d of codebook '%s' cannot be deleted while it is %s",
                    version,
                    name,
                    String.join(", ", found.aliases())))
            .with("aliases", found.aliases());
      }
      jdbc.sql("DELETE FROM codebook_version WHERE name = ? AND version = ?")
          .params(name, version)
          .update();
    });
  }

  /**
   * Deletes all versions and aliases of a codebook. The numbers of its versions are not given
   * again.
   *
   * @param withinTransaction is done first, while nobody else changes anything about the codebook
   * @throws ProblemException if there is none of the name
   */
  void delete(String name, Runnable withinTransaction) {
    transactions.executeWithoutResult(status -> {
      lock(name);
      if (!isThere(name)) {
        throw unknownVersion(name, CodebookRegistry.ACTIVE);
      }
      withinTransaction.run();
      jdbc.sql("DELETE FROM codebook_alias WHERE name = ?").param(name).update();
      jdbc.sql("DELETE FROM codebook_version WHERE name = ?").param(name).update();
    });
  }

  /** Where all aliases of all codebooks point: by the codebook's name, then by the alias. */
  Map<String, Map<String, Integer>> aliases() {
    var aliases = new HashMap<String, Map<String, Integer>>();
    jdbc.sql("SELECT name, alias, version FROM codebook_alias")
        .query(row -> {
          aliases
              .computeIfAbsent(row.getString(1), name -> new HashMap<>())
              .put(row.getString(2), row.getInt(3));
        });
    return aliases;
  }

  /** Whether a codebook has a version. */
  boolean isThere(String name) {
    return jdbc.sql("SELECT COUNT(*) FROM codebook_version WHERE name = ?")
            .param(name)
            .query(Integer.class)
            .single()
        > 0;
  }

  /** Whether a version is there. */
  boolean exists(String name, int version) {
    return jdbc.sql("SELECT 1 FROM codebook_version WHERE name = ? AND version = ?")
        .params(name, version)
        .query(Integer.class)
        .optional()
        .isPresent();
  }

  /** The version that an alias points to. */
  Optional<Integer> resolve(String name, String alias) {
    return jdbc.sql("SELECT version FROM codebook_alias WHERE name = ? AND alias = ?")
        .params(name, alias)
        .query(Integer.class)
        .optional();
  }

  /** Names that have a version, in order. */
  List<String> names() {
    // Sorted here: databases differ in what comes first.
    return jdbc
        .sql("SELECT DISTINCT name FROM codebook_version")
        .query(CodebookStore::text)
        .list()
        .stream()
        .sorted()
        .toList();
  }

  /** All versions of a codebook, newest first. */
  List<CodebookVersion> versions(String name) {
    Map<Integer, List<String>> aliases = aliasesByVersion(name);
    return jdbc.sql(
            "SELECT %s FROM codebook_version WHERE name = ? ORDER BY version DESC"
                .formatted(COLUMNS))
        .param(name)
        .query((row, index) -> version(row, aliases))
        .list();
  }

  /** One version. */
  Optional<CodebookVersion> find(String name, int version) {
    Map<Integer, List<String>> aliases = aliasesByVersion(name);
    return jdbc.sql(
            "SELECT %s FROM codebook_version WHERE name = ? AND version = ?".formatted(COLUMNS))
        .params(name, version)
        .query((row, index) -> version(row, aliases))
        .optional();
  }

  /** One version, or a 404 that names those which are there. */
  CodebookVersion require(String name, int version) {
    return find(name, version).orElseThrow(() -> unknownVersion(name, Integer.toString(version)));
  }

  /** The problem of a version or alias that is not there. */
  ProblemException unknownVersion(String name, String version) {
    List<CodebookVersion> versions = versions(name);
    if (versions.isEmpty()) {
      List<String> names = names();
      return new ProblemException(
              ProblemCode.UNKNOWN_CODEBOOK,
              "there is no codebook '%s'; there are: %s"
                  .formatted(name, names.isEmpty() ? "none" : String.join(", ", names)))
          .with("codebooks", names);
    }
    List<Integer> numbers = versions.stream().map(CodebookVersion::version).toList();
    List<String> aliases = versions.stream().flatMap(v -> v.aliases().stream()).sorted().toList();
    return new ProblemException(
            ProblemCode.UNKNOWN_VERSION,
            "codebook '%s' has no version '%s'; versions: %s; aliases: %s"
                .formatted(name, version, numbers, aliases))
        .with("versions", numbers)
        .with("aliases", aliases);
  }

  /**
   * Reads a version's tensors.
   *
   * @throws IOException if they are damaged or do not have the stored fingerprint
   */
  Codebook load(CodebookVersion version) throws IOException {
    Codebook codebook;
    try (var in = open(version)) {
      codebook = CodebookFormat.read(in, Long.MAX_VALUE);
    }
    if (!codebook.fingerprint().equals(version.fingerprint())) {
      throw new IOException(
          String.format(
              Locale.ROOT,
              "version %d of codebook '%s' is stored with fingerprint %s, its tensors have %s",
              version.version(),
              version.codebook(),
              version.fingerprint(),
              codebook.fingerprint()));
    }
    return codebook;
  }

  /** The version's safetensors file. */
  InputStream open(CodebookVersion version) {
    return chunks.read(version.codebook(), version.version());
  }

  private static String text(ResultSet row, int index) throws SQLException {
    return row.getString(1);
  }

  /** As clients see it; earlier versions of the service stored secrets in addresses. */
  private Map<String, String> provenance(String stored) {
    Map<String, String> shown = json.readValue(stored, new TypeReference<Map<String, String>>() {});
    shown.replaceAll((name, value) -> Masked.text(value));
    return shown;
  }

  /** The aliases of a codebook, sorted, by the version that they point to. */
  private Map<Integer, List<String>> aliasesByVersion(String name) {
    var aliases = new HashMap<Integer, List<String>>();
    jdbc.sql("SELECT version, alias FROM codebook_alias WHERE name = ?")
        .param(name)
        .query(row -> {
          aliases.computeIfAbsent(row.getInt(1), v -> new ArrayList<>()).add(row.getString(2));
        });
    aliases.values().forEach(Collections::sort);
    return aliases;
  }

  /**
   * Maps one row. Asks the database for nothing: the row's query still holds its connection, and a
   * pool whose connections all wait for another one answers nobody.
   */
  private CodebookVersion version(ResultSet row, Map<Integer, List<String>> aliases)
      throws SQLException {
    int version = row.getInt("version");
    String report = row.getString("report");
    return new CodebookVersion(
        row.getString("name"),
        version,
        row.getString("fingerprint"),
        row.getInt("dimension"),
        json.readValue(row.getString("widths"), new TypeReference<List<Integer>>() {}),
        row.getInt("normalize") != 0,
        row.getInt("beam_size"),
        row.getInt("weighted") != 0,
        row.getString("embedding_model"),
        provenance(row.getString("provenance")),
        report == null ? null : json.readValue(report, QuantizationReport.class),
        row.getLong("size_bytes"),
        Instant.parse(row.getString("created_at")),
        List.copyOf(aliases.getOrDefault(version, List.of())));
  }
}
