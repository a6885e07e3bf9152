package dev.semanticid.codebook;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.service.OneConnection;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Every operation of the store, each of which must do with one connection. */
class CodebookStoreTest {

  private OneConnection database;
  private CodebookStore store;

  @BeforeEach
  void open(@TempDir Path folder) {
    database = new OneConnection(folder);
    store = StorePublisher.store(database.dataSource());
  }

  @AfterEach
  void close() {
    database.close();
  }

  private int insert(String name, int number, String... aliases) {
    int version = store.insert(name, StorePublisher.codebook(number), null, null, v -> {});
    for (String alias : aliases) {
      store.move(name, alias, version, null);
    }
    return version;
  }

  @Test
  void insert_movesTheAliasInTheSameTransaction() {
    var told = new ArrayList<Integer>();
    assertThat(store.insert("a", StorePublisher.codebook(1), null, "active", told::add)).isOne();
    assertThat(store.resolve("a", "active")).hasValue(1);
    assertThat(told).containsExactly(1);
    assertThatThrownBy(() ->
            store.insert(
                "a",
                StorePublisher.codebook(2),
                null,
                "active",
                v -> {
                  throw new IllegalStateException("the caller's part fails");
                }))
        .hasMessageContaining("the caller's part");
    assertThat(store.resolve("a", "active")).hasValue(1);
    assertThat(store.exists("a", 2)).isFalse();
  }

  @Test
  void versions_areNewestFirst_eachWithItsOwnAliases() {
    insert("a", 1, "stable", "active");
    insert("a", 2, "canary");
    insert("a", 3);
    insert("b", 4, "active");
    assertThat(store.versions("a")).extracting(CodebookVersion::version).containsExactly(3, 2, 1);
    assertThat(store.versions("a"))
        .extracting(CodebookVersion::aliases)
        .containsExactly(List.of(), List.of("canary"), List.of("active", "stable"));
    assertThat(store.find("a", 1).orElseThrow().aliases()).containsExactly("active", "stable");
    assertThat(store.require("b", 1).aliases()).containsExactly("active");
    assertThat(store.find("a", 4)).isEmpty();
    assertThat(store.names()).containsExactly("a", "b");
    assertThat(store.isThere("a")).isTrue();
    assertThat(store.isThere("c")).isFalse();
    assertThat(store.aliases())
        .isEqualTo(
            Map.of("a", Map.of("stable", 1, "active", 1, "canary", 2), "b", Map.of("active", 1)));
  }

  @Test
  void load_givesWhatWasStored() throws IOException {
    insert("a", 7);
    CodebookVersion version = store.require("a", 1);
    assertThat(store.load(version).fingerprint())
        .isEqualTo(StorePublisher.codebook(7).fingerprint());
    try (var file = store.open(version)) {
      assertThat(file.readAllBytes()).hasSize(Math.toIntExact(version.sizeBytes()));
    }
  }

  @Test
  void move_fromElsewhereThanExpected_isAConflict() {
    insert("a", 1, "active");
    insert("a", 2);
    requireProblem(() -> store.move("a", "active", 2, 2), ProblemCode.ALIAS_CONFLICT);
    requireProblem(() -> store.move("a", "active", 9, null), ProblemCode.UNKNOWN_VERSION);
    requireProblem(() -> store.move("none", "active", 1, null), ProblemCode.UNKNOWN_CODEBOOK);
    store.move("a", "active", 2, 1);
    assertThat(store.resolve("a", "active")).hasValue(2);
  }

  @Test
  void delete_versionWithAnAlias_isRefused() {
    insert("a", 1, "active");
    insert("a", 2);
    requireProblem(() -> store.delete("a", 1, () -> {}), ProblemCode.VERSION_IN_USE);
    store.deleteAlias("a", "active");
    requireProblem(() -> store.deleteAlias("a", "active"), ProblemCode.UNKNOWN_VERSION);
    store.delete("a", 1, () -> {});
    requireProblem(() -> store.delete("a", 1, () -> {}), ProblemCode.UNKNOWN_VERSION);
    assertThat(store.versions("a")).extracting(CodebookVersion::version).containsExactly(2);
  }

  @Test
  void delete_codebook_doesNotGiveItsNumbersAgain() {
    insert("a", 1, "active");
    store.delete("a", () -> {});
    assertThat(store.isThere("a")).isFalse();
    assertThat(store.aliases()).isEmpty();
    requireProblem(() -> store.delete("a", () -> {}), ProblemCode.UNKNOWN_CODEBOOK);
    assertThat(insert("a", 2)).isEqualTo(2);
  }

  private static void requireProblem(ThrowingCallable call, ProblemCode code) {
    assertThatThrownBy(call)
        .isInstanceOfSatisfying(
            ProblemException.class,
            e -> assertThat(e.code()).as(Objects.toString(e.getMessage())).isEqualTo(code));
  }
}
