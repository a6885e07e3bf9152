package dev.semanticid.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** What libraries are said to have code for, against what the compiler was told to make. */
class GpuCodeTest {

  private static CudaDevice device(int capability) {
    return new CudaDevice(0, "Some GPU", capability / 10, capability % 10, 12040);
  }

  /** Compute capabilities: compiled for, as PTX, that run it, that do not. */
  static Stream<Arguments> builds() {
    return Stream.of(
        arguments(List.of(80, 86, 90), List.of(), List.of(80, 86, 89, 90), List.of(75, 100)),
        arguments(List.of(86), List.of(90), List.of(86, 89, 90, 100, 120), List.of(75, 80)));
  }

  @ParameterizedTest
  @MethodSource("builds")
  void code_isWhatNvccMade(
      List<Integer> machine,
      List<Integer> ptx,
      List<Integer> runs,
      List<Integer> doesNot,
      @TempDir Path folder)
      throws IOException, InterruptedException {
    if (!PtxTest.hasToolkit()) {
      return;
    }
    Path source = folder.resolve("kernel.cu");
    Files.writeString(source, "__global__ void nothing() {}\n");
    Path object = folder.resolve("object.o");
    var command =
        new ArrayList<>(List.of("nvcc", "-c", source.toString(), "-o", object.toString()));
    machine.forEach(number ->
        command.add(
            String.format(Locale.ROOT, "-gencode=arch=compute_%d,code=sm_%d", number, number)));
    ptx.forEach(number ->
        command.add(
            String.format(
                Locale.ROOT, "-gencode=arch=compute_%d,code=compute_%d", number, number)));
    PtxTest.run(command.toArray(String[]::new));

    GpuCode code = GpuCode.of(object);
    assertThat(code.machine()).containsExactlyElementsOf(machine);
    assertThat(code.ptx()).containsExactlyElementsOf(ptx);
    assertThat(runs).allMatch(capability -> code.runsOn(device(capability)));
    assertThat(doesNot).noneMatch(capability -> code.runsOn(device(capability)));
  }

  @Test
  void library_withoutCode_runsNowhere_andSaysSo() throws IOException {
    GpuCode code = GpuCode.of(EmulatedGpu.library().orElseThrow());
    assertThat(code.runsOn(device(90))).isFalse();
    assertThat(code).hasToString("machine code for none and PTX for none");
  }

  @Test
  void file_thatIsNoLibrary_isRefused(@TempDir Path folder) throws IOException {
    for (int length : new int[] {0, 10, 100}) {
      Path file = Files.write(folder.resolve("file" + length), new byte[length]);
      assertThatThrownBy(() -> GpuCode.of(file)).isInstanceOf(IOException.class);
    }
  }
}
