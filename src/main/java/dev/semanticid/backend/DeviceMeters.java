package dev.semanticid.backend;

import dev.semanticid.core.compute.ComputeBackend;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import org.springframework.stereotype.Component;

/** What the backend has of its device. */
@Component
class DeviceMeters {

  DeviceMeters(ComputeBackend backend, MeterRegistry meters) {
    Gauge.builder("semantic_id.device.memory", backend, ComputeBackend::deviceBytes)
        .description("Memory taken on the GPU by the backend cuda, 0 without it")
        .baseUnit("bytes")
        .register(meters);
    Gauge.builder("semantic_id.device.failed", backend, b -> b.failure() == null ? 0 : 1)
        .description("Whether the GPU has failed since the start")
        .register(meters);
  }
}
