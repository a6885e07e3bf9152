package dev.semanticid.service;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.GZIPOutputStream;

/** Bodies put together and compressed. */
final class Bytes {

  private Bytes() {}

  static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static byte[] concat(byte[]... parts) {
    var all = new ByteArrayOutputStream();
    for (byte[] part : parts) {
      all.writeBytes(part);
    }
    return all.toByteArray();
  }

  /** Content-Encoding gzip. */
  static byte[] gzip(byte[] plain) {
    return compress(plain, GZIPOutputStream::new);
  }

  /** Content-Encoding deflate, which means zlib. */
  static byte[] deflate(byte[] plain) {
    return compress(plain, DeflaterOutputStream::new);
  }

  private interface Compression {
    OutputStream over(OutputStream target) throws IOException;
  }

  private static byte[] compress(byte[] plain, Compression compression) {
    var compressed = new ByteArrayOutputStream();
    try (OutputStream out = compression.over(compressed)) {
      out.write(plain);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return compressed.toByteArray();
  }
}
