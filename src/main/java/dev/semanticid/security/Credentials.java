package dev.semanticid.security;

import dev.semanticid.security.ApiKeys.ApiKey;
import jakarta.servlet.http.HttpServletRequest;
import java.util.Collection;
import java.util.Collections;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpHeaders;
import org.springframework.security.authentication.AbstractAuthenticationToken;
import org.springframework.security.authentication.AuthenticationManager;
import org.springframework.security.authentication.AuthenticationServiceException;
import org.springframework.security.authentication.UsernamePasswordAuthenticationToken;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.AuthenticationException;
import org.springframework.security.core.authority.AuthorityUtils;
import org.springframework.security.oauth2.core.OAuth2AuthenticationException;
import org.springframework.security.oauth2.core.OAuth2Error;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtDecoderInitializationException;
import org.springframework.security.oauth2.jwt.JwtValidationException;
import org.springframework.security.oauth2.server.resource.BearerTokenErrors;
import org.springframework.security.oauth2.server.resource.authentication.BearerTokenAuthenticationToken;
import org.springframework.security.oauth2.server.resource.authentication.JwtAuthenticationConverter;
import org.springframework.security.oauth2.server.resource.authentication.JwtAuthenticationProvider;
import org.springframework.security.oauth2.server.resource.authentication.JwtAuthenticationToken;
import org.springframework.security.oauth2.server.resource.web.DefaultBearerTokenResolver;
import org.springframework.security.web.authentication.AuthenticationConverter;

/**
 * Finds what a request proves its client by, an API key or a token, and tells who it is. A client's
 * name says of which kind it is, so that no subject of a token passes for a key.
 */
final class Credentials implements AuthenticationConverter, AuthenticationManager, AutoCloseable {

  static final String HEADER = "X-API-Key";

  private final DefaultBearerTokenResolver bearer = new DefaultBearerTokenResolver();
  private final @Nullable ApiKeys keys;
  private final @Nullable JwtAuthenticationProvider tokens;

  Credentials(
      @Nullable ApiKeys keys,
      @Nullable JwtDecoder decoder,
      JwtAuthenticationConverter authoritiesAndName) {
    this.keys = keys;
    if (decoder == null) {
      tokens = null;
    } else {
      tokens = new JwtAuthenticationProvider(decoder);
      tokens.setJwtAuthenticationConverter(jwt -> named(jwt, authoritiesAndName));
    }
  }

  private static JwtAuthenticationToken named(Jwt jwt, JwtAuthenticationConverter converter) {
    AbstractAuthenticationToken converted = converter.convert(jwt);
    return new JwtAuthenticationToken(
        jwt, converted.getAuthorities(), "jwt:" + converted.getName());
  }

  /** Credentials that are not accepted, and why, in words that may be sent. */
  static final class RefusedException extends OAuth2AuthenticationException {
    private static final long serialVersionUID = 1L;

    RefusedException(String reason) {
      super(BearerTokenErrors.invalidToken("refused"), reason);
    }
  }

  /** The issuer's keys cannot be had, so nobody knows whether a token is good. */
  static final class IssuerUnavailableException extends AuthenticationException {
    private static final long serialVersionUID = 1L;

    IssuerUnavailableException(Throwable cause) {
      super("the issuer's keys cannot be had", cause);
    }
  }

  @Override
  public @Nullable Authentication convert(HttpServletRequest request) {
    requireOne(request, HttpHeaders.AUTHORIZATION);
    requireOne(request, HEADER);
    String token = bearer.resolve(request);
    String key = request.getHeader(HEADER);
    if (key == null) {
      return token == null ? null : new BearerTokenAuthenticationToken(token);
    }
    if (token != null) {
      throw new RefusedException("there must be one of Authorization and X-API-Key, not both");
    }
    if (!key.startsWith(ApiKeys.PREFIX)) {
      throw new RefusedException("X-API-Key must be an API key, which begins with sid_");
    }
    return new BearerTokenAuthenticationToken(key);
  }

  /** Nobody can say which of several is meant; a proxy before the service may mean another one. */
  private static void requireOne(HttpServletRequest request, String header) {
    if (Collections.list(request.getHeaders(header)).size() > 1) {
      throw new RefusedException("there must be one header %s, not several".formatted(header));
    }
  }

  @Override
  public Authentication authenticate(Authentication authentication) {
    var sent = (BearerTokenAuthenticationToken) authentication;
    if (sent.getToken().startsWith(ApiKeys.PREFIX)) {
      return authenticateKey(sent.getToken());
    }
    if (tokens == null) {
      throw new RefusedException("only API keys are accepted, which begin with sid_");
    }
    try {
      return tokens.authenticate(sent);
    } catch (AuthenticationServiceException | JwtDecoderInitializationException e) {
      throw new IssuerUnavailableException(e);
    } catch (AuthenticationException e) {
      throw new RefusedException(
          e.getCause() instanceof JwtValidationException invalid
              ? reasons(invalid.getErrors())
              : "the token is none that the issuer has signed");
    }
  }

  private Authentication authenticateKey(String sent) {
    if (keys == null) {
      throw new RefusedException("API keys are not accepted, only tokens of the issuer");
    }
    ApiKey key =
        keys.find(sent).orElseThrow(() -> new RefusedException("the API key is not known"));
    return UsernamePasswordAuthenticationToken.authenticated(
        "key:" + key.name(),
        null,
        AuthorityUtils.createAuthorityList(
            key.scopes().stream().map(Scope::authority).toArray(String[]::new)));
  }

  @Override
  public void close() {
    if (keys != null) {
      keys.close();
    }
  }

  /** What is said of a token whose signature is good. */
  private static String reasons(Collection<OAuth2Error> errors) {
    return errors.stream()
        .map(OAuth2Error::getDescription)
        .distinct()
        .collect(Collectors.joining("; ", "the token is not valid: ", ""));
  }
}
