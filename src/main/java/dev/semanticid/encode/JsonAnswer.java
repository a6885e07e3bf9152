package dev.semanticid.encode;

import jakarta.servlet.http.HttpServletResponse;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.concurrent.Semaphore;
import tools.jackson.core.JsonGenerator;
import tools.jackson.databind.json.JsonMapper;

/**
 * A JSON answer with rows of numbers, written piece by piece. A piece is made in memory, where
 * there are several while the request has one of a few turns, and then sent without one. So a
 * client that reads slowly delays nobody, and the answer takes no more memory than a piece.
 */
final class JsonAnswer implements AutoCloseable {

  /** Numbers of a piece, unless one row has more. */
  private static final int PIECE_NUMBERS = 16 << 10;

  private final ByteArrayOutputStream piece = new ByteArrayOutputStream();
  private final OutputStream out;
  private final Semaphore turns;
  private final JsonGenerator generator;

  /**
   * Begins the answer, an object.
   *
   * @param turns at making a piece
   */
  JsonAnswer(HttpServletResponse response, JsonMapper json, Semaphore turns) throws IOException {
    response.setContentType(WireFormat.JSON.mediaTypeName());
    this.out = response.getOutputStream();
    this.turns = turns;
    this.generator = json.createGenerator(piece);
    generator.writeStartObject();
  }

  /** Writes what is not rows. */
  JsonGenerator generator() {
    return generator;
  }

  /** Writes one row. */
  @FunctionalInterface
  interface RowWriter {
    void write(JsonGenerator generator, int row);
  }

  /**
   * Writes a member that is an array of rows.
   *
   * @param width numbers of a row
   */
  void rows(String name, int rows, int width, RowWriter writer) throws IOException {
    int pieceRows = Math.max(1, PIECE_NUMBERS / Math.max(1, width));
    boolean takesTurns = rows > pieceRows;
    generator.writeArrayPropertyStart(name);
    for (int begin = 0; begin < rows; begin += pieceRows) {
      int end = Math.min(rows, begin + pieceRows);
      if (takesTurns) {
        turns.acquireUninterruptibly();
      }
      try {
        for (int row = begin; row < end; row++) {
          writer.write(generator, row);
        }
        generator.flush();
      } finally {
        if (takesTurns) {
          turns.release();
        }
      }
      send();
    }
    generator.writeEndArray();
  }

  private void send() throws IOException {
    piece.writeTo(out);
    piece.reset();
  }

  /** Ends the object. */
  void finish() throws IOException {
    generator.writeEndObject();
    generator.flush();
    send();
  }

  @Override
  public void close() {
    generator.close();
  }
}
