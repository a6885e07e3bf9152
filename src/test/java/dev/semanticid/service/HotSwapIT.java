package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;

import dev.semanticid.core.codebook.Codebook;
import dev.semanticid.service.ServiceClient.Encoded;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Queue;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Versions swap while clients of every kind encode: those that take what is active, those that ask
 * for a version, in bytes and in JSON. No request fails, and no answer mixes versions.
 */
@ExtendWith(SharedService.Provider.class)
class HotSwapIT {

  private static final int D = 16;
  private static final int UPLOADED = 6;
  private static final float[][] TRAINING = Embeddings.rows(600, D, 1);
  private static final float[][] ROWS = Embeddings.rows(120, D, 2);

  /** An answer and what it answers: rows {@code begin} and following, {@code asked} or active. */
  private record Observed(int begin, int asked, Encoded encoded) {}

  @Test
  void encode_whileVersionsSwap_neverFailsAndNeverMixes(SharedService shared)
      throws ExecutionException, InterruptedException {
    try (var threads = Executors.newFixedThreadPool(4)) {
      ServiceClient client = shared.client();
      for (int version = 1; version <= UPLOADED; version++) {
        byte[] file = Embeddings.safetensors(Embeddings.codebook(D, version, 8, 8, 8));
        client.upload("swapped", file, version == 1);
      }
      var stop = new AtomicBoolean();
      Queue<Observed> observed = new ConcurrentLinkedQueue<>();
      var encoders = new ArrayList<Future<?>>();
      for (int i = 0; i < 4; i++) {
        var random = new SplittableRandom(i);
        boolean json = i % 2 == 1;
        encoders.add(threads.submit(() -> encodeUntil(stop, client, json, random, observed)));
      }
      List<Integer> published = new ArrayList<>();
      try {
        swap(client, published, observed);
      } finally {
        stop.set(true);
      }
      for (Future<?> encoder : encoders) {
        encoder.get();
      }
      verify(client, observed, published);
    }
  }

  private static void encodeUntil(
      AtomicBoolean stop,
      ServiceClient client,
      boolean json,
      SplittableRandom random,
      Queue<Observed> observed) {
    while (!stop.get()) {
      int begin = random.nextInt(ROWS.length);
      float[][] rows =
          Arrays.copyOfRange(ROWS, begin, begin + 1 + random.nextInt(ROWS.length - begin));
      int asked = random.nextInt(3) == 0 ? 1 + random.nextInt(UPLOADED) : 0;
      String query = "codebook=swapped" + (asked == 0 ? "" : "&version=" + asked);
      Encoded encoded = json ? client.encodeJson(query, rows) : client.encode(query, rows);
      observed.add(new Observed(begin, asked, encoded));
    }
  }

  /** Fifty swaps; whoever has been told of one sees it. */
  private static void swap(
      ServiceClient client, List<Integer> published, Queue<Observed> observed) {
    for (int swap = 0; swap < 50; swap++) {
      int version;
      if (swap % 10 == 4) {
        version =
            client
                .train(
                    String.format(
                        Locale.ROOT,
                        "codebook=swapped&activate=always&%s&seed=%d",
                        ServiceClient.SMALL,
                        swap),
                    TRAINING)
                .path("version")
                .asInt();
      } else if (swap % 10 == 9) {
        byte[] file = Embeddings.safetensors(Embeddings.codebook(D, 100 + swap, 5, 7));
        version = client.upload("swapped", file, true).path("version").asInt();
      } else {
        version = 1 + swap % UPLOADED;
        client.activate("swapped", version);
      }
      published.add(version);
      Encoded next = client.encode("codebook=swapped", Arrays.copyOf(ROWS, 1));
      assertThat(next.version()).as("what is active right after swap %d", swap).isEqualTo(version);
      observed.add(new Observed(0, version, next));
      // However slow the machine is, the clients meet each version.
      int met = observed.size() + 4;
      Await.until("answers to the clients", () -> observed.size() >= met, () -> "");
    }
  }

  private static void verify(
      ServiceClient client, Queue<Observed> observed, List<Integer> published) {
    Map<Integer, String> fingerprints = new HashMap<>();
    Map<Integer, int[][]> codes = new HashMap<>();
    for (Observed one : observed) {
      int version = one.encoded().version();
      if (!codes.containsKey(version)) {
        Codebook codebook = client.download("swapped", version);
        fingerprints.put(version, codebook.fingerprint());
        codes.put(version, Embeddings.reference(codebook, ROWS));
      }
      if (one.asked() > 0) {
        assertThat(version).isEqualTo(one.asked());
      }
      assertThat(one.encoded().fingerprint()).isEqualTo(fingerprints.get(version));
      int[][] given = one.encoded().codes();
      assertThat(given)
          .as("version %d, rows from %d", version, one.begin())
          .isDeepEqualTo(
              Arrays.copyOfRange(codes.get(version), one.begin(), one.begin() + given.length));
    }
    var active =
        observed.stream()
            .filter(one -> one.asked() == 0)
            .map(one -> one.encoded().version())
            .collect(Collectors.toSet());
    assertThat(active).as("versions that clients met without asking").hasSizeGreaterThan(4);
    assertThat(published).containsAll(active);
    assertThat(observed).hasSizeGreaterThan(200);
  }
}
