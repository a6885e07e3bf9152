package dev.semanticid.backend.cuda;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** Arrays on the device that are freed together. */
final class DeviceData implements AutoCloseable {

  private record Block(long address, long bytes) {}

  private final CudaBackend backend;
  private final List<Block> blocks = new ArrayList<>();

  DeviceData(CudaBackend backend) {
    this.backend = backend;
  }

  /** Copies the beginning of an array there; gives its address. */
  long add(float[] array, int length) {
    return add(MemorySegment.ofArray(array).asSlice(0, 4L * length));
  }

  long add(double[] array) {
    return add(MemorySegment.ofArray(array));
  }

  long add(int[] array) {
    return add(MemorySegment.ofArray(array));
  }

  long add(long[] array) {
    return add(MemorySegment.ofArray(array));
  }

  private long add(MemorySegment from) {
    long bytes = Math.max(from.byteSize(), 8);
    return backend.onLane(lane -> {
      long address = backend.memory().allocateData(bytes);
      blocks.add(new Block(address, bytes));
      // In pieces, for pinned memory is dear.
      long piece = 16 << 20;
      MemorySegment host = lane.host(Math.min(piece, bytes));
      for (long done = 0; done < from.byteSize(); done += piece) {
        long count = Math.min(piece, from.byteSize() - done);
        MemorySegment.copy(from, done, host, 0, count);
        backend.driver().copyToDevice(address + done, host, count, lane.stream());
        backend.driver().synchronize(lane.stream());
      }
      return address;
    });
  }

  long bytes() {
    return blocks.stream().mapToLong(Block::bytes).sum();
  }

  @Override
  public void close() {
    if (backend.failure() != null) {
      return;
    }
    backend.driver().makeCurrent();
    blocks.forEach(block -> backend.memory().freeData(block.address(), block.bytes()));
    blocks.clear();
  }
}
