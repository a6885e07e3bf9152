package dev.semanticid.encode;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.http.InvalidMediaTypeException;
import org.springframework.http.MediaType;

/** The formats that embeddings arrive in and codes leave in, by media type. */
enum WireFormat {
  JSON("application/json"),
  OCTET_STREAM("application/octet-stream"),
  NPY("application/x-npy");

  private final String name;

  @SuppressWarnings("ImmutableEnumChecker") // it is, and says so
  private final MediaType mediaType;

  WireFormat(String name) {
    this.name = name;
    this.mediaType = MediaType.parseMediaType(name);
  }

  /** The media type as headers write it. */
  String mediaTypeName() {
    return name;
  }

  private MediaType mediaType() {
    return mediaType;
  }

  /** The format of a request's body. */
  static WireFormat ofContentType(@Nullable String contentType) {
    if (contentType != null) {
      for (WireFormat format : values()) {
        if (format.name.equals(contentType)) {
          return format;
        }
      }
      try {
        MediaType type = MediaType.parseMediaType(contentType);
        for (WireFormat format : values()) {
          if (format.mediaType().equalsTypeAndSubtype(type)) {
            return format;
          }
        }
      } catch (InvalidMediaTypeException e) {
        // refused below, as any other type
      }
    }
    throw new ProblemException(
        ProblemCode.UNSUPPORTED_MEDIA_TYPE,
        "Content-Type must be application/json, application/octet-stream or application/x-npy, got "
            + (contentType == null ? "none" : contentType));
  }

  /**
   * The format of an answer: of those that the client accepts, the one it likes best; JSON if it
   * does not care.
   */
  static WireFormat ofAccept(@Nullable String accept) {
    if (accept == null || accept.isBlank()) {
      return JSON;
    }
    Match best = new Match(null, 0, 0, 0);
    try {
      List<MediaType> ranges = MediaType.parseMediaTypes(accept);
      for (WireFormat format : values()) {
        Match match = Match.of(format, ranges);
        if (match.isBetterThan(best)) {
          best = match;
        }
      }
    } catch (InvalidMediaTypeException e) {
      // refused below, as where nothing matches
    }
    if (best.format() == null) {
      throw new ProblemException(
          ProblemCode.NOT_ACCEPTABLE,
          "answers are application/json, application/octet-stream or application/x-npy, accepted is"
              + " "
              + accept);
    }
    return best.format();
  }

  /**
   * How well a format is accepted: by the weight of the most specific range that includes it (RFC
   * 9110, section 12.5.1), then by how specific that is, then by its place.
   */
  private record Match(@Nullable WireFormat format, double weight, int specificity, int place) {

    static Match of(WireFormat format, List<MediaType> ranges) {
      Match match = new Match(format, 0, -1, 0);
      for (int i = 0; i < ranges.size(); i++) {
        MediaType range = ranges.get(i);
        int specificity = range.isWildcardType() ? 0 : range.isWildcardSubtype() ? 1 : 2;
        if (range.includes(format.mediaType()) && specificity > match.specificity) {
          match = new Match(format, range.getQualityValue(), specificity, i);
        }
      }
      return match;
    }

    boolean isBetterThan(Match other) {
      if (weight != other.weight || other.format == null) {
        return weight > other.weight;
      }
      if (specificity != other.specificity) {
        return specificity > other.specificity;
      }
      return place < other.place;
    }
  }
}
