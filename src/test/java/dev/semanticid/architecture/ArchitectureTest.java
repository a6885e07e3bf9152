package dev.semanticid.architecture;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Dependencies between packages point one way; every package has a list of what it may use. */
@AnalyzeClasses(packages = "dev.semanticid", importOptions = DoNotIncludeTests.class)
class ArchitectureTest {

  private static final String ROOT = "dev.semanticid";
  private static final String CORE = ROOT + ".core";
  private static final JavaClasses CLASSES =
      new ClassFileImporter().withImportOption(new DoNotIncludeTests()).importPackages(ROOT);

  /**
   * Every room and the rooms that it may use, from the bottom up. A room may use itself and the
   * packages below it.
   */
  private static final Map<String, List<String>> ROOMS = rooms();

  private static Map<String, List<String>> rooms() {
    var rooms = new LinkedHashMap<String, List<String>>();
    rooms.put("core.vector", List.of());
    rooms.put("core.compute", List.of("core.vector"));
    rooms.put("core.codebook", List.of("core.compute", "core.vector"));
    rooms.put("core.search", List.of("core.codebook", "core.compute", "core.vector"));
    rooms.put("core.encode.loop", List.of("core.codebook", "core.vector"));
    rooms.put(
        "core.encode.plan",
        List.of("core.encode.loop", "core.search", "core.codebook", "core.compute", "core.vector"));
    rooms.put(
        "core.encode", List.of("core.search", "core.codebook", "core.compute", "core.vector"));
    rooms.put(
        "core.train",
        List.of("core.encode", "core.search", "core.codebook", "core.compute", "core.vector"));
    rooms.put(
        "core.report", List.of("core.encode", "core.codebook", "core.compute", "core.vector"));
    rooms.put("format", List.of("core"));
    rooms.put("parquet", List.of("format", "core"));
    rooms.put("backend.cuda", List.of("core"));
    rooms.put("backend.nd4j", List.of("core"));
    rooms.put("backend.onednn", List.of("core"));
    rooms.put("backend", List.of("settings", "core"));
    rooms.put("problem", List.of());
    rooms.put("settings", List.of("core"));
    rooms.put("store", List.of("problem", "settings"));
    rooms.put("budget", List.of("store", "problem", "settings"));
    rooms.put("web", List.of("problem", "settings", "core"));
    rooms.put("security", List.of("web", "problem", "settings"));
    rooms.put("storage", List.of("format", "problem", "settings", "core"));
    rooms.put(
        "source", List.of("storage", "budget", "store", "parquet", "format", "problem", "core"));
    rooms.put(
        "job",
        List.of(
            "security", "storage", "backend", "store", "format", "problem", "settings", "core"));
    List<String> features =
        List.of(
            "codebook",
            "job",
            "source",
            "storage",
            "budget",
            "store",
            "security",
            "web",
            "backend",
            "parquet",
            "format",
            "problem",
            "settings",
            "core");
    rooms.put("codebook", features);
    rooms.put("encode", features);
    rooms.put("train", features);
    rooms.put("bulk", features);
    return rooms;
  }

  @ParameterizedTest
  @MethodSource("roomNames")
  void room_usesOnlyWhatLiesBelowIt(String room) {
    String[] allowed =
        Stream.concat(Stream.of(room), ROOMS.getOrDefault(room, List.of()).stream())
            .map(name -> ROOT + "." + name + "..")
            .toArray(String[]::new);
    noClasses()
        .that()
        .resideInAPackage(ROOT + "." + room + "..")
        .should()
        .dependOnClassesThat(resideInAPackage(ROOT + "..").and(not(resideInAnyPackage(allowed))))
        .because("arrows between rooms point down")
        .check(CLASSES);
  }

  static Stream<String> roomNames() {
    return ROOMS.keySet().stream();
  }

  @Test
  void everyPackage_isARoom() {
    assertThat(CLASSES.stream().map(JavaClass::getPackageName).distinct())
        .filteredOn(name -> !name.equals(ROOT) && !name.equals(CORE))
        .allMatch(name -> ROOMS.containsKey(name.substring(ROOT.length() + 1)));
  }

  @ArchTest
  static final ArchRule CORE_IS_PLAIN_JAVA =
      classes()
          .that()
          .resideInAnyPackage(CORE + "..", ROOT + ".format..")
          .should()
          .onlyDependOnClassesThat()
          .resideInAnyPackage(CORE + "..", ROOT + ".format..", "java..", "org.jspecify..")
          .because("a Spark job uses the library without the service, its framework or ND4J");

  @ArchTest
  static final ArchRule ONLY_ITS_ROOM_IMPORTS_ND4J =
      only("backend.nd4j", "another backend must be able to take its place", "org.nd4j..");

  @ArchTest
  static final ArchRule ONLY_ITS_ROOM_IMPORTS_ONEDNN =
      only(
          "backend.onednn",
          "another library must be able to take its place",
          "org.bytedeco.dnnl..");

  @ArchTest
  static final ArchRule ONLY_BACKENDS_IMPORT_NATIVE_MEMORY =
      only("backend", "memory outside the heap is freed by hand", "org.bytedeco..");

  @ArchTest
  static final ArchRule ONLY_ITS_ROOM_IMPORTS_PARQUET =
      only(
          "parquet",
          "another library must be able to take its place",
          "org.apache.parquet..",
          "io.airlift.compress..");

  @ArchTest
  static final ArchRule ONLY_STORAGE_IMPORTS_THE_AWS_SDK =
      only("storage", "another client must be able to take its place", "software.amazon.awssdk..");

  @ArchTest
  static final ArchRule ROOMS_WITHOUT_A_TRANSPORT =
      noClasses()
          .that()
          .resideInAnyPackage(
              Stream.of("problem", "store", "budget", "storage", "source", "backend", "parquet")
                  .map(room -> ROOT + "." + room + "..")
                  .toArray(String[]::new))
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(
              "jakarta.servlet..",
              "org.apache.catalina..",
              "org.apache.coyote..",
              "org.springframework.web..",
              "org.springframework.http..")
          .because("another protocol must be able to use them");

  @ArchTest
  static final ArchRule FEATURES_HAVE_NO_CYCLES =
      slices()
          .matching(ROOT + ".(*)..")
          .should()
          .beFreeOfCycles()
          .because("packages in a cycle can only be understood, tested and changed together");

  @ArchTest
  static final ArchRule PACKAGES_HAVE_NO_CYCLES =
      slices()
          .matching("dev.(semanticid..)")
          .should()
          .beFreeOfCycles()
          .because("packages in a cycle can only be understood, tested and changed together");

  @ArchTest
  static final ArchRule CONTROLLERS_ARE_PACKAGE_PRIVATE =
      classes()
          .that()
          .areMetaAnnotatedWith("org.springframework.stereotype.Controller")
          .should()
          .bePackagePrivate()
          .because("a controller is called over HTTP only")
          .allowEmptyShould(true);

  /** Only one room may use some packages. */
  private static ArchRule only(String room, String because, String... packages) {
    return noClasses()
        .that()
        .resideOutsideOfPackage(ROOT + "." + room + "..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(packages)
        .because(because);
  }

  @Test
  void everyPackage_ofEverySourceFolder_isNullMarked() throws IOException {
    Set<String> packages = new TreeSet<>();
    List<Path> roots =
        Stream.of("src/main/java", "src/test/java", "src/jmh/java")
            .map(Path::of)
            .filter(Files::isDirectory)
            .toList();
    for (Path root : roots) {
      try (Stream<Path> paths = Files.walk(root)) {
        paths
            .filter(path -> path.toString().endsWith(".java"))
            .map(path -> root.relativize(path.resolveSibling("")).toString())
            .forEach(packages::add);
      }
    }
    assertThat(packages).contains("dev/semanticid/core/encode", "dev/semanticid/architecture");

    var unmarked = new ArrayList<String>();
    for (String folder : packages) {
      boolean marked = false;
      for (Path root : roots) {
        Path info = root.resolve(folder).resolve("package-info.java");
        marked |= Files.exists(info) && Files.readString(info).contains("\n@NullMarked\n");
      }
      if (!marked) {
        unmarked.add(folder);
      }
    }
    assertThat(unmarked).as("packages without a package-info.java that is @NullMarked").isEmpty();
  }
}
