package dev.semanticid.codebook;

import dev.semanticid.settings.SemanticIdProperties;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.stereotype.Component;

/**
 * Ready when a version of every codebook with an active one is served: if not that one, then the
 * one before it, which a detail says. An empty store is ready too, so that {@code /train} can be
 * reached, unless {@code semantic-id.readiness.require-codebook} says otherwise.
 */
@Component("codebooks")
class CodebooksHealthIndicator implements HealthIndicator {

  private final CodebookRegistry registry;
  private final boolean requireCodebook;

  CodebooksHealthIndicator(CodebookRegistry registry, SemanticIdProperties properties) {
    this.registry = registry;
    this.requireCodebook = properties.readiness().requireCodebook();
  }

  @Override
  public Health health() {
    var residents = registry.residents();
    var unserved = registry.unserved();
    boolean ready = unserved.isEmpty() && !(requireCodebook && residents.isEmpty());
    Health.Builder health = ready ? Health.up() : Health.outOfService();
    for (var resident : residents) {
      health.withDetail(
          resident.codebook() + "/" + resident.version(), "serving " + resident.fingerprint());
    }
    unserved.forEach((name, reason) -> health.withDetail(name, "not served, " + reason));
    registry.degraded().forEach((name, reason) -> health.withDetail(name, "degraded, " + reason));
    if (residents.isEmpty() && unserved.isEmpty()) {
      health.withDetail("store", "holds no active codebook");
    }
    return health.build();
  }
}
