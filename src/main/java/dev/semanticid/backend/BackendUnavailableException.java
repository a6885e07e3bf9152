package dev.semanticid.backend;

import dev.semanticid.settings.SemanticIdProperties;
import java.util.Locale;

/** The backend that was asked for cannot be started. */
class BackendUnavailableException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  /**
   * @param backend as the setting has it
   * @param cause why
   */
  BackendUnavailableException(SemanticIdProperties.Backend backend, Throwable cause) {
    super(
        "semantic-id.backend is %s and cannot be: %s"
            .formatted(backend.name().toLowerCase(Locale.ROOT), cause.getMessage()),
        cause);
  }
}
