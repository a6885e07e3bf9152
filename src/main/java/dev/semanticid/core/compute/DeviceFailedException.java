package dev.semanticid.core.compute;

/** The device is lost, or computes no more: this backend will not compute again. */
public class DeviceFailedException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  /**
   * @param message what failed, and what the device says
   */
  public DeviceFailedException(String message) {
    super(message);
  }
}
