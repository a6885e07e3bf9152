package dev.semanticid.service;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.Base64;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicReference;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** TLS with a certificate that is exchanged on disk, as its issuer does every few weeks. */
class TlsIT {

  @TempDir Path folder;

  @Test
  void certificate_replacedOnDisk_isServedWithoutARestart() throws Exception {
    Certificate first = newCertificate("first");
    try (ServiceProcess service =
        ServiceProcess.launch(
            folder.resolve("data"),
            ServiceProcess.QUICK_START,
            // As image and chart have it: probes know nothing of certificates.
            "--management.server.address=127.0.0.1",
            "--management.server.port=0",
            "--management.server.ssl.enabled=false",
            "--server.ssl.bundle=service",
            "--spring.ssl.bundle.pem.service.reload-on-update=true",
            "--spring.ssl.bundle.watch.file.quiet-period=1s",
            "--spring.ssl.bundle.pem.service.keystore.certificate=" + folder.resolve("tls.crt"),
            "--spring.ssl.bundle.pem.service.keystore.private-key=" + folder.resolve("tls.key"))) {
      int port = service.client().port();
      awaitCertificate(service, port, first);
      Certificate second = newCertificate("second");
      awaitCertificate(service, port, second);
      assertThat(second).isNotEqualTo(first);
      try (var probe = new ServiceClient(service.managementPort())) {
        probe.get("/actuator/health/readiness").expect(200);
      }
      assertThat(service.log()).containsOnlyOnce("Started SemanticIdApplication");
    }
  }

  private static void awaitCertificate(ServiceProcess service, int port, Certificate expected) {
    var last = new AtomicReference<>("nothing");
    Await.until(
        "an answer by a certificate",
        () -> {
          try {
            // Trusts that certificate and no other.
            return get(port, expected).statusCode() == 200;
          } catch (Exception e) {
            last.set(e.toString());
            return false;
          }
        },
        () -> last + service.log());
  }

  private static HttpResponse<String> get(int port, Certificate trusted) throws Exception {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    store.setCertificateEntry("service", trusted);
    var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);
    try (HttpClient client = HttpClient.newBuilder().sslContext(context).build()) {
      HttpResponse<String> response =
          client.send(
              HttpRequest.newBuilder(
                      URI.create(String.format(Locale.ROOT, "https://127.0.0.1:%d/info", port)))
                  .timeout(Duration.ofSeconds(10))
                  .build(),
              BodyHandlers.ofString());
      assertThat(((X509Certificate) response.sslSession().orElseThrow().getPeerCertificates()[0]))
          .isEqualTo(trusted);
      return response;
    }
  }

  /** Puts a new key and its certificate in place, made by the JDK's own tool. */
  private Certificate newCertificate(String name) throws Exception {
    Path store = folder.resolve(name + ".p12");
    String keytool = Path.of(System.getProperty("java.home"), "bin", "keytool").toString();
    Process process =
        new ProcessBuilder(
                keytool,
                "-genkeypair",
                "-alias",
                "service",
                "-keyalg",
                "EC",
                "-dname",
                "CN=" + name,
                "-ext",
                "san=ip:127.0.0.1",
                "-storepass",
                "password",
                "-keystore",
                store.toString())
            .redirectErrorStream(true)
            .start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(said).isZero();
    KeyStore made = KeyStore.getInstance(store.toFile(), "password".toCharArray());
    Certificate certificate = made.getCertificate("service");
    if (!(made.getKey("service", "password".toCharArray()) instanceof PrivateKey key)) {
      throw new AssertionError("keytool made no private key");
    }
    replace("tls.key", "PRIVATE KEY", key.getEncoded());
    replace("tls.crt", "CERTIFICATE", certificate.getEncoded());
    return certificate;
  }

  private void replace(String name, String type, byte[] der) throws IOException {
    String pem =
        "-----BEGIN %s-----\n%s\n-----END %s-----\n"
            .formatted(
                type, Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(der), type);
    Path temporary = Files.writeString(folder.resolve(name + ".new"), pem);
    Files.move(temporary, folder.resolve(name), StandardCopyOption.REPLACE_EXISTING);
  }
}
