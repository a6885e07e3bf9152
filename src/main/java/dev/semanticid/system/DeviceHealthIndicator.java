package dev.semanticid.system;

import dev.semanticid.core.compute.ComputeBackend;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.stereotype.Component;

/** Ready as long as the backend computes. */
@Component("device")
class DeviceHealthIndicator implements HealthIndicator {

  private final ComputeBackend backend;

  DeviceHealthIndicator(ComputeBackend backend) {
    this.backend = backend;
  }

  @Override
  public Health health() {
    String failure = backend.failure();
    Health.Builder health =
        failure == null ? Health.up() : Health.outOfService().withDetail("failure", failure);
    return health.withDetail("backend", backend.name()).withDetail("on", backend.device()).build();
  }
}
