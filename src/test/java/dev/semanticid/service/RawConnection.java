package dev.semanticid.service;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.stream.Collectors;

/** A connection to a service, over which a test sends what bytes it likes, when it likes. */
final class RawConnection implements AutoCloseable {

  private static final int LIMIT_MS = Math.toIntExact(Await.LIMIT.toMillis());

  private final Socket socket;
  private final InputStream in;
  private String request = "";

  RawConnection(int port) {
    try {
      socket = new Socket(InetAddress.getLoopbackAddress(), port);
      socket.setSoTimeout(LIMIT_MS);
      socket.setTcpNoDelay(true);
      in = new BufferedInputStream(socket.getInputStream());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The answer to a request without a body; the header of its host is to be given too. */
  static Answer call(int port, String line, String... headers) {
    return call(port, line, new byte[0], headers);
  }

  /** The answer to a request; the headers of its host and length are to be given too. */
  static Answer call(int port, String line, byte[] body, String... headers) {
    try (var connection = new RawConnection(port)) {
      connection.request = line;
      String head =
          Arrays.stream(headers).map(header -> header + "\r\n").collect(Collectors.joining());
      return connection
          .send(Bytes.utf8("%s\r\n%sConnection: close\r\n\r\n".formatted(line, head)))
          .send(body)
          .receive();
    }
  }

  /** Sends the head of a request: its first line, and headers. */
  RawConnection head(String line, String... headers) {
    request = line;
    return send(
        Bytes.utf8(
            "%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
                .formatted(
                    line,
                    String.join("", List.of(headers).stream().map(h -> h + "\r\n").toList()))));
  }

  RawConnection send(byte[] bytes) {
    try {
      socket.getOutputStream().write(bytes);
      return this;
    } catch (IOException e) {
      throw new UncheckedIOException(request, e);
    }
  }

  /** Ends the sending side, as a client does that has gone away. */
  RawConnection endSending() {
    try {
      socket.shutdownOutput();
      return this;
    } catch (IOException e) {
      throw new UncheckedIOException(request, e);
    }
  }

  /** Whether something of an answer has come. */
  boolean hasAnswer() {
    try {
      return in.available() > 0;
    } catch (IOException e) {
      throw new UncheckedIOException(request, e);
    }
  }

  /** Reads one answer, interim ones too, and leaves the connection as it is. */
  Answer receive() {
    try {
      List<String> lines = headLines();
      var headers = new LinkedHashMap<String, String>();
      for (String line : lines.subList(1, lines.size())) {
        headers.put(
            line.substring(0, line.indexOf(':')), line.substring(line.indexOf(':') + 1).strip());
      }
      int status = Integer.parseInt(lines.getFirst().split(" ", -1)[1]);
      var answer = new Answer(request, status, headers, new byte[0]);
      return new Answer(request, status, headers, body(answer));
    } catch (IOException e) {
      throw new UncheckedIOException(request, e);
    }
  }

  /** Reads the head of one answer, whose body goes on. */
  int receiveStatus() {
    try {
      return Integer.parseInt(headLines().getFirst().split(" ", -1)[1]);
    } catch (IOException e) {
      throw new UncheckedIOException(request, e);
    }
  }

  /** Reads what comes until it contains a text. */
  void receiveUntil(String text) {
    try {
      var received = new StringBuilder();
      while (received.indexOf(text) < 0) {
        received.append((char) byteOf());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(request, e);
    }
  }

  private List<String> headLines() throws IOException {
    var text = new StringBuilder();
    while (text.length() < 4 || !text.substring(text.length() - 4).equals("\r\n\r\n")) {
      text.append((char) byteOf());
    }
    return text.toString().strip().lines().toList();
  }

  private int byteOf() throws IOException {
    int next = in.read();
    if (next < 0) {
      throw new EOFException("the connection was closed");
    }
    return next;
  }

  private byte[] body(Answer answer) throws IOException {
    if (answer.status() < 200) {
      return new byte[0];
    }
    if (answer.header("Transfer-Encoding").equalsIgnoreCase("chunked")) {
      var body = new ByteArrayOutputStream();
      while (true) {
        var size = new StringBuilder();
        while (size.length() < 2 || !size.substring(size.length() - 2).equals("\r\n")) {
          size.append((char) byteOf());
        }
        int length = Integer.parseInt(size.toString().strip(), 16);
        body.writeBytes(in.readNBytes(length));
        in.skipNBytes(2);
        if (length == 0) {
          return body.toByteArray();
        }
      }
    }
    String length = answer.header("Content-Length");
    return length.isEmpty() ? in.readAllBytes() : in.readNBytes(Integer.parseInt(length));
  }

  /** Whether the service has ended the connection in order, and nothing more comes. */
  boolean isEnded() {
    try {
      return in.read() < 0;
    } catch (SocketException e) {
      return false;
    } catch (IOException e) {
      throw new UncheckedIOException(request, e);
    }
  }

  @Override
  public void close() {
    try {
      socket.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
