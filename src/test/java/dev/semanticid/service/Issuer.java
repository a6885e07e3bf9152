package dev.semanticid.service;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.JWSObject;
import com.nimbusds.jose.JWSSigner;
import com.nimbusds.jose.Payload;
import com.nimbusds.jose.crypto.MACSigner;
import com.nimbusds.jose.crypto.RSASSASigner;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.PlainJWT;
import com.nimbusds.jwt.SignedJWT;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;

/** An OAuth 2 issuer on this machine: its metadata, its keys, and tokens good and bad. */
final class Issuer implements AutoCloseable {

  /** For whom its tokens are, unless a test says otherwise. */
  static final String AUDIENCE = "semantic-id";

  private final int port;
  private final RSAKey key = newKey();
  private final HttpServer server;

  /** On a port that nothing listens on until {@link #start}. */
  Issuer() {
    port = ServiceProcess.freePort();
    try {
      server = HttpServer.create();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    answer(
        "/.well-known/openid-configuration",
        "{\"issuer\": \"%s\", \"jwks_uri\": \"%s/keys\", \"subject_types_supported\": [\"public\"]}"
            .formatted(uri(), uri()));
    answer("/keys", new JWKSet(key.toPublicJWK()).toString());
  }

  private void answer(String path, String json) {
    server.createContext(
        path,
        exchange -> {
          try (exchange) {
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            byte[] bytes = Bytes.utf8(json);
            exchange.sendResponseHeaders(200, bytes.length);
            exchange.getResponseBody().write(bytes);
          }
        });
  }

  void start() {
    try {
      server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    server.start();
  }

  String uri() {
    return "http://127.0.0.1:" + port;
  }

  /** What makes a service accept its tokens. */
  String[] arguments() {
    return new String[] {
      "--spring.security.oauth2.resourceserver.jwt.issuer-uri=" + uri(),
      "--spring.security.oauth2.resourceserver.jwt.audiences=" + AUDIENCE
    };
  }

  static RSAKey newKey() {
    try {
      return new RSAKeyGenerator(2048).keyID("1").generate();
    } catch (JOSEException e) {
      throw new AssertionError(e);
    }
  }

  /** Claims of a token that is good for a while. */
  JWTClaimsSet.Builder claims() {
    Instant now = Instant.now();
    return new JWTClaimsSet.Builder()
        .issuer(uri())
        .subject("somebody")
        .audience(AUDIENCE)
        .issueTime(Date.from(now))
        .expirationTime(Date.from(now.plus(Duration.ofMinutes(10))));
  }

  /** A good token with a scope as most issuers write it. */
  String token(String scope) {
    return sign(claims().claim("scope", scope));
  }

  String sign(JWTClaimsSet.Builder claims) {
    return sign(claims, key);
  }

  /** A token with claims of a test's own making, such as no library writes, beside good ones. */
  String sign(String claim) {
    var token =
        new JWSObject(
            new JWSHeader.Builder(JWSAlgorithm.RS256).keyID("1").build(),
            new Payload(
                "{\"iss\": \"%s\", \"aud\": \"%s\", \"sub\": \"somebody\", \"scope\": \"encode\", %s}"
                    .formatted(uri(), AUDIENCE, claim)));
    try {
      token.sign(new RSASSASigner(key));
    } catch (JOSEException e) {
      throw new AssertionError(e);
    }
    return token.serialize();
  }

  /** Signed by any key, under the name of the issuer's. */
  static String sign(JWTClaimsSet.Builder claims, RSAKey by) {
    try {
      return sign(claims, JWSAlgorithm.RS256, new RSASSASigner(by));
    } catch (JOSEException e) {
      throw new AssertionError(e);
    }
  }

  /** Signed with what everybody may know, the public key, as if it were a secret. */
  String signedByThePublicKey(JWTClaimsSet.Builder claims) {
    try {
      return sign(claims, JWSAlgorithm.HS256, new MACSigner(key.toRSAPublicKey().getEncoded()));
    } catch (JOSEException e) {
      throw new AssertionError(e);
    }
  }

  static String unsigned(JWTClaimsSet.Builder claims) {
    return new PlainJWT(claims.build()).serialize();
  }

  private static String sign(JWTClaimsSet.Builder claims, JWSAlgorithm algorithm, JWSSigner signer)
      throws JOSEException {
    var jwt = new SignedJWT(new JWSHeader.Builder(algorithm).keyID("1").build(), claims.build());
    jwt.sign(signer);
    return jwt.serialize();
  }

  @Override
  public void close() {
    server.stop(0);
  }
}
