package dev.semanticid.core.compute;

/**
 * 8-bit products by definition, of as few steps as wanted: with 3 instead of 255, errors and their
 * bounds are large, and most centroids survive.
 */
public final class ExactInt8 implements Int8Backend {

  private final int largest;

  /**
   * @param largest even, from 2 to 254
   */
  public ExactInt8(int largest) {
    this.largest = largest;
  }

  /** A backend that has these products beside its own. */
  public static ComputeBackend beside(ComputeBackend backend, Int8Backend int8) {
    return new ForwardingBackend(backend) {
      @Override
      public String device() {
        return super.device() + " and " + int8.device();
      }

      @Override
      public Int8Backend int8() {
        return int8;
      }

      @Override
      public void close() {
        super.close();
        int8.close();
      }
    };
  }

  @Override
  public String device() {
    return "exact, " + (largest + 1) + " steps";
  }

  @Override
  public int largest() {
    return largest;
  }

  @Override
  public ResidentInt8 makeResident(byte[] matrix, int rows, int dimension) {
    byte[] kept = matrix.clone();
    return new ResidentInt8() {
      @Override
      public int rows() {
        return rows;
      }

      @Override
      public int dimension() {
        return dimension;
      }

      @Override
      public long bytes() {
        return kept.length;
      }

      @Override
      public void multiply(int[] vectors, int n, int[] products) {
        for (int i = 0; i < n; i++) {
          for (int k = 0; k < rows; k++) {
            int sum = 0;
            for (int c = 0; c < dimension; c++) {
              int q = (vectors[(i * dimension + c) / 4] >>> (8 * (c % 4))) & 0xff;
              if (q > largest) {
                throw new AssertionError("component " + q + " is larger than " + largest);
              }
              sum += q * kept[k * dimension + c];
            }
            products[i * rows + k] = sum;
          }
        }
      }

      @Override
      public void close() {
        // garbage collected
      }
    };
  }

  @Override
  public void close() {
    // nothing outside the heap
  }
}
