package dev.semanticid.system;

import jakarta.servlet.ServletException;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ValveBase;
import org.apache.coyote.ActionCode;
import org.apache.tomcat.util.net.ApplicationBufferHandler;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatus;

/**
 * What only the server can know or do about a connection: whether the client is still there, and to
 * read a refused body to its end. The latter because a client that is still sending would see a
 * reset connection instead of the reason; within bounds, because nobody shall hold a thread by
 * sending slowly.
 */
final class ConnectionValve extends ValveBase {

  private static final long MOST_NANOS = 5_000_000_000L;
  private static final Sink SINK = new Sink();

  ConnectionValve() {
    super(true);
  }

  @Override
  public void invoke(Request request, Response response) throws IOException, ServletException {
    ClientConnection.attach(request.getRequest(), request.getCoyoteRequest());
    getNext().invoke(request, response);
    if (response.getStatus() >= 400 && !request.isAsync()) {
      response.finishResponse();
      if (!isComing(request, response) || !drained(request.getCoyoteRequest())) {
        // Else Tomcat would wait for the rest once more.
        request.getCoyoteRequest().action(ActionCode.DISABLE_SWALLOW_INPUT, null);
      }
    }
  }

  /** Whether the rest of the body is on its way: neither held back until asked for, nor stuck. */
  private static boolean isComing(Request request, Response response) {
    boolean awaited =
        request.getHeader(HttpHeaders.EXPECT) != null
            && request.getCoyoteRequest().getBytesRead() == 0;
    return !awaited && response.getStatus() != HttpStatus.REQUEST_TIMEOUT.value();
  }

  /** Reads below the servlet's stream, which is closed with the response; false if it gave up. */
  private static boolean drained(org.apache.coyote.Request body) {
    long end = System.nanoTime() + MOST_NANOS;
    try {
      while (body.doRead(SINK) >= 0) {
        if (System.nanoTime() - end > 0) {
          return false;
        }
      }
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  /** Keeps nothing. */
  private static final class Sink implements ApplicationBufferHandler {

    @Override
    public void setByteBuffer(@Nullable ByteBuffer buffer) {}

    @Override
    public @Nullable ByteBuffer getByteBuffer() {
      return null;
    }

    @Override
    public void expand(int size) {}
  }
}
