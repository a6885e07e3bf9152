package dev.semanticid.backend.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.List;
import java.util.Locale;

/** A shared library whose functions return a status of 32 bits. */
@SuppressWarnings("restricted")
final class NativeLibrary {

  private final SymbolLookup symbols;
  private final String name;

  private NativeLibrary(SymbolLookup symbols, String name) {
    this.symbols = symbols;
    this.name = name;
  }

  /**
   * Opens the first that is there.
   *
   * @param what it is, in words
   * @param names file names, as the dynamic linker looks for them, or paths
   * @throws CudaException if none is
   */
  static NativeLibrary open(String what, List<String> names) {
    for (String name : names) {
      try {
        return new NativeLibrary(SymbolLookup.libraryLookup(name, Arena.global()), name);
      } catch (IllegalArgumentException e) {
        // the next one
      }
    }
    throw new CudaException(
        "%s is not on this machine (looked for %s)".formatted(what, String.join(", ", names)));
  }

  /** Its file's name. */
  String name() {
    return name;
  }

  /** Calls a function; returns its status. */
  static int status(MethodHandle function, Object... arguments) {
    try {
      return (int) function.invokeWithArguments(arguments);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Calls a function that has to succeed.
   *
   * @param what its name
   * @throws CudaException if it does not, with the status
   */
  static void call(String what, MethodHandle function, Object... arguments) {
    int status = status(function, arguments);
    if (status != 0) {
      throw new CudaException(String.format(Locale.ROOT, "%s failed with status %d", what, status));
    }
  }

  /** A function of these arguments. */
  MethodHandle function(String symbol, MemoryLayout... arguments) {
    return Linker.nativeLinker()
        .downcallHandle(
            symbols
                .find(symbol)
                .orElseThrow(() -> new CudaException(name + " has no function " + symbol)),
            FunctionDescriptor.of(ValueLayout.JAVA_INT, arguments));
  }
}
