package dev.semanticid.architecture;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Dependencies point one way: service → codebook → core, and inside core from formats to vectors.
 */
@AnalyzeClasses(packages = "dev.semanticid", importOptions = DoNotIncludeTests.class)
class ArchitectureTest {

  private static final String ROOT = "dev.semanticid";
  private static final String CORE = ROOT + ".core";

  @ArchTest
  static final ArchRule CORE_IS_PLAIN_JAVA =
      classes()
          .that()
          .resideInAPackage(CORE + "..")
          .should()
          .onlyDependOnClassesThat()
          .resideInAnyPackage(CORE + "..", "java..", "org.jspecify..")
          .because("a Spark job uses the core without the service, its framework or ND4J");

  @ArchTest
  static final ArchRule VECTOR_IS_THE_BOTTOM =
      coreOnly("vector", List.of(), "vectors know nothing of what is done with them");

  @ArchTest
  static final ArchRule COMPUTE_KNOWS_VECTORS =
      coreOnly("compute", List.of("vector"), "a backend multiplies and decides nothing");

  @ArchTest
  static final ArchRule CLUSTERING_KNOWS_COMPUTE =
      coreOnly(
          "clustering",
          List.of("compute", "vector"),
          "one level is clustered without knowing that there are several");

  @ArchTest
  static final ArchRule QUANTIZER_KNOWS_CLUSTERING =
      coreOnly(
          "quantizer",
          List.of("clustering", "compute", "vector"),
          "codes do not depend on how they are reported or stored");

  @ArchTest
  static final ArchRule EVALUATION_KNOWS_THE_QUANTIZER =
      coreOnly(
          "evaluation",
          List.of("quantizer", "clustering", "compute", "vector"),
          "a report describes codes, in whatever format they are stored");

  @ArchTest
  static final ArchRule FORMAT_KNOWS_THE_QUANTIZER =
      coreOnly(
          "format",
          List.of("quantizer", "clustering", "compute", "vector"),
          "a file holds data and codebooks, not reports about them");

  @ArchTest
  static final ArchRule ONLY_THE_BACKEND_KNOWS_ND4J =
      noClasses()
          .that()
          .resideOutsideOfPackage(ROOT + ".nd4j..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("org.nd4j..", "org.bytedeco.openblas..")
          .because("another backend must be able to take ND4J's place");

  @ArchTest
  static final ArchRule ONLY_ITS_BACKEND_KNOWS_ONEDNN =
      noClasses()
          .that()
          .resideOutsideOfPackage(ROOT + ".onednn..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("org.bytedeco.dnnl..")
          .because("another library must be able to take oneDNN's place");

  @ArchTest
  static final ArchRule ONLY_BACKENDS_KNOW_NATIVE_MEMORY =
      noClasses()
          .that()
          .resideOutsideOfPackages(ROOT + ".nd4j..", ROOT + ".onednn..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("org.bytedeco..")
          .because("what is not the heap's is freed by hand");

  @ArchTest
  static final ArchRule ONLY_ITS_PACKAGE_KNOWS_PARQUET =
      noClasses()
          .that()
          .resideOutsideOfPackage(ROOT + ".parquet..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("org.apache.parquet..", "io.airlift.compress..")
          .because("another library must be able to take parquet-java's place");

  @ArchTest
  static final ArchRule PARQUET_KNOWS_ONLY_THE_CORE =
      noClasses()
          .that()
          .resideInAPackage(ROOT + ".parquet..")
          .should()
          .dependOnClassesThat(
              resideInAPackage(ROOT + "..")
                  .and(not(resideInAnyPackage(ROOT + ".parquet..", CORE + "..")))
                  .or(resideInAnyPackage("org.springframework..", "jakarta..")))
          .because("a file format knows nothing of the service that reads it");

  @ArchTest
  static final ArchRule BACKENDS_KNOW_ONLY_THE_CORE =
      noClasses()
          .that()
          .resideInAnyPackage(ROOT + ".cuda..", ROOT + ".nd4j..", ROOT + ".onednn..")
          .should()
          .dependOnClassesThat(
              resideInAPackage(ROOT + "..")
                  .and(
                      not(
                          resideInAnyPackage(
                              ROOT + ".cuda..", ROOT + ".nd4j..", ROOT + ".onednn..", CORE + "..")))
                  .or(resideInAnyPackage("org.springframework..", "jakarta..")))
          .because("the backend travels with the core, without the service");

  @ArchTest
  static final ArchRule ONLY_STORAGE_KNOWS_THE_AWS_SDK =
      noClasses()
          .that()
          .resideOutsideOfPackage(ROOT + ".storage..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("software.amazon.awssdk..")
          .because("another client must be able to take the SDK's place");

  @ArchTest
  static final ArchRule STORAGE_KNOWS_NO_FEATURE =
      noClasses()
          .that()
          .resideInAPackage(ROOT + ".storage..")
          .should()
          .dependOnClassesThat(
              resideInAPackage(ROOT + "..")
                  .and(
                      not(
                          resideInAnyPackage(
                              ROOT + ".storage..", ROOT + ".system..", CORE + ".."))))
          .because("bytes are found, read and put in place without knowing what they mean");

  @ArchTest
  static final ArchRule ENCODING_STANDS_ALONE = feature("encoding").allowEmptyShould(false);

  @ArchTest
  static final ArchRule TRAINING_STANDS_ALONE = feature("training").allowEmptyShould(false);

  @ArchTest static final ArchRule BULK_STANDS_ALONE = feature("bulk").allowEmptyShould(false);

  @ArchTest
  static final ArchRule JOBS_KNOW_NOT_WHAT_THEY_DO =
      noClasses()
          .that()
          .resideInAPackage(ROOT + ".job..")
          .should()
          .dependOnClassesThat(
              resideInAPackage(ROOT + "..")
                  .and(
                      not(
                          resideInAnyPackage(
                              ROOT + ".job..",
                              ROOT + ".storage..",
                              ROOT + ".system..",
                              CORE + ".."))))
          .because("another kind of job must need no change here");

  @ArchTest
  static final ArchRule SOURCES_KNOW_NOT_WHAT_THEY_ARE_FOR =
      noClasses()
          .that()
          .resideInAPackage(ROOT + ".source..")
          .should()
          .dependOnClassesThat(
              resideInAPackage(ROOT + "..")
                  .and(
                      not(
                          resideInAnyPackage(
                              ROOT + ".source..",
                              ROOT + ".storage..",
                              ROOT + ".parquet..",
                              ROOT + ".system..",
                              CORE + ".."))))
          .because("rows are rows, whether they are trained from or encoded");

  @ArchTest static final ArchRule CATALOG_STANDS_ALONE = feature("catalog").allowEmptyShould(true);

  @ArchTest
  static final ArchRule THE_CODEBOOK_KNOWS_NO_FEATURE =
      noClasses()
          .that()
          .resideInAnyPackage(
              ROOT + ".codebook..", ROOT + ".nd4j..", ROOT + ".onednn..", CORE + "..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(ROOT + ".encoding..", ROOT + ".training..", ROOT + ".catalog..")
          .because("features build on the codebook, not the other way round");

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

  /** A package of the core that knows only the named ones besides itself. */
  private static ArchRule coreOnly(String name, List<String> known, String because) {
    List<String> allowed =
        Stream.concat(Stream.of(name), known.stream()).map(p -> CORE + "." + p + "..").toList();
    return noClasses()
        .that()
        .resideInAPackage(CORE + "." + name + "..")
        .should()
        .dependOnClassesThat(
            resideInAPackage(ROOT + "..")
                .and(not(resideInAnyPackage(allowed.toArray(String[]::new)))))
        .because(because);
  }

  /** A feature package that knows what features are built on, and no other feature. */
  private static ArchRule feature(String name) {
    return noClasses()
        .that()
        .resideInAPackage(ROOT + "." + name + "..")
        .should()
        .dependOnClassesThat(
            resideInAPackage(ROOT + "..")
                .and(
                    not(
                        resideInAnyPackage(
                            ROOT + "." + name + "..",
                            ROOT + ".codebook..",
                            ROOT + ".job..",
                            ROOT + ".source..",
                            ROOT + ".storage..",
                            ROOT + ".parquet..",
                            ROOT + ".system..",
                            CORE + ".."))))
        .because("a feature can be left out or rewritten without the others noticing");
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
    assertThat(packages).contains("dev/semanticid/core/quantizer", "dev/semanticid/architecture");

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
