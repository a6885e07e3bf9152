package dev.semanticid.service;

import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Tests on PostgreSQL run where a Docker engine answers. In effect where JUnit is told to detect
 * extensions.
 */
public final class StoreCondition implements ExecutionCondition {

  @Override
  public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
    if (!TestStore.POSTGRES || PostgresServer.isPossible()) {
      return ConditionEvaluationResult.enabled("the database is there");
    }
    return ConditionEvaluationResult.disabled("no Docker engine answers");
  }
}
