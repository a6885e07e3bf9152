package dev.semanticid.budget;

import dev.semanticid.problem.ProblemCode;
import dev.semanticid.problem.ProblemException;
import dev.semanticid.store.DataDirectory;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * A new scratch file while an upload is written to it. Its space is reserved as bytes arrive, and a
 * full disk is told from a broken connection.
 */
public final class ScratchFile extends OutputStream {

  private final ScratchSpace scratch;
  private final Path file;
  private final FileChannel channel;
  private final OutputStream out;
  private final MessageDigest sha;
  private long written;

  /** Makes the file. */
  public ScratchFile(ScratchSpace scratch, Path file) throws IOException {
    this.scratch = scratch;
    this.file = file;
    try {
      this.sha = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
    this.channel =
        DataDirectory.create(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    this.out = Channels.newOutputStream(channel);
  }

  @Override
  public void write(int b) {
    write(new byte[] {(byte) b}, 0, 1);
  }

  /**
   * @throws ProblemException {@code INSUFFICIENT_STORAGE} if there is no room
   */
  @Override
  public void write(byte[] bytes, int offset, int length) {
    scratch.reserveGrowing(file, written + length);
    sha.update(bytes, offset, length);
    try {
      out.write(bytes, offset, length);
    } catch (IOException e) {
      throw noRoom(e);
    }
    written += length;
  }

  /**
   * Makes the file durable.
   *
   * @return the SHA-256 of its bytes, in hexadecimal digits
   * @throws ProblemException {@code INSUFFICIENT_STORAGE} if there is no room
   */
  public String finish() {
    try {
      channel.force(true);
    } catch (IOException e) {
      throw noRoom(e);
    }
    scratch.settle(file);
    return HexFormat.of().formatHex(sha.digest());
  }

  private static ProblemException noRoom(IOException e) {
    return new ProblemException(
        ProblemCode.INSUFFICIENT_STORAGE,
        "the upload cannot be written to disk: " + e.getMessage());
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
