package dev.semanticid.system;

import jakarta.servlet.ServletException;
import java.io.IOException;
import java.io.InputStream;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ValveBase;
import org.springframework.http.HttpStatus;

/**
 * What only the server can know or do about a connection: whether the client is still there, and to
 * read a refused body to its end. The latter because a client that is still sending would see a
 * reset connection instead of the reason; within bounds, because nobody shall hold a thread by
 * sending slowly.
 */
final class ConnectionValve extends ValveBase {

  private static final long MOST_NANOS = 5_000_000_000L;
  private static final byte[] SINK = new byte[64 << 10];

  ConnectionValve() {
    super(true);
  }

  @Override
  public void invoke(Request request, Response response) throws IOException, ServletException {
    ClientConnection.attach(request.getRequest(), request.getCoyoteRequest());
    getNext().invoke(request, response);
    if (response.getStatus() >= 400 && !request.isAsync()) {
      response.finishResponse();
      if (response.getStatus() != HttpStatus.REQUEST_TIMEOUT.value()) {
        drain(request.getInputStream());
      }
    }
  }

  private static void drain(InputStream body) {
    long end = System.nanoTime() + MOST_NANOS;
    try {
      // What is read is nobody's, so all threads may write it to the same place.
      while (body.read(SINK) >= 0 && System.nanoTime() - end < 0) {}
    } catch (IOException e) {
      // It broke off; the server closes the connection.
    }
  }
}
