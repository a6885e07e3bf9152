package dev.semanticid.codebook;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.core.encode.ResidualQuantizer;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * A version that is resident, with its identity: whoever encodes with it names the right version,
 * whatever the aliases do meanwhile. Counts its users; the last one to leave after it was retired
 * frees the device memory.
 */
public final class ServedCodebook {

  private final String name;
  private final int version;
  private final ResidualQuantizer quantizer;

  /** Users, and one more until retired. */
  private final AtomicInteger users = new AtomicInteger(1);

  ServedCodebook(String name, int version, ResidualQuantizer quantizer) {
    this.name = name;
    this.version = version;
    this.quantizer = quantizer;
  }

  /** Name of the codebook. */
  public String name() {
    return name;
  }

  /** Number of the version. */
  public int version() {
    return version;
  }

  /** Fingerprint of the version. */
  public String fingerprint() {
    return quantizer.codebook().fingerprint();
  }

  /** The model whose vectors it was made for, if stated. */
  public @Nullable String embeddingModel() {
    return quantizer.codebook().provenance().values().get(EmbeddingModel.PARAMETER);
  }

  /** Encodes with it; only between {@link CodebookRegistry#acquire} and {@link #release}. */
  public ResidualQuantizer quantizer() {
    return quantizer;
  }

  /** Memory that it takes: centroids, tables, and what is on the device. */
  long bytes() {
    Codebook codebook = quantizer.codebook();
    long centroids = codebook.widths().stream().mapToLong(Integer::longValue).sum();
    return quantizer.residentBytes() + Float.BYTES * centroids * codebook.dimension();
  }

  /** Takes part in it, unless it is freed already. */
  boolean tryRetain() {
    int now;
    do {
      now = users.get();
      if (now == 0) {
        return false;
      }
    } while (!users.compareAndSet(now, now + 1));
    return true;
  }

  /** Leaves it. */
  public void release() {
    if (users.decrementAndGet() == 0) {
      quantizer.close();
    }
  }
}
