package dev.semanticid.backend.cuda;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Path;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * What GPUs a shared library has code for, as nvcc embeds it: the "fat binaries" in a section of
 * the ELF file.
 *
 * @param machine compute capabilities (10 · major + minor) with machine code, which later ones of
 *     the same major run too
 * @param ptx compute capabilities with PTX, which drivers compile for all later ones
 */
public record GpuCode(SortedSet<Integer> machine, SortedSet<Integer> ptx) {

  private static final int ELF = 0x464C457F;
  private static final byte CLASS_64 = 2;
  private static final int MAGIC = 0xBA55ED50;
  private static final int PTX = 1;
  private static final int MACHINE = 2;

  private static final ValueLayout.OfShort U2 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt U4 =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong U8 =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /**
   * Reads a library's headers.
   *
   * @throws IOException if it cannot be read or is no such file
   */
  public static GpuCode of(Path library) throws IOException {
    var code = new GpuCode(new TreeSet<>(), new TreeSet<>());
    try (FileChannel channel = FileChannel.open(library);
        Arena arena = Arena.ofConfined()) {
      MemorySegment file = channel.map(MapMode.READ_ONLY, 0, channel.size(), arena);
      if (file.get(U4, 0) != ELF || file.get(ValueLayout.JAVA_BYTE, 4) != CLASS_64) {
        throw new IOException(library + " is no shared library of 64 bits");
      }
      long sections = file.get(U8, 0x28);
      int size = Short.toUnsignedInt(file.get(U2, 0x3A));
      int count = Short.toUnsignedInt(file.get(U2, 0x3C));
      long names = file.get(U8, section(sections, size, file.get(U2, 0x3E)) + 0x18);
      for (int i = 0; i < count; i++) {
        long header = section(sections, size, i);
        if (file.getString(names + file.get(U4, header)).contains("nv_fatbin")) {
          code.read(file.asSlice(file.get(U8, header + 0x18), file.get(U8, header + 0x20)));
        }
      }
    } catch (IndexOutOfBoundsException e) {
      throw new IOException(library + " is cut off, or no shared library", e);
    }
    return code;
  }

  private static long section(long sections, int size, int number) {
    return sections + (long) size * number;
  }

  /** One fat binary behind the other, each of entries with a header. */
  private void read(MemorySegment section) {
    for (long at = 0; at < section.byteSize(); ) {
      if (section.get(U4, at) != MAGIC) {
        at += Long.BYTES; // padding
        continue;
      }
      long entry = at + section.get(U2, at + 6);
      at = entry + section.get(U8, at + 8);
      while (entry < at) {
        int kind = section.get(U2, entry);
        int architecture = section.get(U4, entry + 28);
        if (kind == MACHINE) {
          machine.add(architecture);
        } else if (kind == PTX) {
          ptx.add(architecture);
        }
        entry += section.get(U4, entry + 4) + section.get(U8, entry + 8);
      }
    }
  }

  /** Whether it runs on a GPU. */
  public boolean runsOn(CudaDevice device) {
    int capability = 10 * device.major() + device.minor();
    return ptx.stream().anyMatch(from -> from <= capability)
        || machine.stream().anyMatch(of -> of / 10 == device.major() && of <= capability);
  }

  @Override
  public String toString() {
    return "machine code for %s and PTX for %s".formatted(names(machine), names(ptx));
  }

  private static String names(SortedSet<Integer> architectures) {
    return architectures.isEmpty()
        ? "none"
        : architectures.stream().map(number -> "sm_" + number).collect(Collectors.joining(", "));
  }
}
