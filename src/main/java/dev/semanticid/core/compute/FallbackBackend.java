package dev.semanticid.core.compute;

import java.util.Arrays;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Computes on a device until that fails, and from then on with another backend. */
public final class FallbackBackend implements ComputeBackend {

  private final ComputeBackend device;
  private final Supplier<ComputeBackend> other;
  private final Consumer<DeviceFailedException> onFailure;
  private @Nullable DeviceFailedException failure;
  private volatile @Nullable ComputeBackend substitute;

  /**
   * @param device what computes at first; closed with this object
   * @param other what computes after it failed; asked for then, and closed with this object
   * @param onFailure hears of the failure, once
   */
  public FallbackBackend(
      ComputeBackend device,
      Supplier<ComputeBackend> other,
      Consumer<DeviceFailedException> onFailure) {
    this.device = device;
    this.other = other;
    this.onFailure = onFailure;
  }

  private synchronized ComputeBackend failed(DeviceFailedException e) {
    ComputeBackend known = substitute;
    if (known != null) {
      return known;
    }
    failure = e;
    ComputeBackend started = other.get();
    substitute = started;
    onFailure.accept(e);
    return started;
  }

  private ComputeBackend current() {
    ComputeBackend known = substitute;
    return known == null ? device : known;
  }

  @Override
  public String name() {
    return current().name();
  }

  @Override
  public synchronized String device() {
    DeviceFailedException e = failure;
    return e == null
        ? device.device()
        : "%s, for %s failed: %s".formatted(current().device(), device.device(), e.getMessage());
  }

  /** The larger one: products of either may come. */
  @Override
  public double gamma(int dimension) {
    return Math.max(device.gamma(dimension), ComputeBackend.super.gamma(dimension));
  }

  @Override
  public ResidentCodebook makeResident(float[] matrix, int rows, int dimension) {
    ComputeBackend.requireShape(matrix, rows, dimension);
    if (substitute == null) {
      try {
        return new Resident(
            device.makeResident(matrix, rows, dimension), Arrays.copyOf(matrix, rows * dimension));
      } catch (DeviceFailedException e) {
        return failed(e).makeResident(matrix, rows, dimension);
      }
    }
    return current().makeResident(matrix, rows, dimension);
  }

  @Override
  public @Nullable DeviceEncoder encoder(DeviceModel model) {
    if (substitute != null) {
      return null;
    }
    try {
      return device.encoder(model);
    } catch (DeviceFailedException e) {
      failed(e);
      return null;
    }
  }

  @Override
  public long deviceBytes() {
    return device.deviceBytes();
  }

  @Override
  public @Nullable String failure() {
    return device.failure();
  }

  @Override
  public boolean available() {
    return true;
  }

  @Override
  public synchronized void close() {
    try {
      device.close();
    } finally {
      ComputeBackend known = substitute;
      if (known != null) {
        known.close();
      }
    }
  }

  /** A matrix on the device, and here for the day on which that fails. */
  private final class Resident implements ResidentCodebook {

    private final ResidentCodebook onDevice;
    private final float[] matrix;
    private volatile @Nullable ResidentCodebook instead;

    Resident(ResidentCodebook onDevice, float[] matrix) {
      this.onDevice = onDevice;
      this.matrix = matrix;
    }

    @Override
    public int rows() {
      return onDevice.rows();
    }

    @Override
    public int dimension() {
      return onDevice.dimension();
    }

    @Override
    public long bytes() {
      return onDevice.bytes();
    }

    @Override
    public void multiply(float[] vectors, int offset, int n, float[] products) {
      ResidentCodebook known = instead;
      if (known == null) {
        try {
          onDevice.multiply(vectors, offset, n, products);
          return;
        } catch (DeviceFailedException e) {
          known = instead(e);
        }
      }
      known.multiply(vectors, offset, n, products);
    }

    private synchronized ResidentCodebook instead(DeviceFailedException e) {
      ResidentCodebook known = instead;
      if (known == null) {
        known = failed(e).makeResident(matrix, rows(), dimension());
        instead = known;
      }
      return known;
    }

    @Override
    public void close() {
      onDevice.close();
      ResidentCodebook known = instead;
      if (known != null) {
        known.close();
      }
    }
  }
}
