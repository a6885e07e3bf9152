package dev.semanticid.store;

import org.flywaydb.core.api.exception.FlywayValidateException;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.diagnostics.AbstractFailureAnalyzer;
import org.springframework.boot.diagnostics.FailureAnalysis;

/**
 * Says what to do about a database whose schema is not one that this version of the service had.
 */
class SchemaFailureAnalyzer extends AbstractFailureAnalyzer<FlywayValidateException> {

  @Override
  protected @Nullable FailureAnalysis analyze(Throwable root, FlywayValidateException cause) {
    return new FailureAnalysis(
        "The database was changed by a newer version of the service, or by hand: "
            + cause.getMessage(),
        "Start the newer version, or this one on another database; nothing was changed in this"
            + " one.",
        cause);
  }
}
