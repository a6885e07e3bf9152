package dev.semanticid.security;

import dev.semanticid.system.SemanticIdProperties.Security.Mode;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;
import org.springframework.boot.actuate.autoconfigure.web.server.ManagementPortType;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.context.properties.source.InvalidConfigurationPropertyValueException;
import org.springframework.context.annotation.Condition;
import org.springframework.context.annotation.ConditionContext;
import org.springframework.core.env.Environment;
import org.springframework.core.type.AnnotatedTypeMetadata;
import org.springframework.util.StringUtils;

/** What the settings say about security, known before anything is made. */
final class SecuritySettings {

  private static final String MODE = "semantic-id.security.mode";
  private static final String ISSUER = "spring.security.oauth2.resourceserver.jwt.issuer-uri";

  /** Any of them turns security on. */
  private static final List<String> CREDENTIALS =
      List.of(
          ApiKeys.SETTING,
          ISSUER,
          "spring.security.oauth2.resourceserver.jwt.jwk-set-uri",
          "spring.security.oauth2.resourceserver.jwt.public-key-location");

  private SecuritySettings() {}

  /** The first setting there is that says how clients prove themselves. */
  private static Optional<String> credentials(Environment environment) {
    return CREDENTIALS.stream()
        .filter(name -> StringUtils.hasText(environment.getProperty(name)))
        .findFirst();
  }

  /** Whether clients have to prove who they are. */
  static final class On implements Condition {
    @Override
    public boolean matches(ConditionContext context, AnnotatedTypeMetadata metadata) {
      return credentials(context.getEnvironment()).isPresent();
    }
  }

  /**
   * Refuses a service that other machines reach and that lets in everybody, unless that is said in
   * so many words.
   *
   * @throws InvalidConfigurationPropertyValueException with the setting and what may be done
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
