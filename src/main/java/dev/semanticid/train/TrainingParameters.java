package dev.semanticid.train;

import dev.semanticid.codebook.CodebookRegistry;
import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.report.HoldoutSplit;
import dev.semanticid.core.train.Algorithm;
import dev.semanticid.core.train.CentroidInitializer;
import dev.semanticid.core.train.ResidualQuantizerConfig;
import dev.semanticid.core.train.ResidualQuantizerTrainer;
import dev.semanticid.problem.PlainText;
import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.source.SourceSpec;
import dev.semanticid.source.SourceSpec.OnBadRow;
import dev.semanticid.train.TrainingRequest.Activation;
import dev.semanticid.train.TrainingRequest.QualityGate;
import dev.semanticid.web.QueryParameters;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The parameters of {@code POST /train} as they came, from the query or from a JSON body, and what
 * they mean.
 */
final class TrainingParameters {

  /** The name of the share of rows that is kept from training. */
  static final String HOLDOUT_FRACTION = "holdout_fraction";

  /** Stands for the number of rows of data that have not been opened: more than are trained on. */
  static final long ANY_ROWS = Integer.MAX_VALUE;

  /** The address of the source, which is checked where it is read. */
  private static final String SOURCE_URI = "source.uri";

  /** The most elements of an array. */
  private static final int LARGEST_ARRAY = Integer.MAX_VALUE - 8;

  /** The name of the version to begin with. */
  static final String INIT_FROM = "init_from";

  /** Names that may come in the query beside a body of embeddings. */
  static final Set<String> QUERY =
      Set.of(
          "codebook",
          "algorithm",
          "tolerance",
          "refine",
          "beam_size",
          "balance",
          "embedding_dim",
          "num_hierarchies",
          "codebook_width",
          "init_buffer_size",
          "batch_size",
          "max_steps",
          "learning_rate",
          "normalize_residuals",
          "train_layer_wise",
          "track_residuals",
          "shuffle",
          "initializer",
          "seed",
          INIT_FROM,
          HOLDOUT_FRACTION,
          "activate",
          "quality_gate.min_unique_ratio",
          "quality_gate.max_dead_codes",
          "quality_gate.max_holdout_mse",
          "embedding_model",
          "on_bad_row",
          "dtype");

  /** Those whose value is a string, whatever it looks like. */
  private static final Set<String> TEXTS =
      Set.of("codebook", "embedding_model", "dtype", INIT_FROM);

  private static final Set<String> GATE =
      Set.of("min_unique_ratio", "max_dead_codes", "max_holdout_mse");

  private static final Set<String> SOURCE = Set.of("uri", "tensor", "column");

  private final Map<String, JsonNode> values;

  private TrainingParameters(Map<String, JsonNode> values) {
    this.values = values;
  }

  /**
   * From a query; a value that reads as a JSON scalar is one, widths may be separated by commas.
   */
  static TrainingParameters ofQuery(Map<String, String[]> query, JsonMapper json) {
    QueryParameters.requireKnown(query.keySet(), QUERY);
    var values = new HashMap<String, JsonNode>();
    query.forEach((name, given) -> {
      if (given.length != 1) {
        throw invalid(name, "be given once", given.length + " times");
      }
      values.put(name, scalar(name, given[0], json));
    });
    return new TrainingParameters(values);
  }

  private static JsonNode scalar(String name, String text, JsonMapper json) {
    if (name.equals("codebook_width") && text.contains(",")) {
      var widths = json.createArrayNode();
      Arrays.stream(text.split(",", -1))
          .forEach(width -> widths.add(scalar("", width.strip(), json)));
      return widths;
    }
    if (!TEXTS.contains(name)
        && text.matches("-?[0-9]+(\\.[0-9]+)?([eE][-+]?[0-9]+)?|true|false")) {
      try {
        return json.readTree(text);
      } catch (RuntimeException e) {
        // a number that JSON does not know, such as 007: refused as the string it is
      }
    }
    return json.getNodeFactory().stringNode(text);
  }

  /** From a JSON object, whose {@code quality_gate} is an object. */
  static TrainingParameters ofJson(JsonNode body) {
    if (!body.isObject()) {
      throw new ProblemException(
          ProblemCode.MALFORMED_JSON, "expected a JSON object with \"source\" and parameters");
    }
    var values = new HashMap<String, JsonNode>();
    for (Map.Entry<String, JsonNode> member : body.properties()) {
      String name = member.getKey();
      if (name.equals("quality_gate")) {
        flatten(name, member.getValue(), GATE, values);
      } else if (name.equals("source")) {
        flatten(name, member.getValue(), SOURCE, values);
      } else {
        if (!QUERY.contains(name) || name.equals("dtype")) {
          var known = new ArrayList<>(QUERY);
          known.remove("dtype");
          known.add("source");
          QueryParameters.requireKnown(List.of(name), known);
        }
        values.put(name, member.getValue());
      }
    }
    return new TrainingParameters(values);
  }

  private static void flatten(
      String name, JsonNode value, Set<String> known, Map<String, JsonNode> values) {
    if (!value.isObject()) {
      throw invalid(name, "be an object with " + known, value.toString());
    }
    for (Map.Entry<String, JsonNode> member : value.properties()) {
      QueryParameters.requireKnown(List.of(member.getKey()), known);
      values.put(name + "." + member.getKey(), member.getValue());
    }
  }

  /** As {@link #stored} gave them. */
  static TrainingParameters ofStored(Map<String, JsonNode> values) {
    return new TrainingParameters(values);
  }

  /** The parameters by name, to be kept; the source apart. */
  Map<String, JsonNode> stored() {
    var stored = new TreeMap<>(values);
    stored.keySet().removeIf(name -> name.startsWith("source."));
    return stored;
  }

  /** The source, if one is named. */
  Optional<SourceSpec> source() {
    return string(SOURCE_URI)
        .map(uri ->
            new SourceSpec(
                uri,
                string("source.tensor").orElse(null),
                string("source.column").orElse(null),
                null));
  }

  /** What to do with a row that is no vector. */
  OnBadRow onBadRow() {
    return OnBadRow.of(string("on_bad_row").orElse("fail"));
  }

  /** A string, if given. */
  Optional<String> string(String name) {
    return value(
        name,
        "be a string without control characters and line breaks",
        node ->
            node.isString() && (name.equals(SOURCE_URI) || PlainText.isOneLine(node.asString()))
                ? node.asString()
                : null);
  }

  /** A whole number, if given. */
  Optional<Integer> integer(String name) {
    return value(
        name,
        "be a whole number below 2³¹",
        node -> node.isIntegralNumber() && node.canConvertToInt() ? node.asInt() : null);
  }

  private Optional<Boolean> bool(String name) {
    return value(name, "be true or false", node -> node.isBoolean() ? node.asBoolean() : null);
  }

  private Optional<Double> number(String name) {
    return value(name, "be a number", node -> node.isNumber() ? node.asDouble() : null);
  }

  private <T> Optional<T> value(
      String name, String expected, Function<JsonNode, @Nullable T> read) {
    JsonNode node = values.get(name);
    if (node == null || node.isNull()) {
      return Optional.empty();
    }
    T value = read.apply(node);
    if (value == null) {
      throw invalid(name, expected, node.toString());
    }
    return Optional.of(value);
  }

  private static ProblemException invalid(String name, String expected, String actual) {
    return new ProblemException(
            ProblemCode.INVALID_PARAMETER, "%s must %s, got %s".formatted(name, expected, actual))
        .with("parameter", name);
  }

  /** The codebook to make a version of. */
  String codebook() {
    return CodebookRegistry.requireName("codebook", string("codebook").orElse("default"));
  }

  /** The version to begin with, a number or an alias, if one is named. */
  Optional<String> initFrom() {
    Optional<String> given =
        value(
            INIT_FROM,
            "be the number of a version or an alias",
            node -> node.isString() || node.isIntegralNumber() ? node.asString() : null);
    given.ifPresent(version -> CodebookRegistry.requireName(INIT_FROM, version));
    return given;
  }

  private List<Integer> widths(@Nullable StartVersion start) {
    JsonNode node = values.get("codebook_width");
    Optional<Integer> hierarchies = integer("num_hierarchies");
    if (hierarchies.isPresent() && (hierarchies.get() < 1 || hierarchies.get() > 64)) {
      throw invalid("num_hierarchies", "be 1 to 64", hierarchies.get().toString());
    }
    if (node != null && node.isArray()) {
      var widths = new ArrayList<Integer>();
      for (JsonNode width : node) {
        if (!width.isIntegralNumber() || !width.canConvertToInt()) {
          throw invalid("codebook_width", "be a whole number or one per level", node.toString());
        }
        widths.add(width.asInt());
      }
      if (widths.isEmpty() || widths.size() > 64) {
        throw invalid("codebook_width", "have 1 to 64 levels", Integer.toString(widths.size()));
      }
      if (hierarchies.isPresent() && hierarchies.get() != widths.size()) {
        throw invalid(
            "codebook_width",
            String.format(
                Locale.ROOT,
                "have one width for each of the %d num_hierarchies",
                hierarchies.get()),
            Integer.toString(widths.size()));
      }
      return widths;
    }
    Optional<Integer> width = integer("codebook_width");
    if (start != null) {
      int levels = hierarchies.orElse(start.codebook().levels());
      return width.isEmpty() && levels == start.codebook().levels()
          ? start.codebook().widths()
          : Collections.nCopies(levels, width.orElse(start.codebook().width(0)));
    }
    return Collections.nCopies(hierarchies.orElse(3), width.orElse(256));
  }

  /**
   * Refuses data whose header announces a shape that no training can have. It takes no time in
   * proportion to the rows: whether as many come as are announced is not known yet, and {@link
   * #request} follows when they have come.
   *
   * @throws ProblemException if a parameter cannot be, or does not fit the data
   */
  void requireFitting(long rows, int dimension, @Nullable StartVersion start) {
    request(rows, dimension, start, false);
  }

  /**
   * The request that the parameters make for data of a known shape.
   *
   * @param start the version to begin with, whose shape and settings are the defaults
   * @throws ProblemException if a parameter cannot be, or does not fit the data
   */
  TrainingRequest request(long rows, int dimension, @Nullable StartVersion start) {
    return request(rows, dimension, start, true);
  }

  /**
   * @param counted whether the rows held out are counted, which takes a moment for each million
   */
  private TrainingRequest request(
      long rows, int dimension, @Nullable StartVersion start, boolean counted) {
    Algorithm algorithm =
        choice("algorithm", Algorithm.values()).orElse(Algorithm.MINIBATCH_KMEANS);
    Optional<Integer> stated = integer("embedding_dim");
    if (stated.isPresent() && stated.get() != dimension) {
      throw new ProblemException(
              ProblemCode.DIMENSION_MISMATCH,
              String.format(
                  Locale.ROOT,
                  "embedding_dim is %d, the data has dimension %d",
                  stated.get(),
                  dimension))
          .with("expected", stated.get())
          .with("actual", dimension);
    }
    requirePossible(counted ? rows : 0, dimension);
    // Of any dimension: no default depends on it.
    ResidualQuantizerConfig defaults = ResidualQuantizerConfig.reference(1);
    List<Integer> widths = widths(start);
    boolean normalize =
        bool("normalize_residuals")
            .orElse(
                start == null
                    ? defaults.normalizeResiduals()
                    : start.codebook().normalizeResiduals());
    if (start != null) {
      start.requireDimension(dimension);
      start.requireSame(widths, normalize);
    }
    int batchSize = integer("batch_size").orElse(defaults.batchSize());
    int bufferSize =
        integer("init_buffer_size")
            .orElse(Math.max(defaults.initBufferSize(), Collections.max(widths)));
    requireArray("codebook_width", Collections.max(widths), dimension);
    requireArray("init_buffer_size", bufferSize, dimension);
    requireArray("batch_size", batchSize, dimension);
    long seed =
        value(
                "seed",
                "be a whole number below 2⁶³",
                node -> node.isIntegralNumber() && node.canConvertToLong() ? node.asLong() : null)
            .orElse(defaults.seed());
    ResidualQuantizerConfig config;
    HoldoutSplit holdout;
    long holdoutRows;
    QualityGate gate;
    try {
      holdout = new HoldoutSplit(number(HOLDOUT_FRACTION).orElse(0.0), seed);
      holdoutRows = counted && rows < ANY_ROWS ? holdout.count(rows) : 0;
      gate =
          new QualityGate(
              number("quality_gate.min_unique_ratio").orElse(null),
              integer("quality_gate.max_dead_codes").orElse(null),
              number("quality_gate.max_holdout_mse").orElse(null));
      config =
          new ResidualQuantizerConfig(
              dimension,
              widths,
              bufferSize,
              batchSize,
              integer("max_steps")
                  .orElse(
                      ResidualQuantizerConfig.defaultMaxSteps(
                          algorithm,
                          rows - holdoutRows,
                          Math.max(1, batchSize),
                          widths.size(),
                          start != null)),
              number("learning_rate").orElse(defaults.learningRate()),
              normalize,
              bool("train_layer_wise").orElse(defaults.trainLayerWise()),
              bool("track_residuals").orElse(defaults.trackResiduals()),
              bool("shuffle").orElse(defaults.shuffle()),
              choice("initializer", CentroidInitializer.values()).orElse(defaults.initializer()),
              seed,
              algorithm,
              number("tolerance").orElse(defaults.tolerance()),
              integer("refine").orElse(defaults.refine()),
              integer("beam_size")
                  .orElse(start == null ? 1 : start.codebook().settings().beamSize()),
              bool("balance").orElse(start != null && start.codebook().weighted()));
    } catch (IllegalArgumentException e) {
      throw new ProblemException(ProblemCode.INVALID_PARAMETER, String.valueOf(e.getMessage()));
    }
    onBadRow();
    requireRows(rows, holdoutRows, config, start != null);
    if (holdout.fraction() > 0 && counted && holdoutRows == 0 && rows < ANY_ROWS) {
      throw new ProblemException(
              ProblemCode.TOO_FEW_ROWS,
              String.format(
                  Locale.ROOT,
                  "%s %s holds out none of the %d rows; at least one is needed to report on",
                  HOLDOUT_FRACTION,
                  holdout.fraction(),
                  rows))
          .with("expected", 1)
          .with("actual", 0);
    }
    if (holdout.fraction() == 0 && gate.maxHoldoutMse() != null) {
      throw new ProblemException(
          ProblemCode.HOLDOUT_REQUIRED,
          "quality_gate.max_holdout_mse %s needs a %s above 0, got 0"
              .formatted(gate.maxHoldoutMse(), HOLDOUT_FRACTION));
    }
    return new TrainingRequest(
        codebook(),
        start,
        config,
        holdout,
        rows - holdoutRows,
        holdoutRows,
        activation(),
        gate,
        string("embedding_model").orElse(null));
  }

  /** Refuses a shape that no training can have, before anything is computed from it. */
  private static void requirePossible(long rows, int dimension) {
    if (dimension > Codebook.MOST_DIMENSION) {
      throw new ProblemException(
              ProblemCode.DIMENSION_MISMATCH,
              String.format(
                  Locale.ROOT,
                  "a codebook may have dimension %d, the data has %d",
                  Codebook.MOST_DIMENSION,
                  dimension))
          .with("expected", Codebook.MOST_DIMENSION)
          .with("actual", dimension);
    }
    if (rows > ANY_ROWS) {
      throw new ProblemException(
              ProblemCode.MEMORY_BUDGET_EXCEEDED,
              String.format(
                  Locale.ROOT, "a training takes at most %d rows, the data has %d", ANY_ROWS, rows))
          .with("expected", ANY_ROWS)
          .with("actual", rows);
    }
  }

  /** Refuses rows × dimension that no array can hold; other values are checked with the rest. */
  private static void requireArray(String name, int rows, int dimension) {
    long components = (long) rows * dimension;
    if (rows <= LARGEST_ARRAY && components > LARGEST_ARRAY) {
      throw new ProblemException(
              ProblemCode.MEMORY_BUDGET_EXCEEDED,
              String.format(
                  Locale.ROOT,
                  "%s %d × dimension %d is %d components, %d fit in memory",
                  name,
                  rows,
                  dimension,
                  components,
                  LARGEST_ARRAY))
          .with("parameter", name)
          .with("expected", LARGEST_ARRAY)
          .with("actual", components);
    }
  }

  private static void requireRows(
      long rows, long holdoutRows, ResidualQuantizerConfig config, boolean continued) {
    long fewest = ResidualQuantizerTrainer.fewestRows(config, continued);
    if (rows - holdoutRows < fewest) {
      String left =
          holdoutRows == 0
              ? ""
              : String.format(Locale.ROOT, ", of which %d are held out", holdoutRows);
      throw new ProblemException(
              ProblemCode.TOO_FEW_ROWS,
              String.format(
                  Locale.ROOT,
                  "a codebook of width %d needs at least %d rows to train on, the data has %d%s",
                  Collections.max(config.codebookWidths()),
                  fewest,
                  rows,
                  left))
          .with("expected", fewest)
          .with("actual", rows - holdoutRows);
    }
  }

  private Activation activation() {
    return choice("activate", Activation.values()).orElse(Activation.IF_PASSES);
  }

  /** One of some constants, by its name in lower case. */
  private <E extends Enum<E>> Optional<E> choice(String parameter, E[] constants) {
    Optional<String> given = string(parameter);
    if (given.isEmpty()) {
      return Optional.empty();
    }
    for (E constant : constants) {
      if (wireName(constant).equals(given.get())) {
        return Optional.of(constant);
      }
    }
    List<String> names = Arrays.stream(constants).map(TrainingParameters::wireName).toList();
    throw invalid(
        parameter,
        "be %s or %s"
            .formatted(String.join(", ", names.subList(0, names.size() - 1)), names.getLast()),
        given.get());
  }

  /** A constant's name in JSON: {@code kmeans_plus_plus}, {@code lloyd}, … */
  static String wireName(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT);
  }
}
