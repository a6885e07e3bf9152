package dev.semanticid.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The kernels that are shipped: what their source compiles to, for every GPU they are for. */
class PtxTest {

  private static final Path PTX =
      Path.of("src/main/resources/dev/semanticid/backend/cuda/quantizer.ptx");

  /** The compiler that the shipped file is from; others give other, equally good code. */
  private static final String COMPILER = "release 13.0";

  static String run(String... command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(List.of(command)).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(2, TimeUnit.MINUTES)).isTrue();
    assertThat(process.exitValue()).as(output).isZero();
    return output;
  }

  /** Whether the CUDA toolkit is here, which only those need who change the kernels. */
  static boolean hasToolkit() throws InterruptedException {
    try {
      if (run("nvcc", "--version").contains(COMPILER)) {
        return true;
      }
      System.out.println("The kernels were not compiled, for nvcc is not of " + COMPILER);
    } catch (IOException e) {
      System.out.println("The kernels were not compiled: " + e.getMessage());
    }
    return false;
  }

  @ParameterizedTest
  @ValueSource(strings = {"sm_80", "sm_86", "sm_89", "sm_90", "sm_100"})
  void ptx_assemblesWithoutSpills(String architecture, @TempDir Path folder)
      throws IOException, InterruptedException {
    if (!hasToolkit()) {
      return;
    }
    String report =
        run(
            "ptxas",
            "-v",
            "-arch=" + architecture,
            PTX.toString(),
            "-o",
            folder.resolve("kernels").toString());
    assertThat(report).contains("quantize", "0 bytes spill stores, 0 bytes spill loads");
  }

  @Test
  void ptx_isWhatTheSourceCompilesTo(@TempDir Path folder)
      throws IOException, InterruptedException {
    if (!hasToolkit()) {
      return;
    }
    Path compiled = folder.resolve("quantizer.ptx");
    run("src/main/cuda/build", compiled.toString());
    assertThat(Files.readString(compiled)).isEqualTo(Files.readString(PTX));
  }

  @Test
  void ptx_isOfAVersionThatDriversOfCuda12Accept() throws IOException {
    assertThat(Files.readString(PTX)).contains(".version 8.0", ".target sm_80");
  }
}
