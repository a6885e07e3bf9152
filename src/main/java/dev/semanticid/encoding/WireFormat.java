package dev.semanticid.encoding;

import dev.semanticid.system.ProblemCode;
import dev.semanticid.system.ProblemException;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.http.InvalidMediaTypeException;
import org.springframework.http.MediaType;

/** The formats that embeddings arrive in and codes leave in, by media type. */
enum WireFormat {
  JSON("application/json"),
  OCTET_STREAM("application/octet-stream"),
  NPY("application/x-npy");

  private final String mediaType;

  WireFormat(String mediaType) {
    this.mediaType = mediaType;
  }

  MediaType mediaType() {
    return MediaType.parseMediaType(mediaType);
  }

  /** The format of a request's body. */
  static WireFormat ofContentType(@Nullable String contentType) {
    if (contentType != null) {
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
    WireFormat best = null;
    double bestWeight = 0;
    try {
      List<MediaType> ranges = MediaType.parseMediaTypes(accept);
      for (WireFormat format : values()) {
        double weight = weight(format.mediaType(), ranges);
        if (weight > bestWeight) {
          best = format;
          bestWeight = weight;
        }
      }
    } catch (InvalidMediaTypeException e) {
      best = null;
    }
    if (best == null) {
      throw new ProblemException(
          ProblemCode.NOT_ACCEPTABLE,
          "answers are application/json, application/octet-stream or application/x-npy, accepted is"
              + " "
              + accept);
    }
    return best;
  }

  /** The weight of the most specific range that includes the type (RFC 9110, section 12.5.1). */
  private static double weight(MediaType type, List<MediaType> ranges) {
    double weight = 0;
    int specificity = -1;
    for (MediaType range : ranges) {
      int found = range.isWildcardType() ? 0 : range.isWildcardSubtype() ? 1 : 2;
      if (range.includes(type) && found > specificity) {
        specificity = found;
        weight = range.getQualityValue();
      }
    }
    return weight;
  }
}
