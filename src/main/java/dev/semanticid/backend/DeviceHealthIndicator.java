package dev.semanticid.backend;

import dev.semanticid.core.compute.ComputeBackend;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.stereotype.Component;

/** Ready as long as the backend computes, be it instead of a device that failed. */
@Component("device")
class DeviceHealthIndicator implements HealthIndicator {

  private final ComputeBackend backend;

  DeviceHealthIndicator(ComputeBackend backend) {
    this.backend = backend;
  }

  @Override
  public Health health() {
    Health.Builder health = backend.available() ? Health.up() : Health.outOfService();
    String failure = backend.failure();
    if (failure != null) {
      health.withDetail("failure", failure);
    }
    return health.withDetail("backend", backend.name()).withDetail("on", backend.device()).build();
  }
}
