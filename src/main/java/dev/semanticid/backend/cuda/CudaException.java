package dev.semanticid.backend.cuda;

import dev.semanticid.core.compute.DeviceFailedException;

/** A call of the driver or of cuBLAS failed. */
public final class CudaException extends DeviceFailedException {

  private static final long serialVersionUID = 1L;

  public CudaException(String message) {
    super(message);
  }
}
