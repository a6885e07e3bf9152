package dev.semanticid.core.encode.plan;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.compute.ComputeBackend;
import dev.semanticid.core.compute.DeviceEncoder;
import dev.semanticid.core.compute.DeviceFailedException;
import dev.semanticid.core.encode.loop.ResidualLoop;
import org.jspecify.annotations.Nullable;

/**
 * Encodes on the device, by the bounds of {@link Float32Plan}; what they leave open is decided by
 * the loop. Once the device has failed, that plan takes over, if the backend still computes.
 */
public final class DevicePlan implements EncodingPlan {

  private final StackedCodebook stacked;
  private final Codebook codebook;
  private final DeviceEncoder encoder;
  private final ComputeBackend backend;
  private @Nullable Float32Plan instead;

  public DevicePlan(StackedCodebook stacked, DeviceEncoder encoder, ComputeBackend backend) {
    this.stacked = stacked;
    this.codebook = stacked.codebook;
    this.encoder = encoder;
    this.backend = backend;
  }

  private synchronized Float32Plan instead() {
    Float32Plan plan = instead;
    if (plan == null) {
      plan = new Float32Plan(stacked, backend);
      instead = plan;
    }
    return plan;
  }

  @Override
  public String name() {
    return "device";
  }

  @Override
  public int blockRows() {
    return encoder.blockRows();
  }

  @Override
  public long bytes() {
    return encoder.bytes();
  }

  @Override
  public Worker newWorker() {
    return new DeviceWorker();
  }

  @Override
  public synchronized void close() {
    encoder.close();
    if (instead != null) {
      instead.close();
    }
  }

  private final class DeviceWorker implements Worker {

    private final ResidualLoop loop = new ResidualLoop(codebook.dimension(), codebook.settings());
    private @Nullable Worker worker;

    @Override
    public int encode(float[] vectors, int offset, int n, int[] codes, int codesBegin) {
      if (worker == null) {
        try {
          encoder.encode(vectors, offset, n, codes, codesBegin);
          return finish(vectors, offset, n, codes, codesBegin);
        } catch (DeviceFailedException e) {
          worker = instead().newWorker();
        }
      }
      return worker.encode(vectors, offset, n, codes, codesBegin);
    }

    /** Decides what is open; returns how many decisions that were. */
    private int finish(float[] vectors, int offset, int n, int[] codes, int codesBegin) {
      int levels = codebook.levels();
      int decided = 0;
      for (int row = 0; row < n; row++) {
        int begin = codesBegin + row * levels;
        if (codes[begin + levels - 1] == DeviceEncoder.OPEN) {
          loop.begin(vectors, offset + row * codebook.dimension(), 1);
          for (int l = 0; l < levels; l++) {
            loop.enter(l);
            if (codes[begin + l] == DeviceEncoder.OPEN) {
              codes[begin + l] = codebook.centroids(l).nearest(loop.residuals(), 0);
              decided++;
            }
            loop.leave(codebook.centroids(l).data(), codes, begin + l, levels);
          }
        }
      }
      return decided;
    }
  }
}
