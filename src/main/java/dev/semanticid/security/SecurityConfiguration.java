package dev.semanticid.security;

import dev.semanticid.settings.SemanticIdProperties;
import jakarta.servlet.DispatcherType;
import java.nio.file.Path;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.beans.factory.config.BeanFactoryPostProcessor;
import org.springframework.beans.factory.config.BeanPostProcessor;
import org.springframework.boot.actuate.autoconfigure.web.server.ManagementPortType;
import org.springframework.boot.actuate.endpoint.Show;
import org.springframework.boot.health.autoconfigure.actuate.endpoint.HealthEndpointProperties;
import org.springframework.boot.security.autoconfigure.actuate.web.servlet.EndpointRequest;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.Environment;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configuration.EnableWebSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.config.annotation.web.configurers.HeadersConfigurer.ContentTypeOptionsConfig;
import org.springframework.security.config.annotation.web.configurers.HeadersConfigurer.FrameOptionsConfig;
import org.springframework.security.config.annotation.web.configurers.HeadersConfigurer.XXssConfig;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.oauth2.core.OAuth2TokenValidator;
import org.springframework.security.oauth2.core.OAuth2TokenValidatorResult;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.server.resource.BearerTokenErrors;
import org.springframework.security.oauth2.server.resource.authentication.JwtAuthenticationConverter;
import org.springframework.security.oauth2.server.resource.web.authentication.BearerTokenAuthenticationFilter;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.authentication.AnonymousAuthenticationFilter;
import org.springframework.web.servlet.HandlerExceptionResolver;

/** Security, where it is on; where it is off {@link BrowserGuard} keeps web pages away. */
@Configuration(proxyBeanMethods = false)
class SecurityConfiguration {

  /** Before any bean is made, so that no job goes on in a service that will not start. */
  @Bean
  static BeanFactoryPostProcessor exposureCheck(Environment environment) {
    return beans -> {
      SecuritySettings.requireNotExposed(environment);
      SecuritySettings.requireAudience(environment);
    };
  }

  @Bean
  Refusals refusals(@Qualifier("handlerExceptionResolver") HandlerExceptionResolver resolver) {
    return new Refusals(resolver);
  }

  /** What there is with security alone. */
  @Configuration(proxyBeanMethods = false)
  @Conditional(SecuritySettings.On.class)
  @EnableWebSecurity
  static class On {

    @Bean
    Credentials credentials(
        SemanticIdProperties properties,
        ObjectProvider<JwtDecoder> decoder,
        ObjectProvider<JwtAuthenticationConverter> converter) {
      Path file = properties.security().apiKeysFile();
      return new Credentials(
          file == null || file.toString().isEmpty() ? null : new ApiKeys(file),
          decoder.getIfAvailable(),
          converter.getIfAvailable(JwtAuthenticationConverter::new));
    }

    /** Beside what Spring Security demands of every token. */
    @Bean
    OAuth2TokenValidator<Jwt> expiryValidator() {
      return token ->
          token.getExpiresAt() == null
              ? OAuth2TokenValidatorResult.failure(
                  BearerTokenErrors.invalidToken("The Jwt has no exp, so it would never expire"))
              : OAuth2TokenValidatorResult.success();
    }

    @Bean
    SecurityFilterChain security(
        HttpSecurity http, Credentials credentials, Refusals refusals, Environment environment) {
      var problems = new SecurityProblems(refusals);
      var filter = new BearerTokenAuthenticationFilter(credentials, credentials);
      filter.setAuthenticationEntryPoint(problems);
      boolean ownPort = ManagementPortType.get(environment) == ManagementPortType.DIFFERENT;
      return http.csrf(AbstractHttpConfigurer::disable)
          .formLogin(AbstractHttpConfigurer::disable)
          .httpBasic(AbstractHttpConfigurer::disable)
          .logout(AbstractHttpConfigurer::disable)
          // Every answer has them from a valve of the server.
          .headers(headers ->
              headers
                  .contentTypeOptions(ContentTypeOptionsConfig::disable)
                  .frameOptions(FrameOptionsConfig::disable)
                  .xssProtection(XXssConfig::disable))
          .requestCache(AbstractHttpConfigurer::disable)
          .sessionManagement(
              sessions -> sessions.sessionCreationPolicy(SessionCreationPolicy.STATELESS))
          .addFilterBefore(filter, AnonymousAuthenticationFilter.class)
          .exceptionHandling(exceptions ->
              exceptions.authenticationEntryPoint(problems).accessDeniedHandler(problems))
          .authorizeHttpRequests(requests -> {
            // Of requests that have been let in.
            requests.dispatcherTypeMatchers(DispatcherType.ASYNC, DispatcherType.ERROR).permitAll();
            if (ownPort) {
              requests
                  .requestMatchers(EndpointRequest.toAnyEndpoint(), EndpointRequest.toLinks())
                  .permitAll();
            }
            for (AccessRule rule : AccessRule.RULES) {
              var those = requests.requestMatchers(rule::matches);
              if (rule.isOpen()) {
                those.permitAll();
              } else {
                those.hasAnyAuthority(rule.authorities());
              }
            }
            requests.anyRequest().denyAll();
          })
          .build();
    }

    /** Anybody may ask for health, those with credentials learn what it is made of. */
    @Bean
    static BeanPostProcessor healthDetails() {
      return new BeanPostProcessor() {
        @Override
        public Object postProcessAfterInitialization(Object bean, String name) {
          if (bean instanceof HealthEndpointProperties health) {
            health.setShowDetails(Show.WHEN_AUTHORIZED);
          }
          return bean;
        }
      };
    }

    @Bean
    SecurityDescription securityDescription() {
      return new SecurityDescription();
    }
  }
}
