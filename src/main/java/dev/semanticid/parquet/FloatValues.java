package dev.semanticid.parquet;

import dev.semanticid.core.vector.ElementType;
import dev.semanticid.format.FormatException;
import dev.semanticid.format.FormatException.Kind;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Locale;
import org.apache.parquet.format.Encoding;

/**
 * The components of a page as float32. Asking for more than there are raises {@link
 * IndexOutOfBoundsException}.
 */
final class FloatValues {

  private static final int PIECE = 1024;

  private enum Form {
    PLAIN,
    DICTIONARY,
    SPLIT
  }

  private final ElementType type;
  private final RunLengthDecoder indices = new RunLengthDecoder();
  private final int[] piece = new int[PIECE];
  private final byte[] gathered = new byte[PIECE * Double.BYTES];
  private final ByteBuffer gatheredView = ByteBuffer.wrap(gathered).order(ByteOrder.LITTLE_ENDIAN);

  private Form form = Form.PLAIN;
  private ByteBuffer values = ByteBuffer.allocate(0);
  private int splitCount;
  private int splitAt;
  private int dictionaryGroup = -1;
  private float[] dictionary = {};

  FloatValues(ElementType type) {
    this.type = type;
  }

  /**
   * Begins with the first value of the page.
   *
   * @throws FormatException without the source's name, if the encoding is not one of floats
   */
  void begin(ColumnPages pages) throws FormatException {
    values = pages.values();
    Encoding encoding = pages.encoding();
    switch (encoding) {
      case PLAIN -> form = Form.PLAIN;
      case PLAIN_DICTIONARY, RLE_DICTIONARY -> {
        form = Form.DICTIONARY;
        beginDictionary(pages);
      }
      case BYTE_STREAM_SPLIT -> {
        form = Form.SPLIT;
        splitCount = values.remaining() / type.bytes();
        splitAt = 0;
      }
      default ->
          throw new FormatException(
              Kind.UNSUPPORTED,
              String.format(
                  Locale.ROOT,
                  "row group %d: expected floats in PLAIN, RLE_DICTIONARY or BYTE_STREAM_SPLIT, got"
                      + " %s",
                  pages.group(),
                  encoding));
    }
  }

  private void beginDictionary(ColumnPages pages) throws FormatException {
    ByteBuffer encoded = pages.dictionary();
    if (encoded == null) {
      throw ParquetFile.corrupt(
          String.format(
              Locale.ROOT, "row group %d: a page of indices without a dictionary", pages.group()));
    }
    if (dictionaryGroup != pages.group()) {
      if ((long) pages.dictionaryCount() * type.bytes() > encoded.capacity()) {
        throw ParquetFile.corrupt(
            String.format(
                Locale.ROOT,
                "row group %d: expected a dictionary of %d values, got %d bytes",
                pages.group(),
                pages.dictionaryCount(),
                encoded.capacity()));
      }
      dictionary = new float[pages.dictionaryCount()];
      type.decode(encoded.duplicate(), dictionary.length, dictionary, 0);
      dictionaryGroup = pages.group();
    }
    if (values.hasRemaining()) {
      byte[] bytes = values.array();
      int begin = values.arrayOffset();
      indices.reset(bytes, begin + 1, begin + values.limit(), bytes[begin] & 0xff);
    } else {
      indices.reset(values.array(), 0, 0, 1);
    }
  }

  /** Decodes the next {@code count} values. */
  void read(float[] target, int offset, int count) {
    switch (form) {
      case PLAIN -> type.decode(values, count, target, offset);
      case DICTIONARY -> {
        for (int done = 0; done < count; ) {
          int n = Math.min(PIECE, count - done);
          indices.read(piece, 0, n);
          for (int i = 0; i < n; i++) {
            target[offset + done + i] = dictionary[piece[i]];
          }
          done += n;
        }
      }
      case SPLIT -> {
        for (int done = 0; done < count; ) {
          int n = Math.min(PIECE, count - done);
          gather(n);
          type.decode(gatheredView.clear(), n, target, offset + done);
          done += n;
        }
      }
    }
  }

  /** Passes over the next {@code count} values. */
  void skip(int count) {
    switch (form) {
      case PLAIN -> {
        long bytes = (long) count * type.bytes();
        if (bytes > values.remaining()) {
          throw new IndexOutOfBoundsException("fewer values than announced");
        }
        values.position(values.position() + (int) bytes);
      }
      case DICTIONARY -> {
        for (int done = 0; done < count; done += PIECE) {
          indices.read(piece, 0, Math.min(PIECE, count - done));
        }
      }
      case SPLIT -> {
        if (count > splitCount - splitAt) {
          throw new IndexOutOfBoundsException("fewer values than announced");
        }
        splitAt += count;
      }
    }
  }

  /** Puts the bytes of values, of which each stream has one, beside each other. */
  private void gather(int count) {
    if (count > splitCount - splitAt) {
      throw new IndexOutOfBoundsException("fewer values than announced");
    }
    byte[] bytes = values.array();
    int width = type.bytes();
    for (int stream = 0; stream < width; stream++) {
      int from = values.arrayOffset() + stream * splitCount + splitAt;
      for (int i = 0; i < count; i++) {
        gathered[i * width + stream] = bytes[from + i];
      }
    }
    splitAt += count;
  }
}
