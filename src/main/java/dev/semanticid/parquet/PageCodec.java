package dev.semanticid.parquet;

import dev.semanticid.format.FormatException;
import dev.semanticid.format.FormatException.Kind;
import io.airlift.compress.Decompressor;
import io.airlift.compress.lz4.Lz4Decompressor;
import io.airlift.compress.snappy.SnappyDecompressor;
import io.airlift.compress.zstd.ZstdDecompressor;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Locale;
import java.util.zip.GZIPInputStream;
import org.apache.parquet.format.CompressionCodec;
import org.jspecify.annotations.Nullable;

/** Decompresses pages; all but gzip in Java of our own process. Used by one thread at a time. */
final class PageCodec {

  private final CompressionCodec codec;
  private final @Nullable Decompressor decompressor;

  private PageCodec(CompressionCodec codec, @Nullable Decompressor decompressor) {
    this.codec = codec;
    this.decompressor = decompressor;
  }

  /**
   * @throws FormatException {@code UNSUPPORTED} for LZO, Brotli and Hadoop's framing of LZ4
   */
  static PageCodec of(@Nullable CompressionCodec codec) throws FormatException {
    if (codec == null) {
      throw ParquetFile.corrupt("a column of an unknown compression");
    }
    return switch (codec) {
      case UNCOMPRESSED, GZIP -> new PageCodec(codec, null);
      case SNAPPY -> new PageCodec(codec, new SnappyDecompressor());
      case ZSTD -> new PageCodec(codec, new ZstdDecompressor());
      case LZ4_RAW -> new PageCodec(codec, new Lz4Decompressor());
      default ->
          throw new FormatException(
              Kind.UNSUPPORTED,
              "expected compression by SNAPPY, ZSTD, LZ4_RAW, GZIP or none, got " + codec);
    };
  }

  boolean isNone() {
    return codec == CompressionCodec.UNCOMPRESSED;
  }

  /**
   * Decompresses exactly {@code wanted} bytes.
   *
   * @throws FormatException {@code CORRUPT} if it comes to more or less
   */
  void decompress(byte[] from, int begin, int length, byte[] target, int offset, int wanted)
      throws FormatException {
    int got;
    try {
      if (decompressor != null) {
        got = decompressor.decompress(from, begin, length, target, offset, wanted);
      } else if (codec == CompressionCodec.GZIP) {
        got = gunzip(from, begin, length, target, offset, wanted);
      } else {
        System.arraycopy(from, begin, target, offset, Math.min(length, wanted));
        got = length;
      }
    } catch (IOException | RuntimeException e) {
      throw ParquetFile.corrupt(
          "a page that %s cannot decompress: %s".formatted(codec, e.getMessage()));
    }
    if (got != wanted) {
      throw ParquetFile.corrupt(
          String.format(
              Locale.ROOT, "expected a page of %d bytes when decompressed, got %d", wanted, got));
    }
  }

  private static int gunzip(
      byte[] from, int begin, int length, byte[] target, int offset, int wanted)
      throws IOException {
    try (InputStream in = new GZIPInputStream(new ByteArrayInputStream(from, begin, length))) {
      int got = in.readNBytes(target, offset, wanted);
      return in.read() < 0 ? got : got + 1;
    }
  }
}
