package dev.semanticid.security;

import dev.semanticid.settings.SemanticIdProperties.Security.Mode;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.springframework.boot.actuate.autoconfigure.web.server.ManagementPortType;
import org.springframework.boot.context.properties.bind.Bindable;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.context.properties.source.InvalidConfigurationPropertyValueException;
import org.springframework.context.annotation.Condition;
import org.springframework.context.annotation.ConditionContext;
import org.springframework.core.env.Environment;
import org.springframework.core.type.AnnotatedTypeMetadata;
import org.springframework.util.StringUtils;

/** Reads the settings about security before any bean exists. */
final class SecuritySettings {

  static final String ALLOWED_HOSTS = "semantic-id.security.allowed-hosts";

  private static final String MODE = "semantic-id.security.mode";
  private static final String ISSUER = "spring.security.oauth2.resourceserver.jwt.issuer-uri";

  private static final String AUDIENCES = "spring.security.oauth2.resourceserver.jwt.audiences";
  private static final String REQUIRE_AUDIENCE = "semantic-id.security.require-audience";

  /** The service accepts tokens if any of these is set. */
  private static final List<String> TOKENS =
      List.of(
          ISSUER,
          "spring.security.oauth2.resourceserver.jwt.jwk-set-uri",
          "spring.security.oauth2.resourceserver.jwt.public-key-location");

  /** Clients must authenticate if any of these is set. */
  private static final List<String> CREDENTIALS =
      Stream.concat(Stream.of(ApiKeys.SETTING), TOKENS.stream()).toList();

  private SecuritySettings() {}

  /** The first of {@link #CREDENTIALS} that is set. */
  private static Optional<String> credentials(Environment environment) {
    return first(CREDENTIALS, environment);
  }

  private static Optional<String> first(List<String> names, Environment environment) {
    return names.stream()
        .filter(name -> StringUtils.hasText(environment.getProperty(name)))
        .findFirst();
  }

  /** Matches if clients must authenticate. */
  static final class On implements Condition {
    @Override
    public boolean matches(ConditionContext context, AnnotatedTypeMetadata metadata) {
      return credentials(context.getEnvironment()).isPresent();
    }
  }

  /** Matches if clients need not authenticate. */
  static final class Off implements Condition {
    @Override
    public boolean matches(ConditionContext context, AnnotatedTypeMetadata metadata) {
      return credentials(context.getEnvironment()).isEmpty();
    }
  }

  /**
   * Refuses to start a service that would accept tokens made for other services, unless {@code
   * require-audience} is false.
   *
   * @throws InvalidConfigurationPropertyValueException names the setting and how to correct it
   */
  static void requireAudience(Environment environment) {
    Optional<String> tokens = first(TOKENS, environment);
    Binder binder = Binder.get(environment);
    boolean named =
        binder.bind(AUDIENCES, Bindable.listOf(String.class)).orElse(List.of()).stream()
            .anyMatch(StringUtils::hasText);
    if (tokens.isEmpty()
        || named
        || !binder.bind(REQUIRE_AUDIENCE, Boolean.class).orElse(Boolean.TRUE)) {
      return;
    }
    throw new InvalidConfigurationPropertyValueException(
        AUDIENCES,
        "not set",
        "%s is set, and a token that the issuer made for any other service would be accepted here."
                .formatted(tokens.get())
            + " Put there the name that the issuer writes into the claim aud of this service's"
            + " tokens, such as semantic-id; or set %s=false where the issuer serves nobody else"
                .formatted(REQUIRE_AUDIENCE));
  }

  /**
   * Refuses to start a service that other machines can reach without authentication, unless {@code
   * mode} is none.
   *
   * @throws InvalidConfigurationPropertyValueException names the setting and how to correct it
   */
  static void requireNotExposed(Environment environment) {
    Optional<String> credentials = credentials(environment);
    Mode mode = Binder.get(environment).bind(MODE, Mode.class).orElse(Mode.AUTO);
    if (mode == Mode.NONE && credentials.isPresent()) {
      throw new InvalidConfigurationPropertyValueException(
          MODE, "none", "nobody would have to authenticate, but " + credentials.get() + " is set");
    }
    if (mode == Mode.NONE || credentials.isPresent()) {
      return;
    }
    requireLoopback(environment, "server.address");
    if (ManagementPortType.get(environment) == ManagementPortType.DIFFERENT) {
      requireLoopback(environment, "management.server.address");
    }
  }

  private static void requireLoopback(Environment environment, String setting) {
    InetAddress address = Binder.get(environment).bind(setting, InetAddress.class).orElse(null);
    if (address == null || !address.isLoopbackAddress()) {
      throw new InvalidConfigurationPropertyValueException(
          setting,
          address == null ? "not set, all addresses" : address.getHostAddress(),
          "other machines reach the service there, and nobody has to authenticate. Set %s or %s;"
                  .formatted(ApiKeys.SETTING, ISSUER)
              + " or %s=none where something else lets in only those who may;".formatted(MODE)
              + " or %s=127.0.0.1".formatted(setting));
    }
  }
}
