package dev.semanticid.format;

import java.util.List;
import java.util.Map;

/** A parsed JSON value; immutable. */
sealed interface JsonValue {

  /** An object; the map keeps the order of the text. */
  record Members(Map<String, JsonValue> byName) implements JsonValue {}

  record Items(List<JsonValue> values) implements JsonValue {}

  record Text(String value) implements JsonValue {}

  /** A number as it was written, which JSON does not bound. */
  record Digits(String literal) implements JsonValue {}

  enum Constant implements JsonValue {
    TRUE,
    FALSE,
    NULL
  }
}
