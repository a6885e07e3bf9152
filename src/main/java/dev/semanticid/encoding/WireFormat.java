package dev.semanticid.encoding;

import dev.semanticid.system.ProblemCode;
import dev.semanticid.system.ProblemException;
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
    double bestQuality = 0;
    try {
      for (MediaType range : MediaType.parseMediaTypes(accept)) {
        for (WireFormat format : values()) {
          if (range.includes(format.mediaType()) && range.getQualityValue() > bestQuality) {
            best = format;
            bestQuality = range.getQualityValue();
          }
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
}
