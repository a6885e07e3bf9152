package dev.semanticid.deployment;

import com.marcnuri.helm.Helm;
import com.marcnuri.helm.LintResult;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.yaml.snakeyaml.DumperOptions;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.SafeConstructor;
import org.yaml.snakeyaml.representer.Representer;

/** The Helm chart of this project, as Helm itself renders and judges it. */
final class Chart {

  static final Path ROOT = Path.of("helm");

  /** Values that are described as one. */
  private static final Set<String> FREE = Set.of("labels", "resources");

  private Chart() {}

  /** The values files that the chart is tried with. */
  static List<Path> valuesFiles() {
    try (Stream<Path> files = Files.list(ROOT.resolve("ci"))) {
      return files.filter(file -> file.toString().endsWith("-values.yaml")).sorted().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * What {@code helm template} gives. The library's template leaves out hooks, so the pod of {@code
   * helm test} is rendered as if it were none.
   *
   * @param set names of values and what they are set to, by turns
   * @throws IllegalStateException if Helm refuses the values
   */
  static List<Map<String, Object>> render(Path values, String... set) {
    var command =
        new Helm(withoutHooks())
            .template()
            .withName("release")
            .withNamespace("namespace")
            .withKubeVersion("1.34.0")
            .withValuesFile(values);
    for (int i = 0; i < set.length; i += 2) {
      command.set(set[i], set[i + 1]);
    }
    var objects = new ArrayList<Map<String, Object>>();
    for (Object object : yaml().loadAll(command.call())) {
      if (object != null) {
        objects.add(map(object));
      }
    }
    return objects;
  }

  /**
   * What {@code helm lint --strict} says of the chart with values as its defaults; the library's
   * lint takes none besides.
   *
   * @param folder where the chart is copied to
   */
  static LintResult lint(Path values, Path folder) throws IOException {
    copy(folder);
    Map<String, Object> merged = merge(read(ROOT.resolve("values.yaml")), read(values));
    Files.writeString(folder.resolve("values.yaml"), yaml().dump(merged));
    return new Helm(folder).lint().strict().call();
  }

  private static Path withoutHooks() {
    try {
      Path folder = Files.createDirectories(Path.of("target", "chart"));
      copy(folder);
      Path hook = folder.resolve("templates/tests/encode.yaml");
      Files.writeString(hook, Files.readString(hook).replace("helm.sh/hook:", "helm.sh/was-hook:"));
      return folder;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void copy(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(ROOT)) {
      for (Path file : files.toList()) {
        Path copy = folder.resolve(ROOT.relativize(file).toString());
        if (Files.isDirectory(file)) {
          Files.createDirectories(copy);
        } else {
          Files.copy(file, copy, StandardCopyOption.REPLACE_EXISTING);
        }
      }
    }
  }

  /** Names of all values, a map that may have any content being one of them. */
  static List<String> valueNames() throws IOException {
    var names = new ArrayList<String>();
    collect("", read(ROOT.resolve("values.yaml")), names);
    return names;
  }

  private static void collect(String prefix, Map<String, Object> values, List<String> names) {
    values.forEach((name, value) -> {
      if (value instanceof Map<?, ?> map && !map.isEmpty() && !FREE.contains(name)) {
        collect(prefix + name + ".", map(value), names);
      } else {
        names.add(prefix + name);
      }
    });
  }

  private static Map<String, Object> read(Path file) throws IOException {
    return map(yaml().load(Files.readString(file)));
  }

  /** As Helm merges values: maps by key, everything else replaced. */
  private static Map<String, Object> merge(Map<String, Object> base, Map<String, Object> over) {
    over.forEach((key, value) ->
        base.merge(
            key,
            value,
            (old, now) ->
                old instanceof Map && now instanceof Map ? merge(map(old), map(now)) : now));
    return base;
  }

  @SuppressWarnings("unchecked") // what YAML calls a mapping, all of ours with text as keys
  static Map<String, Object> map(Object value) {
    return (Map<String, Object>) value;
  }

  private static Yaml yaml() {
    var options = new LoaderOptions();
    options.setAllowDuplicateKeys(false);
    var dump = new DumperOptions();
    return new Yaml(new SafeConstructor(options), new Representer(dump), dump, options);
  }
}
