package dev.semanticid.service;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;
import org.jspecify.annotations.Nullable;

/**
 * The packaged service as a child process on a port of its own choice, with a data directory of the
 * test's. Its log goes to {@code target/service-logs}.
 *
 * <p>Arguments that begin with {@code -X} or {@code -D} are the virtual machine's, {@code
 * NAME=value} is its environment, all others are the service's.
 */
final class ServiceProcess implements AutoCloseable {

  /** Starts in half the time; for tests of what is kept, not of what is computed. */
  static final String QUICK_START = "-XX:TieredStopAtLevel=1";

  private static final AtomicInteger LOGS = new AtomicInteger();
  private static final Pattern LISTENING = Pattern.compile("Tomcat started on port (\\d+)");
  private static @Nullable Path extracted;

  private final Process process;
  private final Path dataDir;
  private final Path log;
  private final ServiceClient client;
  private volatile int mainPort;

  private ServiceProcess(Process process, Path dataDir, Path log) {
    this.process = process;
    this.dataDir = dataDir;
    this.log = log;
    this.client = new ServiceClient(this::mainPort);
  }

  /** Starts the service and waits until it is ready. */
  static ServiceProcess start(Path dataDir, String... arguments) {
    return launch(dataDir, arguments).await("readiness");
  }

  /** Starts another jar of the service and waits until it is ready. */
  static ServiceProcess startJar(Path jar, Path dataDir, String... arguments) {
    return launchJar(jar, dataDir, arguments).await("readiness");
  }

  /** The packaged service. */
  static Path jar() {
    return Path.of(property("service.jar"));
  }

  /** Starts the service and waits until it is alive, ready or not. */
  static ServiceProcess startAlive(Path dataDir, String... arguments) {
    return launch(dataDir, arguments).await("liveness");
  }

  /** Starts the service and waits for nothing. */
  static ServiceProcess launch(Path dataDir, String... arguments) {
    Path extracted = extracted();
    String[] all = Arrays.copyOf(arguments, arguments.length + 1);
    all[arguments.length] = "-XX:AOTCache=" + extracted.resolve("service.aot");
    return launchJar(extracted.resolve(String.valueOf(jar().getFileName())), dataDir, all);
  }

  /**
   * The packaged jar taken apart, as in the image, with its classes loaded and linked as a first
   * start left them: it starts in half the time. Made once per build.
   */
  private static synchronized Path extracted() {
    if (extracted != null) {
      return extracted;
    }
    Path jar = jar().toAbsolutePath();
    try {
      // By what is in it: the build gives every jar the same time.
      Path folder = jar.resolveSibling(String.format(Locale.ROOT, "extracted-%08x", checksum(jar)));
      if (!Files.exists(folder.resolve("service.aot"))) {
        Process extraction =
            new ProcessBuilder(
                    java(),
                    "-Djarmode=tools",
                    "-jar",
                    jar.toString(),
                    "extract",
                    "--force",
                    "--destination",
                    folder.toString())
                .inheritIO()
                .start();
        if (extraction.waitFor() != 0) {
          throw new IllegalStateException(jar + " cannot be extracted");
        }
        try (ServiceProcess first =
            launchJar(
                    folder.resolve(String.valueOf(jar.getFileName())),
                    folder.resolve("data"),
                    "-XX:AOTCacheOutput=" + folder.resolve("service.aot"))
                .await("readiness")) {
          first.stop();
        }
      }
      extracted = folder;
      return folder;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  private static long checksum(Path file) throws IOException {
    var checksum = new CRC32();
    try (var in = new CheckedInputStream(Files.newInputStream(file), checksum)) {
      in.transferTo(OutputStream.nullOutputStream());
    }
    return checksum.getValue();
  }

  private static String java() {
    return ProcessHandle.current().info().command().orElseThrow();
  }

  private static ServiceProcess launchJar(Path jar, Path dataDir, String... arguments) {
    var command = new ArrayList<>(List.of(java()));
    command.addAll(List.of(property("service.jvm-args").trim().split("\\s+")));
    Arrays.stream(arguments).filter(ServiceProcess::isForTheJvm).forEach(command::add);
    command.addAll(List.of("-jar", jar.toString()));
    // The service says which port it got. A port chosen here could be another program's by then.
    command.add("--server.port=0");
    command.add("--logging.level.org.springframework.boot.tomcat.TomcatWebServer=info");
    command.add("--semantic-id.data-dir=" + dataDir);
    if (Arrays.stream(arguments).noneMatch(a -> a.startsWith("--spring.datasource.url="))) {
      command.addAll(TestStore.arguments(dataDir));
    }
    Arrays.stream(arguments).filter(argument -> argument.startsWith("--")).forEach(command::add);
    try {
      Path logs = Files.createDirectories(Path.of("target", "service-logs"));
      Path log =
          logs.resolve(
              String.format(
                  Locale.ROOT,
                  "service-%d-%d.log",
                  ProcessHandle.current().pid(),
                  LOGS.incrementAndGet()));
      var builder =
          new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
      for (String argument : arguments) {
        if (!argument.startsWith("-")) {
          String[] variable = argument.split("=", 2);
          builder.environment().put(variable[0], variable[1]);
        }
      }
      Process process = builder.start();
      Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
      return new ServiceProcess(process, dataDir, log);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static boolean isForTheJvm(String argument) {
    return argument.startsWith("-X") || argument.startsWith("-D");
  }

  private static String property(String name) {
    String value = System.getProperty(name);
    if (value == null) {
      throw new IllegalStateException("run by failsafe, which sets the property " + name);
    }
    return value;
  }

  /** A port of this machine that nothing listens on. */
  static int freePort() {
    try (var socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private ServiceProcess await(String probe) {
    try {
      Await.until(
          probe + " of the service",
          () -> {
            if (!process.isAlive()) {
              throw new AssertionError(
                  String.format(
                      Locale.ROOT,
                      "the service ended with %d; its log ends:\n%s",
                      process.exitValue(),
                      logTail()));
            }
            return isUp(probe);
          },
          this::logTail);
    } catch (AssertionError e) {
      kill();
      throw e;
    }
    return this;
  }

  private boolean isUp(String probe) {
    return port(0).isPresent()
        && client
            .tryGet("/actuator/health/" + probe)
            .filter(answer -> answer.status() == 200)
            .isPresent();
  }

  /** The port of a web server of the service, in the order of their starts. */
  private Optional<Integer> port(int index) {
    return LISTENING
        .matcher(log())
        .results()
        .map(found -> Integer.parseInt(found.group(1)))
        .skip(index)
        .findFirst();
  }

  private int awaitPort(int index) {
    Await.until(
        "a web server of the service",
        () -> port(index).isPresent() || !process.isAlive(),
        this::logTail);
    return port(index)
        .orElseThrow(() -> new AssertionError("the service ended; its log ends:\n" + logTail()));
  }

  /** The port of the service, read from its log once. */
  private int mainPort() {
    if (mainPort == 0) {
      mainPort = awaitPort(0);
    }
    return mainPort;
  }

  /** The port of a management server of its own. */
  int managementPort() {
    return awaitPort(1);
  }

  /** Speaks to it. */
  ServiceClient client() {
    return client;
  }

  /** Where it keeps its state. */
  Path dataDir() {
    return dataDir;
  }

  /** Its process id. */
  long pid() {
    return process.pid();
  }

  /** Memory of the process that is in no file, in bytes. */
  long residentBytes() {
    try (var lines =
        Files.lines(Path.of(String.format(Locale.ROOT, "/proc/%d/status", process.pid())))) {
      return lines
          .filter(line -> line.startsWith("RssAnon:"))
          .mapToLong(line -> 1024 * Long.parseLong(line.replaceAll("[^0-9]", "")))
          .findFirst()
          .orElseThrow();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** What it has logged so far. */
  String log() {
    try {
      return Files.readString(log);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private String logTail() {
    List<String> lines = log().lines().toList();
    return String.join("\n", lines.subList(Math.max(0, lines.size() - 40), lines.size()));
  }

  /** Names of the files in its upload spool. */
  List<String> spooled() {
    try (var files = Files.list(dataDir.resolve("spool"))) {
      return files.map(file -> String.valueOf(file.getFileName())).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Waits for its end; returns the exit status. */
  int awaitExit() {
    try {
      if (!process.waitFor(Await.LIMIT.toSeconds(), TimeUnit.SECONDS)) {
        throw new AssertionError("the service does not end; its log ends:\n" + logTail());
      }
      return process.exitValue();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError("interrupted", e);
    }
  }

  /** Ends it without warning, as {@code kill -9} or a lost machine does. */
  void kill() {
    process.destroyForcibly();
    awaitExit();
  }

  /** Asks it to end, as Kubernetes does, and waits for nothing. */
  void terminate() {
    process.destroy();
  }

  /** Asks it to end; returns the exit status. */
  int stop() {
    terminate();
    return awaitExit();
  }

  @Override
  public void close() {
    client.close();
    kill();
  }
}
