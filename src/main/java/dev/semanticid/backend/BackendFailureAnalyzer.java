package dev.semanticid.backend;

import org.jspecify.annotations.Nullable;
import org.springframework.boot.diagnostics.AbstractFailureAnalyzer;
import org.springframework.boot.diagnostics.FailureAnalysis;

/** Says why there is no backend as asked for, and what else there is. */
class BackendFailureAnalyzer extends AbstractFailureAnalyzer<BackendUnavailableException> {

  @Override
  protected @Nullable FailureAnalysis analyze(Throwable root, BackendUnavailableException cause) {
    return new FailureAnalysis(
        cause.getMessage(),
        "Mend that, or set semantic-id.backend to auto, which takes the first of cuda, nd4j and cpu"
            + " that starts.",
        cause);
  }
}
