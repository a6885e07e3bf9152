package dev.semanticid.deployment;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The tables of docs/configuration.md say what the settings in the code say: names, defaults and
 * descriptions come from the metadata that the compiler writes. {@code -Ddocs.write=true} writes
 * the tables instead of failing.
 */
class ConfigurationDocTest {

  private static final Path METADATA =
      Path.of("target/classes/META-INF/spring-configuration-metadata.json");
  private static final Path DOCUMENT = Path.of("docs/configuration.md");
  private static final String PREFIX = "semantic-id.";
  private static final String BEGIN = "<!-- generated from the code: begin -->\n";
  private static final String END = "<!-- generated from the code: end -->\n";

  /** A Javadoc tag {@code {@code …}} whose text may have braces of its own. */
  private static final Pattern CODE = Pattern.compile("\\{@code ((?:[^{}]|\\{[^{}]*})*)}");

  @Test
  void tables_generatedAgain_doNotChange() throws IOException {
    String document = Files.readString(DOCUMENT);
    int begin = document.indexOf(BEGIN) + BEGIN.length();
    int end = document.indexOf(END);
    assertThat(document).as("markers of the generated part").contains(BEGIN, END);
    String generated = "\n" + tables(JsonMapper.shared().readTree(METADATA)) + "\n";
    if (Boolean.getBoolean("docs.write")) {
      Files.writeString(
          DOCUMENT, document.substring(0, begin) + generated + document.substring(end));
    } else {
      assertThat(document.substring(begin, end))
          .as("%s differs from the code; -Ddocs.write=true writes it", DOCUMENT)
          .isEqualTo(generated);
    }
  }

  @Test
  void tables_propertyOfEachKind_hasARow() {
    JsonNode metadata =
        JsonMapper.shared()
            .readTree(
                """
                {"properties": [
                  {"name": "semantic-id.b.size", "type": "java.lang.Integer",
                   "description": "largest size, of {@code GET /a/{b}}. 0|1", "defaultValue": 7},
                  {"name": "semantic-id.when", "type": "java.time.DayOfWeek",
                   "description": "day it is for"},
                  {"name": "spring.other", "type": "java.lang.String"}]}
                """);
    assertThat(tables(metadata))
        .isEqualTo(
            """
            ### `semantic-id.*`

            | setting | default | meaning |
            |---|---|---|
            | `semantic-id.when` | – | Day it is for. One of `monday`, `tuesday`, `wednesday`,\
             `thursday`, `friday`, `saturday`, `sunday`. |

            ### `semantic-id.b.*`

            | setting | default | meaning |
            |---|---|---|
            | `semantic-id.b.size` | `7` | Largest size, of `GET /a/{b}`. 0\\|1. |
            """);
  }

  private static String tables(JsonNode metadata) {
    Map<String, List<JsonNode>> groups = new TreeMap<>();
    for (JsonNode property : metadata.get("properties")) {
      String name = property.get("name").asString();
      if (name.startsWith(PREFIX)) {
        String group = name.substring(0, name.lastIndexOf('.') + 1);
        groups.computeIfAbsent(group, any -> new ArrayList<>()).add(property);
      }
    }
    return groups.entrySet().stream()
        .map(group -> table(group.getKey(), group.getValue()))
        .collect(Collectors.joining("\n"));
  }

  private static String table(String group, List<JsonNode> properties) {
    var table = new StringBuilder("### `" + group + "*`\n\n");
    table.append("| setting | default | meaning |\n|---|---|---|\n");
    for (JsonNode property : properties) {
      JsonNode value = property.path("defaultValue");
      table.append(
          String.format(
              Locale.ROOT,
              "| `%s` | %s | %s |%n",
              property.get("name").asString(),
              value.isMissingNode() ? "–" : "`" + value.asString() + "`",
              sentence(property.get("description").asString()) + choices(property)));
    }
    return table.toString();
  }

  private static String sentence(String description) {
    Matcher code = CODE.matcher(description);
    String text = code.replaceAll(match -> Matcher.quoteReplacement("`" + match.group(1) + "`"));
    text = text.replace("|", "\\|");
    text = text.substring(0, 1).toUpperCase(Locale.ROOT) + text.substring(1);
    return text.endsWith(".") ? text : text + ".";
  }

  /** The values of a setting that takes one of a few. */
  private static String choices(JsonNode property) {
    try {
      Object[] constants = Class.forName(property.get("type").asString()).getEnumConstants();
      return constants == null
          ? ""
          : Arrays.stream(constants)
              .map(constant -> "`" + constant.toString().toLowerCase(Locale.ROOT) + "`")
              .collect(Collectors.joining(", ", " One of ", "."));
    } catch (ClassNotFoundException e) {
      // A type with parameters, which is no class by that name.
      return "";
    }
  }
}
