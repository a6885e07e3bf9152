package dev.semanticid.store;

import com.zaxxer.hikari.HikariDataSource;
import dev.semanticid.settings.SemanticIdProperties;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.jdbc.autoconfigure.DataSourceProperties;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** Makes the data source after the folder that an embedded database lives in. */
@Configuration(proxyBeanMethods = false)
class StoreConfiguration {

  @Bean
  @ConfigurationProperties("spring.datasource.hikari")
  HikariDataSource dataSource(DataSourceProperties properties, DataDirectory directory) {
    directory.prepareDatabase(properties.determineUrl());
    return properties.initializeDataSourceBuilder().type(HikariDataSource.class).build();
  }

  @Bean
  Replica replica(DataDirectory directory, SemanticIdProperties properties) {
    return new Replica(directory.identity(), properties.store().lease());
  }
}
