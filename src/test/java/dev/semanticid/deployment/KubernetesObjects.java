package dev.semanticid.deployment;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.kubernetes.client.openapi.JSON;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * What Kubernetes would say of objects: those of Kubernetes itself by the models of its client,
 * those of the Prometheus operator by the fields of theirs that this chart may use.
 */
final class KubernetesObjects {

  private static final String OPERATOR = "monitoring.coreos.com/v1";

  /** Fields by the path of what has them; items of lists are under {@code []}. */
  private static final Map<String, Set<String>> OPERATOR_FIELDS =
      Map.of(
          "", Set.of("apiVersion", "kind", "metadata", "spec"),
          ".metadata", Set.of("name", "namespace", "labels", "annotations"),
          ".spec", Set.of("selector", "endpoints", "groups"),
          ".spec.selector", Set.of("matchLabels"),
          ".spec.endpoints[]", Set.of("port", "path", "interval", "relabelings"),
          ".spec.endpoints[].relabelings[]", Set.of("targetLabel", "replacement"),
          ".spec.groups[]", Set.of("name", "rules"),
          ".spec.groups[].rules[]", Set.of("alert", "expr", "for", "labels", "annotations"));

  private static final Set<String> FREE_FIELDS = Set.of("labels", "annotations", "matchLabels");

  private KubernetesObjects() {}

  /** What is wrong with an object; nothing if it is as it should be. */
  static List<String> faults(Map<String, Object> object) {
    JsonElement json = JsonParser.parseString(JSON.serialize(object));
    String apiVersion = String.valueOf(object.get("apiVersion"));
    var faults = new ArrayList<String>();
    if (apiVersion.equals(OPERATOR)) {
      operatorFaults("", json, faults);
    } else {
      String version = apiVersion.substring(apiVersion.indexOf('/') + 1);
      String model =
          "io.kubernetes.client.openapi.models.V" + version.substring(1) + object.get("kind");
      try {
        Object parsed = JSON.getGson().fromJson(json, Class.forName(model));
        // Gson takes "1" for 1. What is written again has the type that it should have had.
        differences("", json, JsonParser.parseString(JSON.serialize(parsed)), faults);
      } catch (ClassNotFoundException e) {
        faults.add("Kubernetes has no %s %s".formatted(apiVersion, object.get("kind")));
      } catch (RuntimeException e) {
        faults.add(String.valueOf(e.getMessage()));
      }
    }
    return faults;
  }

  private static void differences(
      String path, JsonElement given, JsonElement known, List<String> faults) {
    if (given instanceof JsonObject object && known instanceof JsonObject other) {
      var names = new TreeSet<>(object.keySet());
      names.addAll(other.keySet());
      for (String name : names) {
        if (object.has(name) && other.has(name)) {
          differences(path + "." + name, object.get(name), other.get(name), faults);
        } else if (!isEmpty(object.has(name) ? object.get(name) : other.get(name))) {
          faults.add("%s.%s is not what Kubernetes would keep".formatted(path, name));
        }
      }
    } else if (given.isJsonArray() && known.isJsonArray()) {
      if (given.getAsJsonArray().size() != known.getAsJsonArray().size()) {
        faults.add(path + " has another length");
        return;
      }
      for (int i = 0; i < given.getAsJsonArray().size(); i++) {
        differences(
            String.format(Locale.ROOT, "%s[%d]", path, i),
            given.getAsJsonArray().get(i),
            known.getAsJsonArray().get(i),
            faults);
      }
    } else if (!given.equals(known)) {
      faults.add("%s is %s and should be %s".formatted(path, given, known));
    }
  }

  private static boolean isEmpty(JsonElement value) {
    return value.isJsonNull()
        || (value.isJsonArray() && value.getAsJsonArray().isEmpty())
        || (value.isJsonObject() && value.getAsJsonObject().isEmpty());
  }

  private static void operatorFaults(String path, JsonElement value, List<String> faults) {
    if (value.isJsonArray()) {
      value.getAsJsonArray().forEach(item -> operatorFaults(path + "[]", item, faults));
    } else if (value instanceof JsonObject object) {
      Set<String> known = OPERATOR_FIELDS.getOrDefault(path, Set.of());
      for (Map.Entry<String, JsonElement> field : object.entrySet()) {
        if (!known.contains(field.getKey())) {
          faults.add("%s has no field %s".formatted(path, field.getKey()));
        } else if (FREE_FIELDS.contains(field.getKey())) {
          field
              .getValue()
              .getAsJsonObject()
              .entrySet()
              .forEach(entry -> text(path + "." + entry.getKey(), entry.getValue(), faults));
        } else {
          operatorFaults(path + "." + field.getKey(), field.getValue(), faults);
        }
      }
    } else {
      text(path, value, faults);
    }
  }

  /** Every leaf of these kinds that the chart sets is text. */
  private static void text(String path, JsonElement value, List<String> faults) {
    if (!value.isJsonPrimitive() || !value.getAsJsonPrimitive().isString()) {
      faults.add("%s is %s and should be text".formatted(path, value));
    }
  }
}
